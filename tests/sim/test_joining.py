"""A box that is far behind joins at a state that members stand behind, and at no other."""

import random
import shutil
from collections import defaultdict
from dataclasses import replace
from typing import ClassVar

import pytest

from edgenode.ledger import finality, membership
from edgenode.ledger.accounts import Account, account
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.encoding import u8, u32, u64
from edgenode.ledger.hashes import content_id
from edgenode.ledger.header import HEADER_VERSION, Header
from edgenode.ledger.headers import expected_target
from edgenode.ledger.joining import Snapshot
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.records import RecordKind, encode_records
from edgenode.ledger.retention import ALL, Retention
from edgenode.ledger.transaction import STATE_INTERVAL, Coinbase, holds_state_root
from edgenode.ledger.validation import genesis_records
from edgenode.protocol.events import HeadMoved, PeerBlamed
from edgenode.protocol.joining import HEADERS_PATIENCE, PATIENCE
from edgenode.protocol.node import Node
from edgenode.protocol.pulls import HASHES_LIMIT
from edgenode.protocol.wire import CHUNK_BYTES, Chunk, GetHeaders, ObjectKind, Tip, chunk_span
from edgenode.sim.ward import Conditions, Ward
from edgenode.storage.chain import SqliteChainStore
from tests.ledger.builder import ALICE, BOB, CAROL, MALLORY, PARAMETERS, Bench

HEIGHT = 5 * STATE_INTERVAL + 60
FLOOR = 5 * STATE_INTERVAL - 1
"""The highest state that is far enough below `HEIGHT`."""
RECENT = Retention(blocks=100)
DAVE = MemberKey((4).to_bytes(32))


class Past(Bench):
    """What was done in a simulated ward before the simulation begins."""

    def __init__(self, path, ward):
        self.genesis = ward.genesis
        self.path = path
        self.store = SqliteChainStore(path, self.genesis.id)
        self.chain = Chain(self.genesis, (ward.initial,), self.store, ALL)


class OldWard(Ward):
    """Boxes that are given a past, and a last one without; nobody mines unless told to."""

    def __init__(self, seed=1, nodes=None):
        self.nodes = nodes or {}
        self.retentions = {}
        self.archives = set()
        conditions = Conditions(training=1e9, parameters=PARAMETERS, retention=RECENT)
        super().__init__(4, seed, conditions)
        for box in self.boxes:
            self.switch_off(box)
            box.hash_rate = 1e-9
        self.now = 90.0 * (HEIGHT + 100)
        self.late = self.boxes[3]

    def _node_class(self, box):
        return self.nodes.get(box.index, Node)

    def _retention(self, box):
        return self.retentions.get(box.index, super()._retention(box))

    def _seeds(self, box):
        return [other for other in self.boxes if other is not box]

    def give(self, past, tmp_path, *indices):
        """Switch boxes on that have this past, as far as they keep it."""
        for index in indices:
            box = self.boxes[index]
            past.store.settle()
            path = tmp_path / f"{index}.db"
            shutil.copy(past.path, path)
            box.store = SqliteChainStore(path, self.genesis.id)
            self.switch_on(box)
            if index not in self.archives:
                for _ in range(50):
                    box.running.chain.let_go()

    def arrives(self, seconds=60):
        """Whether the late box comes to the head of the first one."""
        head = self.boxes[0].running.chain.head
        return self.run_until(lambda: self.late.running.chain.head == head, seconds)


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    made = Past(tmp_path_factory.mktemp("past") / "chain.db", OldWard())
    made.grow_final(HEIGHT, ALICE, BOB, CAROL)
    return made


def same(one, other):
    first, second = one.running.chain.state, other.running.chain.state
    return (
        first.entry == second.entry
        and dict(first.records.under(b"")) == dict(second.records.under(b""))
        and [p.tolist() for p in first.parameters] == [p.tolist() for p in second.parameters]
    )


