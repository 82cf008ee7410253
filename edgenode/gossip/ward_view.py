"""How the ward stands and what this member's part in it is, in the local API's shapes."""

from collections.abc import Iterable

from edgenode.api.shapes import WaitingChange, WardState
from edgenode.ledger import block_share, finality, membership
from edgenode.ledger.chain import Chain
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.transaction import Transaction


def ward_of(chain: Chain, member: bytes, now: int) -> WardState:
    """The ward at the head, as seen by the member with this public key.

    Args:
        chain: the chain.
        member: whose part to tell.
        now: Unix seconds.
    """
    genesis, records, head = chain.genesis, chain.state.records, chain.head
    settled = chain.at(chain.final.height)
    assert settled is not None, "what is final is in the chain"
    voters = membership.voters(records, finality.final(records).height)
    # The newest checkpoint that has had an interval of blocks to be endorsed in.
    target = finality.oldest_target(genesis, head.height)
    endorsed = finality.endorsed_by(records, target).keys() & voters
    rests_until = block_share.earliest(genesis, records, member, head.header.time)
    return WardState(
        members=len(membership.members(records)),
        voters=len(voters),
        checkpoint_interval=genesis.checkpoint_interval,
        checkpoint=target if target <= head.height else None,
        endorsed=len(endorsed) if target <= head.height else None,
        final_time=settled.header.time,
        blocks=block_share.miners(records).count(member),
        blocks_limit=block_share.share(genesis, records),
        resting=rests_until > now,
    )


def waiting_changes(waiting: Iterable[Transaction | None]) -> tuple[WaitingChange, ...]:
    """The changes of members among transactions that wait, in the order of their sequences."""
    changes = [each for each in waiting if isinstance(each, Enrolment | Revocation)]
    return tuple(
        WaitingChange(
            change.sequence,
            change.member.hex(),
            change.name if isinstance(change, Enrolment) else None,
        )
        for change in sorted(changes, key=lambda change: change.sequence)
    )
