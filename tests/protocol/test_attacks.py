"""Attacks on a ward: each is bounded and counted, and the honest go on meanwhile.

What other tests cover is not repeated here:

- eclipse, by place: `test_places.py`, `test_one_host_with_many_ports_leaves_places_for_others`,
  `test_those_who_are_no_members_take_few_places_unless_they_are_knocked_at`,
  `test_one_member_has_few_sessions_however_many_nodes_run_with_its_key`,
  `test_guests_that_tell_of_each_other_do_not_keep_a_node_from_its_members`;
- floods of addresses of one origin: `test_book.py`,
  `test_what_one_host_tells_does_not_fill_the_book`, and `test_places.py`,
  `test_beacons_of_one_network_do_not_fill_the_book`;
- floods of handshakes: `test_handshake.py`,
  `test_a_flood_of_offers_is_looked_at_no_faster_than_the_budget_allows`,
  `test_one_host_does_not_use_up_the_budget_of_all`,
  `test_channels_that_nobody_uses_are_bounded_and_forgotten`;
- what never comes, or a chunk at a time, where another peer has it, too: `test_pulls.py`,
  `test_objects_that_nobody_gives_let_others_have_their_turn`,
  `test_a_peer_that_trickles_or_withholds_does_not_keep_an_object_from_coming`, and
  `tests/sim/test_joining.py`, `test_a_state_that_comes_in_drips_is_given_up`;
- lengths that are stated wrongly: `test_pulls.py`,
  `test_an_object_longer_than_its_limit_is_not_taken`,
  `test_a_list_of_hashes_longer_than_any_is_not_taken`,
  `test_an_update_that_states_another_length_than_its_payload_has_is_never_pulled`;
- single datagrams that are replayed, reflected or come from elsewhere: `test_links.py`,
  `test_a_replayed_datagram_is_dropped`, `test_a_recording_played_to_a_restarted_node_is_dropped`,
  `test_only_its_own_host_speaks_for_a_peer`,
  `test_who_passes_a_handshake_on_moves_no_session_that_stands`, and `test_handshake.py`,
  `test_a_recorded_datagram_makes_no_channel_that_anybody_could_use`,
  `test_reflected_datagrams_do_not_keep_a_node_from_its_session`,
  `test_a_cookie_is_of_one_address_and_of_a_time`.
"""

import random
import time
import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from edgenode.learning import update_codec
from edgenode.learning.quantization import Quantized
from edgenode.learning.update_codec import Codec, CodingError, payload_lengths
from edgenode.ledger.block import BLOCK_BYTES_LIMIT
from edgenode.ledger.hashes import content_id
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.transaction import Update
from edgenode.protocol import handshake_messages
from edgenode.protocol.beacon import Beacon
from edgenode.protocol.book import BOOK_LIMIT, TOLD_LIMIT
from edgenode.protocol.drops import Drop
from edgenode.protocol.events import PeerBlamed
from edgenode.protocol.gate import Gate
from edgenode.protocol.handshake_messages import Hello, Introduction, Offer
from edgenode.protocol.links import SILENCE_LIMIT, Links, Local
from edgenode.protocol.places import GUEST_PLACES, PEERS_LIMIT, SEED_PLACES, SOUGHT_PEERS
from edgenode.protocol.pulls import HASHES_LIMIT
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import (
    ADDRESSES_LIMIT,
    Absent,
    Address,
    Addresses,
    Chunk,
    GetAddresses,
    NewTransaction,
    ObjectKind,
    Socket,
    Tip,
    chunk_count,
    chunk_span,
)
from edgenode.sim.arena import DishonestNode
from edgenode.sim.ward import SYNC_PORT, WARD_KEY, Conditions, Ward
from tests.protocol.meeting import (
    BOTH,
    GENESIS,
    A,
    B,
    at,
    connected,
    exchange,
    links,
    meet,
    only,
    public_of,
    roles,
)  # fmt: skip
from tests.protocol.swarm import Swarm

QUIET = Conditions(parameters=10, training=1e9, delay=(0.001, 0.002))
CODED = [codec for codec in Codec if codec is not Codec.INT32]


