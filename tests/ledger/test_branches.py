"""Headers whose blocks nobody brings: bounded in memory, and never in the way of the others."""

from dataclasses import replace

import pytest

from edgenode.ledger import branches
from tests.ledger.builder import ALICE, BOB, NOW, Bench, mined


def siblings(bench, parent, count):
    """Valid headers on one parent that differ in their merkle root only."""
    child = bench.block().header
    for number in range(count):
        root = number.to_bytes(32)
        yield mined(replace(child, previous=parent.id, merkle_root=root, nonce=0))


def test_the_lightest_headers_without_blocks_are_forgotten_first(monkeypatch):
    monkeypatch.setattr(branches, "BARE_LIMIT", 50)
    bench, other = Bench(), Bench()
    other.grow(8, miner=BOB)
    honest = [other.chain.at(height).header for height in range(1, 9)]
    for header in honest:
        bench.chain.add_header(header, NOW)
    for header in siblings(bench, bench.chain.head, 300):
        bench.chain.add_header(header, NOW)
        assert len(bench.chain.tree) <= 1 + 51
    assert bench.chain.best_header().header == honest[-1]
    assert bench.chain.wanted(8).blocks[:2] == tuple(header.id for header in honest[:2])


def test_blocks_that_are_here_are_never_forgotten(monkeypatch):
    monkeypatch.setattr(branches, "BARE_LIMIT", 10)
    bench, other = Bench(), Bench()
    bench.grow(3)
    beside = other.block(miner=BOB)
    bench.chain.add_block(beside, NOW)
    for header in siblings(bench, bench.chain.at(3), 40):
        bench.chain.add_header(header, NOW)
    assert bench.chain.tree.get(beside.id) is not None
    assert [entry.height for entry in bench.chain.head.lineage()] == [3, 2, 1, 0]
    bench.grow(1)
    assert bench.chain.head.height == 4


@pytest.mark.parametrize("count", [1, 16, 40])
def test_many_tips_on_one_branch_have_the_share_of_one(count):
    """Who mined the branch hands out headers only; the ward's own block is asked for as well."""
    bench, ward, miner = Bench(), Bench(), Bench()
    for _ in range(3):
        miner.add(miner.block(miner=BOB, seconds=60))
    for height in range(1, 4):
        bench.chain.add_header(miner.chain.at(height).header, NOW)
    for header in siblings(miner, miner.chain.head, count):
        bench.chain.add_header(header, NOW)
    block = ward.add(ward.block())
    bench.chain.add_header(block.header, NOW)
    assert block.id in bench.chain.wanted(16).blocks
    assert miner.chain.at(1).id in bench.chain.wanted(16).blocks


def test_a_header_that_cannot_become_the_head_is_told_from_one_that_can():
    bench = Bench()
    bench.grow(5)
    (first,) = siblings(bench, bench.chain.at(1), 1)
    (rival,) = siblings(bench, bench.chain.at(4), 1)
    assert not bench.chain.could_be_head(first)
    assert bench.chain.could_be_head(rival)
    assert bench.balance(ALICE) == 5000
