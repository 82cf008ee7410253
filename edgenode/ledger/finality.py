"""Finality: members endorse checkpoints, and what a quorum has endorsed twice stays.

Casper FFG (Buterin and Griffith, 2017) without stake: every member has one vote, and the voters
are the members at the last final block, so that both sides of a fork count the same ones. The
argument why two forks never both become final stands in docs/finality.md.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from edgenode.ledger.encoding import Reader, u8, u32
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.membership import forget_revoked, is_voter, voters
from edgenode.ledger.records import Overlay, RecordKind, Records
from edgenode.ledger.rules import Rejected, Rule

FINAL = u8(RecordKind.FINAL)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A block at a multiple of the checkpoint interval; genesis is one."""

    height: int
    id: bytes


def _ordered(height: int) -> bytes:
    """Most significant byte first, so that keys ascend as heights do."""
    return height.to_bytes(4)


def _justified_key(height: int) -> bytes:
    return u8(RecordKind.JUSTIFIED) + _ordered(height)


def _endorsed_key(target: int, member: bytes) -> bytes:
    return u8(RecordKind.ENDORSED) + _ordered(target) + member


def found(genesis_id: bytes) -> dict[bytes, bytes]:
    """The records with which a ward starts: genesis is final."""
    return {_justified_key(0): genesis_id, FINAL: u32(0) + genesis_id}


def final(records: Records) -> Checkpoint:
    """The highest final checkpoint."""
    value = records.get(FINAL)
    assert value is not None, "genesis is final"
    reader = Reader(value)
    return Checkpoint(reader.u32("height"), reader.take(32, "block id"))


def justified(records: Records) -> list[Checkpoint]:
    """The justified checkpoints from the final one up, lowest first."""
    return [
        Checkpoint(int.from_bytes(key[1:]), value)
        for key, value in records.under(u8(RecordKind.JUSTIFIED))
    ]


def highest_justified(records: Records) -> Checkpoint:
    """The highest justified checkpoint."""
    return justified(records)[-1]


def endorsed_by(records: Records, target: int) -> dict[bytes, int]:
    """Who has endorsed the checkpoint at a height, and from which justified height."""
    prefix = u8(RecordKind.ENDORSED) + _ordered(target)
    return {key[len(prefix) :]: Reader(value).u32("source") for key, value in records.under(prefix)}


def oldest_target(genesis: Genesis, height: int) -> int:
    """The lowest checkpoint that the block at this height may still hold endorsements of."""
    return max(1, height // genesis.checkpoint_interval - 1) * genesis.checkpoint_interval


def check_endorsement(
    genesis: Genesis,
    records: Records,
    endorsement: Endorsement,
    height: int,
    at: Callable[[int], bytes],
) -> None:
    """Whether the block at this height may hold an endorsement.

    Args:
        genesis: the constants.
        records: as they stand before it.
        endorsement: what is checked.
        height: of the block.
        at: gives the id of the block's ancestor at a height.

    Raises:
        Rejected: it violates a rule.
    """
    target, source = endorsement.target_height, endorsement.source_height
    if not endorsement.is_signed(genesis.id):
        raise Rejected(Rule.ENDORSEMENT_SIGNATURE, "the signature is not the member's")
    lowest = oldest_target(genesis, height)
    if not lowest <= target < height or target % genesis.checkpoint_interval:
        raise Rejected(
            Rule.ENDORSEMENT_TARGET,
            f"height {target} is no checkpoint from {lowest} to {height - 1}",
        )
    if at(target) != endorsement.target:
        raise Rejected(Rule.ENDORSEMENT_TARGET, "the checkpoint is not in this chain")
    if source >= target or records.get(_justified_key(source)) != endorsement.source:
        raise Rejected(Rule.ENDORSEMENT_SOURCE, f"height {source} is not justified in this chain")
    if not is_voter(records, endorsement.member, final(records).height):
        raise Rejected(
            Rule.ENDORSEMENT_MEMBER,
            f"{endorsement.member.hex()} was no member at the last final block",
        )
    if records.get(_endorsed_key(target, endorsement.member)) is not None:
        raise Rejected(Rule.ENDORSEMENT_REPEATED, "the member has endorsed a block of this height")


def count(
    genesis: Genesis,
    records: Overlay,
    endorsement: Endorsement,
    height: int,
    at: Callable[[int], bytes],
) -> None:
    """Count an endorsement in the block at this height; arguments as `check_endorsement`.

    Raises:
        Rejected: it violates a rule; nothing was changed.
    """
    check_endorsement(genesis, records, endorsement, height, at)
    target, source = endorsement.target_height, endorsement.source_height
    records.set(_endorsed_key(target, endorsement.member), u32(source))


def settle(
    genesis: Genesis,
    records: Overlay,
    height: int,
    targets: Iterable[int],
    at: Callable[[int], bytes],
) -> None:
    """Draw the conclusions once the block at this height has counted endorsements of `targets`.

    They are drawn after all of them, so that their order in the block says nothing.
    """
    for target in sorted(set(targets)):
        electorate = voters(records, final(records).height)
        sources = [
            source
            for member, source in endorsed_by(records, target).items()
            if member in electorate
        ]
        for source in sorted(set(sources)):
            if records.get(_justified_key(source)) is None:
                continue  # below what has become final
            if 3 * sources.count(source) > 2 * len(electorate):
                records.set(_justified_key(target), at(target))
                if source + genesis.checkpoint_interval == target:
                    _finalise(records, Checkpoint(source, at(source)))
    if height % genesis.checkpoint_interval == 0:
        _forget(records, oldest_target(genesis, height))


def _finalise(records: Overlay, settled: Checkpoint) -> None:
    if settled.height <= final(records).height:
        return
    records.set(FINAL, u32(settled.height) + settled.id)
    for checkpoint in justified(records):
        if checkpoint.height < settled.height:
            records.set(_justified_key(checkpoint.height), None)
    forget_revoked(records, settled.height)


def _forget(records: Overlay, lowest: int) -> None:
    """Drop the endorsements that no later block can add to."""
    for key, _ in list(records.under(u8(RecordKind.ENDORSED))):
        if int.from_bytes(key[1:5]) < lowest:
            records.set(key, None)
