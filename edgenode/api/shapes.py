"""The JSON shapes of the local API, one record for each; docs/local-api.md is their manual.

Block ids are strings in Bitcoin's order, as people read them; other hashes, keys and signatures
are hexadecimal strings. Times are Unix seconds, sizes bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from edgenode.api.json_record import Json, ShapeError, from_json, to_json
from edgenode.ledger.hashes import display, from_display
from edgenode.ledger.template import Work
from edgenode.ledger.transaction import EXTRANONCE_BYTES, TRANSACTION_BYTES_LIMIT

__all__ = ["ShapeError", "from_json", "to_json"]  # records go through these two

REPORTING_SERVICES = ("collector", "trainer", "miner", "gateway", "exporter")
"""Services that may report; the gossip service is the one that they report to."""

STATE_LIMIT = 200
"""Characters of a service's state: a line on a screen."""

VALUES_LIMIT = 64
"""Values of a report: twice what the busiest service has."""

COINBASE_PART_LIMIT = TRANSACTION_BYTES_LIMIT
"""Bytes before or after the extranonce: a coinbase has at most 927 bytes."""

BRANCH_LIMIT = 16
"""Hashes of a merkle branch: 2^16 transactions, where a block has at most 593."""

_VALUE_NAME = re.compile(r"[a-z0-9_]{1,64}")
_WORK_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_COMPACT = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class HeadModel:
    """A model at a block: what the block's coinbase commits to, by the model's name."""

    name: str
    round: int
    updates: int
    examples: int
    root: str


@dataclass(frozen=True, slots=True)
class Head:
    """The tip of the best valid chain.

    Attributes:
        id: Block id.
        height: Height; genesis has 0.
        time: The block's own time.
        target: Compact target of the block, 8 hexadecimal digits.
        difficulty: Expected hashes of the next block, relative to the genesis limit.
        work: Hashes that the whole chain took on average, as "0x…" (it exceeds 64 bits).
        expected_hashes: Mean number of hashes of the next block.
        next_target: Compact target of the next block.
        interval: Seconds since the parent; 0 for genesis.
        models: Each model at this block.
    """

    id: str
    height: int
    time: int
    target: str
    difficulty: float
    work: str
    expected_hashes: int
    next_target: str
    interval: int
    models: tuple[HeadModel, ...]


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went through one UDP socket since the service started."""

    datagrams_sent: int = 0
    datagrams_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AllTraffic:
    """The traffic of the sockets; on `discovery` beacons are heard, whichever socket sends them."""

    sync: Traffic
    broadcast: Traffic
    discovery: Traffic = Traffic()


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages since the start by kind; `resent` counts those said or asked for once more."""

    sent: Mapping[str, int]
    received: Mapping[str, int]
    resent: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class AdoptionTimes:
    """Seconds from the first word of a block that a peer has to its being the head here.

    `count` blocks took `seconds` in all, the `last` one so many; None before there was one.
    """

    count: int
    seconds: float
    last: float | None


@dataclass(frozen=True, slots=True)
class MempoolCounts:
    """Transactions that wait for a block."""

    updates: int
    transfers: int
    changes: int
    endorsements: int


