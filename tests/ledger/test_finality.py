"""Checkpoints become justified, then final; what is final is never left."""

from dataclasses import replace

import pytest

from edgenode.ledger import finality
from edgenode.ledger.chain import Chain
from edgenode.ledger.finality import Checkpoint
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.vows import ABSTAINED_INTERVALS, Voter, Vow
from tests.ledger.builder import ALICE, BOB, CAROL, MALLORY, NOW, Bench, initial_parameters
from tests.ledger.test_chain import copy, same_state

INTERVAL = 4  # of the builder's genesis


@pytest.fixture
def bench() -> Bench:
    return Bench()


def heights(bench):
    records = bench.chain.state.records
    return bench.chain.state.justified, finality.final(records).height


def smuggle(bench, *transactions, miner=ALICE):
    block = bench.block(miner=miner)
    return bench.sealed(replace(block, transactions=(*block.transactions, *transactions)), miner)


def test_more_than_two_thirds_justify_a_checkpoint_and_the_next_makes_it_final(bench):
    bench.grow(INTERVAL)
    bench.endorse(ALICE, BOB)
    assert heights(bench) == (0, 0), "two of three are not more than two thirds"
    bench.endorse(CAROL)
    assert heights(bench) == (4, 0)
    bench.grow(INTERVAL)
    bench.endorse(ALICE, BOB, CAROL)
    assert heights(bench) == (8, 4)


def test_a_checkpoint_that_was_passed_over_does_not_become_final(bench):
    bench.grow(2 * INTERVAL)
    bench.endorse(ALICE, BOB, CAROL)
    assert heights(bench) == (8, 0), "8 is justified from 0, which is not the one before it"
    bench.grow(INTERVAL)
    bench.endorse(ALICE, BOB, CAROL)
    assert heights(bench) == (12, 8)


def test_without_a_quorum_the_chain_goes_on_and_finality_waits(bench):
    for _ in range(10):
        bench.grow(INTERVAL)
        bench.endorse(ALICE, BOB)
    assert heights(bench) == (0, 0)
    for _ in range(2):
        bench.grow(INTERVAL)
        bench.endorse(ALICE, BOB, CAROL)
    justified, final = heights(bench)
    assert bench.chain.head.height - justified <= INTERVAL
    assert final == justified - INTERVAL


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda e: replace(e, signature=bytes(64)), Rule.ENDORSEMENT_SIGNATURE),
        (lambda e: replace(e, target_height=8).signed, Rule.ENDORSEMENT_TARGET),
        (lambda e: replace(e, target_height=3).signed, Rule.ENDORSEMENT_TARGET),
        (lambda e: replace(e, target=bytes(32)).signed, Rule.ENDORSEMENT_TARGET),
        (lambda e: replace(e, source=bytes(32)).signed, Rule.ENDORSEMENT_SOURCE),
        (lambda e: replace(e, source_height=4, source=e.target).signed, Rule.ENDORSEMENT_SOURCE),
        (lambda e: replace(e, source_height=1).signed, Rule.ENDORSEMENT_SOURCE),
    ],
)
def test_an_endorsement_that_does_not_fit_the_chain_is_refused(bench, spoil, rule):
    bench.grow(INTERVAL)
    spoiled = spoil(bench.endorsement(ALICE))
    if callable(spoiled):
        spoiled = spoiled(ALICE, bench.genesis.id)
    with pytest.raises(Rejected) as caught:
        bench.add(smuggle(bench, spoiled))
    assert caught.value.rule is rule
    with pytest.raises(Rejected) as caught:
        Mempool(bench.genesis, bench.chain.tree.get).add(spoiled, bench.chain.state)
    assert caught.value.rule is rule


def test_who_is_no_member_endorses_nothing(bench):
    bench.grow(INTERVAL)
    with pytest.raises(Rejected) as caught:
        bench.add(smuggle(bench, bench.endorsement(MALLORY)))
    assert caught.value.rule is Rule.ENDORSEMENT_MEMBER


def test_a_member_is_counted_once_for_a_height(bench):
    bench.grow(INTERVAL)
    endorsement = bench.endorsement(ALICE)
    bench.add(smuggle(bench, endorsement))
    for again in ((endorsement,), (bench.endorsement(BOB), bench.endorsement(BOB))):
        with pytest.raises(Rejected) as caught:
            bench.add(smuggle(bench, *again))
        assert caught.value.rule in {Rule.ENDORSEMENT_REPEATED, Rule.MERKLE_MUTATED}


