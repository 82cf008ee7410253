"""A ward in trouble: sparse links, partitions, lost stores, wrong clocks, and boxes that misbehave.

Boxes speak to their neighbours only, as in a building with several networks: what is said goes over
several others, dishonest ones among them.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

from edgenode.ledger.accounts import account
from edgenode.ledger.block import Block
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.header import Header
from edgenode.ledger.keys import SIGNATURE_BYTES
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.store import Joined
from edgenode.ledger.transaction import Transaction, Transfer, Update
from edgenode.ledger.vows import Vow
from edgenode.protocol.events import Event, HeadMoved
from edgenode.protocol.instant import Instant
from edgenode.protocol.node import Node
from edgenode.protocol.wire import NewBlock, NewTransaction, ObjectKind, Socket, Tip
from edgenode.sim.ward import Box, Conditions, Ward
from edgenode.storage.chain import SqliteChainStore

BLOCKS_AT_HAND = 512


class Behaviour:
    """What a dishonest member does beside, or instead of, what the program does."""

    endorses_honestly = True
    """Whether its node keeps the vows of its member."""

    def on_turn(self, ward: "Arena", box: Box) -> bool:  # noqa: ARG002
        """It may make a block now; returns whether that was made use of."""
        return False

    def on_head(self, ward: "Arena", box: Box) -> None:
        """Its head has moved."""

    def on_update(self, ward: "Arena", box: Box, update: Update, payload: bytes) -> bool:  # noqa: ARG002
        """It has trained; returns whether the update was made use of."""
        return False


class ArenaStore(SqliteChainStore):
    """The store, with what is read again and again at hand."""

    blocks: ClassVar[OrderedDict[bytes, Block]] = OrderedDict()
    """Parsed blocks, for all nodes."""

    def __init__(self, genesis_id: bytes) -> None:
        self._at_hand: dict[bytes, bytes] = {}
        self._held: set[bytes] = set()
        super().__init__(":memory:", genesis_id)

    def block(self, block_id: bytes) -> Block | None:
        """See ChainStore."""
        if not self.has_block(block_id):
            return None
        block = self.blocks.get(block_id)
        if block is None:
            block = super().block(block_id)
            assert block is not None, "it is there"
            self.blocks[block_id] = block
            if len(self.blocks) > BLOCKS_AT_HAND:
                self.blocks.popitem(last=False)
        return block

    def has_block(self, block_id: bytes) -> bool:
        """See ChainStore."""
        if block_id in self._held:
            return True
        held = super().has_block(block_id)
        if held:
            self._held.add(block_id)
        return held

    def drop_block(self, block_id: bytes) -> None:
        """See ChainStore."""
        super().drop_block(block_id)
        self._held.discard(block_id)

    def drop_below_floor(self, limit: int) -> bool:
        """See ChainStore."""
        self._held.clear()
        return super().drop_below_floor(limit)

    def join(self, joined: Joined) -> None:
        """See ChainStore."""
        self._at_hand.clear()
        super().join(joined)

    def get(self, key: bytes) -> bytes | None:
        """See Records."""
        return self._at_hand.get(key)

    def under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See Records."""
        yield from sorted(item for item in self._at_hand.items() if item[0].startswith(prefix))

    def _write_records(self, records: Mapping[bytes, bytes] | Mapping[bytes, bytes | None]) -> None:
        super()._write_records(records)
        for key, value in records.items():
            if value is None:
                self._at_hand.pop(key, None)
            else:
                self._at_hand[key] = value


class ArenaNode(Node):
    """The program itself; it also tells what it endorses."""

    on_endorsement: Callable[[Endorsement], None] | None = None

    def submit(self, transaction: Any, now: Instant) -> None:  # noqa: ANN401
        """See Node."""
        if isinstance(transaction, Endorsement) and self.on_endorsement is not None:
            self.on_endorsement(transaction)
        super().submit(transaction, now)


class DishonestNode(ArenaNode):
    """The program, changed so that it serves what it does not hold and holds back what it has."""

    endorses = True

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401
        self.made_up: dict[tuple[ObjectKind, bytes], bytes] = {}
        self.withheld: set[bytes] = set()
        self.claim: Callable[[Tip], Tip] = lambda tip: tip
        """What it says of its head, given what is true."""
        super().__init__(**arguments)

    def _object(self, kind: ObjectKind, name: bytes) -> bytes | None:
        if name in self.withheld:
            return None
        return self.made_up.get((kind, name)) or super()._object(kind, name)

    def _endorse(self, now: Instant) -> None:
        if self.endorses:
            super()._endorse(now)

    def _tip(self) -> Tip:
        return self.claim(super()._tip())

    def say(self, transaction: Transaction, share: float = 1.0) -> None:
        """Send a transaction to some of the peers, whatever is thought of it here."""
        for peer in self.links.listeners():
            if self._rng.random() < share:
                self.links.send(peer, NewTransaction(transaction.encode()), Socket.BROADCAST)

    def show(self, block: Block, tip: Tip) -> None:
        """Announce a block that this node itself would not take, and serve it."""
        self.made_up[ObjectKind.BLOCK, block.id] = block.encode()
        self.announce(block.header, tip)

    def announce(self, header: Header, tip: Tip) -> None:
        """Announce a header, whether there is a block to it or not."""
        for peer in self.links.listeners():
            self.links.send(peer, NewBlock(header, tip), Socket.BROADCAST)


