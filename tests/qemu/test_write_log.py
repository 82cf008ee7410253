"""The reader of write logs: what it gives for good ones, what it says of bad ones."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qemu.write_log import HEADER, MOST_ENTRIES, SUPER, Flags, WriteLog, WriteLogError
from tests.qemu.write_logs import Written, encode, write

SECTORS = 64
DISK = SECTORS * 512

QUIET = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def written(draw: st.DrawFn) -> Written:
    kind = draw(st.sampled_from(["write", "flush", "discard", "forced"]))
    if kind == "flush":
        return Written(Flags.FLUSH)
    first = draw(st.integers(0, SECTORS - 1))
    sectors = draw(st.integers(1, SECTORS - first))
    if kind == "discard":
        return Written(Flags.DISCARD, first, discarded=sectors)
    byte = draw(st.integers(0, 255))
    flags = Flags.FUA if kind == "forced" else Flags(0)
    return Written(flags, first, bytes([byte]) * (512 * sectors))


def read_or_refuse(path: Path) -> WriteLog | None:
    """The log; None for a bad one, of which the error must say that it is this file."""
    try:
        return WriteLog.read(path, DISK)
    except WriteLogError as error:
        if str(path) not in str(error):
            raise AssertionError(f"{error} does not say which file") from error
        return None


@QUIET
@given(entries=st.lists(written(), max_size=30))
def test_what_was_written_is_read(tmp_path: Path, entries: list[Written]):
    path = write(tmp_path / "log", entries)
    log = WriteLog.read(path, DISK)
    content = path.read_bytes()
    assert len(log.entries) == len(entries)
    for read, wrote in zip(log.entries, entries, strict=True):
        assert (read.flags, read.offset) == (wrote.flags, wrote.first * 512)
        assert read.length == max(len(wrote.data), wrote.discarded * 512)
        if read.has_data:
            assert content[read.place : read.place + read.length] == wrote.data


@QUIET
@given(entries=st.lists(written(), max_size=8), data=st.data())
def test_a_damaged_log_is_read_or_refused_but_nothing_else(tmp_path, entries, data):
    content = bytearray(encode(entries))
    for _ in range(data.draw(st.integers(1, 6))):
        # Most of a log is data, where damage cannot be seen: aim at the numbers.
        place = data.draw(st.integers(0, len(content) - 1)) // 512 * 512
        place += data.draw(st.integers(0, 31))
        content[min(place, len(content) - 1)] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    path = tmp_path / "log"
    path.write_bytes(content)
    log = read_or_refuse(path)
    for entry in log.entries if log else ():
        assert 0 <= entry.offset <= entry.offset + entry.length <= DISK
        assert not entry.has_data or entry.place + entry.length <= len(content)


@QUIET
@given(content=st.binary(max_size=2048))
def test_any_bytes_are_refused_or_read(tmp_path, content):
    path = tmp_path / "log"
    path.write_bytes(content)
    read_or_refuse(path)


def test_boundaries_are_where_the_guest_was_told_that_something_is_safe(tmp_path):
    sector = bytes(512)
    log = WriteLog.read(
        write(
            tmp_path / "log",
            [
                Written(Flags(0), 1, sector),
                Written(Flags.FLUSH),
                Written(Flags(0), 2, sector),
                Written(Flags.FUA, 3, sector),
                Written(Flags.DISCARD, 4, discarded=2),
                Written(Flags.FLUSH),
                Written(Flags(0), 5, sector),
            ],
        ),
        DISK,
    )
    assert log.boundaries() == [0, 2, 4, 6]
    assert log.unflushed(0) == [0]
    assert log.unflushed(2) == [2, 3, 4]
    assert log.unflushed(4) == [4]
    assert log.unflushed(6) == [6]


def spoiled(what: str) -> bytes:
    """A log of a write and a flush with one thing wrong."""
    content = bytearray(encode([Written(Flags(0), 1, bytes(512)), Written(Flags.FLUSH)]))
    match what:
        case "short":
            del content[10:]
        case "magic":
            content[0] ^= 1
        case "version":
            struct.pack_into("<Q", content, 8, 2)
        case "sector":
            struct.pack_into("<I", content, 24, 513)
        case "huge sector":
            struct.pack_into("<I", content, 24, 1 << 31)
        case "count":
            struct.pack_into("<Q", content, 16, MOST_ENTRIES + 1)
        case "more than there are":
            struct.pack_into("<Q", content, 16, 3)
        case "flags":
            struct.pack_into("<Q", content, 512 + 16, 1 << 7)
        case "beyond the disk":
            struct.pack_into("<Q", content, 512, SECTORS)
        case "far beyond the disk":
            struct.pack_into("<Q", content, 512, (1 << 64) - 1)
        case "beyond the file":
            struct.pack_into("<Q", content, 512 + 8, SECTORS - 1)
        case "nothing":
            struct.pack_into("<Q", content, 512 + 8, 0)
        case "mark":
            struct.pack_into("<Q", content, 512 + 24, 5)
    return bytes(content)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("short", "10 bytes are too few"),
        ("magic", "not a write log"),
        ("version", "version 2, only 1 is known"),
        ("sector", "sectors of 513 bytes; a power of two from 512 to"),
        ("huge sector", "sectors of 2147483648 bytes"),
        ("count", f"{MOST_ENTRIES + 1} entries, at most {MOST_ENTRIES}"),
        ("more than there are", "entry 2 at byte 2048: the file ends, but should have 3 entries"),
        ("flags", "entry 0 at byte 512: unknown flags 0x80"),
        ("beyond the disk", f"entry 0 at byte 512: bytes {DISK} to {DISK + 512} of a disk of"),
        ("far beyond the disk", "entry 0 at byte 512: bytes"),
        ("beyond the file", "entry 0 at byte 512: its 32256 bytes of data reach beyond"),
        ("nothing", "entry 0 at byte 512: it does nothing"),
        ("mark", "entry 0 at byte 512: a mark of 5 bytes"),
    ],
)
def test_a_bad_log_is_refused_with_the_place_and_the_reason(tmp_path, what, said):
    path = tmp_path / "log"
    path.write_bytes(spoiled(what))
    with pytest.raises(WriteLogError) as caught:
        WriteLog.read(path, DISK)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_of_a_torn_log_the_good_part_can_be_had(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(spoiled("more than there are"))
    log = WriteLog.read(path, DISK, may_be_torn=True)
    assert [entry.flags for entry in log.entries] == [Flags(0), Flags.FLUSH]
    assert log.torn is not None
    assert "entry 2" in log.torn


def test_a_file_that_is_no_log_is_refused_torn_or_not(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(spoiled("magic"))
    with pytest.raises(WriteLogError):
        WriteLog.read(path, DISK, may_be_torn=True)


def test_the_structures_have_the_sizes_of_the_format():
    assert (SUPER.size, HEADER.size) == (28, 32)
