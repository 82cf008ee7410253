"""The handshake: who gets a channel with whom, whatever is lost, recorded, changed or made up."""

import random
from dataclasses import dataclass, replace

import pytest

from edgenode.ledger.keys import MemberKey
from edgenode.protocol import handshake, handshake_messages
from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.gate import Gate
from edgenode.protocol.handshake import (
    ACCEPT_TRIES,
    COOKIE_TIME,
    OFFER_TRIES,
    OFFERS_AT_ONCE,
    OFFERS_TO_SITE,
    OWN_OFFERS_AT_ONCE,
    REFUSED_REMEMBERED,
    SITE_OFFERS_AT_ONCE,
    UNCONFIRMED_LIMIT,
    UNCONFIRMED_TIME,
    Established,
    Handshakes,
)
from edgenode.protocol.handshake_messages import Accept, Hello, Offer, Welcome
from edgenode.protocol.layout import SAME_HOST, Layout
from edgenode.protocol.wire import Address

GENESIS = bytes([5]) * 32
SMALL_ORDER = bytes(32)


def everybody(who, address, knocked):
    """Admits whoever comes."""


class Side:
    """One node's handshakes, at an address."""

    def __init__(self, number: int, *, key: MemberKey | None = None, genesis: bytes = GENESIS):
        rng = random.Random(number)
        self.key = key or MemberKey(bytes([number]) * 32)
        self.address = Address(f"10.0.0.{number}", 7070)
        self.gate = Gate(bytes(32), genesis, rng.randbytes)
        self.handshakes = Handshakes(
            gate=self.gate,
            genesis_id=genesis,
            key=self.key,
            layout=Layout(broadcast=Address(SAME_HOST, 7071)),
            rng=rng,
            now=0.0,
        )
        self.made: list[Established] = []

    def knock(self, other: "Side", now: float = 0.0) -> None:
        self.handshakes.knock(other.address, now)

    def sent(self) -> bytes:
        """The only datagram that it wants to send."""
        ((_, datagram),) = self.take()
        return datagram

    def take(self) -> list[tuple[Address, bytes]]:
        outbox, self.handshakes.outbox = self.handshakes.outbox, []
        return outbox

    def says(self, datagram: bytes):
        return handshake_messages.decode(self.gate.open(datagram))

    def hears(self, source: Address, datagram: bytes, now=0.0, admit=everybody) -> Drop | None:
        try:
            made = self.handshakes.receive(source, datagram, now, admit)
        except Dropped as dropped:
            return dropped.reason
        if made is not None:
            self.made.append(made)
        return None

    def sealed(self, message) -> bytes:
        return self.gate.seal(handshake_messages.encode(message))


@dataclass
class Recording:
    """An undisturbed handshake between A and B, and its datagrams."""

    a: Side
    b: Side
    hello: bytes
    welcome: bytes
    offer: bytes
    acceptance: bytes
    ephemeral_of_a: bytes


def recorded(a: Side | None = None, b: Side | None = None) -> Recording:
    a, b = a or Side(1), b or Side(2)
    a.knock(b)
    hello = a.sent()
    assert b.hears(a.address, hello) is None
    welcome = b.sent()
    assert a.hears(b.address, welcome) is None
    offer = a.sent()
    (offered,) = a.handshakes._offered.values()
    assert b.hears(a.address, offer) is None
    acceptance = b.sent()
    assert a.hears(b.address, acceptance) is None
    ephemeral = offered.private.private_bytes_raw()
    return Recording(a, b, hello, welcome, offer, acceptance, ephemeral)


def offering(a: Side, b: Side) -> None:
    """A knocks at B, is answered, and wants to send its offer."""
    a.knock(b)
    b.hears(a.address, a.sent())
    a.hears(b.address, b.sent())


def answerer_of(record: Recording) -> Established:
    """What B holds of the channel that A has."""
    waiting = [record.b.handshakes.unconfirmed(index) for index in record.b.handshakes._unconfirmed]
    return waiting[-1]