def test_a_late_box_joins_and_goes_on_with_the_others(past, tmp_path):
    ward = OldWard()
    ward.give(past, tmp_path, 0, 1, 2)
    assert ward.boxes[0].running.chain.block(ward.boxes[0].running.chain.at(1).id) is None
    ward.switch_on(ward.late)
    assert ward.arrives()
    assert ward.late.running.chain.floor == FLOOR
    assert same(ward.late, ward.boxes[0])
    for box in ward.boxes * 5:
        ward.mine_now(box)
        ward.run(90)
    assert ward.agree()
    assert ward.late.running.chain.state.justified > HEIGHT


def test_a_box_that_was_away_joins_with_what_it_has(past, tmp_path):
    ward = OldWard()
    young = Past(tmp_path / "young.db", ward)
    for height in range(1, 41):
        block = past.chain.block(past.chain.at(height).id)
        young.chain.add_block(block, 2**31)
        for update in block.updates:
            young.chain.add_payload(past.chain.payload(update.payload))
        young.chain.advance()
    ward.give(past, tmp_path, 0, 1)
    ward.give(young, tmp_path, 3)
    assert ward.late.running.chain.head.height == 40
    assert ward.arrives()
    assert ward.late.running.chain.floor == FLOOR
    assert same(ward.late, ward.boxes[0])


def test_an_archive_takes_every_block_and_needs_another_archive_for_it(past, tmp_path, monkeypatch):
    ward = OldWard()
    ward.give(past, tmp_path, 0, 1)
    monkeypatch.setattr(ward, "conditions", replace(ward.conditions, retention=ALL))
    ward.switch_on(ward.late)
    ward.run(120)
    assert ward.late.running.chain.head.height == 0
    ward.archives = {2}
    ward.give(past, tmp_path, 2)
    assert ward.arrives(600)
    assert ward.late.running.chain.floor == 0
    assert ward.late.running.chain.block(ward.late.running.chain.at(1).id) is not None


def test_a_box_that_became_an_archive_takes_what_it_had_let_go_from_another(past, tmp_path):
    ward = OldWard()
    ward.give(past, tmp_path, 0, 1)
    before = ward.boxes[1].running.chain
    ward.retentions = {1: ALL}
    ward.switch_off(ward.boxes[1])
    ward.switch_on(ward.boxes[1])
    chain = ward.boxes[1].running.chain
    assert chain.floor == before.floor > 0
    ward.run(120)
    assert not chain.past.is_whole
    ward.archives = {2}
    ward.give(past, tmp_path, 2)
    ward.mine_now(ward.boxes[0])
    assert ward.run_until(lambda: chain.past.is_whole, 1200)
    assert chain.head == ward.boxes[0].running.chain.head, "and goes on meanwhile"
    for height in range(1, chain.floor):
        block = past.chain.block(past.chain.at(height).id)
        assert chain.block(block.id) == block
        assert all(chain.payload(u.payload) is not None for u in block.updates)
    ward.mine_now(ward.boxes[0])
    ward.run(10)
    assert chain.past.is_whole, "and lets nothing go again"


def test_without_a_quorum_behind_a_state_every_block_is_checked(tmp_path):
    ward = OldWard()
    waiting = Past(tmp_path / "waiting.db", ward)
    waiting.grow_final(HEIGHT, ALICE, BOB)  # two of four members
    assert finality.final(waiting.chain.state.records).height == 0
    ward.give(waiting, tmp_path, 0, 1)
    ward.switch_on(ward.late)
    assert ward.arrives(600)
    assert ward.late.running.chain.floor == 0
    assert same(ward.late, ward.boxes[0])


class WithoutState(Node):
    """Has not the highest state any more."""

    def _object(self, kind, name):
        highest = self.chain.served.block(self.chain.at(FLOOR + 1).id).coinbase.state
        return None if name == highest else super()._object(kind, name)


