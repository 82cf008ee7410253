"""The data partition cannot be mounted: the box comes up without its state, and can be mended."""

import subprocess

from image.layout import PI
from qemu import disk, founding
from tests.box.guest import flashed

SUPERBLOCK = 4096
"""Bytes at the start of an ext4 in which its first superblock lies."""


def test_a_box_whose_data_partition_is_damaged_says_so_and_is_mended(image, recorded, tmp_path):
    with flashed(image, recorded, tmp_path) as box:
        box.come_up()
        key = founding.member_key(box)
        box.power_cut()
        wipe(box.machine.disk, disk.partition(image, PI["data"].number).start)

        box.come_up()
        assert "this box runs without its state" in box.machine.console.text
        assert founding.member_key(box) != key
        state, words, status = box.doctor("storage")
        assert state == "fail"
        assert "lies in memory" in words
        assert status != 0
        assert "data partition" in box.out("sudo journalctl -b -t edgenode")

        # As docs/flashing.md says.
        data = "/dev/disk/by-partuuid/ed9e0001-07"
        first, second = (box.run(f"sudo fsck.ext4 -f -y {data}", check=False) for _ in range(2))
        assert second.status <= 1, first.stdout + second.stdout
        box.reboot()
        assert founding.member_key(box) == key
        assert box.doctor("storage")[0] != "fail"
        assert box.failed_units() == ""


def wipe(path, start):
    """Write zeros over the start of a partition of a disk that is off."""
    write = f"write -q -P 0 {start} {SUPERBLOCK}"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", write, path], check=True)
