"""A file system after a power cut: mended by its journal, read, or found wrong."""

from pathlib import Path

import pytest

from qemu import disk, ext4
from qemu.tools import run
from tests.conftest import require_tool
from tests.qemu.images import MIB, a_disk

DATA = 5
PART = 4 * MIB


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A disk whose partition 5 holds a file in a directory."""
    for program, package in (
        ("mke2fs", "e2fsprogs"),
        ("qemu-img", "qemu-utils"),
        ("mcopy", "mtools"),
        ("sfdisk", "fdisk"),
    ):
        require_tool(program, package)
    store = tmp_path / "tree" / "state" / "gossip store"
    store.mkdir(parents=True)
    (store / "chain.db").write_bytes(b"block" * 1000)
    raw = tmp_path / "data.img"
    with raw.open("wb") as file:
        file.truncate(PART)
    run(["mke2fs", "-q", "-t", "ext4", "-J", "size=1", "-b", "1024", "-d", tmp_path / "tree", raw])
    made = a_disk(tmp_path / "disk.img")
    put(raw, made)
    return made


def put(raw: Path, image: Path) -> None:
    disk.insert(raw, image, disk.partition(image, DATA))


def test_what_is_in_it_can_be_read(image, tmp_path):
    data = ext4.take_out(image, DATA, tmp_path / "copy.img")
    found = ext4.copy_out(data, "/state/gossip store", tmp_path / "out")
    assert (found / "chain.db").read_bytes() == b"block" * 1000
    with pytest.raises(ext4.NotThereError, match="has no directory /nothing"):
        ext4.copy_out(data, "/nothing", tmp_path / "other")


def test_one_that_was_not_unmounted_is_put_right_and_the_image_stays(image, tmp_path):
    raw = disk.extract(image, disk.partition(image, DATA), tmp_path / "data.img")
    run(["debugfs", "-w", "-R", "feature needs_recovery", raw])
    put(raw, image)
    before = image.read_bytes()
    assert "needs_recovery" in run(["dumpe2fs", "-h", raw])
    data = ext4.take_out(image, DATA, tmp_path / "copy.img")
    assert "needs_recovery" not in run(["dumpe2fs", "-h", data])
    assert image.read_bytes() == before


def test_what_a_journal_should_have_prevented_is_told(image, tmp_path):
    raw = disk.extract(image, disk.partition(image, DATA), tmp_path / "data.img")
    run(["debugfs", "-w", "-R", "clri /state", raw])
    put(raw, image)
    with pytest.raises(ext4.FileSystemError, match=r"(?s)e2fsck -. .*ended with status"):
        ext4.take_out(image, DATA, tmp_path / "copy.img")
