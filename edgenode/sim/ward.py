"""Simulates a ward: seeded, so that a run is replayed by its seed, event by event."""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edgenode.learning import update_codec
from edgenode.learning.aggregation import AggregationRule
from edgenode.learning.fixed_point import to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Genesis, Member, Model
from edgenode.ledger.hashes import content_id
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.retention import ALL, Retention
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.target import expand, meets
from edgenode.ledger.transaction import EXTRANONCE_BYTES, Update
from edgenode.ledger.vows import Voter
from edgenode.protocol.events import Event, HeadMoved
from edgenode.protocol.instant import Instant
from edgenode.protocol.layout import SAME_HOST, Layout
from edgenode.protocol.node import Node
from edgenode.protocol.wire import Address, Datagram, Socket
from edgenode.storage.chain import SqliteChainStore

START = 1_700_000_000
WARD_KEY = bytes(range(32))
SYNC_PORT, BROADCAST_PORT = 7070, 7071
PORTS = {Socket.SYNC: SYNC_PORT, Socket.BROADCAST: BROADCAST_PORT}
EASY_TARGET = 0x21FFFFFF
"""Any hash meets it: the simulator draws the time of each block instead of searching."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the network does to datagrams and what the nodes do.

    Delays and `spacing` (of the whole ward's blocks) in seconds, probabilities for each datagram.
    """

    loss: float = 0.0
    duplication: float = 0.0
    delay: tuple[float, float] = (0.001, 0.02)
    spacing: float = 90.0
    training: float = 10.0
    parameters: int = 2000
    codec: Codec = Codec.INT32
    share_window: int = 1
    """Blocks among which no member makes more than its share; 1: nobody is held up."""
    share_rest: int = 1200
    future_bound: int = 600
    checkpoint_interval: int = 4
    retention: Retention = ALL
    """What the nodes keep of their chain."""


@dataclass(slots=True)
class Box:
    """One node of the simulation; `node` is None while it is switched off."""

    index: int
    key: MemberKey
    store: SqliteChainStore
    node: Node | None = None
    events: list[Event] = field(default_factory=list)
    epoch: int = 0
    skew: float = 0.0
    """Seconds by which its clock is ahead of the true one."""
    hash_rate: float = 1.0
    """In that of an ordinary box."""
    ticking: float = float("inf")

    @property
    def host(self) -> str:
        """Its address in the simulated network."""
        return f"10.{self.index // 65_000}.{self.index % 65_000 // 250}.{self.index % 250 + 1}"

    @property
    def running(self) -> Node:
        """The node.

        Raises:
            ValueError: it is switched off.
        """
        if self.node is None:
            raise ValueError(f"box {self.index} is switched off")
        return self.node