def test_both_sides_get_one_channel_and_know_with_whom():
    record = recorded()
    at_a, at_b = record.a.made[0], answerer_of(record)
    assert (at_a.who.member, at_b.who.member) == (record.b.key.public, record.a.key.public)
    assert (at_a.address, at_b.address) == (record.b.address, record.a.address)
    assert at_b.channel.open(at_a.channel.seal(b"to b"), 0.0) == b"to b"
    assert at_a.channel.open(at_b.channel.seal(b"to a"), 0.0) == b"to a"


def test_no_two_channels_share_a_key():
    a, b = Side(1), Side(2)
    channels = []
    for _ in range(3):
        record = recorded(a, b)
        channels.append((a.made[-1].channel, answerer_of(record).channel))
    for n, (one, _) in enumerate(channels):
        for m, (_, other) in enumerate(channels):
            if n != m:
                with pytest.raises(Dropped):
                    other.open(one.seal(b"x"), 0.0)


def test_a_welcome_is_as_long_as_its_hello_and_leaves_nothing():
    a, b = Side(1), Side(2)
    a.knock(b)
    hello = a.sent()
    for n in range(1000):
        b.hears(Address("10.9.9.9", n + 1), hello)
    assert {len(datagram) for _, datagram in b.take()} == {len(hello)}
    assert b.handshakes.deadline() is None
    assert not b.handshakes._indices


@pytest.mark.parametrize("lost", range(1, 2**OFFER_TRIES - 1))
def test_an_offer_is_said_again_until_it_is_answered(lost):
    """`lost` says, bit by bit, which of the offers get lost; acceptances never do."""
    a, b = Side(1), Side(2)
    a.knock(b)
    b.hears(a.address, a.sent())
    a.hears(b.address, b.sent(), 0.05)
    now = 0.05
    for attempt in range(OFFER_TRIES):
        offer = a.sent()
        if not lost >> attempt & 1:
            b.hears(a.address, offer, now)
            a.hears(b.address, b.sent(), now)
            break
        now = a.handshakes.deadline()
        a.handshakes.tick(now)
    assert len(a.made) == 1


def test_a_lost_acceptance_is_said_again_and_makes_the_same_channel():
    a, b = Side(1), Side(2)
    a.knock(b)
    b.hears(a.address, a.sent())
    a.hears(b.address, b.sent(), 0.05)
    b.hears(a.address, a.sent(), 0.1)
    first = b.sent()
    now = a.handshakes.deadline()
    a.handshakes.tick(now)
    b.hears(a.address, a.sent(), now)
    assert b.sent() == first
    assert len(b.handshakes._unconfirmed) == 1
    a.hears(b.address, first, now)
    assert a.hears(b.address, first, now) is Drop.UNASKED
    assert len(a.made) == 1


def test_an_offer_that_is_never_answered_is_given_up():
    a, b = Side(1), Side(2)
    a.knock(b)
    b.hears(a.address, a.sent())
    a.hears(b.address, b.sent(), 0.05)
    offers = len(a.take())
    while (deadline := a.handshakes.deadline()) is not None:
        a.handshakes.tick(deadline)
        offers += len(a.take())
    assert offers == OFFER_TRIES
    assert not a.handshakes._indices
    a.knock(b, 100.0)
    assert isinstance(a.says(a.sent()), Hello)


def test_who_is_offered_to_already_is_not_knocked_at():
    a, b = Side(1), Side(2)
    offering(a, b)
    a.take()
    a.knock(b)
    assert a.take() == []


def test_of_several_welcomes_one_is_taken():
    a, b = Side(1), Side(2)
    hellos = []
    for _ in range(3):
        a.knock(b)
        hellos.append(a.sent())
    for hello in hellos:
        b.hears(a.address, hello)
    reasons = [a.hears(b.address, welcome) for _, welcome in b.take()]
    assert reasons == [None, Drop.UNASKED, Drop.UNASKED]
    assert len(a.take()) == 1


def test_a_node_that_was_knocked_at_by_another_of_its_addresses_is_knocked_at_once_where_it_is():
    a, b = Side(1), Side(2)
    alias = Address("10.0.0.22", 7070)
    a.handshakes.knock(alias, 0.0)
    b.hears(a.address, a.sent())
    assert a.hears(b.address, b.sent()) is Drop.UNASKED
    ((address, datagram),) = a.take()
    assert address == b.address
    assert isinstance(a.says(datagram), Hello)


