"""Changes of members among boxes that have seen different ones."""

from dataclasses import replace

import pytest

from edgenode.ledger import membership
from edgenode.ledger.enrolment import Revocation
from edgenode.ledger.genesis import Authority
from edgenode.protocol.events import PeerBlamed, PeerRevoked, Refused
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Socket
from edgenode.sim import ward as ward_module
from tests.ledger.builder import key
from tests.sim.test_branches import QuietWard

MATRON = key(101)


@pytest.fixture
def ward(authority):
    """Four boxes, and an authority."""
    ward = QuietWard(4)
    ward.run(30)
    return ward


@pytest.fixture
def authority(monkeypatch):
    """Wards that are made have one."""
    made = ward_module._genesis
    authority = Authority("matron", MATRON.public.hex())
    monkeypatch.setattr(
        ward_module,
        "_genesis",
        lambda *given: replace(made(*given), authorities=(authority,), authority_quorum=1),
    )


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
    others = ahead, behind, other
    assert ward.run_until(lambda: same_head(*others) and not behind.running.mempool.ids(), 300)
    assert not [e for box in ward.boxes for e in box.events if isinstance(e, PeerBlamed)]
    rules = {e.rejected.rule.value for e in ahead.events if isinstance(e, Refused)}
    assert rules <= {"revocation_member"}
    assert not any(box.running.mempool.ids() for box in others)


def same_head(*boxes):
    return len({box.running.chain.head.id for box in boxes}) == 1


def members_met(box):
    return {peer.member for peer in box.running.links.peers.values()}


def revoke(ward, by, whom):
    """The box `by` makes a block that revokes the member of `whom`."""
    by.running.submit(revocation(ward, whom, 0), ward.instant)
    ward._after(by)
    ward.mine_now(by)


def test_who_is_revoked_loses_its_sessions_with_the_block_that_says_so_and_hears_no_more(ward):
    *others, gone = ward.boxes
    assert all(gone.key.public in members_met(box) for box in others)
    revoke(ward, others[0], gone)
    ward.run(5)
    assert same_head(*others)
    assert not any(gone.key.public in members_met(box) for box in others)
    assert all(any(isinstance(e, PeerRevoked) for e in box.events) for box in others)
    for turn in range(12):
        ward.mine_now(others[turn % 3])
        ward.run(90)
    assert same_head(*others)
    assert others[0].running.chain.head.height == 13
    assert gone.running.chain.head.height <= 1
    assert not members_met(gone)
    dropped = others[0].running.links.traffic[Socket.SYNC].dropped
    assert dropped["revoked"] > 0
    assert not [e for box in others for e in box.events if isinstance(e, PeerBlamed)]


def test_who_was_revoked_on_a_branch_that_lost_is_let_in_again(ward):
    one, two, three, four = ward.boxes
    ward.partition([one.index, four.index], [two.index, three.index])
    ward.run(100)
    revoke(ward, one, four)
    ward.run(5)
    assert not members_met(one)
    for _ in range(3):
        ward.mine_now(two)
        ward.run(90)
    # The revocation waits in the mempool of the first box, and no block is made.
    ward.partition()
    assert ward.run_until(lambda: same_head(*ward.boxes), 300)
    assert ward.run_until(lambda: four.key.public in members_met(one), 300)


@pytest.mark.parametrize("boxes", [2, 3])
@pytest.mark.usefixtures("authority")
def test_in_a_ward_of_two_or_three_who_is_revoked_is_heard_until_that_is_final(boxes):
    ward = QuietWard(boxes)
    ward.run(30)
    *others, gone = ward.boxes
    revoke(ward, others[0], gone)
    ward.run(90)
    assert all(gone.key.public in members_met(box) for box in others)
    assert {
        p.role for p in others[0].running.links.peers.values() if p.member == gone.key.public
    } == {Role.GUEST}
    for _ in range(20):
        ward.mine_now(others[0])
        ward.run(90)
    records = others[0].running.chain.state.records
    assert not membership.has_record(records, gone.key.public), "it is final"
    assert not any(gone.key.public in members_met(box) for box in others)
