"""A full disk: a clear error, no corruption, and on it goes when there is room again."""

import os
import shutil
import subprocess
import sys
import textwrap

import pytest

# Runs on a tmpfs of 1.5 MB in a mount namespace of its own: a real full disk.
SCRIPT = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    import numpy as np
    from edgenode.storage.samples import SampleStore, StoreFullError
    from edgenode.storage.samples_reader import BEGINNING, SampleReader
    from edgenode.tasks.stream import SampleBlock

    path = Path(sys.argv[1]) / "samples" / "samples.db"
    ballast = Path(sys.argv[1]) / "ballast"


    def open_store():
        return SampleStore.open(path, max_bytes=1 << 30)


    def block(n):
        return SampleBlock(1, 500 * n, np.full((500, 6), n, np.int16))


    def numbers():
        reader, cursor, found = SampleReader(path), BEGINNING, []
        while True:
            records, cursor = reader.read_after(cursor, 20)
            if not records:
                return found
            for record in records:
                assert (record.values == record.first // 500).all()
                found.append(record.first // 500)


    ballast.write_bytes(bytes(400_000))
    store = open_store()
    acknowledged, refused = [], 0
    n = 0
    while refused < 5:
        try:
            store.append([block(n)])
            acknowledged.append(n)
        except StoreFullError as error:
            assert "no room" in str(error), error
            assert str(path) in str(error), error
            refused += 1
        n += 1
    assert acknowledged == list(range(n - 5)), acknowledged
    assert numbers() == acknowledged

    # A store that is opened on the full disk reads, refuses, and stays sound.
    store.close()
    try:
        store = open_store()
        store.append([block(n)])
        print("no error on a full disk")
    except StoreFullError:
        refused += 1

    ballast.unlink()
    store = open_store() if refused == 5 else store
    try:
        store.append([block(n)])
    except Exception:
        store = open_store()
        store.append([block(n)])
    acknowledged.append(n)
    assert numbers() == acknowledged
    store.close()
    store = open_store()
    assert not list(path.parent.glob("*damaged*"))
    print("done", len(acknowledged), refused)
    """
)


def on_small_disk(directory, script, *arguments):
    """Run a Python script with a 1.5 MB tmpfs mounted at `directory`; skip where none can be."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("needs unshare (util-linux) to mount a small disk")
    namespaces = ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]
    probe = subprocess.run(
        [unshare, *namespaces, "mount", "-t", "tmpfs", "none", str(directory)],
        capture_output=True,
        check=False,
    )
    if probe.returncode:
        pytest.skip(f"no mount namespace here: {probe.stderr.decode().strip()}")
    command = 'mount -t tmpfs -o size=1536k,mode=0700 none "$1" && shift && exec "$@"'
    python = [sys.executable, "-c", script, str(directory), *arguments]
    return subprocess.run(
        [unshare, *namespaces, "sh", "-c", command, "sh", str(directory), *python],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_full_disk_refuses_clearly_loses_nothing_and_resumes(tmp_path):
    done = on_small_disk(tmp_path, SCRIPT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done")


COLLECTING = textwrap.dedent(
    """
    import asyncio
    import sys
    from pathlib import Path
    import numpy as np
    from edgenode.collector import group_commit
    from edgenode.collector.counters import Counters
    from edgenode.collector.group_commit import GroupCommit
    from edgenode.storage.samples import SampleStore
    from edgenode.storage.samples_reader import BEGINNING, SampleReader
    from edgenode.tasks.stream import SampleBlock

    path = Path(sys.argv[1]) / "samples" / "samples.db"
    ballast = Path(sys.argv[1]) / "ballast"
    group_commit.RETRY_S = 0.01
    group_commit.MAX_WAITING_RECORDS = 200


    async def main():
        ballast.write_bytes(bytes(400_000))
        counters = Counters()
        commit = GroupCommit(lambda: SampleStore.open(path, max_bytes=1 << 30), 0.01, counters)
        await commit.open()
        task = asyncio.create_task(commit.run())
        n = 0
        while counters.dropped_samples < 20 * 42:
            commit.put(SampleBlock(1, n * 42, np.full((42, 6), n, np.int16)))
            n += 1
            await asyncio.sleep(0.0002)
        assert counters.store_errors > 0
        ballast.unlink()
        at_outage = counters.stored_samples
        while counters.stored_samples == at_outage:
            await asyncio.sleep(0.01)
        for _ in range(100):
            commit.put(SampleBlock(1, n * 42, np.full((42, 6), n, np.int16)))
            n += 1
        commit.stop()
        await task
        records, cursor = SampleReader(path).read_after(BEGINNING, 100_000)
        stored = sum(len(record.values) for record in records)
        assert stored == counters.stored_samples, (stored, counters)
        assert stored + counters.dropped_samples == n * 42, (stored, counters, n)
        assert [r.first for r in records] == sorted({r.first for r in records})
        print("done", stored, counters.dropped_samples)


    asyncio.run(main())
    """
)


def test_collecting_goes_on_through_a_full_disk_and_every_sample_is_accounted_for(tmp_path):
    done = on_small_disk(tmp_path, COLLECTING)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("done")
    assert "samples wait in memory" in done.stderr
