"""The image, and a box that a ward has taken up, once for all tests of a run."""

import subprocess
import sys
from pathlib import Path

import pytest

from qemu import founding
from qemu.patience import BOOT_PATIENCE
from tests.box.guest import FlashedBox


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.qemu)
            item.add_marker(pytest.mark.timeout(4 * BOOT_PATIENCE))


def edgenode(*arguments, **more):
    """Run the edgenode command of this checkout."""
    return subprocess.run(
        [sys.executable, "-m", "edgenode.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        **more,
    ).stdout.strip()


def found_ward(folder, members):
    """A ward's files: its key and a genesis that lists these members (name to public key)."""
    edgenode("key", "create", "ward", "--file", folder / "ward.key")
    listed = [word for name, key in members.items() for word in ("--member", f"{name}={key}")]
    edgenode("genesis", "create", "--name", "ward-7", *listed, "--hash-rate", "20000",
             "--spacing", "15", "--out", folder / "genesis.toml")  # fmt: skip
    return {name: (folder / name).read_text() for name in ("ward.key", "genesis.toml")}


def enrol(box, files):
    """What a person does with a box that waits for its ward: copy two files to its card."""
    for name, text in files.items():
        box.run(f"sudo tee /tmp/{name} >/dev/null", text=text)
    box.out("sudo mount -o remount,rw /boot/firmware && sudo cp /tmp/ward.key /tmp/genesis.toml "
            "/boot/firmware/ && sudo mount -o remount,ro /boot/firmware")  # fmt: skip
    box.out("sudo rm /tmp/ward.key /tmp/genesis.toml")


@pytest.fixture(scope="session")
def box(image, tmp_path_factory):
    """A box that was flashed, booted, enrolled as its ward's only member, and mines."""
    folder = tmp_path_factory.mktemp("box")
    with FlashedBox(image, folder / "bed-1", "bed-1") as box:
        box.start()
        box.wait()
        enrol(box, found_ward(folder, {"bed-1": founding.member_key(box)}))
        box.reboot()
        founding.accept_clock(box)
        box.wait_until("systemctl is-active --quiet edgenode-gossip edgenode-miner")
        yield box