def test_where_nobody_gives_a_state_the_next_lower_one_is_taken(past, tmp_path):
    ward = OldWard(nodes={0: WithoutState, 1: WithoutState})
    ward.give(past, tmp_path, 0, 1)
    ward.switch_on(ward.late)
    ward.run(PATIENCE / 2)
    assert ward.late.running.chain.head.height == 0
    assert ward.arrives(PATIENCE)
    assert ward.late.running.chain.floor == FLOOR - STATE_INTERVAL


class Liar(Node):
    """Serves other states and parameters than were asked for."""

    def _object(self, kind, name):
        data = super()._object(kind, name)
        if data is not None and kind in {ObjectKind.STATE, ObjectKind.PARAMETERS}:
            return data[:-1] + bytes([data[-1] ^ 1])
        return data


def test_who_gives_another_state_is_blamed_and_another_box_asked(past, tmp_path):
    ward = OldWard(nodes={0: Liar, 1: Liar})
    ward.give(past, tmp_path, 0, 1)
    ward.switch_on(ward.late)

    def blamed():
        return {e.peer.address.host for e in ward.late.events if isinstance(e, PeerBlamed)}

    assert ward.run_until(blamed, PATIENCE)
    ward.give(past, tmp_path, 2)
    assert ward.arrives(3 * PATIENCE)
    assert blamed() <= {ward.boxes[0].host, ward.boxes[1].host}
    assert same(ward.late, ward.boxes[2])


def test_power_may_fail_at_any_moment_of_joining(past, tmp_path):
    ward, rng = OldWard(), random.Random(7)
    ward.give(past, tmp_path, 0, 1)
    for _ in range(30):
        ward.switch_on(ward.late)
        ward.run(rng.uniform(0, 1.5))
        ward.switch_off(ward.late)
    ward.switch_on(ward.late)
    assert ward.arrives()
    assert same(ward.late, ward.boxes[0])


# A chain of a stranger, which has the ward's key and any hash rate


class ForgedPast(Past):
    """A chain that is heavier than the ward's, and whose state says that Mallory is its member."""

    def __init__(self, path, ward):
        super().__init__(path, ward)
        for _ in range(FLOOR):
            self.chain.add_block(self._stranger_block(), 2**31)
        records = genesis_records(self.genesis)
        for key in list(records):
            if key[0] == RecordKind.MEMBER:
                del records[key]
        records[u8(RecordKind.MEMBER) + MALLORY.public] = u32(0) + u32(0) + b"mallory"
        records[u8(RecordKind.ACCOUNT) + MALLORY.public] = u64(10**9) + u64(0)
        raw = encode_records(sorted(records.items()))
        models = self.genesis.block.coinbase.models
        entry = self.chain.tree.tip
        assert entry.height == FLOOR
        snapshot = Snapshot(entry, content_id(raw), records, models, (ward.initial,))
        self.chain.join_at(snapshot)
        self.grow_final(HEIGHT + 40, MALLORY)

    def block(self, *transactions, miner=None, seconds=90):
        return super().block(*transactions, miner=MALLORY, seconds=seconds)

    def sealed(self, block, miner=None):
        return super().sealed(block, MALLORY)

    def _stranger_block(self):
        parent = self.chain.tree.tip
        height = parent.height + 1
        coinbase = Coinbase(
            height,
            bytes(8),
            MALLORY.public,
            (),
            self.genesis.block.coinbase.models,
            bytes(32) if holds_state_root(height) else b"",
        )
        target = expected_target(self.genesis, parent, self.chain.tree.get)
        header = Header(HEADER_VERSION, parent.id, bytes(32), parent.header.time + 90, target, 0)
        return self.sealed(Block(header, bytes(64), (coinbase,)))