def test_an_old_checkpoint_is_endorsed_no_more(bench):
    bench.grow(INTERVAL)
    late = bench.endorsement(ALICE)
    bench.grow(2 * INTERVAL)
    with pytest.raises(Rejected) as caught:
        bench.add(smuggle(bench, late))
    assert caught.value.rule is Rule.ENDORSEMENT_TARGET


def test_too_many_endorsements_in_a_block(bench):
    bench.grow(INTERVAL)
    many = [replace(bench.endorsement(ALICE), source_height=n) for n in range(9)]
    with pytest.raises(Rejected) as caught:
        bench.add(smuggle(bench, *many))
    assert caught.value.rule is Rule.ENDORSEMENT_COUNT


def finalised(bench) -> int:
    """Make something final; returns how high the chain is then."""
    for _ in range(2):
        bench.grow(INTERVAL)
        bench.endorse(ALICE, BOB, CAROL)
    assert heights(bench) == (8, 4)
    return bench.chain.head.height


def test_no_reorganisation_goes_below_a_final_block_however_heavy(bench):
    other = Bench()
    other.grow(100, miner=BOB)
    bench.chain.add_header(other.chain.at(1).header, NOW)  # known before anything was final
    finalised(bench)
    head = bench.chain.head
    with pytest.raises(Rejected, match="below_final"):
        copy(other, bench)
    assert bench.chain.advance() == (None, [])
    assert bench.chain.head == head
    assert bench.chain.best_header() == head
    assert bench.chain.wanted(8).blocks == (), "nor is it asked for"


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_final_stays_final_on_a_branch_that_counts_fewer_endorsements(bench, restarted):
    """Nobody breaks a vow: the endorsements of 8 did not reach those who went on with 12."""
    bench.grow(INTERVAL)
    bench.endorse(ALICE, BOB, CAROL)
    bench.grow(INTERVAL)
    other, stray = Bench(), Bench()
    copy(bench, other)
    other.chain.advance()
    other.grow(INTERVAL, miner=BOB)
    other.endorse(ALICE, BOB, CAROL)
    assert heights(other) == (12, 0), "12 is justified from 4, which is not the one before it"
    stray.grow(20, miner=CAROL)
    known = stray.chain.at(1).header
    bench.chain.add_header(known, NOW)

    bench.endorse(ALICE, BOB, CAROL)
    assert heights(bench) == (8, 4)
    final = bench.chain.final
    assert final == Checkpoint(4, bench.chain.at(4).id)
    copy(other, bench, start=9)
    assert bench.chain.advance()[0].new.id == other.chain.head.id
    assert heights(bench) == (12, 0)
    if restarted:
        bench.chain = Chain(bench.genesis, (initial_parameters(),), bench.store)
    assert bench.chain.final == final
    with pytest.raises(Rejected, match="below_final"):
        bench.chain.add_header(stray.chain.at(2).header, NOW)
    bench.grow(3)
    bench.endorse(ALICE, BOB, CAROL)
    assert heights(bench) == (16, 12)
    assert bench.chain.final.height == 12


def test_no_reorganisation_by_weight_leaves_a_justified_block(bench):
    """Who has endorsed on top of it could not endorse on the other branch: no quorum would be."""
    bench.grow(INTERVAL)
    other = Bench()
    copy(bench, other)
    other.chain.advance()
    bench.grow(1)
    fork = bench.chain.head.height - 2
    bench.endorse(ALICE, BOB, CAROL)
    head = bench.chain.head
    heavy = Bench()
    copy(bench, heavy)
    lone = Bench()
    for height in range(1, fork):
        lone.add(bench.chain.block(bench.chain.at(height).id))
    lone.grow(30, miner=BOB)
    copy(lone, bench, start=fork)
    assert bench.chain.advance() == (None, [])
    assert bench.chain.head == head


def test_a_lighter_branch_wins_once_it_is_known_to_have_more_justified(bench):
    bench.grow(3)
    quorum = Bench()
    copy(bench, quorum)
    quorum.chain.advance()
    quorum.grow(1)
    quorum.endorse(ALICE, BOB, CAROL)
    bench.grow(10, miner=BOB)
    copy(quorum, bench, start=4)
    assert bench.chain.advance() == (None, []), "it is lighter, and nobody speaks for it"
    bench.chain.promise(quorum.chain.head.id, quorum.chain.state.justified)
    change, refusals = bench.chain.advance()
    assert (change.new.id, refusals) == (quorum.chain.head.id, [])
    assert same_state(bench, quorum)


