"""Transactions on their way to the mempool: from a peer or from this box, payload included."""

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Protocol

from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.mempool import Mempool, PoolFullError, Waiting
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import Coinbase, Transaction, Transfer, Update, decode_transaction
from edgenode.ledger.validation import check_payload

log = logging.getLogger(__name__)

OFFERED_LIMIT = 256
"""Updates whose payload is being pulled: each holds a transaction of 170 bytes."""

REFUSED_LIMIT = 4096
"""Ids of refused transactions that are remembered, so that they are judged once."""

UNDONE_DEPTH = 64
"""Blocks below the head down to which a start looks for what a reorganisation has undone: as many
as an update may be old in any ward, and more than transfers need."""

PERHAPS_LATER = {
    Rule.UPDATE_BASE_UNKNOWN,
    Rule.UPDATE_MEMBER,
    Rule.TRANSFER_SEQUENCE,
    Rule.TRANSFER_BALANCE,
    Rule.TRANSFER_RESERVE,
    Rule.AUTHORITY_SEQUENCE,
    Rule.ENROLMENT_KEY,
    Rule.ENROLMENT_NAME,
    Rule.ENROLMENT_COUNT,
    Rule.REVOCATION_MEMBER,
    Rule.ENDORSEMENT_TARGET,
    Rule.ENDORSEMENT_SOURCE,
    Rule.ENDORSEMENT_MEMBER,
}
"""What can hold once the head has moved; asked for again then."""

NOT_THE_PEERS_FAULT = PERHAPS_LATER | {
    Rule.UPDATE_BASE_STALE,
    Rule.UPDATE_REPEATED,
    Rule.ENDORSEMENT_REPEATED,
}
"""What depends on the chain and on what waits: an honest peer may be ahead or behind, or have
seen another update or transfer first."""


class WaitingStore(Protocol):
    """Where waiting transactions survive a restart."""

    def add_waiting(self, transaction: Transaction, payload: bytes | None) -> None:
        """Keep a transaction, with its update's payload; durable when it returns."""

    def drop_waiting(self, transaction_ids: list[bytes]) -> None:
        """Forget transactions, and payloads that no block names."""

    def waiting(self) -> list[Transaction]:
        """What was kept, in order of arrival."""


@dataclass(slots=True)
class Offer:
    """An update whose payload is still missing, and the sessions of those who have it."""

    update: Update
    sources: set[int] = field(default_factory=set)


