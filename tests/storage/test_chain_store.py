"""The chain's store: durable, atomic, and honest about damage."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edgenode.ledger.accounts import Account
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import content_id
from edgenode.ledger.store import Switch
from edgenode.storage import salvage
from edgenode.storage.chain import DamagedStoreError, SqliteChainStore, StoreError
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, Bench, initial_parameters, make_genesis


class StoredBench(Bench):
    """A bench whose store is a file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.store = SqliteChainStore(path, self.genesis.id)
        self.chain = Chain(self.genesis, (initial_parameters(),), self.store)


@pytest.fixture
def bench(tmp_path):
    bench = StoredBench(tmp_path / "chain.db")
    bench.round(ALICE, BOB)
    bench.grow(2)
    bench.round(CAROL)
    return bench


def test_a_payload_leaves_with_the_last_block_that_names_it(bench):
    update, payload = bench.update(delta=777)
    bench.chain.add_payload(payload)
    block = bench.block(update)
    bench.chain.add_block(block, NOW)
    bench.store.add_waiting(update, payload)
    bench.store.drop_block(block.id)
    assert bench.store.has_payload(update.payload), "the mempool still names it"
    bench.store.drop_waiting([update.id])
    assert not bench.store.has_payload(update.payload)


def test_what_waits_comes_back_in_order_after_a_restart(bench):
    updates = [bench.update(member) for member in (ALICE, BOB, CAROL)]
    for update, payload in updates:
        bench.store.add_waiting(update, payload)
    bench.store.close()
    reopened = SqliteChainStore(bench.path, bench.genesis.id)
    assert reopened.waiting() == [update for update, _ in updates]
    assert all(reopened.payload(u.payload) == payload for u, payload in updates)


def test_balances_of_64_bits_survive(bench):
    rich = Account(2**64 - 1, 2**64 - 1)
    bench.store.switch(Switch(bench.chain.head.height, [], [], {ALICE.public: rich}))
    assert bench.store.accounts()[ALICE.public] == rich


def test_the_store_of_another_ward_is_refused(bench):
    bench.store.close()
    with pytest.raises(StoreError, match="another ward"):
        SqliteChainStore(bench.path, make_genesis(name="another").id)


def test_a_store_of_a_newer_format_is_refused_and_left_alone(bench):
    bench.store.close()
    with sqlite3.connect(bench.path) as database:
        database.execute("UPDATE meta SET value = 99 WHERE key = 'format'")
    with pytest.raises(StoreError, match="format 99"):
        SqliteChainStore(bench.path, bench.genesis.id)


@pytest.mark.parametrize("keep", [0.0, 0.1, 0.3, 0.5, 0.8])
def test_a_truncated_file_is_noticed_and_what_is_left_is_salvaged(bench, keep):
    head = bench.chain.head.height
    bench.store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.store.close()
    size = bench.path.stat().st_size
    os.truncate(bench.path, int(keep * size))
    if keep == 0:
        # An empty file is an empty database: nothing is left, and nothing is claimed.
        assert list(SqliteChainStore(bench.path, bench.genesis.id).headers()) == []
        return
    with pytest.raises(DamagedStoreError):
        SqliteChainStore(bench.path, bench.genesis.id)
    aside = salvage.put_aside(bench.path)
    assert aside.exists()
    assert not bench.path.exists()
    anew = StoredBench(bench.path)
    for block in sorted(salvage.read_blocks(aside), key=lambda b: b.coinbase.height):
        try:
            anew.chain.add_block(block, NOW)
        except LookupError:
            continue
    for payload in salvage.read_payloads(aside):
        if anew.chain.lacks_payload(content_id(payload)):
            anew.chain.add_payload(payload)
    anew.chain.advance()
    assert anew.chain.head.height <= head


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_never_makes_the_store_lie(bench, seed):
    """Whatever is flipped, opening and loading either fails by name or gives the true chain."""
    rng = random.Random(seed)
    true = [bench.chain.at(h).id for h in range(bench.chain.head.height + 1)]
    bench.store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.store.close()
    data = bytearray(bench.path.read_bytes())
    for _ in range(rng.choice([1, 4, 64])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    bench.path.write_bytes(data)
    try:
        store = SqliteChainStore(bench.path, bench.genesis.id)
        chain = Chain(bench.genesis, (initial_parameters(),), store)
    except (StoreError, LookupError, ValueError):
        return
    assert [chain.at(h).id for h in range(chain.head.height + 1)] == true[: chain.head.height + 1]


WRITER = """
import sys
from pathlib import Path
from tests.storage.test_chain_store import StoredBench, ALICE, BOB
bench = StoredBench(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    bench.round(ALICE, BOB, delta=bench.chain.head.height + 1)
    head = bench.chain.head
    print(head.height, head.id.hex(), bench.chain.state.models[0].root.hex(), flush=True)
"""


@pytest.mark.parametrize("moves", [1, 7, 30])
def test_every_block_that_was_acknowledged_survives_kill_9(tmp_path, moves):
    path = tmp_path / "chain.db"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    lines = [writer.stdout.readline() for _ in range(moves + 1)]
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.readlines()
    writer.wait()
    said = [line.split() for line in lines if line.endswith("\n") and line != "ready\n"]
    bench = StoredBench(path)
    assert bench.chain.head.height >= int(said[-1][0])
    for height, block_id, root in said:
        entry = bench.chain.at(int(height))
        assert entry.id.hex() == block_id
        assert bench.chain.block(entry.id).coinbase.models[0].root.hex() == root
    bench.round(ALICE)
