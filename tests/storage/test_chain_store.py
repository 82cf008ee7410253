"""The chain's store: durable, atomic, and honest about damage."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from edgenode.gossip.settings import GossipSettings
from edgenode.gossip.start_up import open_chain
from edgenode.ledger.accounts import credit
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import content_id
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.records import Overlay
from edgenode.ledger.retention import ALL, Retention
from edgenode.ledger.store import Switch
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.ledger.verification import Checked, Verification
from edgenode.protocol.relay import Relay
from edgenode.storage import meta, salvage
from edgenode.storage.chain import (
    AlteredRecordError,
    DamagedStoreError,
    SqliteChainStore,
    StoreError,
)
from edgenode.storage.format_check import check_chain_store
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, Bench, initial_parameters, make_genesis


class StoredBench(Bench):
    """A bench whose store is a file."""

    def __init__(self, path: Path, retention: Retention = ALL) -> None:
        super().__init__()
        self.path = path
        self.store = SqliteChainStore(path, self.genesis.id)
        self.chain = Chain(self.genesis, (initial_parameters(),), self.store, retention)


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
    records = Overlay(bench.store.records)
    credit(records, ALICE.public, 2**64 - 1 - bench.balance(ALICE))
    bench.store.switch(Switch(bench.chain.head.height, [], [], records.changes))
    assert bench.balance(ALICE) == 2**64 - 1


def test_the_store_of_another_ward_is_refused(bench):
    bench.store.close()
    with pytest.raises(StoreError, match="another ward"):
        SqliteChainStore(bench.path, make_genesis(name="another").id)


def test_a_store_of_a_newer_format_is_refused_and_left_alone(bench):
    bench.store.close()
    with sqlite3.connect(bench.path) as database:
        meta.write(database, "format", 99)
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


def open_again(bench, on_step=lambda: None, keep="recent"):
    """Start as the service does."""
    settings = GossipSettings(
        name="bed-1",
        directory=bench.path.parent,
        api=bench.path.parent / "node.sock",
        genesis=bench.path,
        ward_key=bench.path,
        member_key=bench.path,
        keep=keep,
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


def test_a_block_that_came_before_its_parent_is_kept_and_waits_for_it(bench):
    other = Bench()
    first, second = other.add(other.block(miner=BOB)), other.add(other.block(miner=BOB))
    bench.chain.add_header(first.header, NOW)
    bench.chain.add_block(second, NOW)
    head = bench.chain.head.id
    bench.store.close()
    chain, store = open_again(bench)
    assert chain.head.id == head
    assert store.has_block(second.id)
    assert chain.tree.get(first.id).height == 1
    assert chain.tree.parent(chain.tree.get(second.id)).id == first.id
    assert list(bench.path.parent.glob("*damaged*")) == []


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_never_makes_the_store_lie(bench, seed):
    """Whatever is flipped, opening and loading either fails by name or gives the true chain."""
    rng = random.Random(seed)
    true = [bench.chain.at(h).id for h in range(bench.chain.head.height + 1)]
    records = dict(bench.chain.state.records.under(b""))
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
        assert dict(chain.state.records.under(b"")) == records
        assert chain.state.models == bench.chain.state.models
        assert (chain.state.parameters[0] == bench.chain.state.parameters[0]).all()


ROT = {
    "the target of the head's header": ("block", "id = :head", "raw", 72 + 3),
    "where the chain ends": ("meta", "key = 'head'", "value", 3),
    "the time of a header": ("trunk", "page = 0", "raw", 80 * 2 + 68),
    "the work of the chain": ("trunk", "page = 0", "work", 31),
    "the number of the head's transactions": ("block", "id = :head", "raw", 144),
    "the kind of the head's coinbase": ("block", "id = :head", "raw", 148),
    "the round in the head's coinbase": ("block", "id = :head", "raw", 148 + 54),
    "a balance": ("record", "key = :alice", "value", 1),
    "a sequence": ("record", "key = :alice", "value", 8),
    "the kind of a waiting update": ("mempool", "1", "raw", 0),
    "a byte of a waiting update": ("mempool", "1", "raw", 40),
}


@pytest.mark.parametrize("what", ROT)
def test_a_bit_that_the_disk_flips_is_found_at_the_start_and_made_good(bench, what):
    update, payload = bench.update(BOB, delta=7)
    bench.store.add_waiting(update, payload)
    head, records = bench.chain.head, dict(bench.chain.state.records.under(b""))
    table, where, column, at = ROT[what]
    names = {"head": head.id, "alice": b"\x01" + ALICE.public}
    flip(bench, table, where, column, at, names)
    bench.store.close()
    chain, store = open_again(bench)
    assert list(bench.path.parent.glob("*damaged-1"))
    mempool = Mempool(bench.genesis, chain.tree.get)
    Relay(chain, mempool, store)
    if "head's" in what:
        assert 1 <= chain.head.height < head.height, "what is below the block is kept"
    else:
        assert (chain.head.id, dict(chain.state.records.under(b""))) == (head.id, records)
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
        "UPDATE sqlite_master SET sql = replace(sql, ', STRICT', '') WHERE name = 'record'"
    )
    database.execute("PRAGMA writable_schema = RESET")
    database.execute("UPDATE record SET value = CAST(value AS TEXT)")
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_master SET sql = sql || ', STRICT' WHERE name = 'record'")
    records = b"".join(raw for (raw,) in database.execute("SELECT key FROM record ORDER BY key"))
    bench.store.close()
    with pytest.raises(DamagedStoreError, match="record"):
        SqliteChainStore(bench.path, bench.genesis.id)
    chain, _ = open_again(bench)
    assert b"".join(key for key, _ in chain.state.records.under(b"")) == records


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


def test_damage_that_a_start_does_not_look_for_is_noted_when_it_is_met_and_salvaged(bench):
    """A start reads a few rows of a store of gigabytes; the rest is found out when it is used."""
    while bench.chain.head.height < 64:
        bench.grow(1)
    true = [bench.chain.at(h).id for h in range(65)]
    bench.store.settle()
    places = "SELECT pageno FROM dbstat WHERE name = 'block' AND pagetype = 'leaf' ORDER BY path"
    page = bench.store._db.execute(places).fetchall()[3][0]
    bench.store.close()
    with bench.path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(bytes(4096))
    chain, store = open_again(bench)
    assert chain.head.id == true[-1]
    assert list(bench.path.parent.glob("*damaged*")) == []
    with pytest.raises(DamagedStoreError) as met:
        [store.block(name) for name in true[1:]]
    store.note_damage(str(met.value))
    store.close()
    assert check_chain_store(bench.path) == f"{bench.path} is damaged: {met.value}"
    chain, store = open_again(bench)
    assert list(bench.path.parent.glob("*damaged-1"))
    assert check_chain_store(bench.path) == ""
    assert chain.best_header().id == true[-1], "the headers are all there"
    assert 1 <= chain.head.height < 64, "and the blocks below those that are not"
    lost = [name for name in true[1:] if not store.has_block(name)]
    assert 0 < len(lost) < 40
    assert chain.wanted(4).blocks == tuple(lost[:4])
    store.close()
    open_again(bench)[1].close()
    assert not list(bench.path.parent.glob("*damaged-2"))


def test_a_note_of_damage_outlives_a_power_cut_while_the_files_change_places(bench):
    """Until the new file has its name there is a note, and afterwards none."""
    bench.store.note_damage("block 2 changed on the disk")
    bench.store.close()
    salvaged = bench.path.with_name("chain.db.salvaged")
    salvaged.write_bytes(bench.path.read_bytes())
    bench.path.rename(bench.path.with_name("chain.db.damaged-1"))
    chain, _ = open_again(bench)
    assert chain.head.id == bench.chain.head.id
    assert check_chain_store(bench.path) == ""
    assert not list(bench.path.parent.glob("*damaged-2"))


WRITER = """
import sys
from dataclasses import replace
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