class Ward:
    """Boxes, a network between them, and a clock that jumps from event to event."""

    def __init__(self, boxes: int, seed: int, conditions: Conditions | None = None) -> None:
        """Set up the boxes, all switched on; `seed` decides everything random."""
        self.conditions = conditions or Conditions()
        self.now = 0.0
        self.delivered = 0
        self._rng = random.Random(seed)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._groups: dict[int, int] = {}
        self._vectors = np.random.default_rng(seed)
        self.initial = np.zeros(self.conditions.parameters, np.int32)
        keys = self._keys(boxes)
        members = self._members(list({key.public: key for key in keys}.values()))
        self.genesis = _genesis(members, self.conditions, content_id(to_bytes(self.initial)))
        self.boxes = [Box(i, key, self._new_store()) for i, key in enumerate(keys)]
        self._by_host = {box.host: box for box in self.boxes}
        for box in self.boxes:
            self.switch_on(box)

    def switch_on(self, box: Box) -> None:
        """Start the node of a box from what its store holds."""
        chain = Chain(self.genesis, (self.initial,), box.store, self._retention(box))
        box.epoch += 1
        box.node = self._node_class(box)(
            chain=chain,
            store=box.store,
            ward_key=WARD_KEY,
            key=box.key,
            seeds=[self._address(other) for other in self._seeds(box)],
            layout=self._layout(box),
            rng=random.Random(self._rng.getrandbits(64)),
            now=self.instant_of(box),
            voter=Voter(self.genesis, box.key, box.store),
        )
        box.ticking = float("inf")
        self._schedule_tick(box)
        self._schedule_training(box)
        self._schedule_block(box)

    def switch_off(self, box: Box) -> None:
        """Pull the plug: all that is not in the store is gone."""
        box.node = None
        box.epoch += 1

    def partition(self, *groups: list[int]) -> None:
        """Let boxes reach only those of their own group; without groups the network is whole."""
        self._groups = {index: number for number, group in enumerate(groups) for index in group}

    def run(self, seconds: float) -> None:
        """Let that much time pass."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Let time pass until the condition holds, at most `limit` seconds; says if it does."""
        end = self.now + limit
        while not condition() and self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        return condition()

    def mine_now(self, box: Box) -> None:
        """Let a box find a block at this moment."""
        self._mine(box, box.running)
        self._after(box)

    def update(self, box: Box, base: bytes) -> tuple[Update, bytes]:
        """A box's update on a block, with random differences as its payload."""
        delta = self._vectors.integers(-(2**20), 2**20, self.conditions.parameters, dtype=np.int32)
        payload = update_codec.encode(delta, self.conditions.codec)
        update = Update(
            model=0,
            member=box.key.public,
            base=base,
            examples=self._rng.randint(1, 500),
            payload_length=len(payload),
            payload=content_id(payload),
            signature=bytes(SIGNATURE_BYTES),
        )
        return update.signed(box.key, self.genesis.id), payload

    @property
    def instant(self) -> Instant:
        """The clocks."""
        return Instant(self.now, START + self.now)

    def instant_of(self, box: Box) -> Instant:
        """The clocks of a box."""
        return Instant(self.now, START + self.now + box.skew)

    def on(self) -> list[Box]:
        """The boxes that are switched on."""
        return [box for box in self.boxes if box.node is not None]

    def agree(self) -> bool:
        """Whether all boxes that are on hold the same head and the same parameters."""
        states = [box.running.chain.state for box in self.on()]
        return all(
            state.entry.id == states[0].entry.id
            and to_bytes(state.parameters[0]) == to_bytes(states[0].parameters[0])
            for state in states
        )

    # What a simulation may do otherwise

    def _keys(self, boxes: int) -> list[MemberKey]:
        """The members' keys, one for each box; cloned cards have the same."""
        return [MemberKey((i + 1).to_bytes(32)) for i in range(boxes)]

    def _members(self, keys: list[MemberKey]) -> list[MemberKey]:
        """Whose keys are members' from genesis on."""
        return keys

    def _new_store(self) -> SqliteChainStore:
        """An empty store."""
        return SqliteChainStore(":memory:", self.genesis.id)

    def _node_class(self, box: Box) -> type[Node]:  # noqa: ARG002
        """What runs in a box."""
        return Node

    def _retention(self, box: Box) -> Retention:  # noqa: ARG002
        """What a box keeps of its chain."""
        return self.conditions.retention

    def _layout(self, box: Box) -> Layout:  # noqa: ARG002
        """Which sockets a box has."""
        return Layout(broadcast=Address(SAME_HOST, BROADCAST_PORT))

    def _address(self, box: Box) -> Address:
        """Where a box speaks from."""
        return Address(box.host, SYNC_PORT if self._layout(box).sync else BROADCAST_PORT)

    def _seeds(self, box: Box) -> list[Box]:
        """Whose address a box is given."""
        return self.boxes[:1] if box.index else []

    def _reaches(self, sender: Box, receiver: Box) -> bool:
        """Whether the network carries datagrams between two boxes."""
        return self._groups.get(sender.index, 0) == self._groups.get(receiver.index, 0)

    def _offer(self, box: Box, node: Node, update: Update, payload: bytes) -> None:
        """A box has trained."""
        try:
            node.submit_update(update, payload, self.instant_of(box))
        except Rejected as rejected:
            # A box that was off and on again trains on the same base a second time.
            if rejected.rule is not Rule.UPDATE_REPEATED:
                raise

    # How it runs

    def _at(self, time: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (time, self._order, action))

    def _later(self, box: Box, seconds: float, action: Callable[[Node], None]) -> None:
        """Do something with a box's node, unless the box was switched off in between."""
        epoch = box.epoch

        def act() -> None:
            if box.epoch == epoch and box.node is not None:
                action(box.node)
                self._after(box)

        self._at(self.now + seconds, act)

    def _after(self, box: Box) -> None:
        datagrams, events = box.running.drain()
        for datagram in datagrams:
            self._post(box, datagram)
        box.events += events
        if any(isinstance(event, HeadMoved) for event in events):
            self._schedule_training(box)
        self._schedule_tick(box)

    def _schedule_tick(self, box: Box) -> None:
        deadline = box.running.deadline()
        if deadline is None or deadline >= box.ticking:
            return
        box.ticking = deadline
        epoch = box.epoch

        def tick() -> None:
            # An earlier deadline has taken the place of this one, or the box was switched off.
            if box.ticking == deadline and box.epoch == epoch and box.node is not None:
                box.ticking = float("inf")
                box.node.tick(self.instant_of(box))
                self._after(box)

        self._at(max(self.now + 1e-6, deadline), tick)

    def _post(self, sender: Box, datagram: Datagram) -> None:
        receiver = self._by_host[datagram.address.host]
        if not self._reaches(sender, receiver):
            return
        source = Address(sender.host, PORTS[datagram.socket])
        copies = 1 + (self._rng.random() < self.conditions.duplication)
        for _ in range(copies):
            if self._rng.random() < self.conditions.loss:
                continue
            self._later(
                receiver,
                self._rng.uniform(*self.conditions.delay),
                lambda node: self._deliver(receiver, node, datagram, source),
            )

    def _deliver(self, box: Box, node: Node, datagram: Datagram, source: Address) -> None:
        self.delivered += 1
        socket = Socket.SYNC if datagram.address.port == SYNC_PORT else Socket.BROADCAST
        node.receive(socket, source, datagram.data, self.instant_of(box))

    def _schedule_block(self, box: Box) -> None:
        mean = self.conditions.spacing * len(self.boxes) / box.hash_rate

        def mine(node: Node) -> None:
            if not node.rest(box.key.public, self.instant_of(box)):
                self._mine(box, node)
            self._schedule_block(box)

        self._later(box, self._rng.expovariate(1 / mean), mine)

    def _mine(self, box: Box, node: Node) -> None:
        template = node.template(box.key.public, self.instant_of(box))
        extranonce = self._rng.randbytes(EXTRANONCE_BYTES)
        nonce = 0
        while not meets(template.work.header(extranonce, nonce).id, expand(template.work.target)):
            nonce += 1
        block = template.block(extranonce, nonce, template.work.time, box.key, self.genesis.id)
        node.submit_block(block, self.instant_of(box))

    def _schedule_training(self, box: Box) -> None:
        base = box.running.chain.head.id

        def train(node: Node) -> None:
            if node.chain.head.id != base:
                return
            self._offer(box, node, *self.update(box, base))

        self._later(box, self.conditions.training * self._rng.uniform(0.5, 1.5), train)


def _genesis(keys: list[MemberKey], conditions: Conditions, root: bytes) -> Genesis:
    model = Model(
        name="simulated",
        parameters=conditions.parameters,
        scale_bits=24,
        rule=AggregationRule.FEDAVG,
        codec=conditions.codec,
        root=root.hex(),
        graph="00" * 32,
    )
    spacing = max(1, round(conditions.spacing))
    return Genesis(
        name="simulated ward",
        time=START,
        spacing=spacing,
        half_life=20 * spacing,
        target_limit=EASY_TARGET,
        target_start=EASY_TARGET,
        min_spacing=0,
        share_window=conditions.share_window,
        share_rest=conditions.share_rest,
        future_bound=conditions.future_bound,
        subsidy=1000,
        contributors_percent=50,
        updates_per_block=64,
        transfers_per_block=16,
        examples_cap=500,
        discounts=(256, 128, 64),
        checkpoint_interval=conditions.checkpoint_interval,
        endorsements_per_block=64,
        models=(model,),
        members=tuple(Member(f"box-{i}", key.public.hex()) for i, key in enumerate(keys)),
        authorities=(),
        authority_quorum=0,
    )
