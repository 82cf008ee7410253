"""Replays: the disk of any moment, from random logs and from one that QEMU itself wrote."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qemu.errors import QemuError
from qemu.replay import Cut, Replay, choose
from qemu.tools import run
from qemu.write_log import Flags, WriteLog, WriteLogError
from tests.conftest import require_tool
from tests.qemu.test_write_log import DISK, SECTORS, written
from tests.qemu.write_logs import Written, applied, write

# Each example copies a file by `cp`.
QUIET = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


def a_base(path: Path, seed: int = 7) -> bytes:
    """A disk with some data and a hole in it."""
    content = random.Random(seed).randbytes(DISK // 4) + bytes(DISK // 2)
    content += random.Random(seed + 1).randbytes(DISK - len(content))
    path.write_bytes(content)
    return content


@QUIET
@given(entries=st.lists(written(), max_size=20), seed=st.integers(0, 1000))
def test_each_prefix_gives_the_disk_of_its_moment(tmp_path, entries, seed):
    before = a_base(tmp_path / "base.img")
    log = WriteLog.read(write(tmp_path / "log", entries), DISK)
    replay = Replay(log, tmp_path / "base.img", tmp_path / "replay.img")
    for cut in choose(log, 10, seed):
        kept = [*entries[: cut.boundary], *(entries[index] for index in cut.also)]
        with replay.at(cut) as image:
            assert image.read_bytes() == applied(before, kept)
        assert replay.image.read_bytes() == applied(before, entries[: cut.boundary])
    assert (tmp_path / "base.img").read_bytes() == before


@QUIET
@given(entries=st.lists(written(), max_size=30), seed=st.integers(0, 1000))
def test_cuts_lie_at_flushes_and_keep_only_what_was_pending(tmp_path, entries, seed):
    log = WriteLog.read(write(tmp_path / "log", entries), DISK)
    cuts = choose(log, 5, seed)
    assert cuts == choose(log, 5, seed)
    assert len(cuts) == min(5, len(log.boundaries()))
    assert [cut.boundary for cut in cuts] == sorted({cut.boundary for cut in cuts})
    for cut in cuts:
        assert cut.boundary in log.boundaries()
        assert set(cut.also) <= set(log.unflushed(cut.boundary))
        assert len(set(cut.also)) == len(cut.also)
    assert all(cut.also == () for cut in choose(log, 5, seed, stray=False))


def test_some_cuts_keep_writes_that_were_not_flushed_and_others_do_not(tmp_path):
    entries = [
        each for n in range(40) for each in (Written(Flags(0), n, bytes(512)), Written(Flags.FLUSH))
    ]
    log = WriteLog.read(write(tmp_path / "log", entries), DISK)
    strays = [bool(cut.also) for cut in choose(log, 40, seed=1)]
    assert 10 < strays.count(True) < 30


def test_a_discard_zeroes_what_is_there_and_leaves_holes_alone(tmp_path):
    big = 64 << 20
    base = tmp_path / "base.img"
    with base.open("wb") as file:
        file.truncate(big)
        file.seek(40 << 20)
        file.write(b"\xaa" * 8192)
    entry = Written(Flags.DISCARD, 0, discarded=big // 512)
    log = WriteLog.read(write(tmp_path / "log", [entry, Written(Flags.FLUSH)]), big)
    replay = Replay(log, base, tmp_path / "replay.img")
    replay.advance(2)
    with replay.image.open("rb") as file:
        file.seek(40 << 20)
        assert file.read(8192) == bytes(8192)
    assert replay.image.stat().st_blocks * 512 < 1 << 20


def test_a_replay_does_not_go_back(tmp_path):
    a_base(tmp_path / "base.img")
    log = WriteLog.read(write(tmp_path / "log", [Written(Flags.FLUSH)] * 3), DISK)
    replay = Replay(log, tmp_path / "base.img", tmp_path / "replay.img")
    replay.advance(2)
    with pytest.raises(ValueError, match="1 is not from 2, where the image is, to 3"):
        replay.advance(1)
    with pytest.raises(ValueError, match="4 is not from 2"):
        replay.advance(4)


def test_the_base_of_another_disk_is_refused(tmp_path):
    a_base(tmp_path / "base.img")
    log = WriteLog.read(write(tmp_path / "log", []), 2 * DISK)
    with pytest.raises(QemuError, match=f"has {DISK} bytes, the disk of .* {2 * DISK}"):
        Replay(log, tmp_path / "base.img", tmp_path / "replay.img")


def test_a_log_that_shrank_meanwhile_is_noticed(tmp_path):
    a_base(tmp_path / "base.img")
    path = write(tmp_path / "log", [Written(Flags(0), 0, bytes(512))])
    log = WriteLog.read(path, DISK)
    replay = Replay(log, tmp_path / "base.img", tmp_path / "replay.img")
    path.write_bytes(path.read_bytes()[:1100])
    with pytest.raises(WriteLogError, match="has become shorter"):
        replay.advance(1)


def test_what_qemu_logs_is_what_it_wrote(tmp_path):
    """QEMU's own block layer writes, flushes and discards; no guest is needed for that."""
    require_tool("qemu-io", "qemu-utils")
    before = a_base(tmp_path / "base.img")
    disk = tmp_path / "disk.img"
    disk.write_bytes(before)
    (tmp_path / "log").touch()
    options = ",".join(
        [
            "driver=blklogwrites",
            f"file.driver=raw,file.file.driver=file,file.file.filename={disk}",
            f"log.driver=file,log.filename={tmp_path / 'log'}",
        ]
    )
    commands = [
        *("write -P 1 0 512", "write -P 2 4096 8192", "flush"),
        *("write -P 3 512 1024", "write -f -P 4 8192 512", "flush"),
        *("discard 4096 4096", "write -P 5 30720 2048", "flush"),
    ]
    words = [word for command in commands for word in ("-c", command)]
    run(["qemu-io", "-d", "unmap", *words, "--image-opts", options])
    log = WriteLog.read(tmp_path / "log", DISK)
    boundaries = log.boundaries()
    assert len(boundaries) >= 4
    replay = Replay(log, tmp_path / "base.img", tmp_path / "replay.img")
    moments = []
    for boundary in boundaries:
        replay.advance(boundary)
        moments.append(replay.image.read_bytes())

    def moment(*parts: tuple[int, int, int]) -> bytes:
        entries = [Written(Flags(0), at, bytes([byte]) * (512 * n)) for byte, at, n in parts]
        return applied(before, entries)

    first = [(1, 0, 1), (2, 8, 16)]
    second = [*first, (3, 1, 2), (4, 16, 1)]
    third = [*second, (0, 8, 8), (5, 60, 4)]
    for parts in ([], first, second, third):
        assert moment(*parts) in moments
    assert replay.image.read_bytes() == moment(*third)
    assert SECTORS * 512 == DISK


def test_a_cut_is_where_it_says(tmp_path):
    a_base(tmp_path / "base.img")
    entries = [Written(Flags(0), n, bytes([n + 1]) * 512) for n in range(4)]
    log = WriteLog.read(write(tmp_path / "log", entries), DISK)
    replay = Replay(log, tmp_path / "base.img", tmp_path / "replay.img")
    with replay.at(Cut(1, (3, 2))) as image:
        content = image.read_bytes()
    assert content[0] == 1
    assert content[512] != 2
    assert (content[1024], content[1536]) == (3, 4)