class Siege(Ward):
    """A ward in which only happens what the test says, and strangers who hold its key.

    A stranger has sessions and no chain: what it is asked for it does not give.
    """

    def __init__(self, boxes, conditions=QUIET, dishonest=()):
        self.dishonest = dishonest
        self.strangers = {}
        super().__init__(boxes, 1, conditions)

    def _schedule_block(self, box):
        pass

    def _node_class(self, box):
        return DishonestNode if box.index in self.dishonest else super()._node_class(box)

    @property
    def honest(self):
        return [box for box in self.boxes if box.index not in self.dishonest]

    def grow(self, box, pause):
        self.mine_now(box)
        self.run(pause)

    def trained(self, box):
        """An update of the box, and its payload, that nobody has heard of."""
        return self.update(box, box.running.chain.head.id)

    def come(self, hosts, ports, seeds, does=lambda stranger: None, first=0):
        """Let strangers come to these boxes, each to do something every second."""
        for host in range(first, first + hosts):
            for port in range(ports):
                address = Address(f"172.16.{host}.1", 20_000 + port)
                stranger = self.strangers[address] = Links(
                    genesis_id=self.genesis.id,
                    ward_key=WARD_KEY,
                    key=MemberKey((1000 + 100 * host + port).to_bytes(32)),
                    seeds=[self._address(box) for box in seeds],
                    layout=BOTH,
                    local=Local(lambda: Tip(bytes(32), 0, 1, 0), list, lambda _: Role.MEMBER),
                    rng=random.Random(100 * host + port),
                    now=self.instant,
                )
                self._turn(address, stranger, does)

    def _turn(self, address, stranger, does):
        stranger.tick(self.instant)
        does(stranger)
        self._carry(address, stranger)
        self._at(self.now + 1, lambda: self._turn(address, stranger, does))

    def _carry(self, source, stranger):
        """What a stranger says goes its way."""
        outbox, stranger.outbox = stranger.outbox, []
        for datagram in outbox:
            box = self._by_host.get(datagram.address.host)
            if box is not None:
                self._later(
                    box,
                    0.001,
                    lambda node, box=box, datagram=datagram: self._deliver(
                        box, node, datagram, source
                    ),
                )

    def _post(self, sender, datagram):
        stranger = self.strangers.get(datagram.address)
        if stranger is not None:

            def heard():
                stranger.receive(
                    datagram.socket,
                    Address(sender.host, SYNC_PORT),
                    datagram.data,
                    self.instant,
                )
                self._carry(datagram.address, stranger)

            self._at(self.now + 0.001, heard)
        elif datagram.address.host in self._by_host:
            super()._post(sender, datagram)


def sessions(box, role):
    return [peer for peer in box.running.links.peers.values() if peer.role is role]


def blamed(boxes):
    return [event.peer for box in boxes for event in box.events if isinstance(event, PeerBlamed)]


def agree(*boxes):
    return len({box.running.chain.head.id for box in boxes}) == 1


class Peak:
    """Bytes of memory that are taken at a time at most, and seconds of the processor."""

    def __enter__(self):
        tracemalloc.start()
        self._began = time.process_time()
        return self

    def __exit__(self, *_):
        self.seconds = time.process_time() - self._began
        self.bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()


# An eclipse


def surrounded(victim):
    """A node that strangers found first; the rest of its ward comes now."""
    ward = Siege(6)
    node = ward.boxes[victim]
    others = [box for box in ward.boxes if box is not node]
    ward.partition([victim], [box.index for box in others])

    def praises_the_others(stranger):
        if stranger._rng.random() < 0.75:
            return  # not all of them each second
        known = list(ward.strangers)
        for peer in stranger.peers.values():
            told = stranger._rng.sample(known, 15)
            stranger.send(peer, Addresses(tuple(told)))

    ward.come(6, 3, [node], praises_the_others)
    ward.run(30)
    guests = sessions(node, Role.GUEST)
    assert len(guests) == len(node.running.links.peers) > 2 * GUEST_PLACES, "it is surrounded"
    ward.partition()
    return ward, node, others


@pytest.mark.parametrize("victim", [0, 4], ids=["without a seed", "with one honest seed"])
def test_strangers_who_surround_a_node_first_keep_neither_members_nor_blocks_from_it(victim):
    """They come from many hosts, tell it of each other, and are knocked at."""
    ward, node, others = surrounded(victim)
    links = node.running.links
    guests = sessions(node, Role.GUEST)
    assert len(guests) <= PEERS_LIMIT - SEED_PLACES
    assert sum(not peer.knocked for peer in guests) <= GUEST_PLACES
    assert len(links.book._doors) <= BOOK_LIMIT
    assert links.traffic[Socket.SYNC].dropped[Drop.TOO_MANY_PEERS] > 0
    assert ward.run_until(lambda: len(sessions(node, Role.MEMBER)) == len(others), 120)
    assert len(links.peers) <= PEERS_LIMIT
    ward.mine_now(others[0])
    # That it takes longer than in peace is the next test's.
    assert ward.run_until(lambda: agree(node, others[0]), 60)


