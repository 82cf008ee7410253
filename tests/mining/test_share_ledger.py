"""Shares count by payee over the last rounds; the split is whole, fair within bounds, and kept."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.mining.pool_round import PoolRound
from edgenode.mining.share_ledger import (
    PARTS,
    PAYEES_LIMIT,
    ROUNDS,
    SPLIT_LIMIT,
    STATE_BYTES,
    ShareLedger,
    StateError,
)
from tests.mining.stratum_ward import BOB, CAROL, OWN

WARD = "ab" * 32


def key(number):
    return number.to_bytes(32, "big")


payees = st.sampled_from([OWN, BOB, CAROL, *(key(n) for n in range(100, 130))])
entry_lists = st.lists(
    st.tuples(payees, st.integers(1, 1 << 60)) | st.none(), max_size=80
)  # None closes a round


def filled(entries):
    ledger = ShareLedger(OWN)
    for entry in entries:
        if entry is None:
            ledger.close_round()
        else:
            ledger.credit(*entry)
    return ledger


def test_a_round_counts_once_it_is_closed():
    ledger = ShareLedger(OWN)
    ledger.credit(BOB, 100)
    assert ledger.split() == ()
    ledger.close_round()
    assert ledger.split() == ((BOB, PARTS),)


def test_weights_go_by_hashes_and_what_nobody_has_is_the_nodes():
    ledger = filled([(BOB, 300), (CAROL, 100), (BOB, 200), (OWN, 400), None])
    assert ledger.split() == ((BOB, 500_000), (OWN, 400_000), (CAROL, 100_000))


def test_a_pool_in_which_only_its_node_works_splits_nothing():
    assert filled([(OWN, 5), None]).split() == ()


def test_the_first_ten_are_paid_and_the_rest_falls_to_the_node():
    ledger = filled([*((key(n), n) for n in range(1, 21)), None])
    split = dict(ledger.split())
    assert set(split) == {OWN, *(key(n) for n in range(11, 21))}
    assert len(split) == SPLIT_LIMIT + 1
    assert sum(split.values()) == PARTS


def test_shares_of_long_ago_count_no_more():
    ledger = filled([(BOB, 7), None])
    for _ in range(ROUNDS - 1):
        ledger.credit(CAROL, 1)
        ledger.close_round()
    assert ledger.hashes() == {BOB: 7, CAROL: ROUNDS - 1}
    ledger.credit(CAROL, 1)
    ledger.close_round()
    assert ledger.hashes() == {CAROL: ROUNDS}


def test_rounds_in_which_nobody_shared_push_nothing_out():
    ledger = filled([(BOB, 7), *[None] * 100])
    assert ledger.hashes() == {BOB: 7}


@given(entry_lists)
def test_a_split_is_ordered_whole_and_within_the_ledgers_bounds(entries):
    split = filled(entries).split()
    assert split == filled(entries).split()
    weights = [weight for _, weight in split]
    assert weights == sorted(weights, reverse=True)
    assert all(weight >= 1 for weight in weights)
    assert sum(weights) in (0, PARTS)
    assert len({payee for payee, _ in split}) == len(split)
    assert sum(payee != OWN for payee, _ in split) <= SPLIT_LIMIT


@given(entry_lists)
def test_what_is_kept_comes_back(entries):
    ledger = filled([*entries, None])
    data = ledger.encode(WARD)
    again = ShareLedger.decode(OWN, WARD, data)
    assert again.split() == ledger.split()
    assert again.encode(WARD) == data


def test_the_fullest_state_fits_its_bound():
    ledger = ShareLedger(OWN)
    for _ in range(ROUNDS):
        ledger.credit(OWN, (1 << 120) - 1)
        for n in range(PAYEES_LIMIT):
            ledger.credit(key(n), (1 << 120) - 1)
        ledger.close_round()
    assert len(ledger.encode(WARD)) <= STATE_BYTES
    assert ShareLedger.decode(OWN, WARD, ledger.encode(WARD)).hashes() == ledger.hashes()


@given(st.data())
def test_a_state_that_was_changed_anywhere_is_refused(data):
    whole = filled([(BOB, 7), None, (CAROL, 9), None]).encode(WARD)
    place = data.draw(st.integers(0, len(whole) - 1))
    spoiled = bytearray(whole)
    spoiled[place] ^= data.draw(st.integers(1, 255))
    for wrong in (bytes(spoiled), whole[:place]):
        with pytest.raises(StateError):
            ShareLedger.decode(OWN, WARD, wrong)


@pytest.mark.parametrize(("own", "ward"), [(BOB, WARD), (OWN, "cd" * 32)])
def test_shares_of_another_node_or_ward_are_not_taken_for_its_own(own, ward):
    with pytest.raises(StateError, match="another ward or node"):
        ShareLedger.decode(own, ward, filled([(BOB, 7), None]).encode(WARD))


def test_made_up_keys_take_from_nobody_more_than_a_129th_of_all_that_was_hashed():
    rng, ledger = random.Random(7), ShareLedger(OWN)
    total = honest = 0
    for n in range(20_000):
        if n % 5 == 0:
            ledger.credit(BOB, 65536)
            honest += 65536
            total += 65536
        else:
            ledger.credit(rng.randbytes(32), 65536)
            total += 65536
    ledger.close_round()
    counted = ledger.hashes()
    assert len(counted) <= PAYEES_LIMIT + 1
    assert honest - total // (PAYEES_LIMIT + 1) <= counted[BOB] <= honest
    assert ledger.split()[0][0] == BOB


def test_the_split_stands_for_a_round_and_changes_with_the_head():
    ledger = ShareLedger(OWN)
    pool_round = PoolRound(ledger)
    assert not pool_round.on_head(b"a")
    ledger.credit(BOB, 5)
    assert pool_round.pay == ()
    assert not pool_round.on_head(b"a")
    assert pool_round.on_head(b"b")
    ledger.credit(CAROL, 5)
    assert pool_round.pay == ((BOB, PARTS),)
    assert pool_round.on_head(b"c")
    assert pool_round.pay == ((BOB, PARTS // 2), (CAROL, PARTS // 2))


def test_a_split_that_the_node_refuses_is_not_asked_for_again_on_this_head():
    ledger = filled([(BOB, 5), None])
    pool_round = PoolRound(ledger)
    pool_round.on_head(b"a")
    assert pool_round.refused()
    assert pool_round.pay == ()
    assert not pool_round.refused()
    pool_round.on_head(b"b")
    assert pool_round.pay == ((BOB, PARTS),)