def test_a_store_that_has_let_its_past_go_is_salvaged_from_its_lowest_state_on(tmp_path):
    bench = StoredBench(tmp_path / "chain.db", Retention(blocks=100))
    bench.grow_final(800, ALICE, BOB, CAROL)
    for _ in range(50):
        bench.chain.let_go()
    floor, head = bench.chain.floor, bench.chain.head.id
    assert floor == 2 * STATE_INTERVAL - 1
    bench.store.note_damage("as a test says")
    bench.store.close()
    chain, store = open_again(bench)
    assert (chain.floor, chain.head.id) == (floor, head)
    assert chain.state.parameters[0].tolist() == bench.chain.state.parameters[0].tolist()
    assert [f for f in Verification(chain, store, (initial_parameters(),)).run() if f.height] == [
        Checked(height, updates=len(chain.block(chain.at(height).id).updates))
        for height in range(floor + 1, 801)
    ]
    store.close()


@pytest.mark.parametrize("table", ["state", "parameters"])
def test_where_no_state_is_legible_the_peers_are_needed(tmp_path, table):
    bench = StoredBench(tmp_path / "chain.db", Retention(blocks=100))
    bench.grow_final(800, ALICE, BOB, CAROL)
    for _ in range(50):
        bench.chain.let_go()
    bench.store._db.execute(f"UPDATE {table} SET raw = zeroblob(length(raw))")
    bench.store.note_damage("as a test says")
    bench.store.close()
    chain, store = open_again(bench)
    assert (chain.head.height, chain.floor) == (0, 0)
    assert chain.best_header().height == 800
    store.close()