def test_strangers_who_surround_a_node_and_are_silent_do_not_delay_a_block():
    ward, node, others = surrounded(0)
    assert ward.run_until(lambda: len(sessions(node, Role.MEMBER)) == len(others), 120)
    ward.mine_now(others[0])
    assert ward.run_until(lambda: agree(node, others[0]), 3), "in peace it takes half a second"


# A flood of addresses


def test_a_flood_of_invented_addresses_from_many_hosts_fills_no_memory_and_hides_no_newcomer():
    ward = Siege(7)
    newcomer = ward.boxes[-1]
    ward.switch_off(newcomer)
    ward.run(20)
    rng = random.Random(7)
    said = 0

    def floods(stranger):
        nonlocal said
        for peer in stranger.peers.values():
            invented = (
                Address(f"10.200.{rng.randrange(256)}.{rng.randrange(1, 255)}", SYNC_PORT)
                for _ in range(ADDRESSES_LIMIT)
            )
            stranger.send(peer, Addresses(tuple(invented)))
            said += 1

    ward.come(GUEST_PLACES, 1, ward.boxes, floods)
    ward.run(10)
    knocked = {box.index: box.running.links.counts.sent["hello"] for box in ward.boxes[:-1]}
    ward.switch_on(newcomer)
    ward.run(15)
    heard = 0
    for box in ward.boxes:
        links = box.running.links
        heard += links.counts.received["addresses"]
        assert BOOK_LIMIT - 10 < len(links.book._doors) <= BOOK_LIMIT
        tellers = Counter(door.told_by for door in links.book._doors.values() if door.told_by)
        assert max(tellers.values()) <= TOLD_LIMIT
        if box is not newcomer:
            knocks = links.counts.sent["hello"] - knocked[box.index]
            assert knocks <= 16 * 2 * SOUGHT_PEERS, "no more than where nobody is found"
    assert heard > said / 2, "each of these is counted"
    assert len(sessions(newcomer, Role.MEMBER)) == len(ward.boxes) - 1
    ward.mine_now(newcomer)
    assert ward.run_until(lambda: agree(*ward.boxes), 60)


# A payload that never comes


def test_an_update_reaches_a_node_though_all_who_offer_it_first_never_give_its_payload():
    ward = Siege(4)
    trainer, *_, victim = ward.boxes
    ward.run(20)
    update, payload = ward.trained(trainer)

    def offers(stranger):
        for peer in stranger.peers.values():
            stranger.send(peer, NewTransaction(update.encode()))

    ward.come(GUEST_PLACES, 1, [victim], offers)
    relay, pulls = victim.running._relay, victim.running._pulls
    assert ward.run_until(
        lambda: update.id in relay.offers and len(relay.offers[update.id].sources) == GUEST_PLACES,
        20,
    )
    ward.run(30)
    assert update.id not in victim.running.mempool
    assert len(relay.offers) == len(pulls) == 1
    asked = victim.running.links.counts.sent["get_chunks"]
    again = victim.running.resent["chunk"]
    assert again > 0
    assert asked < 30 * GUEST_PLACES, "not in a hot loop"

    # A block does not wait for it, and one who has it is enough.
    ward.grow(trainer, pause=2)
    assert agree(trainer, victim)
    trainer.running.submit_update(update, payload, ward.instant)
    ward._after(trainer)
    assert ward.run_until(lambda: update.id in victim.running.mempool, 30)
    assert len(pulls) == 0
    assert not blamed(ward.honest), "who is only silent may be cut off"


def test_a_member_that_offers_updates_without_end_has_one_pull_for_each_base():
    """It signs any number on each block, and never gives a payload."""
    ward = Siege(4, dishonest={3})
    liar, trainer, victim = ward.boxes[3], *ward.boxes[1:3]
    ward.run(20)
    for _ in range(6):
        ward.grow(trainer, pause=2)
    bases = [liar.running.chain.at(height).id for height in range(7)]
    for base in bases * 30:
        update, _ = ward.update(liar, base)
        liar.running.say(update)
        ward._after(liar)
    ward.run(30)
    relay = victim.running._relay
    assert 0 < len(relay.offers) <= len(ward.genesis.discounts)
    assert victim.running.refused["update_base_stale"] > 0
    honest_goes_on(ward, trainer)


