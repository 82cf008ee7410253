"""Headers on the disk: a tree of any shape, restarts and crashes anywhere, against a plain one."""

import random
import sqlite3
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgenode.ledger import branches
from edgenode.ledger import headers as headers_module
from edgenode.ledger.chain import Chain
from edgenode.ledger.header import Header
from edgenode.ledger.header_intake import UNWRITTEN_LIMIT
from edgenode.ledger.headers import HeaderTree, expected_target, median_time_past
from edgenode.ledger.rules import Rejected
from edgenode.ledger.target import expand, work
from edgenode.storage import header_keys
from edgenode.storage import headers as storage_headers
from edgenode.storage.chain import AlteredRecordError, SqliteChainStore
from tests.ledger.builder import Bench, initial_parameters, make_genesis

GENESIS = make_genesis(target_limit=0x21FFFFFF, target_start=0x21FFFFFF)  # any hash meets it

LATE = 1 << 32
"""No header is from the future."""

SMALL = {
    (storage_headers, "PAGE_HEADERS"): 4,
    (storage_headers, "PAGES_REMEMBERED"): 2,
    (storage_headers, "_KEYS_AT_ONCE"): 3,
    (header_keys, "FEWEST_NEW"): 6,
    (header_keys, "KEYS_IN_ROW"): 5,
    (headers_module, "ENTRIES_REMEMBERED"): 4,
}
"""Small enough that a tree of some dozen headers fills rows, tables and memory."""


@dataclass
class Plain:
    """What a tree of headers should know: all in dicts."""

    entries: dict[bytes, tuple[Header, int, int]] = field(default_factory=dict)
    tip: bytes = GENESIS.id

    def add(self, header):
        _, height, total = self.entries[header.previous]
        self.entries[header.id] = (header, height + 1, total + work(expand(header.target)))

    def settle(self, last):
        if self.work(last) > self.work(self.tip):
            self.tip = last

    def work(self, name):
        return self.entries[name][2]

    def lineage(self, name):
        found = [name]
        while found[-1] != GENESIS.id:
            found.append(self.entries[found[-1]][0].previous)
        return found

    def copy(self):
        return Plain(dict(self.entries), self.tip)