def test_what_is_let_go_is_not_written_over(tmp_path):
    """It costs the card nothing but a note of what is free."""
    store = SqliteChainStore(tmp_path / "chain.db", bytes(32))
    payload = bytes(4_000_000)
    store.add_payload(content_id(payload), payload)
    store.settle()
    written = bytes_written()
    store.drop_payload(content_id(payload))
    store.settle()
    assert bytes_written() - written < len(payload) / 10
    store.close()


def bytes_written():
    """What this process has asked the kernel to write so far."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def test_a_third_of_the_disk_is_kept_unless_somebody_says_how_much(tmp_path):
    settings = GossipSettings(
        name="bed-1",
        directory=tmp_path,
        api=tmp_path / "node.sock",
        genesis=tmp_path,
        ward_key=tmp_path,
        member_key=tmp_path,
    )
    assert settings.retention(3_000_000_000) == Retention(1920, 1_000_000_000)
    told = replace(settings, keep_blocks=600, keep_bytes=500_000_000)
    assert told.retention(3_000_000_000) == Retention(600, 500_000_000)
    assert replace(settings, keep="all").retention(3_000_000_000) == ALL


def test_older_damaged_files_go_where_there_is_no_room_to_salvage(bench, monkeypatch):
    for number in (1, 2, 3):
        for ending in ("", "-wal"):
            aside = bench.path.with_name(f"chain.db.damaged-{number}{ending}")
            aside.write_bytes(bytes(10))
    bench.store.settle()
    room = iter([0, bench.path.stat().st_size])
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, next(room, 10**9)))
    salvage.make_room(bench.path)
    left = sorted(path.name for path in bench.path.parent.glob("chain.db.damaged-*"))
    assert left == [f"chain.db.damaged-{n}{ending}" for n in (2, 3) for ending in ("", "-wal")]


def test_a_note_of_damage_without_a_database_keeps_nobody_from_starting_anew(bench):
    bench.store.note_damage("block 2 changed on the disk")
    bench.store.close()
    bench.path.unlink()
    chain, store = open_again(bench)
    assert chain.head.height == 0
    assert check_chain_store(bench.path) == ""
    store.close()
