"""A damaged store is made anew: from all that is legible, whatever happens meanwhile."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgenode.gossip.start_up import noting_damage
from edgenode.ledger.completion import Wanted
from edgenode.ledger.hashes import content_id
from edgenode.ledger.retention import Retention
from edgenode.ledger.store import MissingDataError
from edgenode.ledger.vows import Vow
from edgenode.storage import legible, meta
from edgenode.storage.chain import (
    AlteredRecordError,
    DamagedStoreError,
    ForeignStoreError,
    SqliteChainStore,
    StoreFullError,
)
from edgenode.storage.format_check import check_chain_store
from tests.conftest import require_tool
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, Bench
from tests.protocol.lone_node import lone_node
from tests.storage.test_chain_store import StoredBench, open_again

PAGE = 4096


@pytest.fixture
def bench(tmp_path):
    bench = StoredBench(tmp_path / "chain.db")
    bench.round(ALICE, BOB)
    bench.grow(4)
    return bench


def pages(store, name):
    """Numbers of the pages of a table or an index, those with rows of it in their order."""
    places = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path"
    return [page for (page,) in store._db.execute(places, (name,))]


def overwrite(path, page, content=bytes(PAGE)):
    with path.open("r+b") as file:
        file.seek(PAGE * (page - 1))
        file.write(content)


def flip(path, page, found, at):
    """Flip a bit of what stands on a page."""
    data = bytearray(path.read_bytes())
    place = data.index(found, PAGE * (page - 1), PAGE * page)
    data[place + at] ^= 1
    path.write_bytes(data)


# The names and numbers that all else hangs on


@pytest.mark.parametrize("key", ["format", "genesis", "head", "floor", "final", "vow"])
@pytest.mark.parametrize("what", ["key", "value", "crc"])
def test_what_all_else_hangs_on_is_made_anew_when_the_disk_alters_it(tmp_path, key, what):
    bench = StoredBench(tmp_path / "chain.db")
    bench.grow_final(14, ALICE, BOB, CAROL)
    bench.store.keep_vow(Vow(8, 12))
    alter = {
        "key": "key = substr(key, 1, length(key) - 1) || 'x'",
        "value": "value = CAST(substr(value, 1, length(value) - 1) || 'x' AS BLOB)",
        "crc": "crc = crc + 1",
    }[what]
    altered = bench.store._db.execute(f"UPDATE meta SET {alter} WHERE key = ?", (key,))
    assert altered.rowcount == 1
    bench.store.close()
    with pytest.raises(DamagedStoreError, match=r"meta|format"):
        SqliteChainStore(bench.path, bench.genesis.id)
    chain, store = open_again(bench)
    assert chain.head.id == bench.chain.head.id
    assert store.vow() is None, "it abstains, as one whose disk was lost"
    store.close()
    open_again(bench)[1].close()
    assert not list(tmp_path.glob("*damaged-2"))


def test_a_store_is_another_ward_s_only_if_a_checksum_says_so(bench):
    meta.write(bench.store._db, "genesis", bytes(32))
    bench.store.close()
    for _ in range(2):
        with pytest.raises(ForeignStoreError, match="another ward"):
            open_again(bench)
    assert not list(bench.path.parent.glob("*damaged*"))


def test_a_vow_that_changes_under_a_running_service_is_never_a_lower_one(bench):
    bench.store.keep_vow(Vow(8, 12))
    bench.store._db.execute("UPDATE meta SET value = zeroblob(length(value)) WHERE key = 'vow'")
    with pytest.raises(AlteredRecordError, match="vow"):
        bench.store.vow()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"CREATE TABLE mempool", b"CREATE TABLE m\xffmpool"),
        (b"arrival INTEGER", b"arrivax INTEGER"),
        (b"CREATE TABLE payload_user", b"CREATE TABLE payload_useX"),
        (b"value BLOB NOT NULL, crc", b"valuX BLOB NOT NULL, crc"),
    ],
)
def test_an_altered_schema_is_damage(bench, old, new):
    bench.store.close()
    data = bench.path.read_bytes()
    assert data.count(old) >= 1
    bench.path.write_bytes(data.replace(old, new, 1))
    chain, _ = open_again(bench)
    assert chain.head.id == bench.chain.head.id
    assert list(bench.path.parent.glob("*damaged-1"))


@pytest.mark.parametrize(
    ("offset", "byte"),
    [(0, 0), (16, 0), (18, 6), (20, 8), (28, 0xFF), (31, 3), (47, 5), (52, 1), (59, 3)],
)
def test_an_altered_header_of_the_file_is_damage(bench, offset, byte):
    """What it is, its page size, who may write it, its length, its schema's format, and so on."""
    bench.store.close()
    data = bytearray(bench.path.read_bytes())
    assert data[92:96] == data[24:28], "SQLite believes the length"
    data[offset] = byte
    bench.path.write_bytes(data)
    chain, store = open_again(bench)
    assert chain.head.id == bench.chain.head.id
    assert list(bench.path.parent.glob("*damaged-1"))
    store.keep_vow(Vow(1, 2))