@dataclass(frozen=True, slots=True)
class Finality:
    """How far the chain is settled: heights of the highest justified and final checkpoint."""

    justified: int
    final: int


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """How the box's clock stands.

    Attributes:
        trusted: Whether the node mines and signs by it.
        state: "unchecked", "synchronised", "accepted", "unsynchronised" or "behind".
        reason: The same in words, for people.
    """

    trusted: bool
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """The node at a glance.

    `balance` is the member's, in coins; `enrolled` whether the node's key belongs to a member now;
    `kept_from` the height from which it keeps blocks, 0 for all.
    """

    node: str
    version: str
    ward: str
    genesis: str
    member: str
    enrolled: bool
    time: int
    clock: ClockStatus
    started: int
    head: Head
    finality: Finality
    best_header_height: int
    kept_from: int
    syncing: bool
    mempool: MempoolCounts
    peers: int
    balance: int
    blocks_mined: int
    reorganisations: int
    traffic: AllTraffic
    messages: Messages
    adoptions: AdoptionTimes
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """A model of the ward, at the head; an update may claim up to `examples_cap` examples."""

    name: str
    parameters: int
    scale_bits: int
    rule: str
    codec: str
    graph: str
    round: int
    updates: int
    examples: int
    examples_cap: int
    root: str


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer.

    Attributes:
        address: Where it speaks from.
        member: Its public key.
        name: Its name in the ward; None for a guest.
        role: "member" or "guest".
        knocked: Whether this node has knocked at its address, and did not only let it in.
        sync: Whether it can be asked for copies of the chain.
        broadcast: Whether announcements are sent to it.
        height: Of its head, as it says.
        round_trip: Seconds; None until it is measured, as the next three.
        loss: Between 0 and 1, of the chunks asked for.
        queue: Seconds that chunks from it wait in queues on their way.
        rate: Bytes a second that the window for chunks allows it.
        silent: Seconds since it was heard.
        connected: When the session began.
        datagrams_sent: To it.
        datagrams_received: From it.
    """

    address: str
    member: str
    name: str | None
    role: str
    knocked: bool
    sync: bool
    broadcast: bool
    height: int
    round_trip: float | None
    loss: float | None
    queue: float | None
    rate: float | None
    silent: float
    connected: int
    datagrams_sent: int
    datagrams_received: int


@dataclass(frozen=True, slots=True)
class MemberShape:
    """A member, with its public key; enrolled by the block at height `since`, revoked at `until`.

    `until` is None while it is a member; who was revoked is listed until that is final.
    """

    name: str
    key: str
    since: int
    until: int | None


@dataclass(frozen=True, slots=True)
class AuthorityShape:
    """Somebody who, with others, enrols and revokes members."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class WaitingChange:
    """An enrolment, or a revocation (then without a name), that waits for a block."""

    sequence: int
    key: str
    name: str | None


@dataclass(frozen=True, slots=True)
class Membership:
    """Who belongs to the ward.

    `changes` are the enrolments and revocations so far; `waiting` those that no block holds yet, in
    the order of their sequences. `quorum` of the authorities sign one together.
    """

    changes: int
    quorum: int
    authorities: tuple[AuthorityShape, ...]
    members: tuple[MemberShape, ...]
    waiting: tuple[WaitingChange, ...] = ()

    @property
    def next_sequence(self) -> int:
        """The sequence of the next change, behind those that wait."""
        return max([self.changes, *(change.sequence + 1 for change in self.waiting)])


@dataclass(frozen=True, slots=True)
class WardState:
    """How the ward stands at the head, and this node's member in it.

    Attributes:
        members: Members now.
        voters: Members at the last final block, who endorse checkpoints.
        checkpoint_interval: Blocks from checkpoint to checkpoint.
        checkpoint: Height of the last checkpoint that had an interval of blocks to be endorsed in,
            or of the ward's first; None before that one.
        endorsed: Voters who have endorsed it.
        final_time: The last final block's own time.
        blocks: Blocks by this node's member among the last of a share's window.
        blocks_limit: So many it may have there without a pause.
        resting: Whether it leaves the next block to others because of that.
    """

    members: int
    voters: int
    checkpoint_interval: int
    checkpoint: int | None
    endorsed: int | None
    final_time: int
    blocks: int
    blocks_limit: int
    resting: bool


@dataclass(frozen=True, slots=True)
class WorkMessage:
    """Work under the name by which a nonce for it is handed in."""

    id: str
    work: Work

    def to_json(self) -> dict[str, Json]:
        """The answer to GET /v1/work."""
        work = self.work
        return {
            "id": self.id,
            "height": work.height,
            "version": work.version,
            "previous": display(work.previous),
            "coinbase_head": work.coinbase_head.hex(),
            "coinbase_tail": work.coinbase_tail.hex(),
            "extranonce_bytes": EXTRANONCE_BYTES,
            "branch": [sibling.hex() for sibling in work.branch],
            "time": work.time,
            "target": f"{work.target:08x}",
        }

    @classmethod
    def from_json(cls, value: object) -> WorkMessage:
        """Inverse of `to_json`.

        Raises:
            ShapeError: A field is missing, of another type, or out of its bounds.
        """
        raw = from_json(_RawWork, value)
        if not _WORK_ID.fullmatch(raw.id):
            raise ShapeError("id is no name of work")
        if raw.extranonce_bytes != EXTRANONCE_BYTES:
            raise ShapeError(f"extranonce_bytes is {raw.extranonce_bytes}, not {EXTRANONCE_BYTES}")
        if len(raw.branch) > BRANCH_LIMIT:
            raise ShapeError(f"branch has {len(raw.branch)} hashes, more than {BRANCH_LIMIT}")
        if not _COMPACT.fullmatch(raw.target):
            raise ShapeError("target is not 8 hexadecimal digits")
        for name, number in (("height", raw.height), ("version", raw.version), ("time", raw.time)):
            if not 0 <= number < 2**32:
                raise ShapeError(f"{name} is not an unsigned 32-bit number")
        try:
            previous = from_display(raw.previous)
        except ValueError:
            raise ShapeError("previous is no block id") from None
        work = Work(
            height=raw.height,
            version=raw.version,
            previous=previous,
            coinbase_head=_bytes("coinbase_head", raw.coinbase_head, COINBASE_PART_LIMIT),
            coinbase_tail=_bytes("coinbase_tail", raw.coinbase_tail, COINBASE_PART_LIMIT),
            branch=tuple(_bytes("branch", sibling, 32, exactly=True) for sibling in raw.branch),
            time=raw.time,
            target=int(raw.target, 16),
        )
        try:
            work.target_number  # noqa: B018  (a target that does not expand must not reach a miner)
        except ValueError as error:
            raise ShapeError(str(error)) from None
        return cls(raw.id, work)


