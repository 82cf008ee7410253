"""The switch: who gets which frame."""

import os
import select
import socket
from collections.abc import Iterator

import pytest

from qemu.switch import MOST_ADDRESSES, Switch

EVERYBODY = b"\xff" * 6
PATIENCE = 60.0


def mac(number: int) -> bytes:
    return b"\x52\x54\x00\xed" + number.to_bytes(2, "big")


class Cards:
    """Network cards on the first ports of a switch."""

    def __init__(self, switch: Switch, count: int) -> None:
        self.sockets = [socket.socket(fileno=os.dup(switch.port(n))) for n in range(count)]
        for each in self.sockets:
            each.settimeout(PATIENCE)

    def send(self, port: int, target: bytes, source: bytes, what: bytes = b"") -> None:
        self.sockets[port].send(target + source + b"\x08\x00" + what)

    def receive(self, port: int) -> bytes:
        """What the next frame holds."""
        return self.sockets[port].recv(1 << 16)[14:]

    def waiting(self) -> list[int]:
        """Ports at which a frame is."""
        ready, _, _ = select.select(self.sockets, [], [], 0)
        return [self.sockets.index(each) for each in ready]


@pytest.fixture
def switch() -> Iterator[Switch]:
    made = Switch()
    yield made
    made.close()


@pytest.fixture
def cards(switch) -> Iterator[Cards]:
    made = Cards(switch, 3)
    yield made
    for each in made.sockets:
        each.close()


def test_a_broadcast_reaches_all_others(cards):
    cards.send(0, EVERYBODY, mac(0), b"hello")
    assert cards.receive(1) == cards.receive(2) == b"hello"
    assert cards.waiting() == []


def test_a_frame_for_somebody_known_reaches_nobody_else(cards):
    cards.send(1, EVERYBODY, mac(1), b"here I am")
    assert cards.receive(0) == cards.receive(2) == b"here I am"
    cards.send(0, mac(1), mac(0), b"for you")
    assert cards.receive(1) == b"for you"
    # The switch works in order: what comes now shows that nothing came before.
    cards.send(0, EVERYBODY, mac(0), b"for all")
    assert cards.receive(2) == b"for all"


def test_a_frame_for_somebody_unknown_reaches_all_others(cards):
    cards.send(0, mac(7), mac(0), b"who is 7?")
    assert cards.receive(1) == cards.receive(2) == b"who is 7?"


def test_who_moves_to_another_port_is_found_there(cards):
    cards.send(1, EVERYBODY, mac(9), b"at 1")
    cards.send(2, EVERYBODY, mac(9), b"at 2")
    assert [cards.receive(0), cards.receive(0)] == [b"at 1", b"at 2"]
    assert [cards.receive(2), cards.receive(1)] == [b"at 1", b"at 2"]
    cards.send(0, mac(9), mac(0), b"for 9")
    assert cards.receive(2) == b"for 9"
    assert cards.waiting() == []


def test_a_group_is_no_sender(cards):
    cards.send(1, EVERYBODY, EVERYBODY, b"forged")
    assert cards.receive(0) == cards.receive(2) == b"forged"
    cards.send(0, EVERYBODY, mac(0), b"still for all")
    assert cards.receive(1) == cards.receive(2) == b"still for all"


def test_what_is_too_short_for_a_frame_is_dropped(cards):
    cards.sockets[0].send(b"short")
    cards.send(0, EVERYBODY, mac(0), b"whole")
    assert cards.receive(1) == b"whole"


def test_a_card_that_takes_nothing_holds_up_nobody(cards):
    cards.send(1, EVERYBODY, mac(1), b"here")
    assert cards.receive(0) == b"here"
    for _ in range(2000):
        cards.send(0, mac(2), mac(0), b"x" * 1400)
        cards.send(0, mac(1), mac(0), b"next")
        while cards.receive(1) != b"next":
            continue


def test_made_up_addresses_do_not_fill_the_memory(cards, switch):
    for number in range(MOST_ADDRESSES + 100):
        cards.send(0, mac(0xFFFF), mac(number))
        cards.receive(1)
        cards.receive(2)
    assert len(switch._behind) == MOST_ADDRESSES


def test_a_plug_is_the_same_after_a_power_cut(switch, cards):
    assert switch.port(1) == switch.port(1) != switch.port(0)
    late = socket.socket(fileno=os.dup(switch.port(3)))
    cards.send(0, EVERYBODY, mac(0), b"late")
    late.settimeout(PATIENCE)
    assert late.recv(100)[14:] == b"late"
    late.close()


def test_closing_twice_is_harmless():
    made = Switch()
    made.port(0)
    made.close()
    made.close()