# What a start does not look at


def forked(bench):
    """Another node whose head is the parent of this one's."""
    other = Bench()
    for height in range(1, bench.chain.head.height):
        block = bench.chain.block(bench.chain.at(height).id)
        other.add(block, *(bench.chain.payload(u.payload) for u in block.updates))
    return other


def beside(bench):
    """A block beside the chain, with the same parent as the head."""
    return forked(bench).block(miner=BOB)


@pytest.mark.parametrize("at", [90, 150], ids=["signature", "coinbase"])
def test_an_altered_block_beside_the_chain_keeps_nobody_from_starting_and_is_noted(bench, at):
    block = beside(bench)
    bench.chain.add_block(block, NOW)
    raw = bytearray(block.encode())
    raw[at] ^= 1
    bench.store._db.execute("UPDATE block SET raw = ? WHERE id = ?", (bytes(raw), block.id))
    bench.store.close()
    chain, store = open_again(bench)
    lone_node(chain, store)
    assert chain.head.id == bench.chain.head.id
    assert "changed on the disk" in chain.served.altered()
    store.close()


def test_a_page_that_only_the_node_looks_at_is_noted_at_a_start_and_mended_by_the_next(bench):
    """It takes the transactions of blocks beside the chain, and with them payloads."""
    other = forked(bench)
    update, payload = other.update(BOB, delta=7)
    for chain in (other.chain, bench.chain):
        chain.add_payload(payload)
    block = other.block(update, miner=BOB)
    bench.chain.add_block(block, NOW)
    bench.store.settle()
    (page,) = pages(bench.store, "payload")
    bench.store.close()
    overwrite(bench.path, page)
    chain, store = open_again(bench)
    with pytest.raises(DamagedStoreError, match="another start mends it"), noting_damage(store):
        lone_node(chain, store)
    assert "is damaged" in check_chain_store(bench.path)
    chain, store = open_again(bench)
    lone_node(chain, store)
    assert chain.best_header().height == bench.chain.head.height
    assert chain.block(block.id) == block
    store.close()


def test_an_undo_record_that_is_not_found_is_missing_data(bench):
    """An index that the disk has altered does not find its block."""
    bench.store._db.execute("UPDATE block SET undo = NULL WHERE id = ?", (bench.chain.head.id,))
    with pytest.raises(MissingDataError, match="undo record"):
        bench.store.undo(bench.chain.head.id)


@pytest.mark.parametrize("value", ["7", "1.5", "'text'"])
def test_a_value_that_is_no_bytes_any_more_is_an_altered_one(bench, value):
    database = bench.store._db
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, ', STRICT', '')")
    database.execute("UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '')")
    database.execute("PRAGMA writable_schema = RESET")
    for table in ("block", "payload", "parameters", "trunk"):
        assert database.execute(f"UPDATE {table} SET raw = {value}").rowcount
    assert database.execute(f"UPDATE block SET undo = {value}").rowcount
    head = bench.chain.head.id
    with pytest.raises(AlteredRecordError):
        bench.store.block(head)
    with pytest.raises(AlteredRecordError):
        bench.store.undo(head)
    name = bench.chain.genesis.block.coinbase.models[0].root
    assert bench.chain.served.parameters(name) is None
    bench.store.headers._pages.clear()
    with pytest.raises(AlteredRecordError):
        bench.store.headers.at(1)


def test_a_block_that_comes_again_takes_the_place_of_an_altered_one(bench):
    block = beside(bench)
    bench.chain.add_block(block, NOW)
    bench.store._db.execute(
        "UPDATE block SET raw = zeroblob(length(raw)) WHERE id = ?", (block.id,)
    )
    bench.chain.add_block(block, NOW)
    assert bench.chain.block(block.id) == block
    head = bench.chain.block(bench.chain.head.id)
    bench.store._db.execute("UPDATE block SET raw = zeroblob(length(raw)) WHERE id = ?", (head.id,))
    bench.chain.add_block(head, NOW)
    assert bench.chain.block(head.id) == head
    assert bench.store.undo(head.id)


