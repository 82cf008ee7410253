import random

import pytest

from edgenode.protocol.handshake import COOKIE_TIME, UNCONFIRMED_TIME
from edgenode.protocol.links import (
    CHANNELS_LIMIT,
    KEY_LIFETIME,
    REKEY_AFTER,
)
from edgenode.protocol.wire import NewTransaction, Socket
from tests.protocol.meeting import (
    A,
    B,
    aged,
    at,
    connected,
    exchange,
    links,
    only,
)


@pytest.mark.parametrize("loss", [None, random.Random(4)])
def test_keys_are_changed_while_the_session_goes_on(loss):
    a, b = connected()
    sessions = only(a), only(b)
    used = set()
    for minute in range(120):
        aged(a, b, 60, start=1 + 60 * minute, loss=loss)
        assert (only(a), only(b)) == sessions
        for peer in sessions:
            used.add(peer.sending.local)
            assert 60 * minute - peer.sending.made < REKEY_AFTER * 2
            assert len(peer.channels) <= CHANNELS_LIMIT
    assert len(used) >= 2 * (7200 / (REKEY_AFTER * 1.5) - 1)
    for node in (a, b):
        assert len(node._channels) == len(only(node).channels) <= 2
        assert len(node._handshakes._indices) <= 3
        # An offer that is said twice is answered twice.
        expected = {"unasked"} if loss is None else {"unasked", "no_session"}
        assert set(node.traffic[Socket.SYNC].dropped) <= expected


def test_a_channel_that_the_other_side_never_confirmed_is_not_sent_through():
    """The first datagrams of a new channel are lost, the old one goes on."""
    a, b = connected()
    old = only(a).sending
    a._handshakes.knock(B, 10)
    a._post_handshakes()
    for source, sender, receiver in ((A, a, b), (B, b, a), (A, a, b), (B, b, a)):
        outbox, sender.outbox = sender.outbox, []
        for datagram in outbox:
            receiver.receive(datagram.socket, source, datagram.data, at(10))
    assert len(only(a).channels) == 2
    a.outbox.clear()  # its status through the new channel
    assert only(a).sending is old
    a.send(only(a), NewTransaction(b"x"))
    assert b.receive(Socket.SYNC, A, a.outbox.pop().data, at(11)) is not None
    aged(a, b, round(UNCONFIRMED_TIME) + 12, start=12)
    assert only(a).channels == [old]


def test_keys_that_cannot_be_changed_are_not_used_for_ever():
    a, b = connected()
    dropping = a._handshakes.knock, b._handshakes.knock
    for node in (a, b):
        node._handshakes.knock = lambda address, now: None
    aged(a, b, round(KEY_LIFETIME) + 20)
    assert a.peers == b.peers == {}
    a._handshakes.knock, b._handshakes.knock = dropping
    aged(a, b, 70, start=round(KEY_LIFETIME) + 21)
    assert len(a.peers) == len(b.peers) == 1


def test_cookies_change_under_a_node_that_is_knocked_at():
    a = links(1, seeds=[B])
    b = links(2)
    for second in range(0, round(4 * COOKIE_TIME), 7):
        a.tick(at(second))
        exchange(a, b, at(second + 3))
    assert len(b.peers) == 1


def test_a_channel_that_is_confirmed_late_is_as_good_as_any():
    a, b = connected()
    a._handshakes.knock(B, 10)
    a._post_handshakes()
    for source, sender, receiver in ((A, a, b), (B, b, a), (A, a, b), (B, b, a)):
        outbox, sender.outbox = sender.outbox, []
        for datagram in outbox:
            receiver.receive(datagram.socket, source, datagram.data, at(10))
    status = a.outbox.pop().data
    late = at(10 + UNCONFIRMED_TIME + 1)
    assert b.receive(Socket.SYNC, A, status, late) is not None
    assert only(b).sending in only(b).channels
    b.tick(at(10 + UNCONFIRMED_TIME + 20))
    assert len(b.peers) == 1
