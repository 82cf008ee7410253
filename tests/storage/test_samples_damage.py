"""A damaged sample store is set aside, what can be read is kept, and collecting goes on."""

import logging
import random
import shutil

import numpy as np
import pytest

from edgenode.storage.samples import SampleStore, StoreDamagedError, StreamStart
from edgenode.storage.samples_reader import BEGINNING, SampleReader
from edgenode.storage.samples_salvage import MAX_SET_ASIDE, RECORDS_STEP, finish_interrupted
from edgenode.tasks.stream import Annotation, SampleBlock

PAGE = 4096
RECORDS = 300


def block(n):
    return SampleBlock(1, 1000 * n, np.full((100, 6), n, np.int16))


def open_store(path):
    return SampleStore.open(path, max_bytes=1 << 30)


@pytest.fixture
def path(tmp_path):
    """A closed store of about 90 pages with 300 records."""
    path = tmp_path / "samples" / "samples.db"
    store = open_store(path)
    store.append([StreamStart(1, "F0:0E:00:00:00:01")])
    for n in range(RECORDS):
        store.append([block(n)])
    store.close()
    return path


def numbers(path):
    """The numbers of the blocks that can be read, each checked against its content."""
    reader, cursor, found = SampleReader(path), BEGINNING, []
    while True:
        records, cursor = reader.read_after(cursor, 50)
        if not records:
            reader.close()
            return found
        for record in records:
            assert (record.values == record.first // 1000).all()
            found.append(record.first // 1000)


def overwrite(path, offset, content):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def test_a_truncated_store_is_salvaged_and_the_log_names_the_file(path, caplog):
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size * 2 // 3 + 1000)
    with caplog.at_level(logging.ERROR):
        store = open_store(path)
    (told,) = caplog.records
    aside = path.with_name("samples.db.damaged-1")
    assert (told.file, told.damaged) == (path, aside)
    assert "carried over" in told.getMessage()
    assert aside.stat().st_size == size * 2 // 3 + 1000
    found = numbers(path)
    assert found == sorted(set(found))
    assert len(found) > RECORDS // 3
    store.append([block(9999 % 30)])
    store.close()
    open_store(path).close()
    assert not path.with_name("samples.db.damaged-2").exists()


@pytest.mark.parametrize("content", [b"\xff" * PAGE, bytes(PAGE)])
def test_a_page_of_garbage_costs_only_what_it_held(path, content):
    overwrite(path, 40 * PAGE, content)
    store = open_store(path)
    found = numbers(path)
    assert RECORDS - 10 <= len(found) < RECORDS
    store.close()


@pytest.mark.parametrize("content", [b"", b"\0", b"not a database" * 1000, bytes(100_000)])
def test_a_file_of_garbage_is_set_aside_and_a_new_store_begun(path, content):
    path.write_bytes(content)
    store = open_store(path)
    assert numbers(path) == []
    store.append([block(3)])
    assert numbers(path) == [3]
    store.close()
    aside = path.with_name("samples.db.damaged-1")
    assert aside.exists() == bool(content)
    if content:
        assert aside.read_bytes() == content


@pytest.mark.parametrize("seed", [*range(30), 78])
def test_random_damage_never_gives_wrong_samples_and_never_stops_collecting(path, seed):
    """Whatever bytes change: opening works, what is read is right, and appending works."""
    source = random.Random(seed)
    size = path.stat().st_size
    for _ in range(source.randint(1, 20)):
        offset = source.randrange(size) if seed % 2 else source.randrange(PAGE * 4)
        overwrite(path, offset, source.randbytes(source.randint(1, 64)))
    if seed % 5 == 0:
        with path.open("r+b") as file:
            file.truncate(source.randrange(size))
    for attempt in range(2):
        store = open_store(path)
        found = numbers(path)
        assert len(found) == len(set(found))
        store.append([SampleBlock(7, 1000 * (400 + attempt), np.full((1, 6), 400 + attempt, "i2"))])
        assert numbers(path) == [*found, 400 + attempt]
        store.close()


@pytest.mark.parametrize("offset", range(60, 72))
def test_no_bit_of_the_version_or_the_kind_of_file_ends_the_collecting(path, offset):
    """One number that the disk has altered is no newer version: its checksum does not say so."""
    good = path.read_bytes()
    for bit in range(8):
        overwrite(path, offset, bytes([good[offset] ^ 1 << bit]))
        store = open_store(path)
        assert numbers(path) == list(range(RECORDS))
        store.close()
        path.write_bytes(good)


def test_a_flipped_bit_in_a_value_is_not_served(path):
    raw = path.read_bytes()
    offset = raw.index(np.full((100, 6), 77, "<i2").tobytes()) + 50
    overwrite(path, offset, bytes([raw[offset] ^ 0x10]))
    assert numbers(path) == [n for n in range(RECORDS) if n != 77]
    reader = SampleReader(path)
    reader.read_after(BEGINNING, RECORDS)
    assert reader.counters()["damaged"] == 1


def test_a_reader_steps_over_a_damaged_page_while_the_collector_runs(path):
    store = open_store(path)
    overwrite(path, 40 * PAGE, b"\xff" * PAGE)
    found = numbers(path)
    assert RECORDS - 10 <= len(found) < RECORDS
    store.append([block(RECORDS)])
    assert numbers(path) == [*found, RECORDS]
    store.close()


def test_a_writer_that_meets_damage_says_so_and_goes_on_after_opening_again(path):
    store = SampleStore.open(path, max_bytes=1 << 16)
    store._connection.execute("PRAGMA shrink_memory")
    for page in range(5, 60):
        overwrite(path, page * PAGE, b"\xff" * PAGE)
    with pytest.raises(StoreDamagedError, match="is damaged"):
        store.append([block(1)])
    store.close()
    store = open_store(path)
    store.append([block(5)])
    found = numbers(path)
    assert found[-1] == 5
    assert len(found) > 50
    store.close()


def test_a_reader_goes_on_after_a_salvage_without_seeing_anything_twice(path):
    reader = SampleReader(path)
    records, cursor = reader.read_after(BEGINNING, RECORDS)
    assert len(records) == RECORDS
    overwrite(path, path.stat().st_size - PAGE, b"\xff" * PAGE)
    store = open_store(path)
    assert reader.read_after(cursor, 10) == ([], cursor)
    store.append([block(5)])
    (record,), cursor = reader.read_after(cursor, 10)
    assert record.first == 5000
    assert cursor.record > RECORDS_STEP
    assert store.next_stream > 2
    store.close()


def test_what_was_only_in_the_log_is_salvaged_too(path, tmp_path):
    store = open_store(path)
    store.append([block(RECORDS)])
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    for file in path.parent.iterdir():
        shutil.copy(file, copy)
    store.close()
    copied = copy / "samples.db"
    assert copied.with_name("samples.db-wal").stat().st_size > 0
    overwrite(copied, 40 * PAGE, b"\xff" * PAGE)
    store = open_store(copied)
    assert numbers(copied)[-1] == RECORDS
    store.close()


def test_a_salvage_that_was_cut_off_before_the_first_rename_is_done_again(path):
    path.with_name("samples.db.salvaged").write_bytes(b"half a copy")
    store = open_store(path)
    assert len(numbers(path)) == RECORDS
    assert not path.with_name("samples.db.salvaged").exists()
    store.close()


def test_a_salvage_that_was_cut_off_between_the_renames_is_completed(path):
    path.rename(path.with_name("samples.db.salvaged"))
    path.with_name("samples.db-wal").write_bytes(b"the log of the damaged file")
    finish_interrupted(path)
    assert not path.with_name("samples.db-wal").exists()
    store = open_store(path)
    assert len(numbers(path)) == RECORDS
    store.close()


def test_only_the_newest_damaged_files_are_kept(path):
    for n in range(MAX_SET_ASIDE + 3):
        path.write_bytes(b"garbage %d" % n * 100)
        open_store(path).close()
    kept = sorted(entry.name for entry in path.parent.glob("*damaged*"))
    assert kept == [f"samples.db.damaged-{n}" for n in range(4, MAX_SET_ASIDE + 4)]


def test_annotations_are_salvaged_with_the_samples(path):
    store = open_store(path)
    store.append([Annotation(1, 5, 3)])
    store.close()
    overwrite(path, 40 * PAGE, b"\xff" * PAGE)
    store = open_store(path)
    records, _ = SampleReader(path).read_after(BEGINNING, 1000)
    assert records[-1] == Annotation(1, 5, 3)
    store.close()
