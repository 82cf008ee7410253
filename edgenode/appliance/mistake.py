"""What is wrong in a box's files, and where: for the console, the log and a person at a PC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_TOML_PLACE = re.compile(r" \(at line (\d+), column \d+\)$")
_LINE = re.compile(r":(\d+): ")

# Some lines of a console; a longer value is cut.
_LONGEST = 600


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that a person should mend.

    Attributes:
        where: A file's name, with the line where there is one: "edgenode.toml:12".
        what: What is wrong and what is allowed. It holds no secret: it is shown and logged.
    """

    where: str
    what: str

    def __post_init__(self) -> None:
        """Make what is wrong one short line, whatever a file holds: it goes to a console."""
        line = "".join(c if c.isprintable() else "?" for c in self.what)
        shown = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
        object.__setattr__(self, "what", shown)

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def mistake_in(path: Path, error: Exception, *, line: int | None = None) -> Mistake:
    """A mistake from an error whose text begins with the path of the file, and perhaps a line.

    Args:
        path: The file that was read; only its name is shown.
        error: What was raised.
        line: The line, where the text names none.
    """
    text = str(error).removeprefix(str(path))
    if match := _LINE.match(text):
        line, text = int(match[1]), text[match.end() :]
    elif match := _TOML_PLACE.search(text):
        line, text = int(match[1]), text[: match.start()]
    return Mistake(f"{path.name}:{line}" if line else path.name, text.removeprefix(": "))