class Forest:
    """A chain with its store in a file, and the plain tree that it is held against."""

    def __init__(self, path, seed):
        self.path = path
        self.rng = random.Random(seed)
        root = GENESIS.block.header
        self.plain = Plain({GENESIS.id: (root, 0, work(expand(root.target)))})
        self.kept = self.plain.copy()
        self.forgotten = {}
        self.open()

    def open(self):
        self.store = SqliteChainStore(self.path, GENESIS.id)
        self.chain = Chain(GENESIS, (initial_parameters(),), self.store)

    def headers_on(self, name, count):
        """New valid headers on a known one."""
        entry, made = self.chain.tree.get(name), []
        lookup = {}

        def find(block_id):
            return lookup.get(block_id) or self.chain.tree.get(block_id)

        for _ in range(count):
            time = max(
                median_time_past(entry, find) + 1, entry.header.time + self.rng.randrange(300)
            )
            root = self.rng.randbytes(32)
            target = expected_target(GENESIS, entry, find)
            nonce = 0
            header = Header(1, entry.id, root, time, target, nonce)
            while int.from_bytes(header.id, "little") > expand(target):
                nonce += 1
                header = replace(header, nonce=nonce)
            entry = replace(
                entry,
                header=header,
                height=entry.height + 1,
                work=entry.work + work(expand(target)),
            )
            lookup[entry.id] = entry
            made.append(header)
        return made

    # What can happen

    def grow(self):
        """Headers come in one go, on the tip, near it, or anywhere."""
        names = list(self.plain.entries)
        on = self.rng.choice([self.plain.tip, self.rng.choice(names[-5:]), self.rng.choice(names)])
        made = self.headers_on(on, self.rng.choice([1, 2, 3, 5, 11]))
        # With some that are known already, as peers send them.
        below = self.plain.lineage(on)[: self.rng.randrange(3)][::-1]
        known = [self.plain.entries[name][0] for name in below if name != GENESIS.id]
        run = known + made
        taken = self.chain.add_headers(b"".join(header.encode() for header in run), LATE)
        assert taken.fault is None
        assert taken.last.id == made[-1].id
        for header in made:
            self.plain.add(header)
        self.plain.settle(made[-1].id)

    def keep(self):
        self.store.headers.keep()
        self.kept = self.plain.copy()

    def crash(self):
        """The process dies: what was not written is gone."""
        self.store._db.close()
        lost = self.plain.entries.keys() - self.kept.entries.keys()
        self.forgotten |= {name: self.plain.entries[name][0] for name in lost}
        self.plain = self.kept.copy()
        self.open()

    def restart(self):
        self.store.close()
        self.kept = self.plain.copy()
        self.open()

    def refuse(self):
        """A block turned out invalid: it and what builds on it are forgotten."""
        names = [name for name in self.plain.entries if name != GENESIS.id]
        if not names:
            return
        stem = self.rng.choice(names)
        gone = {name for name in names if stem in self.plain.lineage(name)}
        assert self.chain.tree.cut(self.chain.tree.get(stem)) == gone
        for name in gone:
            self.forgotten[name] = self.plain.entries.pop(name)[0]
        if self.plain.tip in gone:
            heaviest = max(self.plain.work(name) for name in self.plain.entries)
            self.plain.tip = self.chain.tree.tip.id
            assert self.plain.work(self.plain.tip) == heaviest

    def again(self):
        """What was forgotten, or lost in a crash, comes a second time."""
        for name, header in list(self.forgotten.items()):
            if header.previous in self.plain.entries and name not in self.plain.entries:
                assert self.chain.add_headers(header.encode(), LATE).last.id == name
                self.plain.add(header)
                self.plain.settle(name)

    # What must hold

    def check(self):
        tree, plain = self.chain.tree, self.plain
        assert tree.tip.id == plain.tip
        assert self.chain.best_header().id == plain.tip
        trunk = plain.lineage(plain.tip)[::-1]
        assert [tree.at(height).id for height in range(len(trunk))] == trunk
        assert tree.at(len(trunk)) is None
        assert tree.at(-1) is None
        raw = b"".join(plain.entries[name][0].encode() for name in trunk)
        first = self.rng.randrange(len(trunk))
        assert self.store.headers.raw(first, 7) == raw[80 * first :][: 80 * 7]
        for name, (header, height, total) in plain.entries.items():
            entry = tree.get(name)
            assert (entry.header, entry.height, entry.work) == (header, height, total)
            assert tree.is_trunk(entry) == (name in trunk)
            lineage = plain.lineage(name)
            assert [ancestor.id for ancestor in tree.lineage(entry)] == lineage
            above = self.rng.randrange(height + 1)
            assert tree.ancestor(entry, above).id == lineage[height - above]
            ascent = tree.ascent(tree.get(lineage[height - above]), entry)
            assert [e.id for e in ascent] == lineage[: height - above][::-1]
            times = [plain.entries[n][0].time for n in lineage[:11]]
            assert tree.times(entry).tolist() == times[::-1]
            assert self.chain._active.fork(entry).id == GENESIS.id
        for name in self.forgotten.keys() - plain.entries.keys():
            assert tree.get(name) is None
        beside = {entry.id for entry in tree.beside()}
        assert beside == plain.entries.keys() - set(trunk)
        inner = {header.previous for header, _, _ in plain.entries.values()}
        tips = {n for n in plain.entries if n not in inner and n != GENESIS.id}
        assert {tip.id for tip in self.chain._branches.heavier()} == tips


