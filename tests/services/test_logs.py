"""Events become lines on standard error or entries in the journal, whatever their values hold."""

import logging
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.services import logs
from tests.services.debian_systemd import run_in_journal

FORGED = "gone\nERROR edgenode.gossip: the ward is lost\x1b[2J\u2028\u202e"


def line(message, *, error=None, name="edgenode.miner", arguments=(), **extra):
    """How a record reads on standard error."""
    logger = logging.getLogger(name)
    info = (type(error), error, error.__traceback__) if error else None
    record = logger.makeRecord(
        name, logging.INFO, "file", 1, message, arguments, info, extra=extra or None
    )
    return logs.EventFormatter(logs.STREAM_FORMAT).format(record)


def test_an_event_reads_as_its_text_and_its_fields():
    assert line("block found", height=12, block="00ab") == (
        "INFO edgenode.miner: block found height=12 block=00ab"
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (7, "7"),
        (12345678.0, "12345678"),
        (0.123456789, "0.123457"),
        (float("nan"), "nan"),
        (True, "true"),
        (Path("/var/lib"), "/var/lib"),
        (OSError("no room"), '"no room"'),
        ('a "b" \\ c', '"a \\"b\\" \\\\ c"'),
        ("a=b", '"a=b"'),
        ("", '""'),
    ],
)
def test_a_value_that_is_not_one_plain_word_stands_in_quotes(value, shown):
    assert line("seen", value=value) == f"INFO edgenode.miner: seen value={shown}"


def test_what_is_not_known_is_left_out():
    assert line("head moved", undone=None, height=3) == ("INFO edgenode.miner: head moved height=3")


@given(st.text())
def test_no_value_makes_a_second_line_or_moves_a_cursor(value):
    assert line("seen", value=value).isprintable()


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=80))
def test_a_reader_can_tell_where_each_value_ends(value):
    shown = line("seen", first=value, second="end")
    found = re.fullmatch(
        r'INFO edgenode\.miner: seen first=("(?:[^"\\]|\\.)*"|[^ "=\\]+) second=end', shown
    )
    assert found, shown
    plain = re.sub(r"\\(.)", r"\1", found[1][1:-1]) if found[1].startswith('"') else found[1]
    assert plain == "".join(c if c.isprintable() else "\ufffd" for c in value)


def test_a_long_value_is_cut():
    shown = line("seen", value="x" * 5000)
    assert shown.endswith("x…")
    assert len(shown) == len("INFO edgenode.miner: seen value=") + logs.LONGEST_VALUE


def test_lines_of_a_traceback_and_of_other_packages_cannot_be_taken_for_ours():
    try:
        raise OSError(FORGED)
    except OSError as error:
        shown = line("a thread ended", error=error)
    first, *rest = shown.splitlines()
    assert first == "INFO edgenode.miner: a thread ended"
    assert any("ERROR edgenode.gossip: the ward is lost" in text for text in rest)
    assert all(text.startswith("    ") for text in rest)
    shown = line("lost: %s", name="asyncio", arguments=(FORGED,))
    assert [text[:4] for text in shown.splitlines()] == ["INFO", "    "]
    assert shown.replace("\n", "").isprintable()


def test_a_huge_traceback_is_cut():
    shown = line("lost", error=ValueError("y" * 10 * logs.LONGEST_TEXT))
    assert len(shown) < 2 * logs.LONGEST_TEXT


def test_the_journal_is_what_journal_stream_names(tmp_path, monkeypatch):
    with (tmp_path / "log").open("w") as file:
        descriptor = file.fileno()
        status = os.fstat(descriptor)
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
        assert not logs.is_journal(descriptor)
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert logs.is_journal(descriptor)
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + 1}")
        assert not logs.is_journal(descriptor), "it was redirected since"
    assert not logs.is_journal(descriptor), "it is closed"


def test_the_journal_gets_the_values_as_fields(tmp_path):
    program = f"""
import logging
from edgenode.services import logs
logs.configure("miner", logging.INFO)
logging.getLogger("edgenode.miner").info("block found", extra={{"height": 12, "by": {FORGED!r}}})
logging.getLogger("asyncio").error("lost: %s", "it")
logging.getLogger("edgenode.miner").debug("no report")
"""
    status, entries, stderr = run_in_journal(tmp_path, program)
    assert (status, stderr) == (0, "")
    ours, theirs = entries
    assert ours == {
        "MESSAGE": f'block found height=12 by="{logs.as_text(FORGED)}"',
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "edgenode-miner",
        "LOGGER": "edgenode.miner",
        "THREAD_NAME": "MainThread",
        "CODE_FILE": "<string>",
        "CODE_LINE": "5",
        "CODE_FUNC": "<module>",
        "EDGENODE_EVENT": "block found",
        "EDGENODE_HEIGHT": "12",
        "EDGENODE_BY": logs.as_text(FORGED),
    }
    assert (theirs["MESSAGE"], theirs["PRIORITY"]) == ("lost: it", "3")
    assert not any(name.startswith("EDGENODE_") for name in theirs)


def test_a_traceback_is_one_entry_of_the_journal(tmp_path):
    program = f"""
import logging
from edgenode.services import logs
logs.configure("miner", logging.INFO)
try:
    raise OSError({FORGED!r})
except OSError:
    logging.getLogger("edgenode.miner").exception("a thread ended", extra={{"index": 1}})
"""
    status, (entry,), stderr = run_in_journal(tmp_path, program)
    assert (status, stderr) == (0, "")
    assert entry["MESSAGE"].startswith("a thread ended index=1\n    Traceback")
    assert entry["EDGENODE_INDEX"] == "1"


def test_a_service_that_cannot_go_on_says_so_in_the_journal(tmp_path):
    program = """
import logging
from edgenode.services import logs
from edgenode.services.ending import EXIT_BAD_FILE, give_up
logs.configure("gossip", logging.INFO)
give_up("gossip", "ward.key: there is no such file", EXIT_BAD_FILE)
"""
    status, (entry,), stderr = run_in_journal(tmp_path, program)
    assert (status, stderr) == (5, "")
    assert entry["MESSAGE"] == 'cannot go on reason="ward.key: there is no such file" status=5'
    assert (entry["PRIORITY"], entry["EDGENODE_STATUS"]) == ("3", "5")
