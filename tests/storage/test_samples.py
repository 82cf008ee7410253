"""The sample store: what was acknowledged is there, in order, and only its owner can read it."""

import sqlite3
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenode.storage.samples import SampleStore, StoreError, StreamStart
from edgenode.storage.samples_file import version_mark, write_meta
from edgenode.storage.samples_reader import BEGINNING, Cursor, SampleReader
from edgenode.tasks.stream import Annotation, SampleBlock

NOW = 1_800_000_000.0
YEAR = 365 * 86_400
SENSOR = "F0:0E:00:00:00:01"


def block(stream, first, count):
    values = np.arange(first * 6, (first + count) * 6, dtype=np.int64).reshape(count, 6)
    return SampleBlock(stream, first, (values % 30_000).astype(np.int16))


def open_store(path, **options):
    return SampleStore.open(path, **{"max_bytes": 1 << 30, "wall_clock": lambda: NOW, **options})


def read_all(path, limit=100):
    reader, cursor, records = SampleReader(path), BEGINNING, []
    while True:
        more, cursor = reader.read_after(cursor, limit)
        if not more:
            reader.close()
            return records
        records += more


def flat(records):
    """Every sample and annotation of each stream, independent of how samples are grouped."""
    streams = {}
    for record in records:
        items = streams.setdefault(record.stream, [])
        if isinstance(record, SampleBlock):
            items += [(record.first + n, tuple(row)) for n, row in enumerate(record.values)]
        else:
            items.append((record.first, record.code))
    return streams


@pytest.fixture
def path(tmp_path):
    return tmp_path / "samples" / "samples.db"


def test_what_was_appended_is_read_in_order(path):
    store = open_store(path)
    records = [Annotation(1, 0, 3), block(1, 0, 19), Annotation(1, 19, 0), block(1, 30, 5)]
    store.append([StreamStart(1, SENSOR), *records[:2]])
    store.append(records[2:])
    read = read_all(path)
    assert [type(r) for r in read] == [type(r) for r in records]
    assert flat(read) == flat(records)
    store.close()


def test_consecutive_samples_share_a_record_but_not_across_gaps_or_annotations(path):
    store = open_store(path)
    store.append(
        [
            *(block(1, 0, 10), block(2, 7, 1), block(1, 10, 10), block(1, 21, 1)),
            *(Annotation(1, 22, 1), block(1, 22, 1)),
        ]
    )
    shape = [(r.stream, r.first, len(getattr(r, "values", ()))) for r in read_all(path)]
    assert shape == [(1, 0, 20), (2, 7, 1), (1, 21, 1), (1, 22, 0), (1, 22, 1)]
    store.close()


records_strategy = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(0, 1500), st.integers(0, 7)),
    max_size=30,
)