class Relay:
    """Judges transactions; keeps those that wait in step with the head."""

    def __init__(self, chain: Chain, mempool: Mempool, store: WaitingStore) -> None:
        """Take up what waited when the node stopped, as far as it still holds."""
        self._chain = chain
        self._mempool = mempool
        self._store = store
        self._refused: OrderedDict[bytes, None] = OrderedDict()
        self._postponed: set[bytes] = set()
        self.offers: OrderedDict[bytes, Offer] = OrderedDict()
        kept = store.waiting()
        for transaction in kept:
            self._restore(transaction)
        store.drop_waiting([t.id for t in kept if t.id not in mempool])
        for block in chain.beside(UNDONE_DEPTH):
            for transaction in block.transactions:
                self._take_undone(transaction)

    def knows(self, transaction_id: bytes) -> bool:
        """Whether there is nothing to learn about this transaction."""
        return (
            transaction_id in self._mempool
            or transaction_id in self._refused
            or transaction_id in self._postponed
            or transaction_id in self.offers
        )

    def offered(self, raw: bytes, session: int | None) -> Transaction | None:
        """A peer sent a transaction; returns it if it now waits in the mempool.

        An update whose payload is missing is noted in `offers`, if this peer can be asked for it:
        if it has a `session`.

        Raises:
            MalformedError: it does not parse, or is a coinbase.
            Rejected: it violates a rule.
        """
        transaction = decode_transaction(raw)
        if isinstance(transaction, Coinbase):
            raise MalformedError("a coinbase outside a block")
        if transaction.id in self.offers:
            if session is not None:
                self.offers[transaction.id].sources.add(session)
            return None
        if self.knows(transaction.id):
            return None
        try:
            if isinstance(transaction, Update):
                return self._offered_update(transaction, session)
            self.add(transaction)
        except PoolFullError:
            return None
        except Rejected as rejected:
            if rejected.rule not in PERHAPS_LATER:
                self._remember_refused(transaction.id)
            elif len(self._postponed) < REFUSED_LIMIT:
                self._postponed.add(transaction.id)
            raise
        return transaction

    def _offered_update(self, update: Update, session: int | None) -> Update | None:
        self._mempool.check(update, self._chain.state)
        payload = self._chain.payload(update.payload)
        if payload is not None:
            self.add_update(update, payload)
            return update
        if any(offer.update.once == update.once for offer in self.offers.values()):
            return None  # only one of them can ever count; the other is asked for again if it must
        if session is not None and len(self.offers) < OFFERED_LIMIT:
            self.offers[update.id] = Offer(update, {session})
        return None

    def vouched(self, transaction_id: bytes, session: int) -> None:
        """A peer says that a transaction waits there; of an offered update it has the payload."""
        if transaction_id in self.offers:
            self.offers[transaction_id].sources.add(session)

    def give_up(self, payload: bytes) -> None:
        """Let no update wait any more whose payload this is: it is not here as it was."""
        gone = self._mempool.drop_payload(payload)
        log.error(
            "updates wait no longer: their payload is gone",
            extra={"updates": len(gone), "payload": payload.hex()},
        )
        self._store.drop_waiting(gone)

    def source_left(self, session: int) -> None:
        """A session is over: what only it offered is offered no more."""
        for offer in list(self.offers.values()):
            offer.sources.discard(session)
            if not offer.sources:
                del self.offers[offer.update.id]

    def payload_came(
        self, name: bytes, payload: bytes
    ) -> tuple[list[Update], list[tuple[Offer, Rejected]]]:
        """The payload of content id `name` was pulled.

        Returns the updates that now wait, and the offers that the payload damns.
        """
        accepted: list[Update] = []
        damned: list[tuple[Offer, Rejected]] = []
        for offer in [o for o in self.offers.values() if o.update.payload == name]:
            del self.offers[offer.update.id]
            try:
                self.add_update(offer.update, payload)
            except Rejected as rejected:
                self._remember_refused(offer.update.id)
                damned.append((offer, rejected))
            else:
                accepted.append(offer.update)
        return accepted, damned

    def add_update(self, update: Update, payload: bytes) -> None:
        """Let an update wait, durably.

        Raises:
            Rejected: it or its payload violates a rule.
        """
        self._mempool.check(update, self._chain.state)
        check_payload(self._chain.genesis.models[update.model], update, payload)
        self._add(update, payload)

    def add(self, transaction: Transfer | Enrolment | Revocation | Endorsement) -> None:
        """Let a transaction without payload wait, durably.

        Raises:
            Rejected: it violates a rule on top of what waits.
            PoolFullError: there is no room.
        """
        self._mempool.check(transaction, self._chain.state)
        self._add(transaction, None)

    def _add(self, transaction: Waiting, payload: bytes | None) -> None:
        """Let a transaction wait that was checked."""
        self._store.add_waiting(transaction, payload)
        gone = self._mempool.keep(transaction)
        if gone:
            self._store.drop_waiting([t.id for t in gone])

    def follow(
        self, disconnected: list[Block], connected: list[Block]
    ) -> list[tuple[Waiting, Rejected]]:
        """Keep step with the head, which has moved and left these blocks, from the tip down.

        Returns:
            What no longer holds, with the reason; what the new blocks count is not among it.
        """
        self._postponed.clear()
        before = set(self._mempool.ids())
        undone = [t for block in disconnected[::-1] for t in block.transactions]
        dropped = self._mempool.follow(self._chain.state, undone)
        now = set(self._mempool.ids())
        for transaction in undone:
            if transaction.id in now - before:
                # Its payload is kept for the undone block already.
                payload = None
                if isinstance(transaction, Update):
                    payload = self._chain.payload(transaction.payload)
                self._store.add_waiting(transaction, payload)
        self._store.drop_waiting(list(before - now))
        for offer in list(self.offers.values()):
            try:
                self._mempool.check(offer.update, self._chain.state)
            except Rejected:
                del self.offers[offer.update.id]
        counted = {t.id for block in connected for t in block.transactions}
        return [(t, rejected) for t, rejected in dropped if t.id not in counted]

    def _take_undone(self, transaction: Transaction) -> None:
        """Let what a block beside the chain holds wait again, should it still hold.

        The chain gives such a block up in one step and the mempool takes its transactions back
        in another; the power may have gone in between.
        """
        if isinstance(transaction, Coinbase) or transaction.id in self._mempool:
            return
        try:
            if not isinstance(transaction, Update):
                self.add(transaction)
                return
            payload = self._chain.payload(transaction.payload)
            if payload is not None:
                self.add_update(transaction, payload)
        except (Rejected, PoolFullError):
            return  # counted in the chain, most likely; if not, too old or another waits

    def _restore(self, transaction: Transaction) -> None:
        try:
            if not isinstance(transaction, Coinbase):
                self._mempool.add(transaction, self._chain.state)
        except (Rejected, PoolFullError):
            self._remember_refused(transaction.id)

    def _remember_refused(self, transaction_id: bytes) -> None:
        self._refused[transaction_id] = None
        if len(self._refused) > REFUSED_LIMIT:
            self._refused.popitem(last=False)