def test_a_promise_that_is_not_kept_moves_nothing_and_is_looked_into_once(bench, monkeypatch):
    bench.grow(3)
    other = Bench()
    copy(bench, other)
    other.chain.advance()
    other.grow(1, miner=CAROL)
    bench.grow(10, miner=BOB)
    copy(other, bench, start=4)
    bench.chain.promise(other.chain.head.id, 999)
    assert bench.chain.advance() == (None, [])
    assert bench.chain.head.height == 13


def test_the_blocks_of_a_promised_branch_are_asked_for(bench):
    other = Bench()
    other.grow(2, miner=CAROL)
    bench.grow(3)
    for height in (1, 2):
        bench.chain.add_header(other.chain.at(height).header, NOW)
    assert bench.chain.wanted(8).blocks == ()
    bench.chain.promise(other.chain.head.id, 4)
    assert bench.chain.wanted(8).blocks == tuple(other.chain.at(h).id for h in (1, 2))


class Drawer:
    """A vow store in memory."""

    def __init__(self, vow=None):
        self.kept = vow

    def vow(self):
        return self.kept

    def keep_vow(self, vow):
        self.kept = vow


def test_an_honest_member_endorses_each_checkpoint_once_from_the_highest_justified(bench):
    drawer = Drawer(Vow(0, 0))
    voter = Voter(bench.genesis, ALICE, drawer)
    bench.grow(INTERVAL)
    assert voter.endorse(bench.chain.state, bench.chain.tree.get) is None, (
        "nothing lies on top of it"
    )
    bench.grow(1)
    first = voter.endorse(bench.chain.state, bench.chain.tree.get)
    assert (first.source_height, first.target_height) == (0, 4)
    assert voter.endorse(bench.chain.state, bench.chain.tree.get) is None
    bench.add(bench.block(first))
    bench.endorse(BOB, CAROL)
    bench.grow(INTERVAL)
    second = voter.endorse(bench.chain.state, bench.chain.tree.get)
    assert (second.source_height, second.target_height) == (4, 8)
    assert drawer.kept == Vow(4, 8)


def test_a_member_does_not_endorse_from_below_its_vow(bench):
    bench.grow(INTERVAL + 1)
    voter = Voter(bench.genesis, ALICE, Drawer(Vow(source=2, target=0)))
    assert voter.endorse(bench.chain.state, bench.chain.tree.get) is None


def test_who_is_no_member_makes_no_endorsement(bench):
    bench.grow(INTERVAL + 1)
    assert (
        Voter(bench.genesis, MALLORY, Drawer(Vow(0, 0))).endorse(
            bench.chain.state, bench.chain.tree.get
        )
        is None
    )


def test_a_member_whose_vow_is_lost_abstains_for_two_checkpoints(bench):
    bench.grow(INTERVAL + 1)
    voter = Voter(bench.genesis, ALICE, bench.store)
    spoke = []
    for _ in range(5 * INTERVAL):
        if (endorsement := voter.endorse(bench.chain.state, bench.chain.tree.get)) is not None:
            spoke.append(endorsement.target_height)
        bench.grow(1)
    assert spoke[0] > INTERVAL + 1 + ABSTAINED_INTERVALS * INTERVAL
    assert bench.store.vow().target == spoke[-1]


def test_a_member_that_made_a_vow_before_it_found_its_chain_again_abstains_from_there(bench):
    """Its disk was lost, and it mined a block of its own before it heard of the others."""
    drawer = Drawer(None)
    voter = Voter(bench.genesis, ALICE, drawer)
    bench.grow(1)
    voter.endorse(bench.chain.state, bench.chain.tree.get)
    bench.grow(10 * INTERVAL)
    found = bench.chain.head.height
    assert voter.endorse(bench.chain.state, bench.chain.tree.get) is None
    spoke = []
    for _ in range(4 * INTERVAL):
        bench.grow(1)
        endorsement = voter.endorse(bench.chain.state, bench.chain.tree.get)
        if endorsement is not None:
            spoke.append(endorsement.target_height)
    assert spoke
    assert spoke[0] > found + ABSTAINED_INTERVALS * INTERVAL
