"""Changes of members among boxes that have seen different ones."""

from dataclasses import replace

import pytest

from edgenode.ledger import membership
from edgenode.ledger.enrolment import Revocation
from edgenode.ledger.genesis import Authority
from edgenode.protocol.node import PeerBlamed, Refused
from edgenode.sim import ward as ward_module
from tests.ledger.builder import key
from tests.sim.test_branches import QuietWard

MATRON = key(101)


@pytest.fixture
def ward(monkeypatch):
    """Four boxes, and an authority."""
    made = ward_module._genesis
    authority = Authority("matron", MATRON.public.hex())
    monkeypatch.setattr(
        ward_module,
        "_genesis",
        lambda *given: replace(made(*given), authorities=(authority,), authority_quorum=1),
    )
    ward = QuietWard(4)
    ward.run(30)
    return ward


def revocation(ward, box, sequence):
    change = Revocation(box.key.public, sequence, ())
    return replace(change, signatures=((0, change.signature_by(MATRON, ward.genesis.id)),))


def test_who_passes_on_a_change_that_has_become_senseless_is_not_blamed(ward):
    """Two people revoke one member, one box has not heard of the first revocation yet."""
    ahead, behind, other, gone = ward.boxes
    first, again = (revocation(ward, gone, sequence) for sequence in (0, 1))
    ward.partition([ahead.index], [behind.index, other.index, gone.index])
    ahead.running.submit(first, ward.instant)
    ward._after(ahead)
    ward.mine_now(ahead)
    assert gone.key.public not in membership.members(ahead.running.chain.state.records)
    behind.running.submit(again, ward.instant)
    ward._after(behind)
    assert again.id in behind.running.mempool, "there it is the one after the next"
    ward.partition()
    assert ward.run_until(lambda: ward.agree() and not behind.running.mempool.ids(), 300)
    assert not [e for box in ward.boxes for e in box.events if isinstance(e, PeerBlamed)]
    rules = {e.rejected.rule.value for e in ahead.events if isinstance(e, Refused)}
    assert rules <= {"revocation_member"}
    assert not any(box.running.mempool.ids() for box in ward.boxes)
