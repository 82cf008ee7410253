"""What a peer says of its head decides nothing that its headers do not show."""

from dataclasses import replace

import pytest

from edgenode.ledger.header import Header
from edgenode.ledger.headers import earliest_time, expected_target
from edgenode.ledger.retention import Retention
from edgenode.protocol.node import Node
from edgenode.protocol.wire import GetHeaders, Headers, NewBlock, Socket, Tip
from edgenode.sim.ward import Conditions, Ward
from tests.ledger.builder import mined

QUIET = Conditions(
    training=1e9, parameters=5, delay=(0.001, 0.002), retention=Retention(blocks=100)
)


class Exaggerates(Node):
    """Claims its true head, and much more of it than is true."""

    def _tip(self):
        tip = super()._tip()
        return Tip(tip.head, tip.height + 1000, tip.work, tip.justified + 1000)


class Unknown(Node):
    """Claims a head that nobody has, and shows no headers."""

    asked = 0

    def _tip(self):
        return Tip(bytes(32), 10**6, 2**200, 10**6)

    def _handle(self, peer, message, now):
        if isinstance(message, GetHeaders):
            self.asked += 1
            self._answer(peer, message)
        else:
            super()._handle(peer, message, now)

    def _answer(self, peer, request):
        pass

    def _show(self, peer, height):
        entry = self.chain.at(height)
        if entry is not None:
            self.links.send(peer, Headers(entry.header.encode()))


class Alternates(Unknown):
    """Answers with one header and then another, which everybody knows."""

    def _answer(self, peer, request):
        self._show(peer, 1 + self.asked % 2)


class Leads(Unknown):
    """Shows the ward's own chain, one header at a time, again and again."""

    def _answer(self, peer, request):
        at = self.chain.tree.get(request.locator[0])
        ahead = at is not None and at.height < self.chain.head.height
        self._show(peer, at.height + 1 if ahead else 1)


class ClaimingWard(Ward):
    """The last box is of another kind; blocks are found where the test says so."""

    def __init__(self, boxes, kind, conditions=QUIET):
        self.kind = kind
        super().__init__(boxes, 3, conditions)

    def _node_class(self, box):
        return self.kind if box.index == len(self.boxes) - 1 else Node

    def _seeds(self, box):
        return [other for other in self.boxes if other is not box]

    def _schedule_block(self, box):
        pass

    @property
    def honest(self):
        return self.boxes[:-1]

    def grow(self, blocks, pause=90):
        for number in range(blocks):
            self.mine_now(self.boxes[number % (len(self.boxes) - 1)])
            self.run(pause)


@pytest.mark.parametrize("kind", [Exaggerates, Unknown, Leads])
def test_a_peer_that_claims_a_better_head_keeps_nobody_from_endorsing(kind):
    ward = ClaimingWard(5, kind)
    ward.run(30)
    ward.grow(40)
    for box in ward.honest:
        assert box.running.chain.head.height == 40
        assert box.running.chain.state.justified >= 32
        assert box.running.chain.final.height >= 28
        assert not box.running.syncing


@pytest.mark.parametrize("kind", [Unknown, Alternates, Leads])
def test_a_peer_that_claims_a_far_head_holds_up_no_block(kind):
    ward = ClaimingWard(4, kind)
    ward.run(30)
    for _ in range(6):
        ward.grow(1, pause=1)
        assert len({box.running.chain.head.id for box in ward.honest}) == 1
        ward.run(60)


@pytest.mark.parametrize("kind", [Alternates, Leads])
def test_a_peer_with_known_headers_only_is_not_asked_in_a_hot_loop(kind):
    ward = ClaimingWard(3, kind)
    ward.run(10)
    ward.grow(8, pause=5)
    node = ward.boxes[-1].running
    before = node.asked
    ward.run(20)
    assert node.asked - before < 2 * 20 * 10, "ten times a second by each of two boxes"


class ShowsHeaders(Node):
    """Holds the ward key and hash rate: branches of headers on each head, whose blocks nobody has.

    Each is heavier than what the ward can make on that head.
    """

    branches, length = 20, 3

    def _head_moved(self, change, now):
        super()._head_moved(change, now)
        for number in range(self.branches):
            parent = self.chain.head
            for height in range(self.length):
                parent = self._grow(parent, bytes([number, height]) + bytes(30), now)
                for peer in self.links.listeners():
                    tip = Tip(parent.id, parent.height, parent.work, self.chain.state.justified)
                    self.links.send(peer, NewBlock(parent.header, tip), Socket.BROADCAST)

    def _grow(self, parent, merkle_root, now):
        genesis, get = self.chain.genesis, self.chain.tree.get
        time = max(int(now.unix), earliest_time(genesis, parent, get))
        target = expected_target(genesis, parent, get)
        header = mined(Header(1, parent.id, merkle_root, time, target, 0))
        return self.chain.add_header(header, int(now.unix))


def test_headers_without_blocks_keep_no_block_of_the_ward_from_anybody():
    ward = ClaimingWard(4, ShowsHeaders, replace(QUIET, checkpoint_interval=3))
    ward.run(10)
    for height in range(1, 19):
        ward.grow(1, pause=12)
        assert len({box.running.chain.head.id for box in ward.honest}) == 1
        assert ward.boxes[0].running.chain.head.height == height
    for box in ward.honest:
        assert box.running.chain.state.justified >= 15
        assert box.running.chain.final.height >= 12
