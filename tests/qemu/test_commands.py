"""What people type, with the image: one box, and a ward."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from qemu.patience import BOOT_PATIENCE

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(4 * BOOT_PATIENCE)]


def qemu(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m qemu` as from a terminal."""
    command = [sys.executable, "-m", "qemu", "--directory", str(directory), *words]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_a_box_shows_its_status_does_what_it_is_told_and_is_gone(image, tmp_path, recorded):
    told = "systemctl is-active edgenode-collector edgenode-gossip; cat /etc/hostname; exit 7"
    done = qemu(
        tmp_path,
        *("boot", "--image", str(image), "--name", "bed-7", "--recordings", str(recorded)),
        *("--run", told),
    )
    assert done.returncode == 7, done.stderr
    assert re.search(r"^node +bed-7, version", done.stdout, re.MULTILINE)
    assert re.search(r"^ward +qemu ward$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("active\nactive\nbed-7\n")
    assert "lets us in after" in done.stderr
    assert not (tmp_path / "bed-7").exists()


def test_a_box_that_is_kept_is_there_for_later_commands(image, tmp_path):
    done = qemu(tmp_path, "boot", "--image", str(image), "--keep", "--run", "true")
    assert done.returncode == 0, done.stderr
    try:
        again = qemu(tmp_path, "boot", "--image", str(image))
        assert again.returncode == 1
        assert "box runs already" in again.stderr
        assert "box: on for" in qemu(tmp_path, "status").stdout
        ran = qemu(tmp_path, "ssh", "box", "cat", "/etc/hostname")
        assert (ran.returncode, ran.stdout) == (0, "box\n")
    finally:
        stopped = qemu(tmp_path, "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "no box runs" in qemu(tmp_path, "status").stdout
    assert not (tmp_path / "box").exists()


def test_the_boxes_of_a_ward_agree(image, tmp_path, recorded):
    done = qemu(
        tmp_path,
        *("ward", "--boxes", "2", "--image", str(image), "--recordings", str(recorded)),
        *("--blocks", "2"),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"all agree on block \d+", done.stderr)
    last = done.stdout.rstrip().splitlines()[-2:]
    heads = [re.fullmatch(r"(bed-[12]) +height +(\d+) +(\w+) .*", line) for line in last]
    assert all(heads)
    assert heads[0][1] != heads[1][1]
    assert heads[0].group(2, 3) == heads[1].group(2, 3)
    assert not (tmp_path / "ward").exists()
