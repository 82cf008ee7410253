"""The handshake that makes a channel: four messages, after which both nodes know each other's key.

    A                                             B
    Hello (nonce)                        ───►     answers, keeps nothing
                                         ◄───     Welcome (nonce, cookie)
    Offer (cookie, ephemeral key, A,     ───►     proven: A reads what is sent to its address,
           signed)                                and holds its member key
    proven: B holds its member key       ◄───     Accept (ephemeral key, B, signed)
    first datagram of the channel        ───►     proven: A has the channel

The channel's keys come from both ephemeral keys (X25519), the ward key, and every byte of the offer
and the acceptance: a signed Diffie-Hellman exchange in the manner of SIGMA (Krawczyk, 2003). Who
steals a member key or the ward key later cannot read what was recorded.
"""

import hashlib
import hmac
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.keys import MemberKey
from edgenode.protocol import handshake_messages
from edgenode.protocol.budget import Budget
from edgenode.protocol.channel import Channel
from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.gate import Gate
from edgenode.protocol.handshake_messages import (
    COOKIE_BYTES,
    EPHEMERAL_BYTES,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    Accept,
    HandshakeMessage,
    Hello,
    Introduction,
    Offer,
    Welcome,
)
from edgenode.protocol.layout import Layout
from edgenode.protocol.round_trip import RoundTrip
from edgenode.protocol.traffic import MessageCounts
from edgenode.protocol.wire import Address

COOKIE_TIME = 120.0
"""Seconds after which cookies are made with another secret; those of the last one still count."""

HELLOS_REMEMBERED = 512
"""Hellos whose nonce is still waited for: two to each address of a full book."""

OFFERS_LIMIT = 64
"""Own offers that wait for an answer: as many as there can be sessions."""

OFFERS_TO_SITE = 16
"""Of them to one host: who answers on many ports must not take all."""

OWN_OFFERS_PER_SECOND = 20.0
OWN_OFFERS_AT_ONCE = 64
"""Offers that this node makes: each is signed."""

ACCEPT_TRIES = 4
"""Acceptances of one offer whose signature is checked."""

OFFER_TRIES = 6
"""Times that an offer is sent; at 40 % loss each way all fail once in 15 times, and the next hello
begins anew."""

OFFERS_PER_SECOND = 50.0
"""Offers of others that are looked at: two operations on curves each, a tenth of a Pi 4's core."""

OFFERS_AT_ONCE = 128
"""A node that starts is knocked at by a whole ward."""

SITE_OFFERS_PER_SECOND = 5.0
SITE_OFFERS_AT_ONCE = 40
"""Of them from one host: a ward behind one router starts at once."""

SITES_REMEMBERED = 256

REFUSED_REMEMBERED = 512
"""Offers that came to nothing, so that recordings of them are not looked at again."""

UNCONFIRMED_TIME = 30.0
"""Seconds for which a channel waits for its first datagram: statuses come more often."""

UNCONFIRMED_LIMIT = 128
"""Channels that wait so, 2 kB each."""


@dataclass(frozen=True, slots=True)
class Established:
    """A channel, and to whom: both sides have shown that they hold their member's key.

    `address` is where the handshake's datagrams came from.
    """

    who: Introduction
    address: Address
    channel: Channel


Admit = Callable[[Introduction, Address, bool], None]


@dataclass(slots=True)
class _Knock:
    """A hello of this node's that is not answered."""

    address: Address
    at: float
    elsewhere: bool = False
    """Whether it was answered from another address, which then was knocked at."""


@dataclass(slots=True)
class _Offered:
    """An offer of this node's that is not answered."""

    address: Address
    offer: Offer
    private: X25519PrivateKey
    round_trip: RoundTrip
    again_at: float
    sent: int = 1
    tries: int = 0


@dataclass(slots=True)
class _Answered:
    """An offer of another node that this one has accepted."""

    at: float
    acceptance: bytes
    index: int


