"""The mempool: valid transactions that wait for a block.

What waits depends on what was offered on top of a head, not on the order in which it came: of two
that exclude each other one is always the better (`_rank`), and the worst leave a full pool.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from edgenode.ledger import finality, membership
from edgenode.ledger.accounts import account, check_funds, check_transfer
from edgenode.ledger.accounts import carry_out as transfer_coins
from edgenode.ledger.block import CHANGES_LIMIT
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.headers import Entry
from edgenode.ledger.records import Overlay
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import Coinbase, Transaction, Transfer, Update
from edgenode.ledger.validation import (
    State,
    ancestors,
    base_age,
    check_in_chain,
    check_update,
    check_update_member,
)

TRANSFERS_LIMIT = 4096
"""Waiting transfers, sixteen full blocks of them; they cost memory, and anyone with coins may
send one."""

SEQUENCES_AHEAD = 64
"""Transfers of one sender that wait: a block's fill."""

CHANGES_AHEAD = 64
"""Enrolments and revocations that wait: a roll-out's worth, handed in at once."""

REPLACEMENTS_LIMIT = 16
"""Times that a better transaction may take a slot on one head: each costs every node a signature,
a write and its relay, and its maker nothing."""

Waiting = Update | Transfer | Enrolment | Revocation | Endorsement

Slot = tuple[object, ...]
"""What at most one transaction can have in a chain: (model, member, base), (sender, sequence) …"""


def slot(transaction: Waiting) -> Slot:
    """The slot of a transaction."""
    match transaction:
        case Update():
            return ("update", *transaction.once)
        case Transfer():
            return ("transfer", transaction.sender, transaction.sequence)
        case Enrolment() | Revocation():
            return ("change", transaction.sequence)
        case Endorsement():
            return ("endorsement", transaction.member, transaction.target_height)


def _rank(transaction: Waiting) -> tuple[int, bytes]:
    """Of two in one slot the one of lower rank waits; of all transfers the highest leave."""
    fee = transaction.fee if isinstance(transaction, Transfer) else 0
    return -fee, transaction.id


class PoolFullError(Exception):
    """The mempool has no room for this transfer; offer a higher fee, or try again later."""


