"""File systems come out the same each time, whatever the clock says and whoever made the files."""

import os
import subprocess

import pytest

from image.commands import BuildError
from image.filesystems import ext4, fat, squashfs
from image.layout import MIB

EPOCH = 1_764_000_000
UUID = "ed9e0001-0007-4000-8000-000000000007"


def _age(path, seconds):
    for folder, _, names in os.walk(path):
        for name in (*names, "."):
            os.utime(os.path.join(folder, name), (seconds, seconds))  # noqa: PTH118


@pytest.mark.needs("mcopy")
@pytest.mark.needs("mkfs.vfat")
def test_a_fat_is_the_same_each_time(tmp_path):
    source = tmp_path / "source"
    images = []
    for number, age in enumerate((1_000_000_000, 1_600_000_000)):
        source.write_bytes(b"kernel")
        os.utime(source, (age, age))
        out = tmp_path / f"{number}.img"
        files = {"b/c/d.dtb": source, "a.txt": b"hello\n", "Image": source}
        fat(files, out, 8 * MIB, "BOOT", EPOCH)
        images.append(out.read_bytes())
    assert images[0] == images[1]
    listing = subprocess.run(
        ["mtype", "-i", tmp_path / "0.img", "::a.txt"], capture_output=True, check=True
    )
    assert listing.stdout == b"hello\n"


@pytest.mark.needs("mcopy")
@pytest.mark.needs("mkfs.vfat")
def test_a_fat_that_is_too_small_names_the_file(tmp_path):
    with pytest.raises(BuildError, match=r"initrd\.img could not be put into small\.img"):
        fat({"initrd.img": os.urandom(4 * MIB)}, tmp_path / "small.img", 2 * MIB, "BOOT", EPOCH)


@pytest.mark.needs("mksquashfs")
def test_a_squashfs_is_the_same_each_time(tmp_path):
    images = []
    for number, age in enumerate((1_000_000_000, 1_600_000_000)):
        root = tmp_path / f"root{number}"
        (root / "etc").mkdir(parents=True)
        for name in ("zeta", "alpha", "middle") if number else ("alpha", "middle", "zeta"):
            (root / "etc" / name).write_text(name * 1000)
        _age(root, age)
        out = tmp_path / f"{number}.squashfs"
        squashfs(root, out, EPOCH, tmp_path / "log")
        images.append(out.read_bytes())
    assert images[0] == images[1]


@pytest.mark.needs("mke2fs")
def test_an_ext4_is_the_same_each_time_and_sound(tmp_path):
    images = []
    for number in range(2):
        out = tmp_path / f"{number}.ext4"
        ext4(out, 32 * MIB, "data", UUID, EPOCH)
        images.append(out.read_bytes())
    assert images[0] == images[1]
    subprocess.run(["e2fsck", "-fn", tmp_path / "0.ext4"], check=True, capture_output=True)