@dataclass(frozen=True, slots=True)
class _RawWork:
    id: str
    height: int
    version: int
    previous: str
    coinbase_head: str
    coinbase_tail: str
    extranonce_bytes: int
    branch: tuple[str, ...]
    time: int
    target: str


@dataclass(frozen=True, slots=True)
class Solution:
    """What a miner found: the 8-byte extranonce, the nonce, and the header's time."""

    extranonce: bytes
    nonce: int
    time: int

    def to_json(self) -> dict[str, Json]:
        """The body of POST /v1/work/{id}."""
        return {"extranonce": self.extranonce.hex(), "nonce": self.nonce, "time": self.time}

    @classmethod
    def from_json(cls, value: object) -> Solution:
        """Inverse of `to_json`.

        Raises:
            ShapeError: A field is missing, of another type, or out of its bounds.
        """
        raw = from_json(_RawSolution, value)
        for name, number in (("nonce", raw.nonce), ("time", raw.time)):
            if not 0 <= number < 2**32:
                raise ShapeError(f"{name} is not an unsigned 32-bit number")
        extranonce = _bytes("extranonce", raw.extranonce, EXTRANONCE_BYTES, exactly=True)
        return cls(extranonce, raw.nonce, raw.time)


@dataclass(frozen=True, slots=True)
class _RawSolution:
    extranonce: str
    nonce: int
    time: int


@dataclass(frozen=True, slots=True)
class AcceptedBlock:
    """The answer to a nonce that made a block."""

    id: str
    height: int


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """What a service says of itself; only numbers fit, so no sample and no address can leave.

    Attributes:
        state: "ok", or in a few words what is wrong.
        values: Finite numbers by name (docs/metrics.md lists them).
    """

    state: str
    values: Mapping[str, float]

    @classmethod
    def of(cls, state: str, values: Mapping[str, float]) -> ServiceReport:
        """A report whose state is cut from any text, such as an error's: one line, bounded."""
        line = "".join(c if c.isprintable() else " " for c in state)
        return cls(line[:STATE_LIMIT], values)

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            ShapeError: The state is too long, or a name or value is not allowed.
        """
        if len(self.state) > STATE_LIMIT or not self.state.isprintable():
            raise ShapeError(f"state must be at most {STATE_LIMIT} printable characters")
        if len(self.values) > VALUES_LIMIT:
            raise ShapeError(f"values has {len(self.values)} entries, more than {VALUES_LIMIT}")
        for name, value in self.values.items():
            if not _VALUE_NAME.fullmatch(name):
                raise ShapeError(f"values: the name {name[:80]!r} is not of [a-z0-9_]")
            if not math.isfinite(value):
                raise ShapeError(f"values.{name} is not finite")


@dataclass(frozen=True, slots=True)
class LastReport:
    """The last report of a service, `age` seconds old."""

    state: str
    age: float
    values: Mapping[str, float]

    @classmethod
    def of(cls, report: ServiceReport, age: float) -> LastReport:
        """A report that came `age` seconds ago."""
        return cls(report.state, age, report.values)

    def aged(self, seconds: float) -> LastReport:
        """The same report, so much later."""
        return replace(self, age=self.age + seconds)


def _bytes(name: str, text: str, limit: int, *, exactly: bool = False) -> bytes:
    # The length of the text is looked at first: no hexadecimal of any size is decoded.
    if len(text) > 2 * limit or (exactly and len(text) != 2 * limit):
        raise ShapeError(f"{name} must have {'' if exactly else 'at most '}{limit} bytes")
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise ShapeError(f"{name} is not hexadecimal") from None
    if exactly and len(data) != limit:
        raise ShapeError(f"{name} must have {limit} bytes")
    return data
