"""Wards whose boxes have one socket of the two, or speak through another box."""

from collections import Counter
from dataclasses import replace

import pytest

from edgenode.protocol.layout import SAME_HOST, Layout
from edgenode.protocol.wire import Address, Socket
from edgenode.sim.ward import BROADCAST_PORT, Conditions, Ward

LISTENER = Layout(sync=False, broadcast=Address(SAME_HOST, BROADCAST_PORT))
SYNC_ONLY = Layout()


class LaidOutWard(Ward):
    """A ward in which some boxes have other sockets, or sessions with some boxes alone."""

    def __init__(self, boxes, seed, layouts=None, only=None, seeds=None, **conditions):
        self.layouts, self.only, self.seeds = layouts or {}, only or {}, seeds or {}
        self.sent = Counter()
        super().__init__(boxes, seed, Conditions(parameters=2000, **conditions))

    def _layout(self, box):
        layout = self.layouts.get(box.index) or super()._layout(box)
        return replace(layout, is_open=False) if box.index in self.only else layout

    def _seeds(self, box):
        wanted = (self.only | self.seeds).get(box.index)
        return super()._seeds(box) if wanted is None else [self.boxes[n] for n in wanted]

    def _schedule_training(self, box):
        if self._layout(box).sync:
            super()._schedule_training(box)

    def _schedule_block(self, box):
        if self._layout(box).sync:
            super()._schedule_block(box)

    def _post(self, sender, datagram):
        receiver = self._by_host[datagram.address.host]
        self.sent[sender.index, receiver.index, datagram.socket] += len(datagram.data)
        super()._post(sender, datagram)

    def bytes_between(self, one, other):
        """Sent by one box to the other."""
        return sum(self.sent[one, other, socket] for socket in Socket)

    def peers_of(self, index):
        return {peer.address.host for peer in self.boxes[index].running.links.peers.values()}


def members_with_updates(ward):
    chain = ward.boxes[0].running.chain
    blocks = [chain.block(chain.at(height).id) for height in range(1, chain.head.height + 1)]
    return {update.member for block in blocks for update in block.updates}


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_a_box_that_only_listens_follows_the_chain_and_takes_every_aggregate(loss):
    ward = LaidOutWard(4, 1, {3: LISTENER}, loss=loss)
    listener = ward.boxes[3]
    ward.run(600)
    assert ward.run_until(lambda: ward.agree() and listener.running.chain.head.height > 3, 300)
    assert all(
        to_listener.layout == LISTENER
        for box in ward.boxes[:3]
        for to_listener in box.running.links.peers.values()
        if to_listener.address.host == listener.host
    )
    # Nobody has asked it for anything: it sends no more than questions and what keeps sessions.
    dropped = listener.running.links.traffic[Socket.BROADCAST].dropped
    assert not dropped["not_served"]
    by_it = sum(ward.bytes_between(3, n) for n in range(3))
    to_it = sum(ward.bytes_between(n, 3) for n in range(3))
    assert by_it < to_it / 2


def test_a_listener_that_was_off_catches_up():
    ward = LaidOutWard(4, 2, {3: LISTENER})
    listener = ward.boxes[3]
    ward.run(100)
    ward.switch_off(listener)
    ward.run(1500)
    ward.switch_on(listener)
    assert ward.run_until(lambda: ward.agree() and listener.running.chain.head.height > 8, 120)


@pytest.mark.parametrize("layouts", [{1: SYNC_ONLY}, dict.fromkeys(range(4), SYNC_ONLY)])
def test_boxes_without_broadcast_agree_with_the_ward(layouts):
    ward = LaidOutWard(4, 3, layouts)
    ward.run(900)
    assert ward.run_until(ward.agree, 60)
    assert len(members_with_updates(ward)) == 4
    for index in layouts:
        sent = {socket for sender, _, socket in ward.sent if sender == index}
        assert sent == {Socket.SYNC}
    for (_, receiver, socket), count in ward.sent.items():
        assert not (count and receiver in layouts and socket is Socket.BROADCAST)


def test_a_group_of_boxes_sends_through_one_of_them():
    """Boxes 3, 4 and 5 have sessions with box 2 alone, as behind a narrow link they should."""
    group = {3: [2], 4: [2], 5: [2]}
    ward = LaidOutWard(6, 4, only=group)
    ward.run(900)
    assert ward.run_until(ward.agree, 60)
    assert len(members_with_updates(ward)) == 6
    for index in group:
        assert ward.peers_of(index) == {ward.boxes[2].host}
    for outside in (0, 1):
        assert not any(ward.bytes_between(index, outside) for index in group)
        assert not ward.peers_of(outside) & {ward.boxes[index].host for index in group}


def test_sync_on_one_box_and_broadcast_on_another_serve_a_third():
    """Box 3 hears of all by box 2, which only broadcasts, and copies all from box 1."""
    layouts = {1: SYNC_ONLY, 2: LISTENER}
    ward = LaidOutWard(5, 5, layouts, only={3: [1, 2]}, seeds={2: [0, 3]})
    third = ward.boxes[3]
    ward.run(60)
    assert ward.peers_of(3) == {ward.boxes[1].host, ward.boxes[2].host}
    ward.run(900)
    assert ward.run_until(ward.agree, 60)
    assert third.key.public in members_with_updates(ward), "it takes part"
    assert not any(ward.sent[1, 3, socket] for socket in (Socket.BROADCAST, Socket.DISCOVERY))
    assert ward.sent[2, 3, Socket.BROADCAST], "news"
    assert ward.bytes_between(1, 3) > 4 * ward.bytes_between(2, 3), "copies"
    assert not ward.bytes_between(0, 3) + ward.bytes_between(4, 3)