def test_a_block_whose_payload_never_comes_is_left_for_one_of_the_others():
    ward = Siege(4, dishonest={3})
    liar, miner = ward.boxes[3], ward.boxes[1]
    ward.run(20)
    update, payload = ward.trained(liar)
    liar.running.withheld.add(update.payload)
    liar.running.submit_update(update, payload, ward.instant)
    ward.mine_now(liar)
    ward.run(30)
    withheld = liar.running.chain.head
    assert liar.running.chain.block(withheld.id).updates == [update]
    for box in ward.honest:
        assert box.running.chain.head.height == 0
        assert box.running._pulls.received({(ObjectKind.PAYLOAD, update.payload)}) == 0
        assert len(box.running._pulls) <= 2
        assert box.running.links.counts.received["absent"] > 0
    ward.grow(miner, pause=2)
    ward.grow(miner, pause=2)
    assert agree(*ward.boxes)
    assert miner.running.chain.head.height == 2


def test_guests_that_never_give_a_block_and_say_that_they_lack_another_do_not_delay_it():
    ward = Siege(6)
    ward.run(20)

    def lacks_something(stranger):
        for peer in stranger.peers.values():
            stranger.send(peer, Absent(ObjectKind.BLOCK, bytes(32)))

    ward.come(GUEST_PLACES, 1, ward.boxes, lacks_something)
    ward.run(20)
    assert all(len(sessions(box, Role.GUEST)) == GUEST_PLACES for box in ward.boxes)
    for miner in ward.boxes[:3]:
        ward.mine_now(miner)
        began = ward.now
        assert ward.run_until(lambda: agree(*ward.boxes), 60)
        assert ward.now - began < 3, "without them it takes half a second at most"
        ward.run(10)


# A byte a second


def test_a_byte_a_second_keeps_no_session_alive_and_costs_its_opening():
    node, slow, honest = links(1), links(2, seeds=[A]), links(3, seeds=[A])
    elsewhere = Address("10.0.0.3", 7070)
    meet({A: node, B: slow, elsewhere: honest}, 8)
    assert len(node.peers) == 2
    sent = node.traffic[Socket.SYNC].datagrams_sent
    seconds = int(SILENCE_LIMIT) + 10
    for second in range(8, 8 + seconds):
        for byte in (2, 3):
            assert node.receive(Socket.SYNC, B, bytes([byte]), at(second)) is None
        if second % 4 == 0:
            meet({A: node, elsewhere: honest}, 4, start=second)
    assert node.traffic[Socket.SYNC].dropped == {Drop.UNSEALED: 2 * seconds}
    assert [peer.address for peer in node.peers.values()] == [elsewhere]
    assert node.traffic[Socket.SYNC].datagrams_sent - sent < seconds, "nothing is answered"
    honest.send(only(honest), NewTransaction(b"x"))
    assert node.receive(Socket.SYNC, elsewhere, honest.outbox.pop().data, at(80)) is not None


def test_an_update_that_comes_a_chunk_a_second_keeps_no_other_update_and_no_block_waiting():
    """Nobody else has it: it comes as slowly as it does, and holds what has come of it."""
    ward = Siege(5, replace(QUIET, parameters=40_000))
    slow, trainer, *others = ward.boxes[1:]
    ward.run(20)
    serve, last = slow.running._serve, -1.0

    def drip(peer, request, now):
        nonlocal last
        if now.monotonic >= last + 1:
            last = now.monotonic
            (first, _), *_ = request.ranges
            serve(peer, replace(request, ranges=((first, 1),)), now)

    slow.running._serve = drip
    late, late_payload = ward.trained(slow)
    slow.running.submit_update(late, late_payload, ward.instant)
    ward._after(slow)
    ward.run(30)
    update, payload = ward.trained(trainer)
    trainer.running.submit_update(update, payload, ward.instant)
    ward._after(trainer)
    began = ward.now
    assert ward.run_until(
        lambda: all(update.id in box.running.mempool for box in [ward.boxes[0], *others]), 10
    )
    ward.grow(trainer, pause=3)
    assert ward.now - began < 10
    assert agree(ward.boxes[0], trainer, *others)
    for box in others:
        held = box.running._pulls.received({(ObjectKind.PAYLOAD, late.payload)})
        assert held <= (ward.now - 20) * 1130
        assert late.id not in box.running.mempool
        assert box.running.resent["chunk"] > 0
    assert not blamed(ward.boxes), "a link may be as slow as that"


