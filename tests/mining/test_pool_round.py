"""Rounds close as heads come, and give the split of the next block."""

from edgenode.mining.pool_round import PoolRound
from edgenode.mining.share_ledger import ShareLedger
from tests.mining.stratum_ward import BOB, OWN

A, B, C = (bytes([n]) * 32 for n in range(3))


def test_a_round_closes_with_its_head_and_only_if_somebody_shared():
    ledger = ShareLedger(OWN)
    rounds = PoolRound(ledger)
    assert not rounds.on_head(A)
    assert not rounds.on_head(B)  # nobody shared
    ledger.credit(BOB, 1)
    assert not rounds.is_new(B)
    assert not rounds.on_head(B)
    assert rounds.pay == ()
    assert rounds.is_new(C)
    assert rounds.on_head(C)
    assert rounds.pay


def test_a_split_that_was_refused_is_left_out_until_the_head_moves():
    ledger = ShareLedger(OWN)
    rounds = PoolRound(ledger)
    rounds.on_head(A)
    ledger.credit(BOB, 1)
    rounds.on_head(B)
    assert rounds.refused()
    assert rounds.pay == ()
    assert not rounds.refused()
    rounds.on_head(C)
    assert rounds.pay