# Recordings


@pytest.mark.parametrize("what", ["hello", "welcome", "offer", "acceptance"])
def test_a_recorded_datagram_makes_no_channel_that_anybody_could_use(what):
    record = recorded()
    datagram = getattr(record, what)
    stranger = Address("10.6.6.6", 666)
    for side in (record.a, record.b):
        before = len(side.made)
        for source in (record.a.address, record.b.address, stranger):
            for now in (1.0, UNCONFIRMED_TIME + 2, 4 * COOKIE_TIME):
                side.hears(source, datagram, now)
                side.handshakes.tick(now)
        assert len(side.made) == before
    sealed = record.a.made[0].channel.seal(b"x")
    for waiting in record.b.handshakes._unconfirmed.values():
        with pytest.raises(Dropped):
            waiting.channel.open(sealed, 0.0)


def test_an_offer_that_is_played_again_later_never_meets_the_keys_of_the_first_time():
    record = recorded()
    said = record.a.made[0].channel.seal(b"secret")
    first = answerer_of(record)
    record.b.handshakes.tick(UNCONFIRMED_TIME + 1)
    assert record.b.handshakes.unconfirmed(first.channel.local) is None
    assert record.b.hears(record.a.address, record.offer, UNCONFIRMED_TIME + 2) is None
    assert record.b.sent() != record.acceptance
    with pytest.raises(Dropped):
        answerer_of(record).channel.open(said, 0.0)


def test_a_cookie_is_of_one_address_and_of_a_time():
    a, b = Side(1), Side(2)
    a.knock(b)
    hello = a.sent()
    b.hears(a.address, hello)
    a.hears(b.address, b.sent())
    offer = a.sent()
    assert b.hears(Address(a.address.host, 1), offer) is Drop.NO_COOKIE
    assert b.hears(Address("10.6.6.6", a.address.port), offer) is Drop.NO_COOKIE
    now = 0.0
    for _ in range(2):
        now += COOKIE_TIME + 1
        b.hears(a.address, hello, now)
    assert b.hears(a.address, offer, now) is Drop.NO_COOKIE


# Lies


def with_introduction(message, key, context, **changes):
    """The message, introducing somebody else, signed by `key`."""
    who = replace(message.introduction, **changes).signed(key, context)
    return replace(message, introduction=who)


def test_who_does_not_hold_the_key_that_an_offer_names_gets_no_channel():
    thief, b = Side(3), Side(2)
    victim = MemberKey(bytes([9]) * 32)
    offering(thief, b)
    offer = thief.says(thief.sent())
    context = offer.context(GENESIS)
    forged = with_introduction(offer, thief.key, context, member=victim.public)
    assert b.hears(thief.address, thief.sealed(forged)) is Drop.FORGED
    changed = replace(
        offer, introduction=replace(offer.introduction, instance=offer.introduction.instance ^ 1)
    )
    assert b.hears(thief.address, thief.sealed(changed)) is Drop.FORGED
    assert not b.handshakes._unconfirmed
    assert not b.handshakes._indices


def test_a_signature_of_one_handshake_is_none_of_another():
    record = recorded()
    a, b = record.a, record.b
    old = a.says(record.offer)
    a.knock(b, 1.0)
    b.hears(a.address, a.sent(), 1.0)
    a.hears(b.address, b.sent(), 1.0)
    offer = a.says(a.sent())
    mixed = replace(offer, introduction=old.introduction)
    assert b.hears(a.address, a.sealed(mixed), 1.0) is Drop.FORGED
    mixed = replace(offer, ephemeral=old.ephemeral)
    assert b.hears(a.address, a.sealed(mixed), 1.0) is Drop.FORGED


