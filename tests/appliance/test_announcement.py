"""What a box tells is readable on any console, and whatever it tells of moves no cursor."""

import json
import os
import pty
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.announcement import (
    Announcement,
    console_text,
    issue_text,
    mistakes_json,
)
from edgenode.appliance.mistake import Mistake
from tests.conftest import require_tool

mistakes = st.lists(st.builds(Mistake, st.just("edgenode.toml:1"), st.text()), max_size=3)


def told(mistakes):
    return Announcement("bed-1", bytes(32), "SHA256:abc", ("a key",), mistakes)


@given(mistakes)
def test_the_console_gets_printable_ascii_and_a_line_for_each(mistakes):
    text = console_text(told(mistakes))
    assert all(" " <= c <= "~" for c in text.replace("\n", ""))
    assert len(text.splitlines()) == 4 + (1 + len(mistakes) if mistakes else 0)


@given(mistakes)
def test_the_json_reads_back(mistakes):
    read = json.loads(mistakes_json(mistakes))
    assert [(m["where"], m["what"]) for m in read] == [(m.where, m.what) for m in mistakes]


def test_agetty_shows_the_text_as_it_is(tmp_path):
    agetty = require_tool("agetty", "util-linux")
    nasty = Mistake("edgenode.toml:1", r"'a\nb' \d \e{red} \\ \l is wrong\\")
    path = tmp_path / "edgenode.issue"
    path.write_text(issue_text(told([nasty])))
    screen, terminal = pty.openpty()
    subprocess.run(
        [agetty, "--show-issue", "-f", path], stdin=terminal, stdout=terminal, check=True
    )
    shown = os.read(screen, 10_000).decode().replace("\r\n", "\n").splitlines()
    os.close(terminal)
    os.close(screen)
    expected = console_text(told([nasty])).splitlines()
    assert shown[0] == expected[0]
    assert shown[1].startswith("  address     ")
    assert "\\" not in shown[1]
    assert shown[2 : 1 + len(expected)] == expected[1:]
