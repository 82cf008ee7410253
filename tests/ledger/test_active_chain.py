"""The chain by height, also while headers without blocks are heavier than it."""

from dataclasses import replace

import pytest

from edgenode.ledger import chain as chain_module
from edgenode.ledger.chain import Chain
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, Bench, initial_parameters, mined


def headers(bench, start, end=None):
    """Raw headers of a bench's chain from one height up to another, the last one included."""
    end = bench.chain.head.height if end is None else end
    return b"".join(bench.chain.at(h).header.encode() for h in range(start, end + 1))


def grown(fork, height, miner, common=None):
    """A bench with a chain of this height, which has its blocks up to `fork` from another."""
    bench = Bench()
    for number in range(1, fork + 1):
        bench.add(common.chain.block(common.chain.at(number).id))
    bench.grow(height - fork, miner=miner)
    return bench


def ids(bench):
    return [bench.chain.at(height).id for height in range(bench.chain.head.height + 1)]


def restart(bench):
    bench.chain = Chain(bench.genesis, (initial_parameters(),), bench.store)


def assert_stands(bench, true):
    """The chain is this one, whatever headers are heavier."""
    chain = bench.chain
    assert ids(bench) == true
    assert chain.at(len(true)) is None
    assert chain.at(-1) is None
    for height, name in enumerate(true):
        entry = chain.tree.get(name)
        assert chain.is_active(entry)
        assert chain._active.fork(entry) == entry
        assert [e.id for e in chain.tree.lineage(entry)] == true[height::-1]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("fork", [0, 1, 25, 59])
def test_a_chain_keeps_its_heights_while_heavier_headers_lack_their_blocks(fork, restarted):
    bench = grown(0, 60, ALICE)
    rival = grown(fork, 70, BOB, bench)
    true = ids(bench)
    bench.chain.add_headers(headers(rival, fork + 1), NOW)
    if restarted:
        bench.store.headers.keep()
        restart(bench)
    assert bench.chain.best_header().id == rival.chain.head.id
    assert_stands(bench, true)
    for height in range(fork + 1, 71):
        entry = bench.chain.tree.get(rival.chain.at(height).id)
        assert not bench.chain.is_active(entry)
        assert bench.chain._active.fork(entry).height == fork
    assert bench.chain.wanted(4).blocks == tuple(
        rival.chain.at(h).id for h in range(fork + 1, fork + 5)
    )
    # It grows meanwhile, and the rival's blocks come in the end.
    bench.grow(3)
    assert_stands(bench, true + [bench.chain.at(h).id for h in (61, 62, 63)])
    for height in range(fork + 1, 71):
        bench.chain.add_block(rival.chain.block(rival.chain.at(height).id), NOW)
    while bench.chain.advance()[0] is not None:
        pass
    assert_stands(bench, ids(rival))
    restart(bench)
    assert_stands(bench, ids(rival))


def test_three_branches_take_the_lead_in_turn():
    common = grown(0, 10, ALICE)
    one, two, three = (grown(10, 40, miner, common) for miner in (ALICE, BOB, CAROL))
    bench = grown(10, 10, ALICE, common)
    for end in range(12, 41):
        for rival in (one, two, three):
            bench.chain.add_headers(headers(rival, 11, end), NOW)
        assert bench.chain.best_header() == bench.chain.tree.get(one.chain.at(end).id)
        assert [tip.id for tip in bench.chain._branches.heavier()] == [
            rival.chain.at(end).id for rival in (one, two, three)
        ]
        one, two, three = two, three, one
        bench.chain.add_headers(headers(one, 11, end + 1 if end < 40 else end), NOW)
    assert_stands(bench, ids(common))
    best = bench.chain.best_header().id
    (rival,) = (rival for rival in (one, two, three) if rival.chain.head.id == best)
    for height in range(11, 41):
        bench.chain.add_block(rival.chain.block(rival.chain.at(height).id), NOW)
    while bench.chain.advance()[0] is not None:
        pass
    assert_stands(bench, ids(rival))


def test_blocks_that_are_complete_are_not_looked_at_again_and_again(monkeypatch):
    """Of a deep fork each block that comes would else cost a walk over all that came."""
    monkeypatch.setattr(chain_module, "LONGEST_MOVE", 4)
    bench, rival = grown(0, 60, ALICE), grown(0, 70, BOB)
    bench.chain.add_headers(headers(rival, 1), NOW)
    asked = []
    real = bench.store.has_block
    monkeypatch.setattr(bench.store, "has_block", lambda name: asked.append(name) or real(name))
    for height in range(1, 60):
        bench.chain.add_block(rival.chain.block(rival.chain.at(height).id), NOW)
        bench.chain.advance()
        bench.chain.wanted(2)
    assert len(asked) < 59 * 12
    for height in range(60, 71):
        bench.chain.add_block(rival.chain.block(rival.chain.at(height).id), NOW)
        while bench.chain.advance()[0] is not None:
            pass
    assert_stands(bench, ids(rival))


def test_a_refused_block_takes_the_headers_on_it_along_also_over_a_restart():
    bench, rival = grown(0, 4, ALICE), grown(0, 4, BOB)
    bad = rival.block(miner=BOB)
    coinbase = replace(bad.coinbase, payouts=((BOB.public, 7),))
    bad = rival.sealed(replace(bad, transactions=(coinbase, *bad.transactions[1:])), BOB)
    on_it, previous = [], bad.header
    for number in range(3):
        root = number.to_bytes(32)
        header = replace(previous, previous=previous.id, merkle_root=root, time=previous.time + 90)
        previous = mined(header)
        on_it.append(previous)
    true = ids(bench)
    for height in range(1, 5):
        bench.chain.add_block(rival.chain.block(rival.chain.at(height).id), NOW)
    bench.chain.add_block(bad, NOW)
    taken = bench.chain.add_headers(b"".join(header.encode() for header in on_it), NOW)
    assert taken.fault is None
    assert bench.chain.best_header().header == on_it[-1]
    change, refusals = bench.chain.advance()
    assert (change, [r.entry.id for r in refusals]) == (None, [bad.id])
    for _ in range(2):
        assert_stands(bench, true)
        assert bench.chain.best_header() == bench.chain.head
        assert {bad.id, *(header.id for header in on_it)} & bench.known() == set()
        bench.chain.advance()  # the refused block leaves the store
        bench.store.headers.keep()
        restart(bench)