def test_who_does_not_hold_the_key_that_an_acceptance_names_gets_no_channel():
    a, thief = Side(1), Side(3)
    victim = MemberKey(bytes([9]) * 32)
    offering(a, thief)
    offer = a.says(sent := a.sent())
    thief.hears(a.address, sent)
    accept = thief.says(thief.sent())
    context = accept.context(GENESIS, offer)
    forged = with_introduction(accept, thief.key, context, member=victim.public)
    assert a.hears(thief.address, thief.sealed(forged)) is Drop.FORGED
    assert a.made == []
    # The genuine one still counts.
    assert a.hears(thief.address, thief.sealed(accept)) is None
    assert a.made[0].who.member == thief.key.public


def test_who_puts_its_own_name_into_the_offer_of_another_gets_a_channel_that_opens_nothing():
    """Identity misbinding: B would take A's words for those of the one in the middle."""
    a, b, middle = Side(1), Side(2), Side(3)
    offering(a, b)
    offer = a.says(a.sent())
    taken_over = with_introduction(
        offer, middle.key, offer.context(GENESIS), member=middle.key.public
    )
    assert b.hears(a.address, middle.sealed(taken_over)) is None
    acceptance = b.sent()
    # B has signed what it saw, which is not what A has said.
    assert a.hears(b.address, acceptance) is Drop.FORGED
    assert a.made == []


def test_who_puts_its_own_name_into_the_acceptance_of_another_gets_a_channel_that_opens_nothing():
    a, b, middle = Side(1), Side(2), Side(3)
    offering(a, b)
    offer = a.says(sent := a.sent())
    b.hears(a.address, sent)
    accept = b.says(b.sent())
    context = accept.context(GENESIS, offer)
    taken_over = with_introduction(accept, middle.key, context, member=middle.key.public)
    assert a.hears(b.address, middle.sealed(taken_over)) is None
    (waiting,) = b.handshakes._unconfirmed.values()
    with pytest.raises(Dropped):
        waiting.channel.open(a.made[0].channel.seal(b"for whom?"), 0.0)


def test_an_ephemeral_key_of_small_order_makes_no_channel():
    thief, b = Side(3), Side(2)
    offering(thief, b)
    offer = replace(thief.says(thief.sent()), ephemeral=SMALL_ORDER)
    signed = with_introduction(offer, thief.key, offer.context(GENESIS))
    assert b.hears(thief.address, thief.sealed(signed)) is Drop.FORGED
    assert not b.handshakes._indices

    a = Side(1)
    offering(a, thief)
    offer = a.says(sent := a.sent())
    thief.hears(a.address, sent)
    accept = replace(thief.says(thief.sent()), ephemeral=SMALL_ORDER)
    signed = with_introduction(accept, thief.key, accept.context(GENESIS, offer))
    assert a.hears(thief.address, thief.sealed(signed)) is Drop.FORGED
    assert a.made == []


def test_the_handshake_of_one_ward_is_silence_in_another():
    a, b = Side(1), Side(2, genesis=bytes([6]) * 32)
    a.knock(b)
    assert b.hears(a.address, a.sent()) is Drop.UNSEALED
    assert b.take() == []


@pytest.mark.parametrize("kind", [Hello, Welcome])
def test_another_version_is_told_apart_and_not_answered(kind):
    a, b = Side(1), Side(2)
    other = Hello(bytes(16), 99) if kind is Hello else Welcome(bytes(16), bytes(16), 99)
    assert b.hears(a.address, a.sealed(other)) is Drop.OTHER_VERSION
    assert b.take() == []


def test_a_node_that_meets_itself_notes_it_and_makes_no_channel():
    a = Side(1)
    a.handshakes.knock(a.address, 0.0)
    a.hears(a.address, a.sent())
    assert a.hears(a.address, a.sent()) is Drop.ITSELF
    assert a.take() == []
    assert a.handshakes.deadline() is None


def test_a_node_that_meets_itself_behind_a_router_notes_it_too():
    """Its datagrams come back from another address than it knocked at."""
    a, outside = Side(1), Address("192.0.2.1", 7070)
    a.handshakes.knock(outside, 0.0)
    a.hears(Address("192.0.2.1", 9999), a.sent())
    a.hears(outside, a.sent())
    assert a.hears(Address("192.0.2.1", 9999), a.sent()) is Drop.ITSELF
    assert a.take() == []
    assert not a.handshakes._indices


