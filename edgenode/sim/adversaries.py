"""Dishonest members: what each of them tries, with its own key and on its own node."""

from collections.abc import Sequence
from dataclasses import replace

from edgenode.ledger import finality
from edgenode.ledger.accounts import account
from edgenode.ledger.block import Block, sign_block
from edgenode.ledger.chain import Chain
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.header import ID_BYTES
from edgenode.ledger.headers import Entry, earliest_time
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.merkle import merkle_root
from edgenode.ledger.target import expand, meets
from edgenode.ledger.target import work as work_of
from edgenode.ledger.template import build_template
from edgenode.ledger.transaction import EXTRANONCE_BYTES, Coinbase, Transaction, Transfer, Update
from edgenode.ledger.validation import ancestors
from edgenode.protocol.wire import ObjectKind, Tip
from edgenode.sim.arena import Arena, ArenaStore, Behaviour, DishonestNode
from edgenode.sim.ward import START, Box


class DoubleVoter(Behaviour):
    """Endorses every checkpoint it hears of, from the highest and the lowest source there is.

    Double votes and surround votes both; each goes to some of its neighbours.
    """

    endorses_honestly = False

    def __init__(self) -> None:
        self._said: set[bytes] = set()

    def on_head(self, ward: Arena, box: Box) -> None:
        """See Behaviour."""
        node = ward.node(box)
        for target in self._targets(ward, node):
            sources = finality.justified(node.chain.state.records)
            for source in dict.fromkeys((sources[0], sources[-1])):
                if source.height < target.height:
                    self._endorse(ward, box, node, source, target)

    def _targets(self, ward: Arena, node: DishonestNode) -> list[Entry]:
        interval = ward.genesis.checkpoint_interval
        chain = node.chain
        own = (chain.at(chain.head.height // interval * interval - back) for back in (0, interval))
        beside = (chain.tree.get(block.id) for block in chain.beside(2 * interval))
        return [
            e for e in (*own, *beside) if e is not None and e.height and not e.height % interval
        ]

    def _endorse(
        self,
        ward: Arena,
        box: Box,
        node: DishonestNode,
        source: finality.Checkpoint,
        target: Entry,
    ) -> None:
        endorsement = Endorsement(
            box.key.public,
            source.height,
            source.id,
            target.height,
            target.id,
            bytes(SIGNATURE_BYTES),
        )
        name = endorsement.encode()
        if name not in self._said:
            self._said.add(name)
            signed = endorsement.signed(box.key, ward.genesis.id)
            node.say(signed)
            ward.later(box, ward.rng.uniform(0.5, 5), lambda node: node.say(signed, 0.5))


class Forger(Behaviour):
    """Makes blocks that are well mined and wrong in one thing, and shows them to everybody."""

    def on_turn(self, ward: Arena, box: Box) -> bool:
        """See Behaviour."""
        if ward.rng.random() < 0.5:
            return False
        node = ward.node(box)
        block = ward.rng.choice(FORGERIES)(ward, box, node)
        if block is not None:
            head = node.chain.head
            node.show(
                block,
                Tip(
                    block.id,
                    head.height + 1,
                    head.work + work_of(expand(block.header.target)),
                    node.chain.state.justified,
                ),
            )
        return block is not None


class Withholder(Behaviour):
    """Counts an update in its blocks whose payload it keeps to itself, for a while or for good."""

    def on_update(self, ward: Arena, box: Box, update: Update, payload: bytes) -> bool:  # noqa: ARG002
        """See Behaviour."""
        node = ward.node(box)
        node.withheld.add(update.payload)
        if ward.rng.random() < 0.5:
            ward.later(
                box,
                ward.rng.uniform(1, 15),
                lambda node: node.withheld.discard(update.payload),
            )
        return False


class Equivocator(Behaviour):
    """Trains two updates on one base and tells some of the one and some of the other."""

    def on_update(self, ward: Arena, box: Box, update: Update, payload: bytes) -> bool:
        """See Behaviour."""
        node = ward.node(box)
        for one, data in ((update, payload), ward.update(box, update.base)):
            node.made_up[ObjectKind.PAYLOAD, one.payload] = data
            node.say(one, 0.6)
        return ward.rng.random() < 0.5


class ClockForger(Behaviour):
    """Stamps its blocks as late or as early as the rules let it."""

    def on_turn(self, ward: Arena, box: Box) -> bool:
        """See Behaviour."""
        node = ward.node(box)
        template = node.template(box.key.public, ward.instant)
        head = node.chain.head
        latest = int(START + ward.now) + ward.genesis.future_bound
        earliest = earliest_time(ward.genesis, head, node.chain.tree.get)
        time = max(earliest, ward.rng.choice((latest, latest + 1, earliest, earliest - 1)))
        block = template.block(
            ward.rng.randbytes(EXTRANONCE_BYTES), 0, template.work.time, box.key, ward.genesis.id
        )
        block = sealed(ward, replace(block, header=replace(block.header, time=time)), box.key)
        node.show(
            block,
            Tip(
                block.id,
                head.height + 1,
                head.work + work_of(expand(block.header.target)),
                node.chain.state.justified,
            ),
        )
        return True


class Boaster(Behaviour):
    """Says that its chain has more justified, or is longer and heavier, than any.

    Of its true head, of an old block of everybody's chain, or of a block that nobody has.
    """

    def on_head(self, ward: Arena, box: Box) -> None:
        """See Behaviour."""
        node, rng = ward.node(box), ward.rng
        old = node.chain.at(rng.randint(0, node.chain.head.height))
        assert old is not None, "it is not above the head"
        name = rng.choice((None, None, old.id, rng.randbytes(ID_BYTES)))
        height, work, justified = (rng.choice((0, more)) for more in (1000, 2**100, 1000))
        nearly = rng.choice((0, 1, 4, justified))

        def claim(tip: Tip) -> Tip:
            return Tip(
                name or tip.head, tip.height + height, tip.work + work, tip.justified + nearly
            )

        node.claim = claim


class SwiftMiner(Behaviour):
    """Has so much hash rate that it makes the next block at once, when its share allows one."""

    def on_head(self, ward: Arena, box: Box) -> None:
        """See Behaviour."""
        wait = ward.node(box).rest(box.key.public, ward.instant_of(box))
        head = box.running.chain.head.id

        def mine(node: DishonestNode) -> None:
            if node.chain.head.id == head:
                ward.mine_now(box)

        ward.later(box, wait + 0.002, mine)


class Hermit(Behaviour):
    """Leaves the network, mines a branch by itself as quickly as its share lets it, comes back."""

    def __init__(self, blocks: int = 4, away: float = 8.0, chance: float = 0.15) -> None:
        self._blocks = blocks
        self._away = away
        self._chance = chance

    def on_head(self, ward: Arena, box: Box) -> None:
        """See Behaviour."""
        if box.index in ward.isolated or ward.rng.random() >= self._chance:
            return
        ward.isolated.add(box.index)
        for n in range(self._blocks):
            ward.later(box, 0.1 * (n + 1), lambda node: _mine_if_due(ward, box, node))
        ward.at(ward.rng.uniform(1, self._away), lambda: ward.isolated.discard(box.index))


class Rewriter(Hermit):
    """Goes back some blocks, below final ones as well, and mines another chain from there."""

    def __init__(
        self, blocks: int = 4, away: float = 8.0, deepest: int = 10, times: int = 1
    ) -> None:
        super().__init__(blocks, away)
        self._deepest = deepest
        self._times = times

    def on_head(self, ward: Arena, box: Box) -> None:
        """See Behaviour."""
        height = box.running.chain.head.height
        if not self._times or height < 4 or ward.rng.random() >= 0.2 or box.index in ward.isolated:
            return
        self._times -= 1
        # Not inside the event that moved the head: its node goes away.
        ward.at(0.001, lambda: self._rewrite(ward, box))

    def _rewrite(self, ward: Arena, box: Box) -> None:
        if box.node is None:
            return
        depth = ward.rng.randint(1, self._deepest)
        store = shortened(ward, box.running.chain, depth)
        ward.switch_off(box)
        box.store = store
        ward.isolated.add(box.index)
        ward.switch_on(box)
        for n in range(self._blocks):
            ward.later(box, 0.1 * (n + 1), lambda _: ward.mine_now(box))
        ward.at(ward.rng.uniform(1, self._away), lambda: ward.isolated.discard(box.index))


def shortened(ward: Arena, chain: Chain, depth: int) -> ArenaStore:
    """A store that holds a chain without its last blocks."""
    store = ArenaStore(ward.genesis.id)
    copy = Chain(ward.genesis, (ward.initial,), store)
    for height in range(1, max(0, chain.head.height - depth) + 1):
        entry = chain.at(height)
        block = None if entry is None else chain.block(entry.id)
        assert block is not None, "every block of a chain is in its store"
        copy.add_block(block, block.header.time)
        for update in block.updates:
            payload = chain.payload(update.payload)
            assert payload is not None, "a block of the chain has its payloads"
            copy.add_payload(payload)
        copy.advance()
    return store


def _mine_if_due(ward: Arena, box: Box, node: DishonestNode) -> None:
    if not node.rest(box.key.public, ward.instant_of(box)):
        ward.mine_now(box)


# Forged blocks


def sealed(ward: Arena, block: Block, key: MemberKey) -> Block:
    """The block with merkle root, proof of work and signature put right."""
    header = replace(block.header, merkle_root=merkle_root(block.leaves))
    while not meets(header.id, expand(header.target)):
        header = replace(header, nonce=header.nonce + 1)
    return Block(header, sign_block(header, key, ward.genesis.id), block.transactions)


def made(ward: Arena, box: Box, node: DishonestNode, more: Sequence[Transaction] = ()) -> Block:
    """A block on the head with all commitments right, and with transactions that may be wrong."""
    template = build_template(
        ward.genesis,
        node.chain.state,
        [*node.mempool.select(node.chain.state), *more],
        miner=box.key.public,
        now=int(ward.instant_of(box).unix),
        lookup=node.chain.tree.get,
        payload=lambda name: node.chain.payload(name) or b"",
    )
    extranonce = ward.rng.randbytes(EXTRANONCE_BYTES)
    block = template.block(extranonce, 0, template.work.time, box.key, ward.genesis.id)
    return sealed(ward, block, box.key)


def with_coinbase(ward: Arena, block: Block, coinbase: Coinbase, key: MemberKey) -> Block:
    """The block with another coinbase."""
    return sealed(ward, replace(block, transactions=(coinbase, *block.transactions[1:])), key)


def greedy(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """One coin too many."""
    block = made(ward, box, node)
    (payee, amount), *others = block.coinbase.payouts
    return with_coinbase(
        ward, block, replace(block.coinbase, payouts=((payee, amount + 1), *others)), box.key
    )


def wrong_root(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """Other parameters than those that the updates give."""
    block = made(ward, box, node)
    models = (replace(block.coinbase.models[0], root=ward.rng.randbytes(32)),)
    return with_coinbase(ward, block, replace(block.coinbase, models=models), box.key)


def wrong_examples(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """More examples than the updates have."""
    block = made(ward, box, node)
    model = block.coinbase.models[0]
    models = (replace(model, examples=model.examples + 1),)
    return with_coinbase(ward, block, replace(block.coinbase, models=models), box.key)


def by_a_stranger(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """A block in the name and with the key of nobody in the ward."""
    stranger = MemberKey(ward.rng.randbytes(32))
    block = made(ward, box, node)
    return with_coinbase(ward, block, replace(block.coinbase, miner=stranger.public), stranger)


def in_anothers_name(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """A block of another member, which that one has not signed."""
    other = ward.rng.choice([b for b in ward.boxes if b is not box])
    block = made(ward, box, node)
    return with_coinbase(ward, block, replace(block.coinbase, miner=other.key.public), box.key)


def counted_twice(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """An update that the chain has counted, with an aggregate that counts it again."""
    chain = node.chain
    for height in range(chain.head.height, max(0, chain.head.height - 2), -1):
        entry = chain.at(height)
        block = None if entry is None else chain.block(entry.id)
        base = None if block is None or not block.updates else chain.tree.get(block.updates[0].base)
        if base is None or chain.head.height - base.height >= len(ward.genesis.discounts):
            continue
        assert block is not None, "it has an update"
        return made(ward, box, node, block.updates[:1])
    return None


def overdrawn(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """A transfer of coins that nobody has."""
    balance = account(node.chain.state.records, box.key.public).balance
    return made(ward, box, node, [ward.transfer(box, balance + 1)])


def stolen(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """A transfer of another's coins."""
    other = ward.rng.choice([b for b in ward.boxes if b is not box])
    owned = account(node.chain.state.records, other.key.public)
    theft = Transfer(
        other.key.public, box.key.public, max(1, owned.balance), 0, owned.sequence, bytes(64)
    )
    return made(ward, box, node, [theft.signed(box.key, ward.genesis.id)])


def stuffed(ward: Arena, box: Box, node: DishonestNode) -> Block | None:
    """Endorsements in everybody's name."""
    chain, interval = node.chain, ward.genesis.checkpoint_interval
    target = chain.head.height // interval * interval
    source = finality.highest_justified(chain.state.records)
    if target <= source.height:
        return None
    at = ancestors(chain.head, chain.tree.get)
    return made(
        ward,
        box,
        node,
        [
            Endorsement(
                b.key.public, source.height, source.id, target, at(target), bytes(SIGNATURE_BYTES)
            ).signed(box.key, ward.genesis.id)
            for b in ward.boxes
        ],
    )


FORGERIES = (
    greedy,
    wrong_root,
    wrong_examples,
    by_a_stranger,
    in_anothers_name,
    counted_twice,
    overdrawn,
    stolen,
    stuffed,
)