class Mempool:
    """Transactions that could stand in the next blocks.

    An update waits here only once its payload is at hand. Members and bases bound the number of
    updates and endorsements, `CHANGES_AHEAD` that of enrolments; transfers have limits.
    """

    def __init__(self, genesis: Genesis, lookup: Callable[[bytes], Entry | None]) -> None:
        """Start empty; `lookup` finds a known header by block id."""
        self._genesis = genesis
        self._lookup = lookup
        self._waiting: dict[bytes, Waiting] = {}
        self._slots: dict[Slot, bytes] = {}
        self._replaced: Counter[Slot] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._waiting

    def get(self, transaction_id: bytes) -> Waiting | None:
        """A waiting transaction by id."""
        return self._waiting.get(transaction_id)

    def has_another(self, transaction: Waiting) -> bool:
        """Whether another transaction waits in this one's slot."""
        return self._slots.get(slot(transaction), transaction.id) != transaction.id

    def ids(self) -> list[bytes]:
        """The ids of all that wait."""
        return list(self._waiting)

    def check(self, transaction: Waiting, state: State) -> None:
        """Whether this transaction could wait here, its payload aside.

        Raises:
            Rejected: it violates a rule on top of `state`, or a better one has its slot.
            PoolFullError: too many transfers wait that offer as much.
        """
        self._check_alone(transaction, state)
        there = self._waiting.get(self._slots.get(slot(transaction), b""))
        if there is not None and _rank(there) < _rank(transaction):
            raise Rejected(_taken(transaction), "another one already waits in its place")
        if self._replaced[slot(transaction)] >= REPLACEMENTS_LIMIT:
            raise Rejected(
                _taken(transaction), f"{REPLACEMENTS_LIMIT} others have waited in its place"
            )
        if isinstance(transaction, Transfer) and there is None:
            transfers = self._transfers()
            if len(transfers) >= TRANSFERS_LIMIT and _rank(transaction) > _rank(transfers[-1]):
                raise PoolFullError(
                    f"{TRANSFERS_LIMIT} transfers wait already, with fees of at least "
                    f"{transfers[-1].fee}"
                )

    def _check_alone(self, transaction: Waiting, state: State) -> None:
        genesis, records = self._genesis, state.records
        match transaction:
            case Update():
                check_update(genesis, transaction)
                check_update_member(records, transaction)
                check_in_chain(genesis, records, transaction, state.entry, self._lookup)
            case Transfer():
                check_transfer(transaction, genesis.id)
                sender = account(records, transaction.sender)
                ahead = transaction.sequence - sender.sequence
                if not 0 <= ahead < SEQUENCES_AHEAD:
                    raise Rejected(
                        Rule.TRANSFER_SEQUENCE,
                        f"sequence {transaction.sequence}; the next is {sender.sequence}",
                    )
                check_funds(genesis, records, transaction)
            case Enrolment() | Revocation():
                ahead = transaction.sequence - membership.changes_made(records)
                if ahead == 0:
                    # What can never be carried out would hold its slot, and all after it, for ever.
                    membership.check_due(genesis, records, transaction, state.entry.height + 1)
                    return
                membership.check_change(genesis, transaction)
                if not 0 < ahead < CHANGES_AHEAD:
                    raise Rejected(
                        Rule.AUTHORITY_SEQUENCE,
                        f"sequence {transaction.sequence}; the next is "
                        f"{transaction.sequence - ahead}",
                    )
            case Endorsement():
                finality.check_endorsement(
                    genesis,
                    records,
                    transaction,
                    state.entry.height + 1,
                    ancestors(state.entry, self._lookup),
                )

    def add(self, transaction: Waiting, state: State) -> list[Waiting]:
        """Let a transaction wait, an update once its payload was checked; raises as `check`.

        Returns:
            What waits no longer instead of it.
        """
        if transaction.id in self._waiting:
            return []
        self.check(transaction, state)
        return self.keep(transaction)

    def keep(self, transaction: Waiting) -> list[Waiting]:
        """Let a transaction wait that `check` has let pass just now; returns as `add`."""
        if transaction.id in self._waiting:
            return []
        gone = []
        if (there := self._slots.get(slot(transaction))) is not None:
            gone.append(self._remove(there))
            self._replaced[slot(transaction)] += 1
        self._waiting[transaction.id] = transaction
        self._slots[slot(transaction)] = transaction.id
        if isinstance(transaction, Transfer):
            gone += [self._remove(t.id) for t in self._transfers()[TRANSFERS_LIMIT:]]
        return gone

    def _remove(self, transaction_id: bytes) -> Waiting:
        transaction = self._waiting.pop(transaction_id)
        del self._slots[slot(transaction)]
        return transaction

    def _transfers(self) -> list[Transfer]:
        """The waiting transfers, best first."""
        return sorted((t for t in self._waiting.values() if isinstance(t, Transfer)), key=_rank)

    def drop_payload(self, payload: bytes) -> list[bytes]:
        """Drop the updates with this payload (content id); returns their ids."""
        dropped = [
            t.id for t in self._waiting.values() if isinstance(t, Update) and t.payload == payload
        ]
        for transaction_id in dropped:
            self._remove(transaction_id)
        return dropped

    def follow(
        self, state: State, disconnected: Iterable[Transaction]
    ) -> list[tuple[Waiting, Rejected]]:
        """Adapt to a new head: offer again what was undone, drop what no longer holds.

        Returns:
            What was dropped, with the reason.
        """
        offered = [
            *self._waiting.values(),
            *(t for t in disconnected if not isinstance(t, Coinbase)),
        ]
        self._waiting, self._slots = {}, {}
        self._replaced.clear()
        dropped: list[tuple[Waiting, Rejected]] = []
        for transaction in offered:
            try:
                gone = self.add(transaction, state)
            except Rejected as rejected:
                dropped.append((transaction, rejected))
            except PoolFullError:
                dropped.append((transaction, Rejected(Rule.TRANSFER_COUNT, "the pool is full")))
            else:
                dropped += [(t, Rejected(_taken(t), "a better one waits")) for t in gone]
        return dropped

    def select(self, state: State) -> list[Waiting]:
        """The transactions of the next block, in an order in which they are valid.

        Freshest updates first, then transfers by fee as far as sequences and balances allow,
        changes in sequence, and endorsements.
        """

        def age(update: Update) -> int:
            return base_age(self._genesis, update.base, state.entry, self._lookup)

        waiting = sorted(self._waiting.values(), key=lambda t: t.id)
        updates = sorted((t for t in waiting if isinstance(t, Update)), key=age)
        endorsements = [t for t in waiting if isinstance(t, Endorsement)]
        return [
            *updates[: self._genesis.updates_per_block],
            *self._payable(state),
            *self._due(state),
            *endorsements[: self._genesis.endorsements_per_block],
        ]

    def _payable(self, state: State) -> list[Transfer]:
        records = Overlay(state.records)
        of_sender: dict[bytes, list[Transfer]] = {}
        for transfer in self._transfers():
            of_sender.setdefault(transfer.sender, []).append(transfer)
        next_ones: list[tuple[tuple[int, bytes], Transfer, Iterator[Transfer]]] = []

        def push(rest: Iterator[Transfer]) -> None:
            for following in rest:
                heapq.heappush(next_ones, (_rank(following), following, rest))
                return

        for of_one in of_sender.values():
            push(iter(sorted(of_one, key=lambda t: t.sequence)))
        selected: list[Transfer] = []
        while next_ones and len(selected) < self._genesis.transfers_per_block:
            _, transfer, rest = heapq.heappop(next_ones)
            try:
                transfer_coins(self._genesis, records, transfer)
            except Rejected:
                continue  # and with it all that the sender wants after it
            selected.append(transfer)
            push(rest)
        return selected

    def _due(self, state: State) -> list[Enrolment | Revocation]:
        records = Overlay(state.records)
        height, settled = state.entry.height + 1, finality.final(state.records).height
        selected: list[Enrolment | Revocation] = []
        changes = [t for t in self._waiting.values() if isinstance(t, Enrolment | Revocation)]
        for change in sorted(changes, key=lambda t: t.sequence):
            try:
                membership.carry_out(self._genesis, records, change, height, settled)
            except Rejected:
                break  # it waits, for its turn or for finality, and with it all after it
            selected.append(change)
        return selected[:CHANGES_LIMIT]


def _taken(transaction: Waiting) -> Rule:
    """The rule by which a transaction is refused whose slot is taken."""
    match transaction:
        case Update():
            return Rule.UPDATE_REPEATED
        case Transfer():
            return Rule.TRANSFER_SEQUENCE
        case Enrolment() | Revocation():
            return Rule.AUTHORITY_SEQUENCE
        case Endorsement():
            return Rule.ENDORSEMENT_REPEATED
