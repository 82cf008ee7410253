"""A guest's disk: thin copies of a real image, its partitions, its FAT files, its snapshots."""

from pathlib import Path

import pytest

from qemu import disk
from qemu.errors import QemuError
from qemu.tools import run
from tests.conftest import require_tool
from tests.qemu.images import FAT, a_disk


@pytest.fixture
def image(tmp_path: Path) -> Path:
    for program, package in (
        ("qemu-img", "qemu-utils"),
        ("mcopy", "mtools"),
        ("sfdisk", "fdisk"),
    ):
        require_tool(program, package)
    return a_disk(tmp_path / "base, with a comma.img")


def test_partitions_are_found_the_logical_ones_too(image):
    found = disk.partitions(image)
    assert [each.number for each in found] == [1, 2, 4, 5, 6]
    assert found[0] == FAT
    assert disk.partition(image, 6).size == 4 << 20
    with pytest.raises(QemuError, match=r"has no partition 3, only \[1, 2, 4, 5, 6\]"):
        disk.partition(image, 3)


def test_settings_are_written_to_the_copy_and_the_image_stays(image, tmp_path):
    before = image.read_bytes()
    copy = disk.overlay(image, tmp_path / "copy.qcow2")
    disk.write_files(copy, FAT, {"edgenode.toml": b"[box]\n" * 1000, "ward.key": b"00"})
    assert disk.read_file(copy, FAT, "edgenode.toml") == b"[box]\n" * 1000
    assert disk.read_file(copy, FAT, "ward.key") == b"00"
    assert disk.read_file(copy, FAT, "edgenode.txt") == b"as it was\n"
    disk.write_files(copy, FAT, {"edgenode.toml": b"shorter"})
    assert disk.read_file(copy, FAT, "edgenode.toml") == b"shorter"
    assert image.read_bytes() == before
    run(["mdir", "-i", f"{image}@@{FAT.start}", "::edgenode.txt"])
    with pytest.raises(QemuError, match="mdir"):
        run(["mdir", "-i", f"{image}@@{FAT.start}", "::edgenode.toml"])


def test_the_rest_of_the_disk_stays(image, tmp_path):
    copy = disk.overlay(image, tmp_path / "copy.qcow2")
    disk.write_files(copy, FAT, {"edgenode.toml": b"[box]\n"})
    raw = disk.to_raw(copy, tmp_path / "raw.img").read_bytes()
    before = image.read_bytes()
    assert raw[: FAT.start] == before[: FAT.start]
    assert raw[FAT.start + FAT.size :] == before[FAT.start + FAT.size :]
    assert raw != before


def test_a_full_partition_is_an_error(image, tmp_path):
    copy = disk.overlay(image, tmp_path / "copy.qcow2")
    with pytest.raises(QemuError, match=r"mcopy(.|\n)*full"):
        disk.write_files(copy, FAT, {"big": bytes(FAT.size)})


def test_a_copy_may_be_larger_but_not_smaller(image, tmp_path):
    size = disk.size_of(image)
    assert disk.size_of(disk.overlay(image, tmp_path / "a", size=1 << 32)) == 1 << 32
    with pytest.raises(QemuError, match=f"has {size} bytes and does not fit"):
        disk.overlay(image, tmp_path / "b", size=size - 512)


def test_a_card_is_a_power_of_two(image, tmp_path):
    card = disk.card_size(image)
    assert card >= disk.size_of(image) > card // 2
    assert card & (card - 1) == 0
    assert disk.card_size(disk.overlay(image, tmp_path / "c", size=1 << 30)) == 1 << 30


def test_a_snapshot_brings_back_what_was(image, tmp_path):
    copy = disk.overlay(image, tmp_path / "copy.qcow2")
    disk.write_files(copy, FAT, {"edgenode.toml": b"first"})
    disk.snapshot(copy, "first")
    disk.write_files(copy, FAT, {"edgenode.toml": b"second"})
    disk.revert(copy, "first")
    assert disk.read_file(copy, FAT, "edgenode.toml") == b"first"


def test_what_is_no_image_is_refused(tmp_path):
    with pytest.raises(QemuError, match="there is no"):
        disk.overlay(tmp_path / "missing.img", tmp_path / "copy")


def test_partitions_are_not_looked_up_in_a_thin_copy(image, tmp_path):
    copy = disk.overlay(image, tmp_path / "copy.qcow2")
    with pytest.raises(QemuError, match="is qcow2"):
        disk.partitions(copy)


def test_a_partition_of_another_size_is_not_put_in(image, tmp_path):
    copy = disk.overlay(image, tmp_path / "copy.qcow2")
    raw = tmp_path / "part.img"
    raw.write_bytes(bytes(1 << 20))
    with pytest.raises(QemuError, match="has 1048576 bytes, partition 1 16777216"):
        disk.insert(raw, copy, FAT)