@given(st.lists(records_strategy, max_size=3), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_any_records_are_read_as_they_were_appended(tmp_path_factory, batches, limit):
    path = tmp_path_factory.mktemp("store") / "samples.db"
    store = open_store(path)
    position = {1: 0, 2: 0, 3: 2**32 - 1000}
    appended = []
    for batch in batches:
        records = []
        for stream, gap, count, code in batch:
            first = position[stream] + gap
            records.append(
                block(stream, first, count) if count else Annotation(stream, first, code)
            )
            position[stream] = first + count
        store.append(records)
        appended += records
    assert flat(read_all(path, limit)) == flat(appended)
    store.close()


def test_the_cursor_continues_where_the_last_call_ended_even_after_a_restart(path):
    store = open_store(path)
    store.append([Annotation(1, n, 1) for n in range(10)])
    first, cursor = SampleReader(path).read_after(BEGINNING, 4)
    rest, cursor = SampleReader(path).read_after(Cursor.parse(str(cursor)), 100)
    assert [a.first for a in first + rest] == list(range(10))
    assert SampleReader(path).read_after(cursor, 100) == ([], cursor)
    store.append([Annotation(1, 10, 1)])
    more, _ = SampleReader(path).read_after(cursor, 100)
    assert [a.first for a in more] == [10]
    store.close()


@pytest.mark.parametrize("text", ["", "1", "1.", "-1.0", "a.b", "1.2.3", "9" * 40 + ".1"])
def test_a_text_that_is_no_cursor_is_refused(text):
    with pytest.raises(ValueError, match="no cursor"):
        Cursor.parse(text)


def test_the_cursor_of_another_store_reads_from_the_beginning(path):
    store = open_store(path)
    store.append([Annotation(1, 0, 1)])
    records, _ = SampleReader(path).read_after(Cursor(store=7, record=99), 10)
    assert records == [Annotation(1, 0, 1)]
    store.close()


def test_a_reader_without_a_store_finds_nothing_and_waits_for_it(path):
    reader = SampleReader(path)
    assert reader.read_after(BEGINNING, 10) == ([], BEGINNING)
    store = open_store(path)
    assert reader.read_after(BEGINNING, 10)[0] == []
    store.append([Annotation(1, 0, 1)])
    assert reader.read_after(BEGINNING, 10)[0] == [Annotation(1, 0, 1)]
    store.close()


def test_the_reader_counts_what_it_read_and_what_is_left(path):
    store = open_store(path)
    store.append([StreamStart(1, SENSOR), block(1, 0, 20), Annotation(1, 20, 1), block(1, 20, 2)])
    reader = SampleReader(path)
    reader.read_after(BEGINNING, 1)
    counters = reader.counters()
    assert (counters["samples"], counters["behind"]) == (20, 2)
    store.close()


def test_the_store_and_its_directory_are_for_their_owner_only(path):
    store = open_store(path)
    store.append([Annotation(1, 0, 1)])
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()


def test_a_directory_that_others_may_read_is_refused(tmp_path):
    directory = tmp_path / "open"
    directory.mkdir()
    directory.chmod(0o755)
    with pytest.raises(StoreError, match="chmod 0700"):
        open_store(directory / "samples.db")


def test_a_commit_is_flushed_to_the_disk_before_it_is_acknowledged(path):
    store = open_store(path)
    pragma = lambda name: store._connection.execute(f"PRAGMA {name}").fetchone()[0]  # noqa: E731
    assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", 2)
    assert (pragma("user_version"), pragma("application_id")) == (1, 0x65646E73)
    store.close()


def test_a_second_writer_is_refused(path):
    store = open_store(path)
    with pytest.raises(StoreError, match="another process"):
        open_store(path)
    store.close()
    open_store(path).close()


def test_numbers_of_streams_are_never_used_twice(path):
    store = open_store(path)
    assert store.next_stream == 1
    store.append([StreamStart(1, SENSOR)])
    assert store.next_stream == 2
    store.append([StreamStart(5, SENSOR)])
    store.close()
    store = open_store(path)
    assert store.next_stream == 6
    store.close()


def test_a_store_of_a_newer_version_is_refused_and_left_alone(path):
    open_store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    write_meta(connection, "schema", version_mark(2))
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        open_store(path)
    with pytest.raises(StoreError, match="schema 2"):
        SampleReader(path).read_after(BEGINNING, 1)
    assert not list(path.parent.glob("*damaged*"))


def test_a_foreign_database_is_refused_and_left_alone(path):
    path.parent.mkdir(mode=0o700)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a sample store"):
        open_store(path)
    assert path.read_bytes() == before


def test_the_oldest_records_go_when_the_store_is_too_large(path):
    store = open_store(path, max_bytes=1 << 20)
    for n in range(400):
        store.append([block(1, n * 500, 500)])
    counters = store.counters()
    assert counters["bytes"] < (1 << 20) + 65536
    assert path.stat().st_size < 2 << 20
    read = read_all(path)
    assert read[-1].end == 400 * 500
    assert read[0].first > 0
    starts = [r.first for r in read]
    assert starts == list(range(read[0].first, 400 * 500, 500))
    assert counters["retired_records"] == 400 - len(read)
    store.close()


def test_retention_catches_up_in_small_steps_after_a_limit_was_lowered(path):
    store = open_store(path)
    store.append([Annotation(1, n, 1) for n in range(5)] + [block(1, 0, 100_000)])
    for n in range(30):
        store.append([block(2, n * 1024, 1024) for n in range(n * 10, n * 10 + 10)])
    store.close()
    store = open_store(path, max_bytes=1 << 20)
    before = store.counters()["bytes"]
    store.append([Annotation(3, 0, 1)])
    assert 0 < store.counters()["retired_records"] < 50
    while store.counters()["bytes"] > 1 << 20:
        store.append([Annotation(3, 0, 1)])
    assert store.counters()["bytes"] < before
    assert read_all(path)[-1] == Annotation(3, 0, 1)
    store.close()


class Clocks:
    """A box's two clocks: one that may be set, and one that never is."""

    def __init__(self, wall=NOW):
        self.wall, self.monotonic = wall, 50.0

    def go_on(self, seconds):
        self.wall += seconds
        self.monotonic += seconds

    def open(self, path, max_age_s=3600.0):
        return open_store(
            path,
            max_age_s=max_age_s,
            wall_clock=lambda: self.wall,
            monotonic=lambda: self.monotonic,
        )


def numbers(path):
    return [annotation.first for annotation in read_all(path)]


def append_each_second(store, clocks, numbers):
    for n in numbers:
        clocks.go_on(1)
        store.append([Annotation(1, n, 1)])


def test_records_go_when_they_are_too_old(path):
    clocks = Clocks()
    store = clocks.open(path)
    for n in range(10):
        store.append([Annotation(1, n, 1)])
        clocks.go_on(1000)
    assert numbers(path) == [6, 7, 8, 9]
    store.close()


def test_records_of_a_clock_that_was_not_set_yet_go_with_what_followed_them(path):
    clocks = Clocks(wall=1000.0)
    store = clocks.open(path)
    append_each_second(store, clocks, range(100))
    clocks.wall = NOW
    append_each_second(store, clocks, range(100, 200))
    clocks.go_on(3400)
    append_each_second(store, clocks, range(200, 300))
    assert numbers(path) == list(range(300))
    clocks.go_on(200)
    append_each_second(store, clocks, range(300, 400))
    assert numbers(path) == list(range(200, 400))
    store.close()


def test_records_of_a_clock_that_was_far_ahead_do_not_keep_what_is_too_old(path):
    clocks = Clocks()
    store = clocks.open(path)
    append_each_second(store, clocks, range(100))
    clocks.wall += 10 * YEAR
    append_each_second(store, clocks, range(100, 150))
    clocks.wall -= 10 * YEAR
    append_each_second(store, clocks, range(150, 200))
    clocks.go_on(3600)
    append_each_second(store, clocks, range(200, 300))
    assert numbers(path) == list(range(200, 300))
    store.close()


def test_a_clock_that_is_ahead_for_minutes_deletes_nothing_that_is_young(path):
    clocks = Clocks()
    store = clocks.open(path, max_age_s=7 * 86_400.0)
    append_each_second(store, clocks, range(700))
    clocks.wall += 10 * YEAR
    append_each_second(store, clocks, range(700, 1000))
    clocks.wall -= 10 * YEAR
    append_each_second(store, clocks, range(1000, 2000))
    assert numbers(path) == list(range(2000))
    store.close()


def test_a_clock_that_was_behind_deletes_nothing_that_came_before_and_is_young(path):
    clocks = Clocks()
    store = clocks.open(path)
    append_each_second(store, clocks, range(100))
    clocks.wall -= 86_400
    append_each_second(store, clocks, range(100, 200))
    clocks.wall += 86_400
    append_each_second(store, clocks, range(200, 1000))
    assert numbers(path) == list(range(1000))
    store.close()


def test_a_store_that_is_opened_with_a_wrong_clock_deletes_nothing_for_minutes(path):
    clocks = Clocks()
    store = clocks.open(path)
    append_each_second(store, clocks, range(100))
    store.close()
    clocks.wall += 10 * YEAR
    store = clocks.open(path)
    append_each_second(store, clocks, range(100, 600))
    assert numbers(path) == list(range(600))
    store.close()


def test_a_reader_is_told_how_many_records_it_came_too_late_for(path):
    store = open_store(path, max_bytes=1 << 20)
    store.append([block(1, 0, 500)])
    reader = SampleReader(path)
    _, cursor = reader.read_after(BEGINNING, 10)
    for n in range(1, 400):
        store.append([block(1, n * 500, 500)])
    total = 0
    while True:
        records, cursor = reader.read_after(cursor, 100)
        total += len(records)
        if not records:
            break
    assert reader.counters()["passed_over"] == 399 - total
    store.close()


WRITER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import numpy as np
    from edgenode.storage.samples import SampleStore
    from edgenode.tasks.stream import SampleBlock

    store = SampleStore.open(Path(sys.argv[1]), max_bytes=1 << 30)
    stream = store.next_stream
    for n in range(1_000_000):
        values = np.full((3, 6), n % 30_000, np.int16)
        store.append([SampleBlock(stream, 3 * n, values)])
        print(stream, n, flush=True)
    """
)


def test_what_a_killed_writer_acknowledged_is_there_afterwards(path):
    for _ in range(8):
        acknowledged = {}
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            for _ in range(40):
                stream, n = map(int, writer.stdout.readline().split())
                acknowledged[stream] = n
            writer.kill()
            for line in writer.stdout:
                if line.endswith("\n"):
                    stream, n = map(int, line.split())
                    acknowledged[stream] = n
        stored = {}
        for record in read_all(path):
            assert (record.values == record.first // 3 % 30_000).all()
            assert record.first == stored.get(record.stream, -1) * 3 + 3
            stored[record.stream] = record.first // 3
        for stream, n in acknowledged.items():
            assert stored[stream] in {n, n + 1}
    store = open_store(path)
    assert store.counters()["bytes"] > 0
    store.close()