class Arena(Ward):
    """A ward whose network, clocks, power and members may all be bad."""

    def __init__(
        self,
        boxes: int,
        seed: int,
        conditions: Conditions,
        behaviours: dict[int, list[Behaviour]],
        degree: int = 3,
    ) -> None:
        """Set up; `behaviours` says which boxes are dishonest and how.

        Honest boxes are linked to each other in a ring and beyond, to `degree` others on average:
        the honest reach each other whatever the others let pass.
        """
        self.behaviours = behaviours
        self.rng = random.Random(seed ^ 0x5EED)
        self.bridging: set[int] = set()
        """Boxes that both sides of a partition reach."""
        self.isolated: set[int] = set()
        self.training_share = 0.25
        self.transfer_share = 0.05
        self._links = _graph(boxes, set(behaviours), degree, self.rng)
        super().__init__(boxes, seed, conditions)
        for box in self.boxes:
            # The ward is new: nobody has endorsed anything that could have been forgotten.
            box.store.keep_vow(Vow(0, 0))

    def honest(self) -> list[Box]:
        """The honest boxes, those that are off among them."""
        return [box for box in self.boxes if box.index not in self.behaviours]

    def lose_store(self, box: Box) -> None:
        """A box that is off gets an empty disk."""
        box.store = ArenaStore(self.genesis.id)

    def later(self, box: Box, seconds: float, action: Callable[[DishonestNode], None]) -> None:
        """Do something with a dishonest box's node after a while, if it still runs."""

        def act(node: Node) -> None:
            assert isinstance(node, DishonestNode), "only dishonest boxes misbehave"
            action(node)

        self._later(box, seconds, act)

    def at(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after a while."""
        self._at(self.now + seconds, action)

    def node(self, box: Box) -> DishonestNode:
        """The node of a dishonest box that is on."""
        node = box.running
        assert isinstance(node, DishonestNode), "only dishonest boxes misbehave"
        return node

    # What differs from an ordinary ward

    def switch_on(self, box: Box) -> None:
        """See Ward."""
        super().switch_on(box)
        if box.index in self.behaviours:
            self.node(box).endorses = all(b.endorses_honestly for b in self.behaviours[box.index])

    def _new_store(self) -> SqliteChainStore:
        return ArenaStore(self.genesis.id)

    def _node_class(self, box: Box) -> type[Node]:
        return DishonestNode if box.index in self.behaviours else ArenaNode

    def _seeds(self, box: Box) -> list[Box]:
        return [self.boxes[index] for index in sorted(self._links[box.index])]

    def _reaches(self, sender: Box, receiver: Box) -> bool:
        one, other = sender.index, receiver.index
        if other not in self._links[one] or self.isolated & {one, other}:
            return False
        return bool(self.bridging & {one, other}) or super()._reaches(sender, receiver)

    def _mine(self, box: Box, node: Node) -> None:
        for behaviour in self.behaviours.get(box.index, []):
            if behaviour.on_turn(self, box):
                return
        try:
            super()._mine(box, node)
        except Rejected as rejected:
            # A clock that was set back finds its own chain too new.
            if rejected.rule is not Rule.TIME_TOO_NEW:
                raise

    def _offer(self, box: Box, node: Node, update: Update, payload: bytes) -> None:
        if self.rng.random() < self.transfer_share:
            self._transfer(box, node)
        if self.rng.random() >= self.training_share:
            return
        for behaviour in self.behaviours.get(box.index, []):
            if behaviour.on_update(self, box, update, payload):
                return
        super()._offer(box, node, update, payload)

    def _transfer(self, box: Box, node: Node) -> None:
        transfer = self.transfer(box, self.rng.randint(1, 200))
        try:
            node.submit(transfer, self.instant_of(box))
        except Rejected as rejected:
            # It has made another since, which waits.
            if rejected.rule not in {Rule.TRANSFER_BALANCE, Rule.TRANSFER_SEQUENCE}:
                raise

    def transfer(self, box: Box, amount: int) -> Transfer:
        """A transfer of a box's member to some other, the next one as its node knows."""
        other = self.rng.choice([b for b in self.boxes if b is not box])
        return Transfer(
            sender=box.key.public,
            recipient=other.key.public,
            amount=amount,
            fee=self.rng.randint(0, 3),
            sequence=account(box.running.chain.state.records, box.key.public).sequence,
            signature=bytes(SIGNATURE_BYTES),
        ).signed(box.key, self.genesis.id)

    def _after(self, box: Box) -> None:
        super()._after(box)
        events, box.events = box.events, []
        moves = [event for event in events if isinstance(event, HeadMoved)]
        self.noted(box, events)
        if moves:
            for behaviour in self.behaviours.get(box.index, []):
                behaviour.on_head(self, box)

    def noted(self, box: Box, events: list[Event]) -> None:
        """What a node said after an event; for those who watch."""


def _graph(boxes: int, dishonest: set[int], degree: int, rng: random.Random) -> dict[int, set[int]]:
    """Who reaches whom: a ring of the honest, and links at random."""
    honest = [index for index in range(boxes) if index not in dishonest]
    rng.shuffle(honest)
    links: dict[int, set[int]] = {index: set() for index in range(boxes)}

    def link(one: int, other: int) -> None:
        if one != other:
            links[one].add(other)
            links[other].add(one)

    for one, other in zip(honest, [*honest[1:], honest[0]], strict=True):
        link(one, other)
    while sum(len(links[index]) for index in honest) < min(degree, len(honest) - 1) * len(honest):
        link(*rng.sample(honest, 2))
    for index in sorted(dishonest):
        for other in rng.sample(honest, min(degree, len(honest))):
            link(index, other)
    return links
