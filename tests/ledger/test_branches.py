"""Headers whose blocks nobody brings: bounded in memory, and never in the way of the others."""

import random
from dataclasses import replace

import pytest

from edgenode.ledger import branches
from edgenode.ledger.chain import Chain
from edgenode.ledger.completion import Completion
from edgenode.ledger.headers import expected_target
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, Bench, initial_parameters, mined


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
        assert len(bench.known()) <= 1 + 8 + 51
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
    assert [entry.height for entry in bench.chain.tree.lineage(bench.chain.head)] == [3, 2, 1, 0]
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


@pytest.mark.parametrize("here", [0, 50])
def test_what_hundreds_of_branches_lack_is_found_without_looking_at_each_block(monkeypatch, here):
    """Who fell behind where blocks come quickly is told of a branch at every height."""
    bench, other = Bench(), Bench()
    bench.grow(here + 10)
    other.grow(200, miner=BOB)
    for height in range(1, 201):
        bench.chain.add_header(other.chain.at(height).header, NOW)
        for header in siblings(other, other.chain.at(height), 1):
            bench.chain.add_header(header, NOW)
    for height in range(1, here + 1):
        bench.chain.add_block(other.chain.block(other.chain.at(height).id), NOW)
    assert bench.chain.advance() == (None, [])
    looked = []
    has = bench.store.has_block
    monkeypatch.setattr(bench.store, "has_block", lambda name: looked.append(name) or has(name))
    wanted = bench.chain.wanted(16).blocks
    assert wanted == tuple(other.chain.at(height).id for height in range(here + 1, here + 17))
    assert len(looked) < 2 * 16, "no more for each branch"
    looked.clear()
    assert bench.chain.advance() == (None, [])
    assert len(looked) < 2 * here + 16, "and of the way to them none twice"


@pytest.mark.parametrize("beside", [False, True])
def test_a_long_way_that_many_branches_share_is_gone_once(monkeypatch, beside):
    """Also where the head is on a third branch."""
    length, tips = 200, 40
    bench, other, rival = Bench(), Bench(), Bench()
    if beside:
        bench.grow(1, miner=CAROL)
    other.grow(length + 10, miner=ALICE)
    rival.grow(length, miner=BOB)
    for branch in (other, rival):
        trunk = branch.store.headers.raw(1, branch.chain.head.height)
        assert bench.chain.add_headers(trunk, NOW).fault is None
    *headers, last = siblings(rival, rival.chain.head, tips)
    for header in headers:
        bench.chain.add_header(header, NOW)
    bench.chain.wanted(16)
    bench.chain.advance()
    steps = []
    real = bench.chain.tree.parent
    monkeypatch.setattr(bench.chain.tree, "parent", lambda e: steps.append(e) or real(e))
    bench.chain.add_header(last, NOW)
    wanted = bench.chain.wanted(16).blocks
    bench.chain.advance()
    assert {rival.chain.at(1).id, other.chain.at(1).id} <= set(wanted)
    assert len(steps) < 3 * length


def test_a_preferred_branch_comes_before_heavier_ones():
    bench, ward = Bench(), Bench()
    block = ward.add(ward.block())
    bench.chain.add_header(block.header, NOW)
    for header in list(siblings(bench, bench.chain.head, 100)):
        entry = bench.chain.add_header(header, NOW)
        target = expected_target(bench.genesis, entry, bench.chain.tree.get)
        child = replace(header, previous=entry.id, time=header.time + 1, target=target)
        bench.chain.add_header(mined(child), NOW)
    entry = bench.chain.tree.get(block.id)
    assert bench.chain.is_candidate(entry)
    assert block.id not in bench.chain.wanted(16).blocks
    assert bench.chain.wanted(16, [entry]).blocks[0] == block.id


def test_a_branch_that_is_said_to_have_justified_more_comes_beside_any_number_of_heavier_ones():
    bench, ward = Bench(), Bench()
    promised = ward.add(ward.block(miner=BOB))
    bench.chain.add_header(promised.header, NOW)
    bench.grow(2)
    for header in list(siblings(bench, bench.chain.head, 100)):
        bench.chain.add_header(header, NOW)
    assert promised.id not in bench.chain.wanted(200).blocks
    bench.chain.promise(promised.id, 4)
    assert promised.id in bench.chain.wanted(200).blocks