def test_reflected_datagrams_do_not_keep_a_node_from_its_session():
    """Somebody sends A's hello and A's own welcome back to it, as if B had."""
    a, b = Side(1), Side(2)
    a.knock(b)
    hello = a.sent()
    a.hears(b.address, hello)
    assert a.hears(b.address, a.sent()) is Drop.ITSELF
    b.hears(a.address, hello)
    assert a.hears(b.address, b.sent()) is None
    offer = a.sent()
    assert a.hears(b.address, offer) is Drop.NO_COOKIE
    b.hears(a.address, offer)
    assert a.hears(b.address, b.sent()) is None
    assert len(a.made) == 1


def test_a_clone_of_the_same_card_is_another_node():
    key = MemberKey(bytes(32))
    record = recorded(Side(1, key=key), Side(2, key=key))
    assert record.a.made[0].who.instance == record.b.handshakes.instance


def test_whom_the_node_does_not_admit_gets_nothing():
    a, b = Side(1), Side(2)

    def nobody(who, address, knocked):
        assert who.member == (b if knocked else a).key.public
        raise Dropped(Drop.REVOKED)

    offering(a, b)
    offer = a.sent()
    assert b.hears(a.address, offer, admit=nobody) is Drop.REVOKED
    assert b.take() == []
    assert b.hears(a.address, offer) is Drop.REFUSED_BEFORE
    c = Side(3)
    offering(a, c)
    c.hears(a.address, a.sent())

    def not_that_one(who, address, knocked):
        raise Dropped(Drop.REVOKED)

    acceptance = c.sent()
    assert a.hears(c.address, acceptance, admit=not_that_one) is Drop.REVOKED
    assert a.hears(c.address, acceptance) is Drop.UNASKED, "the offer is forgotten"
    assert a.made == []


# Bounds


def offers(b: Side, count: int, now: float = 0.0, hosts: int = 1000):
    """Good offers of so many nodes to B."""
    for n in range(count):
        side = Side(n % 250 + 1, key=MemberKey(n.to_bytes(32)))
        side.address = Address(f"10.7.{n % hosts}.7", n + 1)
        side.knock(b, now)
        b.hears(side.address, side.sent(), now)
        side.hears(b.address, b.sent(), now)
        yield side.address, side.sent()


def test_a_flood_of_offers_is_looked_at_no_faster_than_the_budget_allows():
    b = Side(2)
    flood = list(offers(b, OFFERS_AT_ONCE + 20, hosts=250))
    reasons = [b.hears(source, offer) for source, offer in flood]
    assert reasons == [None] * OFFERS_AT_ONCE + [Drop.TOO_MANY_OFFERS] * 20
    assert len(b.handshakes._unconfirmed) <= UNCONFIRMED_LIMIT
    a = Side(1)
    a.knock(b)
    b.hears(a.address, a.sent())
    a.hears(b.address, b.take()[-1][1])
    made = b.handshakes.receive(a.address, a.sent(), 0.0, everybody, known=True)
    assert made is None
    assert b.take(), "with whom there is a session, or who is a seed, is not among strangers"


def test_one_host_does_not_use_up_the_budget_of_all():
    b = Side(2)
    reasons = [b.hears(source, offer) for source, offer in list(offers(b, 100, hosts=1))]
    assert reasons == [None] * SITE_OFFERS_AT_ONCE + [Drop.TOO_MANY_OFFERS] * (
        100 - SITE_OFFERS_AT_ONCE
    )
    b.take()
    a = Side(1)
    offering(a, b)
    assert b.hears(a.address, a.sent()) is None


def test_a_refused_offer_that_is_played_again_is_not_looked_at_again():
    b = Side(2)
    ((source, offer),) = offers(b, 1)

    def nobody(who, address, knocked):
        raise Dropped(Drop.TOO_MANY_PEERS)

    assert b.hears(source, offer, admit=nobody) is Drop.TOO_MANY_PEERS
    for _ in range(1000):
        assert b.hears(source, offer, admit=nobody) is Drop.REFUSED_BEFORE
    a = Side(1)
    offering(a, b)
    assert b.hears(a.address, a.sent()) is None
    assert len(b.handshakes._refused) <= REFUSED_REMEMBERED