def test_a_stranger_with_any_hash_rate_makes_nobody_join_its_chain(past, tmp_path):
    ward = OldWard()
    forged = ForgedPast(tmp_path / "forged.db", ward)
    records = forged.chain.state.records
    assert forged.chain.head.work > past.chain.head.work
    assert forged.chain.state.justified > past.chain.state.justified
    assert membership.members(records) == {MALLORY.public: "mallory"}
    assert account(records, MALLORY.public) != Account()
    ward.give(forged, tmp_path, 2)
    ward.switch_on(ward.late)
    ward.run(3 * PATIENCE)
    assert ward.late.running.chain.head.height == 0
    assert ward.late.running.chain.floor == 0
    ward.give(past, tmp_path, 0, 1)
    assert ward.arrives(10 * PATIENCE)
    assert same(ward.late, ward.boxes[0])


class Silent(Node):
    """Gives no state."""

    def _object(self, kind, name):
        return None if kind is ObjectKind.STATE else super()._object(kind, name)


def test_a_branch_whose_states_nobody_can_have_holds_nobody_up_for_long(past, tmp_path):
    ward = OldWard(nodes={2: Silent})
    ward.give(ForgedPast(tmp_path / "forged.db", ward), tmp_path, 2)
    ward.give(past, tmp_path, 0, 1)
    ward.switch_on(ward.late)
    ward.run(PATIENCE / 2)
    assert ward.late.running.chain.floor == 0, "the heavier branch comes first"
    assert ward.arrives(PATIENCE)
    assert ward.late.running.chain.floor == FLOOR


class Braggart(Node):
    """Claims a head far above all others, and has nothing to show."""

    def _tip(self):
        return Tip(bytes(32), 10**6, 2**200, 10**6)


def test_who_claims_a_head_and_shows_no_headers_holds_nobody_up_for_long(tmp_path):
    ward = OldWard(nodes={2: Braggart})
    young = Past(tmp_path / "young.db", ward)
    young.grow(30)
    ward.give(young, tmp_path, 0, 1)
    ward.switch_on(ward.boxes[2])
    ward.switch_on(ward.late)
    assert ward.arrives(4 * HEADERS_PATIENCE)


class Forgetful(Node):
    """Has let go of more than a box of its height."""

    def _object(self, kind, name):
        entry = self.chain.tree.get(name) if kind is ObjectKind.BLOCK else None
        return None if entry is not None and entry.height < 500 else super()._object(kind, name)


class OldHead(Node):
    """Names an old block of the ward's chain as its head, and says that it is the best of all."""

    claims: ClassVar = {}

    def _tip(self):
        return Tip(self.claims[self.links.instance], 10**6, 2**200, 10**6)

    def _handle(self, peer, message, now):
        if not isinstance(message, GetHeaders):
            super()._handle(peer, message, now)

    def _serve(self, peer, request, now):
        pass


class Trickle(OldHead):
    """Answers each request with the first chunk of something long."""

    def _serve(self, peer, request, now):
        self.links.send(peer, Chunk(request.tag, 0, 600_000, 0, bytes(CHUNK_BYTES)))


@pytest.mark.parametrize("kind", [OldHead, Trickle])
def test_who_names_old_blocks_as_its_head_keeps_nobody_from_joining(
    past, tmp_path, monkeypatch, kind
):
    monkeypatch.setattr(OldHead, "claims", defaultdict(lambda: past.chain.at(400).id))
    ward = OldWard(nodes={0: Forgetful, 1: kind, 2: kind})
    ward.give(past, tmp_path, 0)
    for box, height in zip(ward.boxes[1:3], (400, 401), strict=True):
        ward.switch_on(box)
        OldHead.claims[box.running.links.instance] = past.chain.at(height).id
    ward.switch_on(ward.late)
    assert ward.arrives(PATIENCE / 2)
    assert ward.late.running.chain.floor == FLOOR


