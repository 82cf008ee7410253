"""Catching up with one peer, header by header, without a network."""

from types import SimpleNamespace

import pytest

from edgenode.ledger import branches
from edgenode.protocol import catch_up
from edgenode.protocol.catch_up import CatchUp
from edgenode.protocol.instant import Instant
from edgenode.protocol.pulls import Pulls
from edgenode.protocol.wire import Address, Tip
from tests.ledger.builder import BOB, NOW, Bench


def at(seconds):
    return Instant(seconds, NOW)


class Walk:
    """One node and the peer that it catches up with; blocks come as soon as they are wanted."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = ours, theirs
        head = theirs.chain.head
        flow = SimpleNamespace(round_trip=SimpleNamespace(timeout=0.5))
        tip = Tip(head.id, head.height, head.work, 0)
        address = Address("10.0.0.2", 7070)
        self.peer = SimpleNamespace(session=1, address=address, tip=tip, flow=flow)
        self.asking = CatchUp(ours.chain, Pulls())
        self.answering = CatchUp(theirs.chain, Pulls())

    def ask(self, seconds):
        return [request for _, request in self.asking.ask_headers([self.peer], at(seconds))]

    def take(self, request, seconds):
        answer = self.answering.answer_headers(request)
        self.asking.take_headers(self.peer, answer, at(seconds))

    def go(self, limit):
        """Walk for so many seconds at most; whether the chains are the same then."""
        seconds = 0.0
        while seconds < limit and self.ours.chain.head.id != self.theirs.chain.head.id:
            seconds += 0.1
            for request in self.ask(seconds):
                self.take(request, seconds)
            for block in self.ours.chain.wanted(16).blocks:
                self.ours.chain.add_block(self.theirs.chain.block(block), NOW)
            while self.ours.chain.advance()[0] is not None:
                pass
        return self.ours.chain.head.id == self.theirs.chain.head.id


@pytest.fixture
def forked():
    """Two chains with five blocks in common."""
    ours, theirs = Bench(), Bench()
    ours.grow(5)
    for height in range(1, 6):
        theirs.add(ours.chain.block(ours.chain.at(height).id))
    return ours, theirs


def test_a_branch_is_not_forgotten_while_it_is_walked_however_deep_the_fork(forked, monkeypatch):
    monkeypatch.setattr(branches, "BARE_LIMIT", 40)
    ours, theirs = forked
    ours.grow(90)
    theirs.grow(95, miner=BOB)
    assert Walk(ours, theirs).go(60)


def test_a_branch_of_many_easy_blocks_against_few_hard_ones_is_walked_to_its_end(
    forked, monkeypatch
):
    monkeypatch.setattr(catch_up, "HEADERS_AHEAD", 50)
    ours, theirs = forked
    ours.grow(40, seconds=1)
    theirs.grow(140, miner=BOB)
    assert theirs.chain.head.work > ours.chain.head.work
    assert Walk(ours, theirs).go(60)


def test_an_answer_that_comes_twice_leaves_the_next_question_standing(forked):
    ours, theirs = forked
    ours.grow(40)
    theirs.grow(60, miner=BOB)
    walk = Walk(ours, theirs)
    (first,) = walk.ask(0)
    (again,) = walk.ask(0.6)  # taken for lost
    walk.take(first, 0.7)
    (second,) = walk.ask(0.7)
    walk.take(again, 0.8)
    walk.take(second, 0.9)
    beside = [name for name in ours.known() if not ours.chain.is_active(ours.chain.tree.get(name))]
    assert len(beside) == 28
    assert walk.ask(1.0), "and on it goes"


def test_headers_that_were_not_asked_for_are_passed_over(forked):
    ours, theirs = forked
    theirs.grow(10, miner=BOB)
    walk = Walk(ours, theirs)
    (request,) = walk.ask(0)
    walk.take(request, 0.1)
    known = len(ours.known())
    theirs.grow(5, miner=BOB)
    walk.take(request, 0.2)
    assert len(ours.known()) == known
