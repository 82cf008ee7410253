"""Logs are events with fields: in the journal on a box, as text on standard error elsewhere.

A call names what happened by a constant text and gives what belongs to it as `extra`, which is
logging's own, so that every room needs `logging` only:

    log.info("block found", extra={"height": 12, "block": "00ab"})

On standard error that reads `INFO edgenode.miner: block found height=12 block=00ab`. In the
journal it reads the same without its head, and the entry has the fields EDGENODE_EVENT (the text),
EDGENODE_HEIGHT and EDGENODE_BLOCK besides (docs/systemd.md).

Values come from peers, sensors and files. None of them can begin a line of its own, move a
terminal's cursor, or fill the log: whatever cannot be printed is replaced, whatever is too long is
cut.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from collections.abc import Mapping
from types import TracebackType

try:
    from systemd import journal as _journal
except ImportError:  # a development machine, or a container
    _journal = None

STANDARD_ERROR = 2
"""Its descriptor."""

LONGEST_VALUE = 1000
"""Characters of a field: a path and a sentence about it. What is longer is not read in a log."""

LONGEST_TEXT = 16_000
"""Characters of a traceback or of another package's message; those beyond a journal line's 48 KiB
would be cut by journald, wherever that is."""

STREAM_FORMAT = "%(levelname)s %(name)s: %(message)s"
"""Without the time, which whoever keeps standard error adds."""

_CUT = "…"
_UNPRINTABLE = "\N{REPLACEMENT CHARACTER}"

# A line that continues another begins with spaces, as no first line does.
_CONTINUATION = "\n    "

_OURS = "edgenode"
_OF_EVERY_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""The attributes that logging gives each record; the others came as `extra`."""

_OF_THE_JOURNAL = (
    "PRIORITY",
    "SYSLOG_IDENTIFIER",
    "LOGGER",
    "THREAD_NAME",
    "CODE_FILE",
    "CODE_LINE",
    "CODE_FUNC",
)
"""What is kept of the fields that JournalHandler makes of a record."""


def configure(service: str, level: int) -> None:
    """Send all logs of this process to the journal, or else to standard error.

    A crash and a watchdog's SIGABRT then leave the stacks of all threads on standard error, too.

    Args:
        service: Name of the service, such as "miner".
        level: The least level that is logged, such as `logging.INFO`.
    """
    faulthandler.enable(STANDARD_ERROR)
    handler: logging.Handler
    if _journal is not None and is_journal(STANDARD_ERROR):
        handler = _journal.JournalHandler(
            sender_function=_send, SYSLOG_IDENTIFIER=f"edgenode-{service}"
        )
        handler.setFormatter(EventFormatter("%(message)s"))
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(EventFormatter(STREAM_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])


def is_journal(descriptor: int) -> bool:
    """Whether systemd connected this descriptor to the journal.

    It says so by JOURNAL_STREAM=device:inode (systemd.exec(5)), which children inherit: the
    descriptor may have been redirected since, and then this is false.
    """
    named = os.environ.get("JOURNAL_STREAM", "")
    try:
        status = os.fstat(descriptor)
    except OSError:  # it is closed
        return False
    return named == f"{status.st_dev}:{status.st_ino}"


class EventFormatter(logging.Formatter):
    """Writes a record as its text, its fields and, if there is one, its traceback."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """The record's line; only other packages' messages have more than one."""
        text = _cleaned_lines(record.message)
        pairs = [f"{name}={_quoted(value)}" for name, value in fields(vars(record)).items()]
        record.message = " ".join([text, *pairs])
        return super().formatMessage(record)

    def formatException(  # noqa: N802  (logging's name)
        self,
        ei: (
            tuple[type[BaseException], BaseException, TracebackType | None]
            | tuple[None, None, None]
        ),
    ) -> str:
        """The traceback, each line of it indented."""
        return _CONTINUATION[1:] + _cleaned_lines(super().formatException(ei))


def fields(attributes: Mapping[str, object]) -> dict[str, str]:
    """What came as `extra`, ready to be shown; values that are None are not known and left out.

    Args:
        attributes: Of a log record.
    """
    return {
        name: as_text(value)
        for name, value in attributes.items()
        if name not in _OF_EVERY_RECORD and value is not None
    }


def as_text(value: object) -> str:
    """A field's value in printable characters, at most LONGEST_VALUE of them."""
    match value:
        case bool():
            text = "true" if value else "false"
        case float():
            text = str(int(value)) if value.is_integer() else f"{value:.6g}"
        case _:
            text = str(value)
    return _cleaned(text, LONGEST_VALUE)


def _cleaned(text: str, limit: int) -> str:
    if len(text) > limit:
        text = text[: limit - 1] + _CUT
    return "".join(c if c.isprintable() else _UNPRINTABLE for c in text)


def _cleaned_lines(text: str) -> str:
    lines = text[:LONGEST_TEXT].split("\n")
    return _CONTINUATION.join(_cleaned(line, LONGEST_TEXT) for line in lines)


def _quoted(text: str) -> str:
    """A value as it stands behind `name=`: in quotes unless it is one plain word."""
    if text and not set(text) & set(' "=\\'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _send(message: str, /, **attributes: object) -> None:
    """Hand an entry to journald; JournalHandler calls it with all that it knows of a record."""
    assert _journal is not None
    own = {name: attributes[name] for name in _OF_THE_JOURNAL}
    ours = {
        f"EDGENODE_{name.upper()}": value
        for name, value in fields(attributes).items()
        if name.islower()
    }
    if str(attributes["name"]).partition(".")[0] == _OURS:
        ours["EDGENODE_EVENT"] = as_text(attributes["msg"])
    _journal.send(message, **own, **ours)