def test_nothing_is_looked_up_again_while_nothing_changes(monkeypatch):
    bench, other = Bench(), Bench()
    other.grow(3, miner=BOB)
    for height in range(1, 4):
        bench.chain.add_header(other.chain.at(height).header, NOW)
    wanted = bench.chain.wanted(16)
    assert bench.chain.advance() == (None, [])
    with monkeypatch.context() as patched:
        patched.setattr(bench.store, "has_block", lambda _: pytest.fail("it is looked up again"))
        assert bench.chain.wanted(16) == wanted
        assert bench.chain.advance() == (None, [])
    bench.chain.add_block(other.chain.block(wanted.blocks[0]), NOW)
    assert bench.chain.wanted(16).blocks == wanted.blocks[1:]
    assert bench.chain.advance()[0].new.id == wanted.blocks[0]


def test_a_header_that_cannot_become_the_head_is_told_from_one_that_can():
    bench = Bench()
    bench.grow(5)
    (first,) = siblings(bench, bench.chain.at(1), 1)
    (rival,) = siblings(bench, bench.chain.at(4), 1)
    assert not bench.chain.could_be_head(first)
    assert bench.chain.could_be_head(rival)
    assert bench.balance(ALICE) == 5000


def test_what_might_win_is_worked_out_once_while_nothing_changes(monkeypatch):
    bench, other = Bench(), Bench()
    other.grow(3, miner=BOB)
    worked_out = []
    choice = bench.chain._choice
    real = choice.tips
    monkeypatch.setattr(choice, "tips", lambda state: worked_out.append(state) or real(state))
    for height in range(1, 4):
        bench.chain.add_header(other.chain.at(height).header, NOW)
        for peer in range(3):
            bench.chain.promise(bytes([peer]) * 32, 8)
        before = len(worked_out)
        for turn in range(5):
            bench.chain.promise(bytes([turn % 3]) * 32, 8)  # each peer has another head
            assert bench.chain.best_header() == other.chain.at(height)
            assert other.chain.at(1).id in bench.chain.wanted(4).blocks
        assert len(worked_out) == before + 1


def compared(seed):
    """Let anything happen in any order; how many tips there were when they were compared."""
    rng = random.Random(seed)
    bench, rivals = Bench(), [Bench(), Bench(), Bench()]
    for rival, miner in zip(rivals, (ALICE, BOB, CAROL), strict=True):
        for _ in range(12):
            rival.add(rival.block(miner=miner, seconds=rng.choice((60, 90, 120))))
    waiting = [[rival.chain.at(height) for height in range(1, 13)] for rival in rivals]
    blocks = [list(entries) for entries in waiting]
    found = set()
    while any(blocks):
        number = rng.randrange(3)
        chain = bench.chain
        match rng.choice(("header", "header", "block", "block", "own", "promise", "cut", "start")):
            case "header" if waiting[number]:
                chain.add_headers(waiting[number].pop(0).header.encode(), NOW)
            case "block" if blocks[number]:
                entry = blocks[number].pop(0)
                chain.add_headers(entry.header.encode(), NOW)
                if chain.tree.get(entry.id) is not None:
                    chain.add_block(rivals[number].chain.block(entry.id), NOW)
                    chain.advance()
            case "own" if chain.head.height < 10:
                bench.grow(1)
            case "promise":
                entry = rng.choice([rivals[number].chain.at(h) for h in range(1, 13)])
                chain.promise(entry.id, rng.choice((0, 4, 8)))
            case "cut":
                beside = [e for e in chain.tree.beside() if not chain.is_active(e)]
                if beside and rng.random() < 0.3:
                    chain.tree.cut(rng.choice(beside))
            case "start" if rng.random() < 0.3:
                bench.store.headers.keep()
                bench.chain = chain = Chain(bench.genesis, (initial_parameters(),), bench.store)
        if rng.random() < 0.7:
            choice, state = chain._choice, chain.state
            candidates = choice.candidates(state)
            assert candidates == choice.tips(state)
            anew = Completion(
                chain.tree,
                chain._active,
                choice,
                chain._lacking,
                has_block=chain._has_block,
                updates=chain._updates_ahead,
            )
            preferred = candidates[-1:]
            assert chain.wanted(4, preferred) == anew.wanted(state, 4, preferred)
            assert chain._completion.best(state) == anew.best(state)
            for tip in candidates:
                assert chain._active.fork(tip) == slow_fork(chain, tip)
            found.add(len(candidates))
    return found


def slow_fork(chain, entry):
    """Where a branch leaves the chain, step by step from its tip."""
    return next(each for each in chain.tree.lineage(entry) if chain.is_active(each))


def test_what_might_win_and_what_it_lacks_are_never_what_they_were_before():
    assert set.union(*(compared(seed) for seed in range(20))) >= {0, 1, 2, 3}