# A decompression bomb


def bomb(codec, length):
    """The most numbers that a payload of this codec and of at most so many bytes codes: zeros."""
    for bits in reversed(range(22)):
        payload = update_codec.pack(Quantized(np.zeros(1 << bits, np.int32), 0), codec)
        if len(payload) <= length:
            return payload, 1 << bits
    pytest.fail("no number fits")


@pytest.mark.parametrize("codec", CODED)
def test_a_payload_that_codes_far_more_numbers_than_the_model_has_costs_no_more_than_the_model(
    codec,
):
    count = 10_000
    payload, coded = bomb(codec, payload_lengths(count, codec).most)
    assert len(payload) in payload_lengths(count, codec), "by its length it could be one"
    assert coded > 50 * count
    with Peak() as peak, pytest.raises(CodingError, match="no code of 10000 numbers"):
        update_codec.decode(payload, count, codec)
    assert peak.bytes < 3 * 4 * count
    assert peak.seconds < 0.1


@pytest.mark.parametrize("codec", CODED)
def test_the_shortest_payload_of_a_large_model_takes_what_its_parameters_take(codec):
    count = 1 << 21
    payload, _ = bomb(codec, 10**6)
    assert len(payload) < count / 1000
    with Peak() as peak:
        assert not update_codec.decode(payload, count, codec).any()
    assert peak.bytes < 4 * 4 * count
    assert peak.seconds < 2
    for cut in (payload[:6], payload[: len(payload) // 2], payload + payload):
        with Peak() as peak, pytest.raises(CodingError):
            update_codec.decode(cut, count, codec)
        assert peak.bytes < 2 * 4 * count
        assert peak.seconds < 2


def test_a_member_that_offers_a_bomb_is_refused_and_blamed_and_an_honest_update_comes():
    ward = Siege(4, replace(QUIET, parameters=2000, codec=Codec.INT4), dishonest={3})
    liar, trainer = ward.boxes[3], ward.boxes[1]
    ward.run(20)
    update, _ = ward.trained(liar)
    payload, coded = bomb(Codec.INT4, payload_lengths(2000, Codec.INT4).most)
    assert coded > 100 * 2000
    offer(ward, liar, update, payload)
    ward.run(5)
    for box in ward.honest:
        assert box.running.refused["payload_coding"] == 1
        assert update.id not in box.running.mempool
    assert {peer.member for peer in blamed(ward.honest)} == {liar.key.public}
    honest_goes_on(ward, trainer)


@pytest.mark.parametrize("length", [2**32 - 1, 517, 5])
def test_an_update_that_states_a_length_which_no_payload_has_is_refused_before_it_is_pulled(length):
    ward = Siege(4, replace(QUIET, parameters=2000, codec=Codec.INT4), dishonest={3})
    liar, trainer = ward.boxes[3], ward.boxes[1]
    ward.run(20)
    update, payload = ward.trained(liar)
    offer(ward, liar, replace(update, payload_length=length), payload, keep_length=True)
    ward.run(5)
    for box in ward.honest:
        assert box.running.refused["payload_length"] == 1
        assert box.running.links.counts.sent["get_chunks"] == 0
    assert {peer.member for peer in blamed(ward.honest)} == {liar.key.public}
    honest_goes_on(ward, trainer)


def offer(ward, box, update, payload, *, keep_length=False):
    """Have a dishonest box say an update with such a payload, and serve that."""
    length = update.payload_length if keep_length else len(payload)
    update = replace(update, payload=content_id(payload), payload_length=length)
    signed: Update = update.signed(box.key, ward.genesis.id)
    box.running.made_up[ObjectKind.PAYLOAD, update.payload] = payload
    box.running.say(signed)
    ward._after(box)


def honest_goes_on(ward, trainer):
    update, payload = ward.trained(trainer)
    trainer.running.submit_update(update, payload, ward.instant)
    ward._after(trainer)
    ward.run(5)
    assert all(update.id in box.running.mempool for box in ward.honest)
    ward.grow(trainer, pause=3)
    assert agree(*ward.honest)
    assert all(box.running.chain.state.models[0].round == 1 for box in ward.honest)


@pytest.mark.parametrize(
    ("kind", "stated"),
    [
        (ObjectKind.BLOCK, BLOCK_BYTES_LIMIT),
        (ObjectKind.STATE, HASHES_LIMIT),
        (ObjectKind.PAYLOAD, HASHES_LIMIT),
    ],
)
def test_an_object_of_which_less_comes_than_was_stated_takes_what_comes_and_comes_from_others(
    kind, stated
):
    """A peer states the most that there can be, sends the first chunk, and then nothing."""
    swarm = Swarm(3)
    liar, honest, box = swarm.boxes
    data = random.Random(5).randbytes(900)
    name = content_id(data)
    honest.has(data, kind)
    asked = 0

    def boasts(request, now, session=0):
        nonlocal asked
        asked += 1
        first = Chunk(request.tag, 0, stated, 0, bytes(slice_of(stated)))
        return [first] if asked == 1 else []

    liar.answer = boasts
    with Peak() as peak:
        length = 32 << 20 if kind is ObjectKind.PAYLOAD else None
        box.pulls.want(kind, name, length, 32 << 20, [liar.number])
        assert not swarm.run(lambda: name in box.done, limit=3)
        held = box.pulls.received({(kind, name)})
    assert asked > 0
    assert held <= 1130
    assert peak.bytes < 10 * chunk_count(min(stated, BLOCK_BYTES_LIMIT)) + 300_000
    assert box.pulls.asked_again > 0
    box.pulls.want(kind, name, len(data), 32 << 20, [honest.number])
    assert swarm.run(lambda: name in box.done, limit=60)
    assert box.done[name].data == data
    assert box.spoilt == []


def slice_of(length):
    start, end = chunk_span(length, 0)
    return end - start


# Replayed and reflected datagrams


def test_a_whole_conversation_that_is_replayed_and_reflected_changes_nothing_and_is_no_amplifier():
    """All that two nodes said: from its source, from elsewhere, on any socket, and to itself."""
    a, b = links(1, seeds=[B]), links(2)
    recorded = []

    def talk(first, last):
        for second in range(first, last):
            for node, source, other in ((a, A, b), (b, B, a)):
                node.tick(at(second))
                for peer in node.peers.values():
                    node.send(peer, NewTransaction(b"x"))
                for _ in range(3):
                    outbox, node.outbox = node.outbox, []
                    for datagram in outbox:
                        recorded.append((node, source, other, datagram.data))
                        other.receive(Socket.SYNC, source, datagram.data, at(second))
                    if other.outbox and not node.outbox:
                        break

    talk(0, 60)
    exchange(a, b, at(60))
    sessions = only(a), only(b)
    assert len(recorded) > 120
    before = {node: Counter(node.traffic[Socket.SYNC].dropped) for node in (a, b)}
    stranger = Address("10.6.6.6", 666)
    played = Counter()
    sent = {a: 0, b: 0}
    received = {a: 0, b: 0}
    answered = 0
    for sender, source, receiver, data in recorded:
        reflected_from = B if sender is a else A
        for node, whence, socket in (
            (receiver, source, Socket.SYNC),
            (receiver, stranger, Socket.SYNC),
            (receiver, source, Socket.BROADCAST),
            (sender, reflected_from, Socket.SYNC),
            (sender, stranger, Socket.SYNC),
        ):
            node.outbox.clear()
            assert node.receive(socket, whence, data, at(61)) is None
            answer = sum(len(datagram.data) for datagram in node.outbox)
            assert answer <= len(data), "no amplifier"
            answered += answer > 0
            sent[node] += answer
            received[node] += len(data)
            played[node] += 1
            node.outbox.clear()
    assert (only(a), only(b)) == sessions
    assert (only(a).address, only(b).address) == (B, A)
    reasons = set()
    for node in (a, b):
        dropped = Counter(node.traffic[Socket.SYNC].dropped) - before[node]
        dropped += node.traffic[Socket.BROADCAST].dropped
        reasons |= set(dropped)
        assert dropped.total() >= played[node] - answered
        assert sent[node] < received[node] / 20
    assert {Drop.REPLAYED, Drop.MOVED, Drop.NO_SESSION, Drop.UNASKED} <= reasons
    assert reasons <= set(Drop)
    for node, source, other in ((a, A, b), (b, B, a)):
        node.send(only(node), NewTransaction(b"x"))
        assert other.receive(Socket.SYNC, source, node.outbox.pop().data, at(62)) is not None


# Spoofed sources


def test_who_writes_any_source_leaves_nothing_behind_and_ends_no_session(monkeypatch):
    """It holds the ward key, but reads nothing of what is answered to where it says it is."""
    a, b = connected()
    checked = []
    monkeypatch.setattr(Introduction, "is_signed", lambda *_: checked.append(1))
    rng = random.Random(3)
    gate = Gate(bytes([1]) * 32, GENESIS, rng.randbytes)
    handshakes = b._handshakes

    def kept():
        return (
            len(handshakes._answered),
            len(handshakes._unconfirmed),
            len(handshakes._knocks),
            len(handshakes._offered),
            len(handshakes._refused),
            len(handshakes._site_budgets),
            len(handshakes._indices),
            len(b.book._doors),
            len(b.peers),
        )

    before = kept()
    sources = [Address(f"10.99.{n // 250}.{n % 250 + 1}", 1 + n) for n in range(2000)]
    dropped = b.traffic[Socket.SYNC].dropped
    for source in [*sources, A]:
        hello = gate.seal(handshake_messages.encode(Hello(rng.randbytes(16))))
        b.outbox.clear()
        b.receive(Socket.SYNC, source, hello, at(1))
        assert [(d.address, len(d.data)) for d in b.outbox] == [(source, len(hello))]
        who = Introduction(rng.randbytes(32), rng.getrandbits(64), 1, BOTH, rng.randbytes(64))
        offer = Offer(rng.randbytes(16), rng.randbytes(16), rng.randbytes(32), who)
        b.outbox.clear()
        b.receive(Socket.SYNC, source, gate.seal(handshake_messages.encode(offer)), at(1))
        assert b.outbox == []
    assert dropped[Drop.NO_COOKIE] == len(sources) + 1
    assert checked == [], "no signature was looked at"

    # As if from A, into its channel, whose index and counter everybody reads.
    a.send(only(a), GetAddresses())
    genuine = a.outbox.pop().data
    for n in range(1000):
        forged = genuine[:5] + n.to_bytes(8, "little") + rng.randbytes(len(genuine) - 13)
        b.receive(Socket.SYNC, A, forged, at(1))
    assert dropped[Drop.UNSEALED] == 1000
    assert kept() == before
    assert not b.book.is_shunned(A, 1)
    assert b.receive(Socket.SYNC, A, genuine, at(2)) is None, "it is answered, not handed on"
    assert [d.address for d in b.outbox] == [A]
    a.send(only(a), NewTransaction(b"x"))
    assert b.receive(Socket.SYNC, A, a.outbox.pop().data, at(2)) is not None


@pytest.mark.parametrize("forged_as", [None, 3, 2])
def test_beacons_from_invented_sources_do_not_keep_two_nodes_from_finding_each_other(forged_as):
    """Their sender holds the ward key, and writes a source of its own into each.

    It is a guest, a member, or says that it is one of the two.
    """
    known = {public_of(1): Role.MEMBER, public_of(2): Role.MEMBER, public_of(3): Role.MEMBER}
    a, b = (links(n, role=roles(known, otherwise=Role.GUEST)) for n in (1, 2))
    key = MemberKey((4).to_bytes(32)) if forged_as is None else None
    member = key.public if key else public_of(forged_as)
    signing = key or MemberKey(random.Random(3).randbytes(32))
    gate = Gate(bytes([1]) * 32, GENESIS, random.Random(4).randbytes)

    def forged(here):
        return gate.seal(Beacon(member, 9, here).signed(signing, GENESIS).encode())

    invented = (
        Address(f"10.{x}.{y}.{z}", 7070)
        for x in range(20, 220)
        for y in range(200)
        for z in range(1, 200)
    )
    for second in range(0, 140, 4):
        for node in (a, b):
            for _ in range(60):
                here = next(invented)
                node.receive(Socket.DISCOVERY, here, forged(here), at(second))
            assert len(node.book._doors) <= BOOK_LIMIT
        for node, source, other in ((a, A, b), (b, B, a)):
            if second >= node.beacons.due_at:
                other.receive(Socket.DISCOVERY, source, node.beacons.seal(source), at(second))
                node.beacons.sent(second)
        meet({A: a, B: b}, 4, start=second)
    assert B in {peer.address for peer in a.peers.values()}
