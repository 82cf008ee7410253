"""Wards of real processes, programs at their local APIs, and waiting for what they do."""

import random
import shutil
import sqlite3
import tempfile
import time
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path

import numpy as np

from demo.ward import Ward, WardPlan
from edgenode.api.client import ApiError, NodeUnavailableError
from edgenode.ledger.keys import SIGNATURE_BYTES
from edgenode.ledger.transaction import Transfer

MODEL = "activity"
PATIENCE_S = 240.0
"""Only so that a test that hangs ends; no test measures time."""

NO_ANSWER = (NodeUnavailableError, ApiError)


def until(condition, what, patience=PATIENCE_S, pause=0.1):
    """Wait until `condition()` gives something true and return it; a silent node is waited for."""
    end = time.monotonic() + patience
    answer = None
    while True:
        try:
            if result := condition():
                return result
        except NO_ANSWER as error:
            answer = error
        assert time.monotonic() < end, f"waited in vain for {what} (last refusal: {answer})"
        time.sleep(pause)


def asked(request):
    """The answer of a node that may be starting at the moment."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return request()
        except NodeUnavailableError:
            assert time.monotonic() < end, "the node does not answer"
            time.sleep(0.1)


def seeded(name):
    """A source of random choices whose seed is shown when the test fails.

    To repeat the choices, put the seed in here.
    """
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed of {name}: {seed}")
    return random.Random(seed)


@contextmanager
def ward_of(boxes, *, before=None, start=True, people=None, **plan):
    """A ward of so many boxes, running; its last log lines are shown when a test fails.

    Args:
        boxes: How many.
        before: Called with the ward before it starts.
        start: Whether to start them.
        people: Whose recordings the boxes sense; None for boxes without sensors.
        plan: What else `WardPlan` takes; by default a block a second, and no exporter.
    """
    # Unix sockets want short paths, which those of pytest's own directories are not always.
    directory = Path(tempfile.mkdtemp(prefix="ward-"))
    settings = {"spacing": 1, "services": ("gossip", "miner"), **plan}
    ward = Ward(WardPlan(directory=directory, people=people or [()] * boxes, **settings))
    try:
        if before is not None:
            before(ward)
        if start:
            ward.start()
        yield ward
        failures = ward.supervisor.failures()
        assert not failures, failures
    except BaseException:
        print(f"{where_they_stand(ward)}\n{last_lines(ward)}")
        raise
    finally:
        ward.close()
        shutil.rmtree(directory, ignore_errors=True)


def where_they_stand(ward):
    """What each box that answers says of itself."""
    text = []
    for box in ward.boxes:
        try:
            text.append(f"--- {box.name} {box.client.status()}")
        except NO_ANSWER as error:
            text.append(f"--- {box.name} {error}")
    return "\n".join(text)


def last_lines(ward, lines=12):
    """What the services of a ward logged last."""
    text = []
    for box in ward.boxes:
        for log in sorted(box.directory.glob("log/*.log")):
            text.append(f"--- {box.name} {log.name}")
            text += log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(text)


def log_of(box, service="gossip"):
    path = box.directory / "log" / f"{service}.log"
    return path.read_text(errors="replace") if path.exists() else ""


def height(box):
    return asked(box.client.head).height


def grown(boxes, blocks):
    """Wait until each of these boxes has so many blocks more than the highest has now."""
    goal = max(height(box) for box in boxes) + blocks
    until(lambda: all(b.client.head().height >= goal for b in boxes), f"height {goal}")


def start_mining(ward, boxes):
    for box in boxes:
        ward.supervisor.start(ward.supervisor.unit(box.unit_name("miner")))


def stop_mining(ward, boxes):
    ward.supervisor.stop([box.unit_name("miner") for box in boxes])


def exact(box, at=None):
    """The parameters as consensus has them."""
    return box.client.exact_parameters(MODEL, at=at).data


def agreed(ward, boxes=None):
    """Stop the miners and wait until these boxes (all) hold one head and the same parameters.

    Two tips of equal work can stand when the miners stop; each box keeps the one that it had
    first, so another block is mined to decide between them.

    Returns:
        The head.
    """
    boxes = boxes or ward.boxes
    end = time.monotonic() + PATIENCE_S
    while True:
        stop_mining(ward, boxes)
        for _ in range(50):
            heads = [asked(box.client.head) for box in boxes]
            if len({head.id for head in heads}) == 1:
                assert len({exact(box, heads[0].id) for box in boxes}) == 1, "parameters differ"
                return heads[0]
            time.sleep(0.1)
        assert time.monotonic() < end, f"no agreement: {[(h.height, h.id) for h in heads]}"
        if len({head.work for head in heads}) == 1:
            start_mining(ward, boxes)
            grown(boxes, 1)


def chain_of(box):
    """All blocks of a box's chain, decoded, from height 1 up."""
    return [asked(lambda h=h: box.client.block(h)) for h in range(1, height(box) + 1)]


def assert_no_update_counts_twice(blocks):
    updates = [update for block in blocks for update in block.updates]
    assert len({u.id for u in updates}) == len(updates)
    assert len({(u.model, u.member, u.base) for u in updates}) == len(updates)