STEPS = ("grow", "grow", "grow", "keep", "crash", "restart", "refuse", "again")


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=25), seed=st.integers(0, 2**32))
def test_a_tree_of_headers_is_what_a_plain_one_would_be(steps, seed, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in SMALL.items():
            patch.setattr(module, name, value)
        forest = Forest(tmp_path_factory.mktemp("forest") / "chain.db", seed)
        for step in steps:
            getattr(forest, step)()
            forest.check()
        forest.store.close()


def grown(path, count):
    forest = Forest(path, 1)
    while len(forest.plain.entries) <= count:
        made = forest.headers_on(forest.plain.tip, 100)
        forest.chain.add_headers(b"".join(header.encode() for header in made), LATE)
        for header in made:
            forest.plain.add(header)
        forest.plain.settle(made[-1].id)
    return forest


def test_headers_without_blocks_survive_a_restart(tmp_path):
    forest = grown(tmp_path / "chain.db", 300)
    forest.restart()
    forest.check()
    assert forest.chain.head.height == 0
    assert forest.chain.wanted(3).blocks == tuple(forest.chain.tree.at(h).id for h in (1, 2, 3))


def test_many_headers_are_written_without_being_told_to(tmp_path):
    forest = grown(tmp_path / "chain.db", UNWRITTEN_LIMIT + 50)
    forest.store._db.close()
    forest.open()
    assert abs(UNWRITTEN_LIMIT - forest.chain.best_header().height) < 100
    assert forest.chain.best_header().id != forest.plain.tip
    best = forest.chain.best_header().id
    assert best == forest.plain.lineage(forest.plain.tip)[::-1][forest.chain.tree.tip.height]


def test_a_block_takes_the_headers_before_it_to_the_disk(tmp_path):
    store = SqliteChainStore(tmp_path / "chain.db", make_genesis().id)
    bench, source = Bench(), Bench()
    bench.store, bench.chain = store, Chain(bench.genesis, (initial_parameters(),), store)
    source.grow(5)
    for height in range(1, 5):
        bench.chain.add_header(source.chain.at(height).header, LATE)
    assert store.headers.unwritten > 0
    bench.chain.add_block(source.chain.block(source.chain.head.id), LATE)
    assert store.headers.unwritten == 0
    store._db.close()
    store = SqliteChainStore(tmp_path / "chain.db", bench.genesis.id)
    assert Chain(bench.genesis, (initial_parameters(),), store).best_header().height == 5


DAMAGED = {
    "a header far below": ("trunk", "page = 2", "raw", 7),
    "the work far below": ("trunk", "page = 2", "work", 30),
    "the key of a header": ("trunk_key", "1", "keys", 5),
    "a header beside": ("beside", "1", "raw", 70),
    "the height of one beside": ("beside", "1", "height", None),
    "the work of one beside": ("beside", "1", "work", 31),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_an_altered_header_is_never_believed(what, tmp_path, monkeypatch):
    monkeypatch.setattr(header_keys, "FEWEST_NEW", 100)
    forest = grown(tmp_path / "chain.db", 300)
    for header in forest.headers_on(forest.chain.tree.at(120).id, 3):
        forest.chain.add_header(header, LATE)
        forest.plain.add(header)
    forest.store.close()
    table, where, column, at = DAMAGED[what]
    with sqlite3.connect(forest.path) as database:
        row, value = database.execute(
            f"SELECT rowid, {column} FROM {table} WHERE {where} LIMIT 1"
        ).fetchone()
        if at is None:
            value ^= 1
        else:
            value = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        database.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
    forest.open()
    found = 0
    for name, (header, height, total) in forest.plain.entries.items():
        try:
            entry = forest.chain.tree.get(name)
        except AlteredRecordError:
            found += 1
        else:
            assert (entry.header, entry.height, entry.work) == (header, height, total)
    assert found > 0


def test_keys_of_headers_that_left_the_trunk_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.setattr(header_keys, "FEWEST_NEW", 10)
    forest = grown(tmp_path / "chain.db", 100)
    forest.keep()
    gone = [forest.chain.tree.at(height).id for height in range(41, 101)]
    forest.chain.tree.cut(forest.chain.tree.at(41))
    for name in gone:
        del forest.plain.entries[name]
    forest.plain.tip = forest.chain.tree.tip.id
    # Few enough to have their keys in memory: the table is not written anew.
    for header in forest.headers_on(forest.plain.tip, 5):
        forest.chain.add_header(header, LATE)
        forest.plain.add(header)
        forest.plain.settle(header.id)
    for _ in range(2):
        assert [forest.chain.tree.get(name) for name in gone] == [None] * 60
        forest.check()
        forest.restart()
    forest.check()


def test_the_trunk_is_read_once_for_each_height_until_it_changes(tmp_path, monkeypatch):
    forest = grown(tmp_path / "chain.db", 100)
    forest.restart()
    tree, read = forest.chain.tree, []
    trunk = forest.plain.lineage(forest.plain.tip)[::-1]
    real = tree.index.at
    monkeypatch.setattr(tree.index, "at", lambda height: read.append(height) or real(height))
    for _ in range(3):
        assert [tree.at(height).id for height in range(80, 100)] == trunk[80:100]
    assert read == list(range(80, 100))
    for header in forest.headers_on(trunk[90], 20):
        forest.chain.add_header(header, LATE)
        forest.plain.add(header)
        forest.plain.settle(header.id)
    assert tree.at(95).id != trunk[95]
    forest.check()


def test_rows_that_were_remembered_are_forgotten_with_the_trunk(tmp_path, monkeypatch):
    for (module, name), value in SMALL.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(storage_headers, "PAGES_REMEMBERED", 8)
    forest = grown(tmp_path / "chain.db", 100)
    forest.restart()
    for height in range(72, 101):
        assert forest.chain.tree.at(height)
    for name in [forest.chain.tree.at(height).id for height in range(61, 101)]:
        del forest.plain.entries[name]
    forest.chain.tree.cut(forest.chain.tree.at(61))
    forest.plain.tip = forest.chain.tree.tip.id
    made = forest.headers_on(forest.plain.tip, 100)
    forest.chain.add_headers(b"".join(header.encode() for header in made), LATE)
    for header in made:
        forest.plain.add(header)
    forest.plain.settle(made[-1].id)
    forest.keep()
    forest.check()


def test_ids_that_begin_alike_are_told_apart(monkeypatch):
    """Thirty-one bits of an id are its key: somebody could search for headers that share them."""
    monkeypatch.setattr(header_keys, "KEYS_IN_ROW", 5)
    monkeypatch.setattr(header_keys, "FEWEST_NEW", 5)
    with sqlite3.connect(":memory:") as database:
        database.executescript(header_keys.KEYS_SCHEMA)
        keys = header_keys.HeaderKeys(database, "a store", -1)
        alike, others = b"same" + bytes(28), [bytes([n]) * 32 for n in range(0, 200, 10)]
        keys.add(0, b"".join(others[:10]))
        keys.add(10, alike * 17)
        keys.add(27, b"".join(others[10:]))
        for covered in (False, True):
            assert sorted(keys.heights(alike)) == list(range(10, 27))
            assert [list(keys.heights(name)) for name in others] == [
                [height] for height in (*range(10), *range(27, 37))
            ]
            if not covered:
                assert keys.write(36)
                keys.written(36)


def test_headers_beside_the_trunk_stay_bounded_over_restarts(tmp_path, monkeypatch):
    monkeypatch.setattr(branches, "BARE_LIMIT", 20)
    forest = grown(tmp_path / "chain.db", 100)
    for number in range(90):
        (header,) = forest.headers_on(forest.chain.tree.at(number).id, 1)
        forest.chain.add_header(header, LATE)
        if number % 7 == 0:
            forest.restart()
        assert len(list(forest.chain.tree.beside())) <= 20
    assert forest.chain.tree.tip.id == forest.plain.tip


def test_a_tree_of_another_ward_is_not_opened():
    store = SqliteChainStore(":memory:", GENESIS.id)
    HeaderTree(GENESIS, store.headers)
    with pytest.raises(AlteredRecordError, match="genesis"):
        HeaderTree(make_genesis(name="another"), store.headers)


def test_headers_that_no_rule_lets_in_leave_no_trace(tmp_path):
    forest = grown(tmp_path / "chain.db", 100)
    (header,) = forest.headers_on(forest.plain.tip, 1)
    with pytest.raises(Rejected):
        forest.chain.add_header(replace(header, version=7), LATE)
    forest.restart()
    forest.check()
