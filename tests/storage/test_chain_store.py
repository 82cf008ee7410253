"""The chain's store: durable, atomic, and honest about damage."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from edgenode.gossip.settings import GossipSettings
from edgenode.gossip.start_up import open_chain
from edgenode.ledger.accounts import Account
from edgenode.ledger.chain import Chain
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.store import Switch
from edgenode.protocol.relay import Relay
from edgenode.storage.chain import (
    AlteredRecordError,
    DamagedStoreError,
    SqliteChainStore,
    StoreError,
)
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


def cut(path: Path, keep: float) -> None:
    os.truncate(path, int(keep * path.stat().st_size))


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.5, 0.8])
def test_a_truncated_file_is_noticed(bench, keep):
    bench.store.close()
    cut(bench.path, keep)
    with pytest.raises(DamagedStoreError):
        SqliteChainStore(bench.path, bench.genesis.id)


def open_again(bench, on_step=lambda: None):
    """Start as the service does."""
    settings = GossipSettings(
        name="bed-1",
        directory=bench.path.parent,
        api=bench.path.parent / "node.sock",
        genesis=bench.path,
        ward_key=bench.path,
        member_key=bench.path,
    )
    return open_chain(settings, bench.genesis, (initial_parameters(),), on_step)


@pytest.mark.parametrize(("keep", "height"), [(0.05, 0), (0.9, 30), (0.97, 40)])
def test_what_is_legible_of_a_truncated_store_is_salvaged(bench, keep, height):
    while bench.chain.head.height < 64:
        bench.grow(1)
    true = [bench.chain.at(h).id for h in range(65)]
    bench.store.close()
    cut(bench.path, keep)
    steps = []
    chain, store = open_again(bench, lambda: steps.append(None))
    assert len(steps) >= height, "whoever waits for the start is told of each block"
    # Payloads of rounds may be lost, and with them what follows; headers and bodies come back.
    assert chain.best_header().height >= height
    assert [chain.at(h).id for h in range(chain.head.height + 1)] == true[: chain.head.height + 1]
    assert (bench.path.parent / "chain.db.damaged-1").exists()
    store.close()
    again, _ = open_again(bench)
    assert again.head.id == chain.head.id


def test_what_waited_is_salvaged_with_its_payload(bench):
    update, payload = bench.update(BOB, delta=7)
    bench.store.add_waiting(update, payload)
    transfer = bench.transfer(ALICE, BOB, 5, 0)
    bench.store.add_waiting(transfer, None)
    bench.store.close()
    with sqlite3.connect(bench.path) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("UPDATE sqlite_master SET rootpage = 99999 WHERE name = 'account'")
    _, store = open_again(bench)
    assert {t.id for t in store.waiting()} == {update.id, transfer.id}
    assert store.payload(update.payload) == payload


def test_a_salvage_that_the_power_cut_off_is_finished_by_the_next_start(bench):
    head = bench.chain.head.id
    bench.store.close()
    bench.path.rename(bench.path.with_name("chain.db.salvaged"))
    chain, store = open_again(bench)
    assert chain.head.id == head
    store.close()
    half = bench.path.with_name("chain.db.salvaged")
    half.write_bytes(b"half written")
    chain, _ = open_again(bench)
    assert chain.head.id == head
    assert not half.exists()


def test_no_more_than_three_damaged_files_are_kept(bench):
    for _ in range(5):
        bench.store.close()
        bench.path.write_bytes(b"no database at all" * 1000)
        _, bench.store = open_again(bench)
    names = {path.name for path in bench.path.parent.glob("*damaged*")}
    assert names == {f"chain.db.damaged-{n}" for n in (3, 4, 5)}


def test_a_block_whose_parent_the_power_took_is_dropped_and_the_chain_loads(bench):
    other = Bench()
    first, second = other.add(other.block(miner=BOB)), other.add(other.block(miner=BOB))
    bench.chain.add_header(first.header, NOW)
    bench.chain.add_block(second, NOW)
    head = bench.chain.head.id
    bench.store.close()
    chain, store = open_again(bench)
    assert chain.head.id == head
    assert not store.has_block(second.id)
    assert list(bench.path.parent.glob("*damaged*")) == []


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
    except (StoreError, LookupError):
        return
    assert [chain.at(h).id for h in range(chain.head.height + 1)] == true[: chain.head.height + 1]
    if chain.head.id == true[-1]:
        assert chain.state.accounts == bench.chain.state.accounts
        assert chain.state.models == bench.chain.state.models
        assert (chain.state.parameters[0] == bench.chain.state.parameters[0]).all()


ROT = {
    "the target of the head's header": ("block", "id = :head", "raw", 72 + 3),
    "the time of a header": ("block", "on_chain = 2", "raw", 68),
    "the number of the head's transactions": ("block", "id = :head", "raw", 144),
    "the kind of the head's coinbase": ("block", "id = :head", "raw", 148),
    "the round in the head's coinbase": ("block", "id = :head", "raw", 148 + 54),
    "a balance": ("account", "key = :alice", "balance", 6),
    "a sequence": ("account", "key = :alice", "sequence", 7),
    "the kind of a waiting update": ("mempool", "1", "raw", 0),
    "a byte of a waiting update": ("mempool", "1", "raw", 40),
}


@pytest.mark.parametrize("what", ROT)
def test_a_bit_that_the_disk_flips_is_found_at_the_start_and_made_good(bench, what):
    update, payload = bench.update(BOB, delta=7)
    bench.store.add_waiting(update, payload)
    head, accounts = bench.chain.head, bench.chain.state.accounts
    table, where, column, at = ROT[what]
    names = {"head": head.id, "alice": ALICE.public}
    flip(bench, table, where, column, at, names)
    bench.store.close()
    chain, store = open_again(bench)
    assert list(bench.path.parent.glob("*damaged-1"))
    mempool = Mempool(bench.genesis, chain.tree.get)
    Relay(chain, mempool, store)
    if "head" in what:
        assert 1 <= chain.head.height < head.height, "what is below the block is kept"
    else:
        assert (chain.head.id, chain.state.accounts) == (head.id, accounts)
        assert mempool.ids() == ([] if "update" in what else [update.id])


def flip(bench, table, where, column, at, names):
    database = bench.store._db
    (raw,) = database.execute(f"SELECT {column} FROM {table} WHERE {where}", names).fetchone()
    raw = bytearray(raw)
    raw[at] ^= 1
    statement = f"UPDATE {table} SET {column} = :raw WHERE {where}"
    assert database.execute(statement, {**names, "raw": bytes(raw)}).rowcount == 1


def test_a_value_whose_type_the_disk_has_altered_is_found_at_the_start(bench):
    """A bit in a record's header makes another type of a value, which no checksum covers."""
    database = bench.store._db
    database.execute("PRAGMA writable_schema = ON")
    database.execute(
        "UPDATE sqlite_master SET sql = replace(sql, ', STRICT', '') WHERE name = 'account'"
    )
    database.execute("PRAGMA writable_schema = RESET")
    database.execute("UPDATE account SET balance = CAST(balance AS TEXT)")
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_master SET sql = sql || ', STRICT' WHERE name = 'account'")
    accounts = bench.chain.state.accounts
    bench.store.close()
    with pytest.raises(DamagedStoreError, match="account"):
        SqliteChainStore(bench.path, bench.genesis.id)
    chain, _ = open_again(bench)
    assert chain.state.accounts == accounts


def test_an_altered_undo_record_is_not_believed(bench):
    flip(bench, "block", "id = :head", "undo", 40, {"head": bench.chain.head.id})
    with pytest.raises(AlteredRecordError, match="undo record"):
        bench.store.undo(bench.chain.head.id)


def test_damage_that_was_noticed_while_running_is_mended_by_the_next_start(bench):
    head = bench.chain.head.id
    bench.store.note_damage("block 2 changed on the disk")
    bench.store.close()
    chain, store = open_again(bench)
    assert chain.head.id == head
    store.close()
    open_again(bench)[1].close()
    assert len(list(bench.path.parent.glob("*damaged-1"))) == 1
    assert not list(bench.path.parent.glob("*damaged-2"))


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
