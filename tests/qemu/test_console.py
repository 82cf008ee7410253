"""The console: clean text however it arrives, waiting for words, and what ends the waiting."""

import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qemu.console import Cleaner, Console
from qemu.errors import GuestEndedError, PanicError, PatienceError

PIECES = st.sampled_from(
    [
        "login: ",
        "\r\n",
        "\x1b[0;32m",
        "\x1b[1;39m",
        "\x1b[K",
        "\x1b[?25h",
        "\x1b]0;title\x07",
        "\x1b]0;title\x1b\\",
        "\x1b7",
        "\x1b(B",
        "grün Ω",
        "\0",
        "[x]",
        "\n",
    ]
)


@given(pieces=st.lists(PIECES, max_size=30), cuts=st.lists(st.integers(1, 9), max_size=60))
def test_text_is_the_same_however_its_bytes_are_cut(pieces, cuts):
    data = "".join(pieces).encode()
    whole = Cleaner().feed(data)
    cleaner = Cleaner()
    said, at = "", 0
    for cut in cuts:
        said += cleaner.feed(data[at : at + cut])
        at += cut
    said += cleaner.feed(data[at:])
    assert said == whole
    assert "\x1b" not in said
    assert "\r" not in said


def test_colours_and_carriage_returns_are_gone():
    data = b"[\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39medgenode-gossip\x1b[0m.\r\n\x1b[2Kmore"
    assert Cleaner().feed(data) == "[  OK  ] Started edgenode-gossip.\nmore"


@given(st.binary(max_size=400))
def test_any_bytes_are_taken_and_none_are_held_for_long(data):
    cleaner = Cleaner()
    cleaner.feed(data)
    assert cleaner.feed(b" " * 300 + b"end").endswith("end")


def test_a_sequence_that_never_ends_does_not_swallow_what_follows():
    cleaner = Cleaner()
    cleaner.feed(b"\x1b]0;")
    said = "".join(cleaner.feed(b"x" * 100) for _ in range(10))
    assert len(said) > 500


class Guest:
    """A guest that says what it is told to, by way of QEMU's log file."""

    def __init__(self, directory: Path) -> None:
        self.log = directory / "console.log"
        self.why: str | None = None
        self.console = Console(self.log, directory / "console.sock", lambda: self.why)

    def say(self, text: str) -> None:
        with self.log.open("ab") as log:
            log.write(text.encode())


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def test_what_was_said_before_anybody_listened_is_heard(guest):
    guest.say("U-Boot 2023.01\r\nHit any key to stop autoboot: ")
    assert guest.console.wait_for("Hit any key", 10).group() == "Hit any key"


def test_words_that_come_in_pieces_are_found(guest):
    def say() -> None:
        for piece in ("edgenode lo", "gin", ": "):
            guest.say(piece)

    threading.Timer(0.1, say).start()
    assert guest.console.wait_for(r"(\w+) login: $", 30)[1] == "edgenode"


def test_waiting_goes_on_behind_what_was_found(guest):
    guest.say("=> one\n=> two\n")
    guest.console.wait_for("=> ", 10)
    assert guest.console.wait_for("^=> (.*)$", 10)[1] == "two"
    assert guest.console.unread == "\n"


def test_an_earlier_boot_is_not_taken_for_this_one(guest):
    guest.say("edgenode login: ")
    guest.console.skip()
    with pytest.raises(PatienceError):
        guest.console.wait_for("login:", 0.2)
    guest.say("edgenode login: ")
    guest.console.wait_for("login:", 10)


def test_impatience_shows_what_was_said_last(guest):
    guest.say("Waiting for root device\n")
    with pytest.raises(PatienceError) as caught:
        guest.console.wait_for("login:", 0.1)
    said = str(caught.value)
    assert "'login:'" in said
    assert "Waiting for root device" in said
    assert str(guest.log) in said


def test_a_panic_ends_the_waiting(guest):
    guest.say("Kernel panic - not syncing: VFS: Unable to mount root fs\n")
    with pytest.raises(PanicError, match="Unable to mount root fs"):
        guest.console.wait_for("login:", 600)


def test_a_panic_after_what_was_wanted_does_not_count(guest):
    guest.say("edgenode login: \nKernel panic - not syncing: sysrq\n")
    guest.console.wait_for("login:", 10)
    guest.console.wait_for("Kernel panic", 10, unless=None)


def test_the_end_of_qemu_ends_the_waiting_but_not_before_its_last_words(guest):
    guest.say("reboot: Power down\n")
    guest.why = "bed-1's QEMU ended with status 0"
    guest.console.wait_for("Power down", 600)
    with pytest.raises(GuestEndedError, match="ended with status 0; it never said 'login:'"):
        guest.console.wait_for("login:", 600)


def test_typing_to_a_machine_that_is_off_is_an_error(guest):
    with pytest.raises(GuestEndedError):
        guest.console.send_line("reboot")


def test_patterns_know_lines(guest):
    guest.say("not the line: => \n=> \n")
    found = guest.console.wait_for("^=> $", 10)
    assert isinstance(found, re.Match)
    assert found.start() == len("not the line: => \n")
