"""Reads the documents as far as the tests need it: sections, tables, code blocks, links."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"

_HEADING = re.compile(r"(#+) +(.*)")
_RULER = re.compile(r"\|[\s|:-]+\|")


@dataclass(frozen=True)
class Table:
    """A table: the heading that it stands under, its column names, its rows."""

    heading: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def _prose(text: str) -> list[str]:
    """The lines outside of fenced code blocks."""
    lines, fenced = [], False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            lines.append(line)
    return lines


def tables(text: str) -> list[Table]:
    """All tables of a document, in order."""
    found: list[Table] = []
    heading, inside = "", False
    lines = _prose(text)
    for index, line in enumerate(lines):
        if match := _HEADING.fullmatch(line):
            heading = match[2]
        if not line.startswith("|"):
            inside = False
        elif _RULER.fullmatch(line.strip()):
            found.append(Table(heading, _cells(lines[index - 1]), []))
            inside = True
        elif inside:
            found[-1].rows.append(_cells(line))
    return found


def table_under(text: str, heading: str) -> Table:
    """The one table under a heading."""
    (table,) = (table for table in tables(text) if table.heading == heading)
    return table


def headings(text: str) -> list[str]:
    """All headings, without their signs."""
    return [m[2] for line in _prose(text) if (m := _HEADING.fullmatch(line))]


def anchor(heading: str) -> str:
    """The name under which GitHub lets one link to a heading."""
    kept = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
    return kept.replace(" ", "-")


def code_blocks(text: str, language: str) -> list[str]:
    """The contents of the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def links(text: str) -> list[str]:
    """The targets of all links to files and headings of this repository."""
    targets = re.findall(r"\]\(([^)\s]+)\)", "\n".join(_prose(text)))
    return [target for target in targets if "://" not in target]


def quoted(text: str) -> list[str]:
    """All that stands in backticks outside of code blocks."""
    return re.findall(r"`([^`\n]+)`", "\n".join(_prose(text)))