def test_an_index_that_hides_what_is_written_is_noticed_when_it_does(bench):
    """Else the node would ask for it, be given it and not find it, and so on for ever."""
    blocks = [bench.block(seconds=90 + number) for number in range(32)]
    for number in range(64, 80):
        bench.store.add_payload(content_id(bytes([number])), bytes([number]))
    bench.store.settle()
    for table in ("block", "payload"):
        (page,) = pages(bench.store, f"sqlite_autoindex_{table}_1")
        names = sorted(n for (n,) in bench.store._db.execute(f"SELECT id FROM {table}"))
        content = bench.path.read_bytes()[PAGE * (page - 1) : PAGE * page]
        altered = content.replace(names[len(names) // 2], b"\xff" * 32)
        assert altered != content
        overwrite(bench.path, page, altered)
    bench.store.close()
    store = SqliteChainStore(bench.path, bench.genesis.id)
    with pytest.raises(AlteredRecordError, match="the index of blocks"):  # noqa: PT012
        for block in blocks:
            store.add_block(block, 6)
    with pytest.raises(AlteredRecordError, match="the index of payloads"):  # noqa: PT012
        for number in range(64):
            store.add_payload(content_id(bytes([number])), bytes([number]))
    store.close()


# What is legible


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """The table of blocks of a store that has let thousands go: its first row is far from 1."""
    path = tmp_path_factory.mktemp("pruned") / "chain.db"
    store = SqliteChainStore(path, bytes(32))
    with store._transaction():
        store._db.executemany(
            "INSERT INTO block (rowid, id, height, raw) VALUES (?, ?, ?, zeroblob(800))",
            ((row, row.to_bytes(32), row) for row in range(58_081, 60_001)),
        )
    store.settle()
    leaves, keys = pages(store, "block"), pages(store, "sqlite_autoindex_block_1")
    keys += pages(store, "block_height")
    store.close()
    return path, leaves, keys


def rows_of(path, steps=None):
    with legible.opened(path, lambda: steps.append(None) if steps is not None else None) as found:
        return [row for row, _ in found._rows("block")]


@pytest.mark.parametrize("bad", [[0], [100], [-1], [0, 1, 2], [0, 200, -1], [*range(50, 300)]])
@pytest.mark.parametrize("index", [True, False])
def test_a_bad_page_costs_its_rows_wherever_the_table_s_numbers_begin(pruned, tmp_path, bad, index):
    if not index and bad == [0, 200, -1]:
        pytest.skip("of a table between two unknown ends nothing says where to look")
    path, leaves, keys = pruned
    copy = tmp_path / "chain.db"
    shutil.copy(path, copy)
    for place in bad:
        overwrite(copy, leaves[place])
    for page in [] if index else keys:
        overwrite(copy, page)
    steps = []
    found = rows_of(copy, steps)
    assert found == sorted(set(found))
    assert len(found) >= 1920 - 5 * len(bad)
    assert len(steps) < 40, "not a step for each number that a row might have"


def test_whoever_waits_is_told_while_nothing_can_be_read(pruned, tmp_path):
    path, leaves, _ = pruned
    copy = tmp_path / "chain.db"
    shutil.copy(path, copy)
    for page in leaves:
        overwrite(copy, page)
    steps = []
    assert rows_of(copy, steps) == []
    assert len(steps) >= 1920 // 256


def test_what_is_salvaged_is_not_judged_by_a_clock_that_is_behind(bench, monkeypatch):
    """A box without a battery starts where it was switched off, or in 1970."""
    bench.store.note_damage("as a test says")
    bench.store.close()
    monkeypatch.setattr(time, "time", lambda: float(bench.genesis.time - 10**6))
    chain, _ = open_again(bench)
    assert chain.head.id == bench.chain.head.id


def test_each_kept_object_is_read_once_to_find_the_lowest_state(tmp_path, monkeypatch):
    bench = StoredBench(tmp_path / "chain.db", Retention(blocks=100))
    bench.grow_final(1300, ALICE, BOB, CAROL)
    for _ in range(120):
        bench.chain.let_go()
    heights = bench.store.states()
    assert len(heights) > 3
    # The parameters at the lowest states are gone, so that several are tried.
    roots = [
        bench.chain.block(bench.chain.at(height).id).coinbase.models[0].root
        for height in heights[:3]
    ]
    for root in roots:
        bench.store._db.execute("DELETE FROM parameters WHERE root = ?", (root,))
    bench.store.note_damage("as a test says")
    bench.store.close()
    scans = []
    named = legible.Legible.named
    monkeypatch.setattr(
        legible.Legible, "named", lambda self, table: (scans.append(table), named(self, table))[1]
    )
    chain, store = open_again(bench)
    assert (chain.floor, chain.head.id) == (heights[3], bench.chain.head.id)
    assert scans == ["state", "parameters"]
    store.close()


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    """An archive with states, and many updates."""
    bench = StoredBench(tmp_path_factory.mktemp("archived") / "chain.db")
    bench.grow_final(300, ALICE, BOB, CAROL)
    assert bench.store.states() == [127, 255]
    bench.store.settle()
    return bench


def copied(archived, tmp_path):
    shutil.copy(archived.path, tmp_path / "chain.db")
    bench = StoredBench(tmp_path / "chain.db")
    bench.store.note_damage("as a test says")
    return bench


def test_an_archive_that_lost_no_block_is_validated_from_genesis_on(archived, tmp_path):
    bench = copied(archived, tmp_path)
    bench.store.close()
    chain, store = open_again(bench, keep="all")
    assert (chain.floor, chain.head.id) == (0, archived.chain.head.id)
    assert store.states() == [127, 255]
    store.close()


def test_payloads_that_no_index_leads_to_are_found_all_the_same(archived, tmp_path):
    bench = copied(archived, tmp_path)
    leaves = pages(bench.store, "sqlite_autoindex_payload_1")
    update, payload = bench.update(BOB, delta=11)
    bench.store.add_waiting(update, payload)
    bench.store.settle()
    bench.store.close()
    for page in leaves:
        overwrite(bench.path, page)
    chain, store = open_again(bench, keep="all")
    assert (chain.floor, chain.head.id) == (0, archived.chain.head.id)
    assert [waiting.id for waiting in store.waiting()] == [update.id]
    store.close()


def test_an_archive_that_lost_a_block_goes_on_and_has_it_from_others(archived, tmp_path):
    bench = copied(archived, tmp_path)
    lost = bench.chain.at(40).id
    update = bench.chain.block(bench.chain.at(42).id).updates[0]
    bench.store._db.execute("DELETE FROM block WHERE id = ?", (lost,))
    bench.store._db.execute("DELETE FROM payload WHERE id = ?", (update.payload,))
    bench.store.close()
    chain, store = open_again(bench, keep="all")
    assert (chain.floor, chain.head.id) == (127, archived.chain.head.id)
    for _ in range(20):
        chain.let_go()
    wanted = chain.past.wanted(4)
    assert (wanted.blocks, wanted.updates) == ((lost,), (update,))
    assert not chain.past.is_whole
    chain.add_block(archived.chain.block(lost), NOW)
    wanted = chain.past.wanted(4)
    # What only the lost block named went with it.
    assert wanted.updates == (*archived.chain.block(lost).updates, update)
    for update in wanted.updates:
        assert chain.lacks_payload(update.payload)
        chain.add_payload(archived.chain.payload(update.payload))
    assert chain.advance() == (None, [])
    assert chain.past.wanted(4) == Wanted((), ())
    assert chain.past.is_whole
    store.note_damage("its past is to be validated")
    store.close()
    chain, store = open_again(bench, keep="all")
    assert (chain.floor, chain.head.id) == (0, archived.chain.head.id)
    store.close()


def test_a_state_is_found_beside_the_heaviest_headers(tmp_path):
    """Of a heavier branch the node has headers only: its chain is not on the trunk."""
    bench = StoredBench(tmp_path / "chain.db", Retention(blocks=100, bytes=1))
    bench.grow(800)
    other = Bench()
    for height in range(1, 300):
        other.add(bench.chain.block(bench.chain.at(height).id))
    other.grow(510, miner=BOB)
    for _ in range(60):
        bench.chain.let_go()
    floor = bench.chain.floor
    bench.chain.add_headers(
        b"".join(other.chain.at(h).header.encode() for h in range(300, 810)), NOW
    )
    assert bench.chain.tree.tip.id == other.chain.head.id
    bench.store.note_damage("as a test says")
    bench.store.close()
    chain, store = open_again(bench)
    assert (chain.floor, chain.head.id) == (floor, bench.chain.head.id)
    store.close()


# Power cuts, full disks


class PowerCut(BaseException):
    """The box is off."""


def test_the_exchange_survives_a_power_cut_at_any_instruction(tmp_path, monkeypatch):
    """The last transactions are in the log still; files that root or a crash left lie beside it."""
    (tmp_path / "run").mkdir()
    bench = StoredBench(tmp_path / "run" / "chain.db")
    bench.grow(10)
    bench.store.settle()
    bench.grow(5, miner=BOB)
    update, payload = bench.update(BOB, delta=7)
    bench.store.add_waiting(update, payload)
    bench.store.note_damage("as a test says")
    head = bench.chain.head.id
    files = {p.name: p.read_bytes() for p in bench.path.parent.iterdir()}
    assert "chain.db-wal" in files
    cuts = 0
    while True:
        directory = tmp_path / f"cut-{cuts}"
        directory.mkdir()
        for name, content in files.items():
            (directory / name).write_bytes(content)
        bench.path = directory / "chain.db"
        with monkeypatch.context() as patch:
            left = [cuts]
            for name in ("replace", "unlink"):
                patch.setattr(Path, name, cutting(getattr(Path, name), left))
            try:
                open_again(bench)[1].close()
            except PowerCut:
                pass
            else:
                break
        chain, store = open_again(bench)
        assert chain.head.id == head, cuts
        assert [t.id for t in store.waiting()] == [update.id], cuts
        assert store.payload(update.payload) == payload
        store.close()
        assert check_chain_store(bench.path) == ""
        (aside,) = directory.glob("*damaged-[0-9]")
        assert aside.read_bytes() == files["chain.db"]
        assert aside.with_name(f"{aside.name}-wal").read_bytes() == files["chain.db-wal"]
        cuts += 1
    assert cuts > 8


def cutting(act, left):
    """The power fails before the files' names change for the so-manieth time."""

    def cut(self, *arguments, **options):
        left[0] -= 1
        if left[0] < 0:
            raise PowerCut
        return act(self, *arguments, **options)

    return cut


def test_a_salvage_that_has_no_room_leaves_the_room_that_there_was(bench, monkeypatch, caplog):
    bench.store.note_damage("as a test says")
    bench.store.close()
    before = bench.path.read_bytes()

    def full(*_):
        raise StoreFullError("no room left on the disk")

    monkeypatch.setattr(SqliteChainStore, "settle", full)
    with pytest.raises(StoreFullError):
        open_again(bench)
    assert bench.path.read_bytes() == before
    assert not list(bench.path.parent.glob("*salvaged*"))
    (told,) = (r for r in caplog.records if "no room to salvage" in r.getMessage())
    assert told.bytes == len(before)
    monkeypatch.undo()
    assert open_again(bench)[0].head.id == bench.chain.head.id


QUOTA = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>
ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = dlsym(RTLD_NEXT, "pwrite64");
    if (access(getenv("SPENT"), F_OK) == 0) { errno = EDQUOT; return -1; }
    return real(file, bytes, length, offset);
}
ssize_t pwrite(int file, const void *bytes, size_t length, off64_t offset) {
    return pwrite64(file, bytes, length, offset);
}
"""

WRITER = """
import os, sys
from pathlib import Path
from edgenode.ledger.hashes import content_id
from edgenode.storage.chain import DamagedStoreError, SqliteChainStore, StoreFullError
store, spent = SqliteChainStore(Path(sys.argv[1]), bytes(32)), Path(os.environ["SPENT"])
payloads = [bytes([n]) * 5000 for n in range(2)]
for payload in payloads:
    spent.touch()
    try:
        store.add_payload(content_id(payload), payload)
        sys.exit("it was written")
    except StoreFullError:
        pass
    spent.unlink()
    store.add_payload(content_id(payload), payload)
print([store.payload(content_id(payload)) == payload for payload in payloads])
"""


def test_a_spent_quota_is_a_full_disk_and_no_damage(tmp_path):
    """No quota can be set on every machine that tests: the C library says that it is spent."""
    gcc = require_tool("gcc", "gcc")
    (tmp_path / "quota.c").write_text(QUOTA)
    library = tmp_path / "quota.so"
    build = [gcc, "-shared", "-fPIC", "-o", library, tmp_path / "quota.c", "-ldl"]
    subprocess.run(build, check=True)
    ran = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path / "chain.db")],
        env={**os.environ, "LD_PRELOAD": str(library), "SPENT": str(tmp_path / "spent")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == "[True, True]\n", ran.stderr