class Handshakes:
    """All handshakes of a node, those that it began and those that others did.

    Attributes:
        instance: The random number of this run of the node.
        outbox: Datagrams to send, with their destination.
        offers_made: How many offers this node has made.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        genesis_id: bytes,
        key: MemberKey,
        layout: Layout,
        rng: random.Random,
        now: float,
        counts: MessageCounts | None = None,
    ) -> None:
        """Begin without any; what is said is counted in `counts`."""
        self._counts = counts or MessageCounts()
        self._gate = gate
        self._genesis_id = genesis_id
        self._key = key
        self.layout = layout
        self._rng = rng
        self.instance = rng.getrandbits(64)
        self.outbox: list[tuple[Address, bytes]] = []
        self._secrets = [rng.randbytes(32), rng.randbytes(32)]
        self._secret_at = now
        self._budget = Budget(OFFERS_PER_SECOND, OFFERS_AT_ONCE, now)
        self._site_budgets: OrderedDict[str, Budget] = OrderedDict()
        self._own_budget = Budget(OWN_OFFERS_PER_SECOND, OWN_OFFERS_AT_ONCE, now)
        self._refused: OrderedDict[Offer, None] = OrderedDict()
        self.offers_made = 0
        self._knocks: OrderedDict[bytes, _Knock] = OrderedDict()
        self._offered: dict[int, _Offered] = {}
        self._answered: OrderedDict[Offer, _Answered] = OrderedDict()
        self._unconfirmed: dict[int, Established] = {}
        self._indices: set[int] = set()

    # What this node does

    def knock(self, address: Address, now: float) -> None:
        """Ask for a session there, unless an offer there is waiting already."""
        if self._has_offered(address):
            return
        nonce = self._rng.randbytes(NONCE_BYTES)
        self._knocks[nonce] = _Knock(address, now)
        if len(self._knocks) > HELLOS_REMEMBERED:
            self._knocks.popitem(last=False)
        self._send(address, Hello(nonce))

    def unconfirmed(self, index: int) -> Established | None:
        """What this node has accepted under this index, while no datagram has come through."""
        return self._unconfirmed.get(index)

    def confirm(self, index: int) -> None:
        """A datagram came through the channel with this index: it waits no longer."""
        self._unconfirmed.pop(index, None)

    def release(self, index: int) -> None:
        """The channel with this index is no more."""
        self._indices.discard(index)

    def tick(self, now: float) -> None:
        """Say offers again that were not answered, forget what has waited too long."""
        self._change_secret(now)
        for index, offered in list(self._offered.items()):
            if now < offered.again_at:
                continue
            if offered.sent >= OFFER_TRIES:
                self._forget_offer(index)
                continue
            offered.sent += 1
            self._counts.resent["offer"] += 1
            offered.round_trip.back_off()
            offered.again_at = now + offered.round_trip.timeout
            self._send(offered.address, offered.offer)
        while self._answered:
            offer, answered = next(iter(self._answered.items()))  # the oldest
            if now - answered.at <= UNCONFIRMED_TIME:
                break
            self._forget_answer(offer)

    def deadline(self) -> float | None:
        """When `tick` should be called at the latest."""
        times = [offered.again_at for offered in self._offered.values()]
        times += [answered.at + UNCONFIRMED_TIME for answered in islice(self._answered.values(), 1)]
        return min(times, default=None)

    # What others do

    def receive(
        self,
        source: Address,
        datagram: bytes,
        now: float,
        admit: Admit,
        *,
        known: bool = False,
    ) -> Established | None:
        """Take in a datagram of the gate; a channel comes out when it is made here.

        `admit` is called with who comes, from where, and whether this node knocked, before anything
        is kept of them; it raises `Dropped` for whom there is no place. `known` says that there is
        a session with that host, or that it is a seed's: strangers do not use up its budget.

        Raises:
            Dropped: it leads to nothing.
        """
        try:
            message = handshake_messages.decode(self._gate.open(datagram))
        except MalformedError:
            raise Dropped(Drop.MALFORMED) from None
        self._counts.received[_name(message)] += 1
        match message:
            case Hello():
                self._greeted(source, message, now, known=known)
            case Welcome():
                self._welcomed(source, message, now)
            case Offer():
                self._offer_came(source, message, now, admit, known=known)
            case Accept():
                return self._accepted(source, message, now, admit)
        return None

    def _greeted(self, source: Address, hello: Hello, now: float, *, known: bool) -> None:
        """Somebody knocks: answer, and keep nothing."""
        if hello.version != PROTOCOL_VERSION:
            raise Dropped(Drop.OTHER_VERSION)
        if not self.layout.sync:
            raise Dropped(Drop.NOT_SERVED)
        if not self.layout.is_open and not known:
            raise Dropped(Drop.NO_SEED)
        self._change_secret(now)
        cookie = self._cookie(self._secrets[0], source, hello.nonce)
        self._send(source, Welcome(hello.nonce, cookie))

    def _welcomed(self, source: Address, welcome: Welcome, now: float) -> None:
        """Our knock was answered: say who we are."""
        if welcome.version != PROTOCOL_VERSION:
            raise Dropped(Drop.OTHER_VERSION)
        knock = self._knocks.get(welcome.nonce)
        if knock is None:
            raise Dropped(Drop.UNASKED)
        if self._is_own(welcome.cookie, source, welcome.nonce):
            # Its own answer to its own hello: the address is its own, or somebody reflects them.
            raise Dropped(Drop.ITSELF)
        if knock.address != source:
            # A node with several addresses answers from another one than was knocked at. One
            # knock there, as long as this welcome, proves that address as well.
            if not knock.elsewhere:
                knock.elsewhere = True
                self.knock(source, now)
            raise Dropped(Drop.UNASKED)
        del self._knocks[welcome.nonce]
        if self._has_offered(source):
            raise Dropped(Drop.UNASKED)  # several knocks were answered; one is enough
        to_site = sum(o.address.site == source.site for o in self._offered.values())
        if (
            len(self._offered) >= OFFERS_LIMIT
            or to_site >= OFFERS_TO_SITE
            or not self._own_budget.take(1, now)
        ):
            raise Dropped(Drop.TOO_MANY_OFFERS)
        self.offers_made += 1
        private = self._ephemeral()
        index = self._draw_index()
        offer = Offer(welcome.nonce, welcome.cookie, _public(private), self._introduction(index))
        who = offer.introduction.signed(self._key, offer.context(self._genesis_id))
        offer = replace(offer, introduction=who)
        round_trip = RoundTrip()
        round_trip.sample(now - knock.at)
        self._offered[index] = _Offered(
            source, offer, private, round_trip, now + round_trip.timeout
        )
        self._send(source, offer)

    def _offer_came(
        self, source: Address, offer: Offer, now: float, admit: Admit, *, known: bool
    ) -> None:
        """Our welcome was read at this address: see who it is, and say who we are."""
        self._change_secret(now)
        if not self._is_own(offer.cookie, source, offer.nonce):
            raise Dropped(Drop.NO_COOKIE)
        answered = self._answered.get(offer)
        if answered is not None:
            self._counts.sent["accept"] += 1
            self._counts.resent["accept"] += 1
            self.outbox.append((source, answered.acceptance))
            return
        if offer in self._refused:
            raise Dropped(Drop.REFUSED_BEFORE)
        if not self._may_look(source, now, known=known):
            raise Dropped(Drop.TOO_MANY_OFFERS)
        try:
            self._accept(source, offer, now, admit)
        except Dropped:
            self._refused[offer] = None
            if len(self._refused) > REFUSED_REMEMBERED:
                self._refused.popitem(last=False)
            raise

    def _may_look(self, source: Address, now: float, *, known: bool) -> bool:
        """Whether the budgets allow to look at an offer more, from this host and at all."""
        where = source.site
        budget = self._site_budgets.get(where)
        if budget is None:
            budget = Budget(SITE_OFFERS_PER_SECOND, SITE_OFFERS_AT_ONCE, now)
            self._site_budgets[where] = budget
        self._site_budgets.move_to_end(where)
        if len(self._site_budgets) > SITES_REMEMBERED:
            self._site_budgets.popitem(last=False)
        return budget.take(1, now) and (known or self._budget.take(1, now))

    def _accept(self, source: Address, offer: Offer, now: float, admit: Admit) -> None:
        who = offer.introduction
        if not who.is_signed(offer.context(self._genesis_id)):
            raise Dropped(Drop.FORGED)
        if (who.member, who.instance) == (self._key.public, self.instance):
            self._forget_offer(who.index)
            raise Dropped(Drop.ITSELF)
        admit(who, source, False)
        private = self._ephemeral()
        index = self._draw_index()
        accept = Accept(who.index, _public(private), self._introduction(index))
        own = accept.introduction.signed(self._key, accept.context(self._genesis_id, offer))
        accept = replace(accept, introduction=own)
        try:
            asker_key, answerer_key = self._keys(private, offer.ephemeral, offer, accept)
        except Dropped:
            self.release(index)
            raise
        channel = Channel(
            local=index,
            remote=who.index,
            sending=answerer_key,
            receiving=asker_key,
            made=now,
            asked=False,
        )
        acceptance = self._gate.seal(handshake_messages.encode(accept))
        self._answered[offer] = _Answered(now, acceptance, index)
        self._unconfirmed[index] = Established(who, source, channel)
        if len(self._answered) > UNCONFIRMED_LIMIT:
            self._forget_answer(next(iter(self._answered)))
        self._counts.sent["accept"] += 1
        self.outbox.append((source, acceptance))

    def _accepted(self, source: Address, accept: Accept, now: float, admit: Admit) -> Established:
        """Our offer was accepted: the channel stands here."""
        offered = self._offered.get(accept.index)
        if offered is None or offered.address != source:
            raise Dropped(Drop.UNASKED)
        who = accept.introduction
        offered.tries += 1
        if offered.tries > ACCEPT_TRIES:
            self._forget_offer(accept.index)
            raise Dropped(Drop.TOO_MANY_OFFERS)
        if not who.is_signed(accept.context(self._genesis_id, offered.offer)):
            raise Dropped(Drop.FORGED)
        try:
            admit(who, source, True)
        except Dropped:
            self._forget_offer(accept.index)
            raise
        asker_key, answerer_key = self._keys(
            offered.private, accept.ephemeral, offered.offer, accept
        )
        del self._offered[accept.index]  # its index is the channel's from now on
        channel = Channel(
            local=accept.index,
            remote=who.index,
            sending=asker_key,
            receiving=answerer_key,
            made=now,
            asked=True,
        )
        return Established(who, source, channel)

    def _keys(
        self, private: X25519PrivateKey, public: bytes, offer: Offer, accept: Accept
    ) -> tuple[bytes, bytes]:
        """The keys for what the asking node sends, and for what the answering one does."""
        try:
            shared = private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:
            # A point of small order: what comes of it anybody knows.
            raise Dropped(Drop.FORGED) from None
        said = hashlib.sha256(offer.encode() + accept.encode()).digest()
        keys = HKDF(SHA256(), 64, said, b"edgenode session").derive(shared + self._gate.secret)
        return keys[:32], keys[32:]

    def _cookie(self, secret: bytes, source: Address, nonce: bytes) -> bytes:
        """What only this node, with this secret, could say of this address and hello."""
        return hmac.digest(secret, nonce + str(source).encode(), "sha256")[:COOKIE_BYTES]

    def _is_own(self, cookie: bytes, source: Address, nonce: bytes) -> bool:
        """Whether this node has made the cookie, for this address and hello, not too long ago."""
        return any(
            hmac.compare_digest(cookie, self._cookie(secret, source, nonce))
            for secret in self._secrets
        )

    def _change_secret(self, now: float) -> None:
        if now - self._secret_at > 2 * COOKIE_TIME:
            self._secrets[0] = self._rng.randbytes(32)  # both are too old
        if now - self._secret_at > COOKIE_TIME:
            self._secrets = [self._rng.randbytes(32), self._secrets[0]]
            self._secret_at = now

    def _has_offered(self, address: Address) -> bool:
        """Whether an offer to this address waits for its answer."""
        return any(offered.address == address for offered in self._offered.values())

    def _introduction(self, index: int) -> Introduction:
        return Introduction(self._key.public, self.instance, index, self.layout)

    def _ephemeral(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self._rng.randbytes(EPHEMERAL_BYTES))

    def _draw_index(self) -> int:
        while (index := self._rng.getrandbits(32)) in self._indices:
            pass
        self._indices.add(index)
        return index

    def _forget_offer(self, index: int) -> None:
        if self._offered.pop(index, None) is not None:
            self.release(index)

    def _forget_answer(self, offer: Offer) -> None:
        index = self._answered.pop(offer).index
        if self._unconfirmed.pop(index, None) is not None:
            self.release(index)

    def _send(self, address: Address, message: HandshakeMessage) -> None:
        self._counts.sent[_name(message)] += 1
        self.outbox.append((address, self._gate.seal(handshake_messages.encode(message))))


def _name(message: HandshakeMessage) -> str:
    return type(message).__name__.lower()


def _public(private: X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()
