"""The mempool: valid transactions that wait for a block."""

from collections.abc import Callable, Iterable

from edgenode.ledger.accounts import Accounts, Bookkeeping
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.headers import Entry
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import Coinbase, Transaction, Transfer, Update
from edgenode.ledger.validation import Once, State, base_age, check_update

TRANSFERS_LIMIT = 4096
"""Waiting transfers, sixteen full blocks of them; they cost memory, and anyone with coins may
send one. What a reorganisation undoes comes on top."""


class PoolFullError(Exception):
    """The mempool has no room for another transfer; try again after the next blocks."""


class Mempool:
    """Updates and transfers that could stand in the next block.

    An update waits here only once its payload is at hand. Members and bases bound the number
    of updates: each member has at most one for each model and each base that is not stale.
    """

    def __init__(self, genesis: Genesis, lookup: Callable[[bytes], Entry | None]) -> None:
        """Start empty; `lookup` finds a known header by block id."""
        self._genesis = genesis
        self._lookup = lookup
        self._updates: dict[bytes, Update] = {}
        self._once: dict[Once, bytes] = {}
        self._transfers: dict[bytes, Transfer] = {}
        self._books = Bookkeeping({})
        self._books_on: Accounts | None = None

    def __len__(self) -> int:
        return len(self._updates) + len(self._transfers)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._updates or transaction_id in self._transfers

    def get(self, transaction_id: bytes) -> Transaction | None:
        """A waiting transaction by id."""
        return self._updates.get(transaction_id) or self._transfers.get(transaction_id)

    def ids(self) -> list[bytes]:
        """The ids of all that wait, updates first."""
        return [*self._updates, *self._transfers]

    def check_update(self, update: Update, state: State) -> None:
        """Whether this update could wait here, its payload aside.

        Raises:
            Rejected: it violates a rule on top of `state`, or repeats one that waits.
        """
        check_update(self._genesis, update)
        base_age(self._genesis, update.base, state.entry, self._lookup)
        if update.once in state.counted:
            raise Rejected(Rule.UPDATE_REPEATED, "the member's update on this base is counted")
        if self._once.get(update.once, update.id) != update.id:
            raise Rejected(Rule.UPDATE_REPEATED, "another update on this base already waits")

    def add_update(self, update: Update, state: State) -> None:
        """Let an update wait whose payload was checked; raises as `check_update`."""
        self.check_update(update, state)
        self._updates[update.id] = update
        self._once[update.once] = update.id

    def drop_payload(self, payload: bytes) -> list[bytes]:
        """Drop the updates with this payload (content id); returns their ids."""
        dropped = [update for update in self._updates.values() if update.payload == payload]
        for update in dropped:
            del self._updates[update.id]
            del self._once[update.once]
        return [update.id for update in dropped]

    def check_transfer(self, transfer: Transfer, state: State) -> None:
        """Whether this transfer could wait here.

        Raises:
            Rejected: it cannot follow the transfers that already wait on top of `state`.
            PoolFullError: too many wait.
        """
        if len(self._transfers) >= TRANSFERS_LIMIT:
            raise PoolFullError(f"{TRANSFERS_LIMIT} transfers wait already")
        self._waiting_books(state).copy().transfer(transfer, self._genesis.id)

    def add_transfer(self, transfer: Transfer, state: State) -> None:
        """Let a transfer wait; raises as `check_transfer`."""
        if transfer.id not in self._transfers:
            self.check_transfer(transfer, state)
            self._waiting_books(state).transfer(transfer, self._genesis.id)
            self._transfers[transfer.id] = transfer

    def _waiting_books(self, state: State) -> Bookkeeping:
        """The accounts after all that waits, on top of this state; kept while it stays."""
        if self._books_on is not state.accounts:
            self._keep_books(state, list(self._transfers.values()))
        return self._books

    def _keep_books(
        self, state: State, transfers: list[Transfer]
    ) -> list[tuple[Transfer, Rejected]]:
        """Let these transfers wait, as far as they can in this order; returns the others."""
        self._books, self._books_on = Bookkeeping(state.accounts), state.accounts
        self._transfers = {}
        refused = []
        for transfer in transfers:
            try:
                self._books.transfer(transfer, self._genesis.id)
            except Rejected as rejected:
                refused.append((transfer, rejected))
            else:
                self._transfers[transfer.id] = transfer
        return refused

    def follow(
        self,
        state: State,
        disconnected: Iterable[Transaction],
    ) -> list[tuple[Transaction, Rejected]]:
        """Adapt to a new head: offer again what was undone, drop what no longer holds.

        Returns:
            What was dropped, with the reason; what is counted in the chain is not among it.
        """
        offered = [t for t in disconnected if not isinstance(t, Coinbase)]
        updates = [*self._updates.values(), *(t for t in offered if isinstance(t, Update))]
        # Undone transfers come first: those that wait may follow on them in sequence.
        transfers = [*(t for t in offered if isinstance(t, Transfer)), *self._transfers.values()]
        self._updates, self._once = {}, {}
        dropped: list[tuple[Transaction, Rejected]] = []
        for update in updates:
            try:
                self.add_update(update, state)
            except Rejected as rejected:
                if update.once not in state.counted:
                    dropped.append((update, rejected))
        for transfer, why in self._keep_books(state, transfers):
            if transfer.sequence >= self._books.account(transfer.sender).sequence:
                dropped.append((transfer, why))
        return dropped

    def select(self, state: State) -> list[Transaction]:
        """The transactions of the next block: freshest updates first, then transfers in order."""

        def age(update: Update) -> int:
            return base_age(self._genesis, update.base, state.entry, self._lookup)

        updates = sorted(self._updates.values(), key=lambda update: (age(update), update.id))
        transfers = list(self._transfers.values())
        return [
            *updates[: self._genesis.updates_per_block],
            *transfers[: self._genesis.transfers_per_block],
        ]
