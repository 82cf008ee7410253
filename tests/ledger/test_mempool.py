"""What waits, and what of it comes next, depends on what was offered and not on its order."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgenode.ledger import mempool as mempool_module
from edgenode.ledger.mempool import Mempool, PoolFullError
from edgenode.ledger.rules import Rejected
from tests.ledger.builder import ALICE, BOB, CAROL, MALLORY, Bench
from tests.ledger.test_membership import enrolment, governed, revocation

MEMBERS = [ALICE, BOB, CAROL]


def offered_in(bench, transactions):
    """A mempool to which these were offered in this order."""
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    for transaction in transactions:
        try:
            pool.add(transaction, bench.chain.state)
        except (Rejected, PoolFullError):
            continue
    return pool


@pytest.fixture(scope="module")
def bench() -> Bench:
    bench = governed()
    for member in MEMBERS:
        bench.grow(2, miner=member)
    return bench


@pytest.fixture(scope="module")
def many(bench):
    """Transactions some of which exclude each other, or are worth nothing."""
    updates = [bench.update(m, delta=d)[0] for m in MEMBERS for d in (1, 2)]
    transfers = [
        bench.transfer(sender, BOB, amount, sequence, fee)
        for sender in MEMBERS
        for sequence in range(3)
        for amount, fee in ((900, 5), (300, 9), (5000, 1))
    ]
    endorsements = [bench.endorsement(m) for m in MEMBERS]
    strangers = [
        bench.transfer(sender, MALLORY, amount, 0, 2) for sender in MEMBERS for amount in (7, 1000)
    ]
    changes = [
        revocation(bench),
        enrolment(bench),
        enrolment(bench, BOB, "bobby"),
        revocation(bench, BOB, 1),
        revocation(bench, CAROL, 1),
    ]
    return [*updates, *transfers, *endorsements, *strangers, *changes]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
@pytest.mark.parametrize("limit", [3, 4096])
def test_the_order_of_offers_does_not_matter(bench, many, monkeypatch, limit, data):
    monkeypatch.setattr(mempool_module, "TRANSFERS_LIMIT", limit)
    chosen = data.draw(st.lists(st.sampled_from(many), unique_by=lambda t: t.id, max_size=20))
    one = offered_in(bench, chosen)
    other = offered_in(bench, data.draw(st.permutations(chosen)))
    assert set(one.ids()) == set(other.ids())
    assert one.select(bench.chain.state) == other.select(bench.chain.state)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_selected_makes_a_valid_block(many, data):
    bench = governed()
    for member in MEMBERS:
        bench.grow(2, miner=member)
    for member, delta in itertools.product(MEMBERS, (1, 2)):
        bench.chain.add_payload(bench.update(member, delta=delta)[1])
    chosen = data.draw(st.lists(st.sampled_from(many), unique_by=lambda t: t.id, max_size=30))
    pool = offered_in(bench, chosen)
    selected = pool.select(bench.chain.state)
    bench.add(bench.block(*selected))
    pool.follow(bench.chain.state, [])
    assert not {t.id for t in selected} & set(pool.ids())


def test_transfers_come_by_fee_but_each_senders_in_sequence(bench):
    cheap = bench.transfer(ALICE, BOB, 10, 0, fee=1)
    dear = bench.transfer(ALICE, BOB, 10, 1, fee=50)
    middling = bench.transfer(BOB, CAROL, 10, 0, fee=7)
    pool = offered_in(bench, [dear, cheap, middling])
    assert pool.select(bench.chain.state) == [middling, cheap, dear]


def test_a_transfer_whose_turn_has_not_come_waits(bench):
    later = bench.transfer(ALICE, BOB, 10, 1)
    pool = offered_in(bench, [later])
    assert (len(pool), pool.select(bench.chain.state)) == (1, [])


def test_a_full_pool_lets_the_lowest_fee_go(bench, monkeypatch):
    monkeypatch.setattr(mempool_module, "TRANSFERS_LIMIT", 2)
    low, middle, high = (
        bench.transfer(member, BOB, 1, 0, fee) for member, fee in ((ALICE, 1), (BOB, 2), (CAROL, 3))
    )
    pool = offered_in(bench, [low, middle])
    assert pool.add(high, bench.chain.state) == [low]
    with pytest.raises(PoolFullError, match="fees of at least 2"):
        pool.add(low, bench.chain.state)


def test_of_two_updates_on_one_base_the_one_with_the_lower_id_waits(bench):
    pair = sorted((bench.update(ALICE, delta=d)[0] for d in (1, 2)), key=lambda u: u.id)
    pool = offered_in(bench, pair[1:])
    assert pool.add(pair[0], bench.chain.state) == [pair[1]]
    with pytest.raises(Rejected, match="update_repeated"):
        pool.add(pair[1], bench.chain.state)


def test_a_place_is_taken_over_so_often_and_no_more(bench):
    """Each is signed, written and relayed by everybody, and costs its maker nothing."""
    many = sorted(
        (bench.update(ALICE, delta=d)[0] for d in range(mempool_module.REPLACEMENTS_LIMIT + 2)),
        key=lambda u: u.id,
        reverse=True,
    )
    pool = offered_in(bench, many)
    assert pool.ids() == [many[-2].id]
    with pytest.raises(Rejected, match="update_repeated"):
        pool.add(many[-1], bench.chain.state)
    pool.follow(bench.chain.state, [])
    assert pool.add(many[-1], bench.chain.state) == [many[-2]]