def assert_same_chain_bit_for_bit(one, other):
    """Compare raw blocks and exact parameters at every height that both have."""
    top = min(height(one), height(other))
    lowest = max(box.client.status().kept_from for box in (one, other))
    for h in range(lowest, top + 1):
        assert one.client.raw_block(h) == other.client.raw_block(h), f"the block at {h} differs"
        assert exact(one, h) == exact(other, h), f"the parameters at {h} differ"
    return top


class Program:
    """A program at a box's local API that submits updates, as anyone's program may."""

    def __init__(self, box, seed):
        self.box = box
        self.acknowledged = {}  # id of the update: id of its base
        self._rng = np.random.default_rng(seed)

    def submit(self, at=None):
        """Change the parameters a little and submit them.

        Returns:
            Id of the update; None if this box had sent one on that base before.
        """
        client = self.box.client
        base = client.parameters(MODEL, at=at)
        values = base.values + self._rng.normal(0, 1e-3, base.values.shape).astype(np.float32)
        try:
            update = client.submit_update(
                MODEL, base.block, int(self._rng.integers(1, 500)), values
            )
        except ApiError as error:
            if error.name not in {"update_repeated", "update_base_stale", "update_base_unknown"}:
                raise
            return None
        self.acknowledged[update] = base.block
        return update


class Payer:
    """Whoever mined the first block, paying a box coin by coin: it takes any number of these."""

    def __init__(self, ward, box):
        miner = box.client.block(1).miner
        self._key = next(each.key for each in ward.boxes if each.key.public.hex() == miner)
        self._ward, self._box = ward.genesis.id, box
        self._sequence = 0

    def one_coin(self):
        """Pay the box a coin; raises ApiError as `submit_transaction`."""
        transfer = Transfer(
            sender=self._key.public,
            recipient=self._box.key.public,
            amount=1,
            fee=0,
            sequence=self._sequence,
            signature=bytes(SIGNATURE_BYTES),
        ).signed(self._key, self._ward)
        self._box.client.submit_transaction(transfer.encode())
        self._sequence += 1


def counted(box, update):
    """The block of the box's chain that counts an update, if there is one; newest first."""
    for h in range(height(box), 0, -1):
        block = box.client.block(h)
        if any(each.id == update for each in block.updates):
            return block
    return None


def learned(program, boxes=()):
    """Have the program submit updates until a new one is counted in its box's chain and these.

    A single update is not enough: the block that it was trained from may lose.

    Returns:
        Id of the update.
    """
    sent = []

    def one_counted():
        sent.append(program.submit())
        return next(
            (u for u in sent if u and all(counted(box, u) for box in (program.box, *boxes))), None
        )

    return until(one_counted, "an update to be counted", pause=0.3)


class Fate(StrEnum):
    """What became of an update that a box had acknowledged, in the words of the ledger's rules."""

    WAITS = "waits"
    COUNTED = "counted"
    REPEATED = "update_repeated"
    """The member's other update of that model on that base is counted."""
    BASE_UNKNOWN = "update_base_unknown"
    """The block that it was trained from lost against another branch."""
    BASE_STALE = "update_base_stale"
    """Its base was too many blocks back before a block took it up."""
    LOST = "lost"
    """None of these: it neither waits nor is there a reason why it does not."""


def fate(ward, box, update, base):
    """What the box that acknowledged an update says of it now."""
    for _ in range(3):  # a reorganisation between two requests looks like a loss
        found = _fate(ward, box, update, base)
        if found is not Fate.LOST:
            break
        time.sleep(0.5)
    return found


def _fate(ward, box, update, base):
    # The mempool comes first: an update leaves it when a block takes it up.
    if update in asked(box.client.mempool):
        return Fate.WAITS
    started_from = asked(lambda: box.client.block(base))
    top = height(box)
    # A branch that lost may have been the longer one: work decides, not height.
    if started_from.height > top or asked(lambda: box.client.block(started_from.height)).id != base:
        return Fate.BASE_UNKNOWN
    member = box.key.public.hex()
    reach = started_from.height + len(ward.genesis.discounts)
    for h in range(started_from.height + 1, min(top, reach) + 1):
        for each in asked(lambda h=h: box.client.block(h)).updates:
            if each.id == update:
                return Fate.COUNTED
            if (each.member, each.base) == (member, base):
                return Fate.REPEATED
    return Fate.BASE_STALE if top >= reach else Fate.LOST


def chain_path(box):
    return box.directory / "state" / "gossip" / "chain.db"


def fold_log(path):
    """Have a store's write-ahead log in the database itself, and nothing beside it.

    Returns:
        The database's size in bytes.
    """
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode = DELETE")
    return path.stat().st_size


@contextmanager
def chain_store(box):
    """The box's chain store, read only, whether the box runs or not."""
    with closing(
        sqlite3.connect(f"file:{chain_path(box)}?mode=ro", uri=True, timeout=30)
    ) as database:
        yield database


def assert_sound(box):
    with chain_store(box) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
