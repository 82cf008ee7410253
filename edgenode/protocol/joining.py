"""Joining: a node that is far behind pulls a state and goes on from there.

It tries the highest state of the heaviest branch that ends in a peer's head; `ledger.joining` says
when it is believed. Weight is what the headers here add up to: what a peer says of its head decides
nothing. What cannot be had, or is not shown to be the chain's, is left alone for a while. Then the
branch of which the fewest states were left is next, so that who shows many states that nobody can
have holds nobody up for long, and the node also catches up block by block.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from edgenode.learning.fixed_point import Fixed, from_bytes
from edgenode.ledger.block import BLOCK_BYTES_LIMIT, Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.headers import Entry
from edgenode.ledger.joining import (
    STATE_BYTES_LIMIT,
    Evidence,
    Snapshot,
    UnprovenError,
    highest_justified_in,
    proven_members,
    read_state,
)
from edgenode.ledger.retention import STATES_SHOWN
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.protocol.catch_up import Brought
from edgenode.protocol.peer import Peer
from edgenode.protocol.pulls import Pulls
from edgenode.protocol.transfer import Object
from edgenode.protocol.wire import ObjectKind

log = logging.getLogger(__name__)

JOIN_AHEAD = 2 * STATE_INTERVAL
"""Blocks that a state must be above where its branch leaves the chain: fewer are validated as fast
as it is pulled."""

MARGIN_INTERVALS = 3
"""Checkpoint intervals between a state and the tip: above it a checkpoint is endorsed by then."""

EVIDENCE_AT_ONCE = 16
"""Blocks pulled at a time for the endorsements in them."""

PATIENCE = 120.0
"""Seconds without a byte of what a state takes, after which it is given up."""

LEAST_RATE = 16 << 10
"""Bytes a second that must come of it after that time, with as long again for every 16 blocks: a
bad Wi-Fi brings more. Who lets it trickle must not hold a box up for hours."""

STALLED_AFTER = 10.0
"""Seconds without a byte of it after which blocks are pulled as well."""

REST = 600.0
"""Seconds before a state that was given up is tried again: finality may have come, or a peer."""

HEADERS_PATIENCE = 10.0
"""Seconds without a new header of a peer after which the head that it claims is no reason any more
to pull no blocks."""

LOOK_INTERVAL = 1.0
"""Seconds between two looks for a state: it is asked for with every datagram."""

ATTEMPTS_REMEMBERED = 256


class Lack(NamedTuple):
    """Something to pull: its length in bytes, if that is known, and the most it may have."""

    kind: ObjectKind
    id: bytes
    length: int | None
    limit: int


@dataclass(slots=True)
class _Attempt:
    """What was gathered for the state after the block of `entry`.

    The block of `above` commits to the state, `tip` ends the branch; `unread` are ids of the blocks
    above it that may hold endorsements, lowest first. It began at `begun`, and came further at
    `since` for the last time. `justified` is the height of the highest checkpoint that is justified
    in the state, once that is here.
    """

    entry: Entry
    above: Entry
    tip: Entry
    unread: list[bytes]
    branch: dict[int, bytes]
    begun: float
    since: float
    block: Block | None = None
    root: bytes = b""
    records: dict[bytes, bytes] | None = None
    evidence: Evidence | None = None
    justified: int = 0
    parameters: dict[bytes, bytes] = field(default_factory=dict)
    read: int = 0
    """Blocks that were read for their endorsements."""
    whole_bytes: int = 0
    """Of the state and the parameters that are here."""
    reached: tuple[int, int] = (0, 0)
    """The most that was here at a time: whole objects, then bytes."""

    def note(self, under_way: int, now: float) -> None:
        """Bytes are under way of what is wanted: only more than ever before is progress.

        A source that is left takes its bytes with it, and the next one begins anew.
        """
        whole = (self.block is not None) + (self.records is not None)
        gathered = whole + len(self.parameters) + self.read, self.whole_bytes + under_way
        if gathered > self.reached:
            self.reached, self.since = gathered, now

    def is_overdue(self, now: float) -> bool:
        """Whether nothing has come for too long, or too little in all."""
        allowed = PATIENCE * (1 + self.read / EVIDENCE_AT_ONCE) + self.reached[1] / LEAST_RATE
        return now > min(self.since + PATIENCE, self.begun + allowed)


class Joining:
    """Decides what to pull so that the node can go on from a state, and makes the state of it."""

    def __init__(
        self, chain: Chain, pulls: Pulls, brought: Callable[[Peer], Brought | None]
    ) -> None:
        """Serve a chain; `brought` tells what a peer that claims an unknown head has shown."""
        self._chain = chain
        self._pulls = pulls
        self._brought = brought
        self._attempt: _Attempt | None = None
        self._given_up: dict[bytes, float] = {}
        self._look_again = float("-inf")
        self.ready: Snapshot | None = None
        """The state to go on from, once it is whole and believed."""

    @property
    def at(self) -> int | None:
        """Height of the state that is being pulled, if one is."""
        return None if self._attempt is None else self._attempt.entry.height

    def want(self, peers: Iterable[Peer], now: float) -> set[Object] | None:
        """Have pulled what a state takes; None while none is to be joined at.

        While the headers come that lead to one, nothing: the blocks would be pulled in vain.

        `now` is in the monotonic clock's seconds.
        """
        if self.ready is not None:
            return set()
        claims = list(peers)
        attempt = self._attempt
        if attempt is not None and not self._is_worth(attempt):
            attempt = self._attempt = None
        if attempt is None:
            if self._headers_come(claims, now):
                return set()
            attempt = self._attempt = self._choose(claims, now)
        if attempt is None:
            return None
        try:
            lacking = self._lacking(attempt)
        except UnprovenError as error:
            self._give_up(attempt, str(error), now)
            return None
        sessions = [peer.session for peer in claims]
        for lack in lacking:
            self._pulls.want(lack.kind, lack.id, lack.length, lack.limit, sessions)
        wanted = {(lack.kind, lack.id) for lack in lacking}
        attempt.note(self._pulls.received(wanted), now)
        if attempt.is_overdue(now):
            self._give_up(attempt, "no peer gives what it takes", now)
            return None
        return wanted

    def leaves_room(self, now: float) -> bool:
        """Whether blocks should be pulled beside the state that is wanted.

        So when nothing came of it of late, or when it is not on the way that the head would take:
        then the chain goes on until the state is shown to be one of a better branch.
        """
        attempt = self._attempt
        return attempt is not None and (
            now > attempt.since + STALLED_AFTER
            or self._chain.fork(attempt.entry) != self._chain.head
        )

    def take(self, kind: ObjectKind, name: bytes, data: bytes) -> None:
        """A state or parameters were pulled under this name.

        Raises:
            UnprovenError: they are something else; whoever sent them should have known.
        """
        if content_id(data) != name:
            raise UnprovenError("its content id is another one")
        attempt = self._attempt
        if attempt is None:
            return
        if kind is ObjectKind.PARAMETERS:
            attempt.parameters[name] = data
            attempt.whole_bytes += len(data)
        elif name == attempt.root:
            attempt.records = read_state(data, name)
            attempt.whole_bytes += len(data)

    def joined(self) -> None:
        """The node goes on from the state that was ready."""
        self._attempt = self.ready = None

    # How it is done

    def _is_worth(self, attempt: _Attempt) -> bool:
        """Whether it can still be joined, and the blocks have not come first."""
        if self._chain.tree.get(attempt.tip.id) is None:
            return False
        fork = self._chain.fork(attempt.above)
        return fork is not None and attempt.entry.height > fork.height + JOIN_AHEAD

    def _headers_come(self, peers: list[Peer], now: float) -> bool:
        """Whether headers come of a branch that is long enough to be joined.

        Only what a peer has shown itself is a reason to wait for more of it: a claim is none.
        """
        far = self._chain.head.height + JOIN_AHEAD + STATE_INTERVAL
        return not self._chain.keeps_all and any(
            brought.entry.height > far and now <= brought.at + HEADERS_PATIENCE
            for brought in map(self._brought, peers)
            if brought is not None
        )

    def _choose(self, peers: list[Peer], now: float) -> _Attempt | None:
        chain = self._chain
        if chain.keeps_all or now < self._look_again:
            return None
        self._given_up = {name: until for name, until in self._given_up.items() if until > now}
        best: tuple[int, Entry, Entry] | None = None
        for tip in self._claimed(peers):
            fork = chain.fork(tip)
            assert fork is not None, "it holds the last final block"
            for tried, height in enumerate(self._heights(fork, tip)):
                entry = chain.tree.ancestor(tip, height)
                if entry.id not in self._given_up:
                    if best is None or tried < best[0]:
                        best = tried, entry, tip
                    break
        if best is not None:
            return self._begin(best[1], best[2], now)
        self._look_again = now + LOOK_INTERVAL
        return None

    def _claimed(self, peers: list[Peer]) -> list[Entry]:
        """Where the branches end whose heads peers say are better, heaviest first.

        By the work of their headers, which were checked, not by what is said of them; who names a
        block that lies below another head has named no branch of its own.
        """
        chain = self._chain
        best = chain.best_header().work
        claimed = {
            peer.tip.head: peer.tip.justified for peer in peers if peer.tip.rank > chain.state.rank
        }
        known = [tip for tip in map(chain.tree.get, claimed) if tip is not None]
        tips: list[Entry] = []
        for tip in sorted(known, key=lambda entry: (-entry.work, entry.id)):
            fork = chain.fork(tip)
            if fork is None or any(chain.tree.ancestor(other, tip.height) == tip for other in tips):
                continue
            # A branch that leaves the chain must be worth it.
            if fork == chain.head or tip.work >= best or claimed[tip.id] > chain.state.justified:
                tips.append(tip)
        return tips

    def _begin(self, entry: Entry, tip: Entry, now: float) -> _Attempt:
        tree, interval = self._chain.tree, self._chain.genesis.checkpoint_interval
        log.info("joining", extra={"height": entry.height, "block": display(entry.id)})
        last = min(tip.height, entry.height + STATE_INTERVAL + 2 * MARGIN_INTERVALS * interval)
        above = list(tree.ascent(entry, tree.ancestor(tip, last)))
        return _Attempt(
            entry,
            above[0],
            tip,
            unread=[each.id for each in above],
            branch={each.height: each.id for each in above},
            begun=now,
            since=now,
        )

    def _heights(self, fork: Entry, tip: Entry) -> Iterator[int]:
        """Heights of states of a branch, highest first, as far as it is worth to join there.

        From where it leaves the chain, not from the head: of two parts of a ward that were apart
        for days none has the other's first blocks any more, and both are about as high.
        """
        interval = self._chain.genesis.checkpoint_interval
        above = (tip.height - MARGIN_INTERVALS * interval) // STATE_INTERVAL * STATE_INTERVAL
        for height in range(above - 1, fork.height + JOIN_AHEAD, -STATE_INTERVAL):
            if above - height > STATES_SHOWN * STATE_INTERVAL:
                return
            yield height

    def _give_up(self, attempt: _Attempt, reason: str, now: float) -> None:
        log.warning(
            "cannot join there now", extra={"height": attempt.entry.height, "reason": reason}
        )
        if len(self._given_up) >= ATTEMPTS_REMEMBERED:
            self._given_up.pop(next(iter(self._given_up)))
        self._given_up[attempt.entry.id] = now + REST
        self._attempt = None

    def _lacking(self, attempt: _Attempt) -> list[Lack]:
        """What to pull next; nothing once all is here: then `ready` is the state.

        Raises:
            UnprovenError: the state is not shown to be the chain's.
        """
        chain = self._chain
        if attempt.block is None:
            block, committing = map(chain.served.block, (attempt.entry.id, attempt.above.id))
            if block is None or committing is None:
                return [_lack_block(entry.id) for entry in (attempt.entry, attempt.above)]
            # Its miner may have signed anything; who checks it in full would refuse it.
            if committing.coinbase.height != attempt.above.height:
                raise UnprovenError(f"block {display(committing.id)} has another height")
            attempt.block, attempt.root = block, committing.coinbase.state
        if attempt.records is None:
            return [Lack(ObjectKind.STATE, attempt.root, None, STATE_BYTES_LIMIT)]
        if attempt.evidence is None:
            members = proven_members(chain.genesis, attempt.records)
            attempt.justified = highest_justified_in(attempt.records)
            attempt.evidence = Evidence(chain.genesis, members, attempt.branch)
        if (attempt.justified, attempt.tip.work) <= chain.state.rank:
            raise UnprovenError("the chain that is here is better")
        if not attempt.evidence.enough and (missing := self._hear(attempt, attempt.evidence)):
            return [_lack_block(block_id) for block_id in missing]
        states = attempt.block.coinbase.models
        parameters: list[Fixed] = []
        lacking: list[Lack] = []
        kept = chain.parameters.kept(states)
        for model, state, at_hand in zip(chain.genesis.models, states, kept, strict=True):
            pulled = attempt.parameters.get(state.root)
            if at_hand is not None:
                parameters.append(at_hand)
            elif pulled is not None and len(pulled) == 4 * model.parameters:
                parameters.append(from_bytes(pulled, model.parameters))
            else:
                length = 4 * model.parameters
                lacking.append(Lack(ObjectKind.PARAMETERS, state.root, length, length))
        if not lacking:
            self.ready = Snapshot(
                attempt.entry, attempt.root, attempt.records, states, tuple(parameters)
            )
        return lacking

    def _hear(self, attempt: _Attempt, evidence: Evidence) -> list[bytes]:
        """Read the endorsements that have come; returns the next blocks to ask for.

        Raises:
            UnprovenError: all was read, and they are not enough.
        """
        ahead = attempt.unread[:EVIDENCE_AT_ONCE]
        for block_id in ahead:
            block = self._chain.served.block(block_id)
            if block is not None:
                evidence.hear(block.endorsements)
                attempt.unread.remove(block_id)
                attempt.read += 1
                if evidence.enough:
                    return []
        if not attempt.unread:
            raise UnprovenError("no two thirds of the members have endorsed what is above")
        return attempt.unread[:EVIDENCE_AT_ONCE]


def _lack_block(block_id: bytes) -> Lack:
    return Lack(ObjectKind.BLOCK, block_id, None, BLOCK_BYTES_LIMIT)
