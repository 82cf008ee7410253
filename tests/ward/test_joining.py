"""A box that comes to an old ward: real processes, and nobody keeps its first blocks any more."""

import time
from dataclasses import replace

import pytest

from edgenode.api.client import ApiError
from edgenode.gossip.start_up import genesis_parameters
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.retention import Retention
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.storage.chain import SqliteChainStore
from tests.ledger.builder import Bench
from tests.ward.wards import exact, height, log_of, until, ward_of

pytestmark = pytest.mark.processes

BLOCKS = 6 * STATE_INTERVAL
KEPT = 512


class History(Bench):
    """What the members of a ward have done up to now, in the store of one of them."""

    def __init__(self, ward, box):
        self.genesis = ward.genesis
        path = box.directory / "state" / "gossip" / "chain.db"
        path.parent.mkdir(parents=True)
        self.store = SqliteChainStore(path, self.genesis.id)
        self.chain = Chain(
            self.genesis,
            genesis_parameters(self.genesis),
            self.store,
            Retention(blocks=KEPT),
        )
        self.path = path

    def pass_time(self, *members):
        """Blocks of all members in turn, with their endorsements."""
        interval = self.genesis.checkpoint_interval
        while self.chain.head.height < BLOCKS:
            miner = members[self.chain.head.height % len(members)]
            endorsements = []
            if self.chain.head.height and self.chain.head.height % interval == 0:
                endorsements = [self.endorsement(member) for member in members]
            self.add(self.block(*endorsements, miner=miner), now=int(time.time()))


def with_a_past(ward):
    """The first two boxes have a past, of which they keep what is recent; the last has none."""
    began = int(time.time()) - 90 * (BLOCKS + 1)
    ward.genesis = replace(ward.genesis, time=began)
    (ward.plan.directory / "genesis.toml").write_text(format_genesis(ward.genesis))
    history = History(ward, ward.boxes[0])
    history.pass_time(*(box.key for box in ward.boxes))
    for _ in range(BLOCKS):
        history.chain.let_go()
    history.store.settle()
    second = ward.boxes[1].directory / "state" / "gossip" / "chain.db"
    second.parent.mkdir(parents=True)
    second.write_bytes(history.path.read_bytes())
    history.store.close()
    for box in ward.boxes:
        ward.configure(box)
        text = box.config.read_text().replace("[gossip]\n", f"[gossip]\nkeep_blocks = {KEPT}\n")
        box.config.write_text(text)


def test_a_new_box_joins_an_old_ward():
    plan = {"spacing": 90, "hash_rate": 0.1, "services": ("gossip",)}
    with ward_of(3, before=with_a_past, start=False, **plan) as ward:
        old, other, new = ward.boxes
        for box in (old, other):
            ward.start_box(box)
        until(old.client.peers, "a session between the old boxes")
        ward.start_box(new)
        until(lambda: height(new) == BLOCKS, "the new box to be at the head")
        status = new.client.status()
        assert status.kept_from > BLOCKS // 2
        assert (status.kept_from + 1) % STATE_INTERVAL == 0
        assert exact(new) == exact(old)
        assert "joining" in log_of(new)
        block = old.client.block(BLOCKS)
        assert new.client.block(BLOCKS).id == block.id
        assert old.client.status().kept_from > 0, "or it could have had every block"
        with pytest.raises(ApiError, match="from height"):
            new.client.block(1)