def test_a_cookie_is_forgotten_although_nobody_else_knocks():
    b = Side(2)
    ((source, offer),) = offers(b, 1)
    assert b.hears(source, offer, now=2 * COOKIE_TIME + 1) is Drop.NO_COOKIE


def test_one_hello_makes_one_knock_elsewhere_whoever_answers_from_wherever():
    a, b = Side(1), Side(2)
    a.knock(b)
    b.hears(a.address, a.sent())
    welcome = b.sent()
    for n in range(1000):
        assert a.hears(Address("10.6.6.6", n + 1), welcome) is Drop.UNASKED
    assert len(a.take()) == 1
    assert a.hears(b.address, welcome) is None, "the genuine answer still counts"


def test_who_answers_on_many_ports_does_not_take_all_places_for_offers():
    a, b = Side(1), Side(2)
    guest = Side(3)
    for port in range(1, 200):
        a.handshakes.knock(Address("10.6.6.6", port), 0.0)
        guest.hears(a.address, a.sent())
        a.hears(Address("10.6.6.6", port), guest.sent())
        a.take()
    assert len(a.handshakes._offered) == OFFERS_TO_SITE
    a.knock(b)
    b.hears(a.address, a.sent())
    assert a.hears(b.address, b.sent()) is None
    assert a.sent()


def test_own_offers_are_made_no_faster_than_their_budget_allows():
    a = Side(1)
    made = 0
    for n in range(200):
        other = Side(n % 250 + 2)
        other.address = Address(f"10.8.{n}.8", 7070)
        a.knock(other)
        other.hears(a.address, a.sent())
        a.hears(other.address, other.sent())
        made += len(a.take())
        a.handshakes._offered.clear()
        a.handshakes._indices.clear()
    assert made == OWN_OFFERS_AT_ONCE


def test_forged_acceptances_are_checked_a_few_times_only():
    a, liar = Side(1), Side(3)
    offering(a, liar)
    offer = a.says(sent := a.sent())
    liar.hears(a.address, sent)
    accept = liar.says(liar.sent())
    forged = replace(accept, introduction=replace(accept.introduction, instance=1))
    reasons = [a.hears(liar.address, liar.sealed(forged)) for _ in range(ACCEPT_TRIES + 3)]
    assert reasons[:ACCEPT_TRIES] == [Drop.FORGED] * ACCEPT_TRIES
    assert Drop.FORGED not in reasons[ACCEPT_TRIES:]
    assert not a.handshakes._offered
    assert offer.introduction.index not in a.handshakes._indices


def test_channels_that_nobody_uses_are_bounded_and_forgotten(monkeypatch):
    monkeypatch.setattr(handshake, "UNCONFIRMED_LIMIT", 8)
    b = Side(2)
    for source, offer in offers(b, 30):
        b.hears(source, offer)
        b.take()
    assert len(b.handshakes._unconfirmed) == len(b.handshakes._answered) == 8
    b.handshakes.tick(b.handshakes.deadline() + 0.001)
    assert not b.handshakes._unconfirmed
    assert not b.handshakes._answered
    assert not b.handshakes._indices


def test_own_offers_are_bounded(monkeypatch):
    monkeypatch.setattr(handshake, "OFFERS_LIMIT", 4)
    a = Side(1)
    reasons = []
    for n in range(2, 12):
        other = Side(n)
        a.knock(other)
        other.hears(a.address, a.sent())
        reasons.append(a.hears(other.address, other.sent()))
        a.take()
    assert reasons == [None] * 4 + [Drop.TOO_MANY_OFFERS] * 6, "those that wait are not pushed out"
    assert len(a.handshakes._offered) == len(a.handshakes._indices) == 4


def test_the_bytes_of_every_message_are_bounded_by_its_layout():
    record = recorded()
    lengths = {
        type(record.a.says(d)): len(d)
        for d in (record.hello, record.welcome, record.offer, record.acceptance)
    }
    assert lengths == {Hello: 76, Welcome: 76, Offer: 233, Accept: 205}