class Drip(Node):
    """Serves the hashes of a state's pieces chunk by chunk, one in a second."""

    def _serve(self, peer, request, now):
        if request.kind is not ObjectKind.PIECES:
            super()._serve(peer, request, now)
            return
        self.drips = getattr(self, "drips", 0) + 1
        if self.drips % 4 == 0:
            first, _ = request.ranges[0]
            start, end = chunk_span(HASHES_LIMIT, first)
            self.links.send(peer, Chunk(request.tag, first, HASHES_LIMIT, 0, bytes(end - start)))


def test_a_state_that_comes_in_drips_is_given_up(past, tmp_path):
    ward = OldWard(nodes={0: Drip})
    ward.give(past, tmp_path, 0)
    ward.switch_on(ward.late)
    ward.run(10)
    joining = ward.late.running._joining
    assert joining.at == FLOOR
    ward.run(2 * PATIENCE)
    assert joining.at != FLOOR


CROWDED = Retention(blocks=100, bytes=1)
"""So little room that also blocks above the last final one go."""


@pytest.mark.parametrize("retention", [RECENT, CROWDED])
def test_a_part_that_was_alone_for_days_joins_the_part_with_the_quorum(past, tmp_path, retention):
    """It is about as high, and neither has the other's first blocks any more."""
    ward = OldWard()
    ward.retentions[3] = retention
    alone = Past(tmp_path / "alone.db", ward)
    for height in range(1, 11):
        block = past.chain.block(past.chain.at(height).id)
        for update in block.updates:
            alone.chain.add_payload(past.chain.payload(update.payload))
        alone.add(block, now=2**31)
    alone.grow(HEIGHT - 20, miner=DAVE)
    ward.give(past, tmp_path, 0, 1)
    ward.give(alone, tmp_path, 3)
    chain = ward.late.running.chain
    assert (chain.floor > 10) is (retention is CROWDED)
    assert chain.head.height == HEIGHT - 10
    assert ward.arrives()
    assert chain.floor == FLOOR
    assert same(ward.late, ward.boxes[0])
    (joined,) = [e.change for e in ward.late.events if isinstance(e, HeadMoved)][:1]
    assert joined.new.height == FLOOR
    assert joined.disconnected


@pytest.mark.parametrize("endorsing", [(ALICE,), (ALICE, BOB)])
def test_a_part_without_a_quorum_is_joined_by_nobody_however_heavy_it_is(tmp_path, endorsing):
    ward = OldWard()
    heavier, ours = Past(tmp_path / "heavier.db", ward), Past(tmp_path / "ours.db", ward)
    heavier.grow_final(HEIGHT + 80, *endorsing)
    ours.grow(HEIGHT, miner=DAVE)
    ward.give(heavier, tmp_path, 0, 1)
    ward.retentions[3] = CROWDED
    ward.give(ours, tmp_path, 3)
    assert ward.late.running.chain.floor > 0
    ward.run(2 * PATIENCE)
    assert ward.late.running.chain.tree.tip == heavier.chain.head
    assert ward.late.running.chain.head == ours.chain.head


def test_a_state_with_less_justified_than_the_chain_has_is_not_joined(tmp_path):
    ward = OldWard()
    heavier, ours = Past(tmp_path / "heavier.db", ward), Past(tmp_path / "ours.db", ward)
    heavier.grow(FLOOR + 20)
    heavier.endorse(ALICE, BOB, CAROL)
    heavier.grow(HEIGHT + 80 - heavier.chain.head.height)
    ours.grow(5)
    ours.endorse(ALICE, BOB, CAROL)
    ours.grow(HEIGHT, miner=DAVE)
    assert (ours.chain.state.justified, ours.chain.final.height) == (4, 0)
    ward.give(heavier, tmp_path, 0, 1)
    ward.retentions[3] = CROWDED
    ward.give(ours, tmp_path, 3)
    ward.run(PATIENCE)
    joining = ward.late.running._joining
    assert heavier.chain.at(FLOOR).id in joining._given_up
    assert ward.late.running.chain.head == ours.chain.head
