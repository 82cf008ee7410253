"""The image, and a box that a ward has taken up, once for all tests of a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.box.guest import PATIENCE, Box

ROOT = Path(__file__).parent.parent.parent


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.qemu)
            item.add_marker(pytest.mark.timeout(4 * PATIENCE))


@pytest.fixture(scope="session")
def image():
    path = Path(os.environ.get("EDGENODE_IMAGE", ROOT / "var/image/edgenode-pi.img"))
    if not path.exists():
        pytest.fail(f"{path} is missing: make image")
    return path


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
        box.ssh.run(f"sudo tee /tmp/{name} >/dev/null", text=text)
    box.run("sudo mount -o remount,rw /boot/firmware && sudo cp /tmp/ward.key /tmp/genesis.toml "
            "/boot/firmware/ && sudo mount -o remount,ro /boot/firmware")  # fmt: skip
    box.run("sudo rm /tmp/ward.key /tmp/genesis.toml")


@pytest.fixture(scope="session")
def box(image, tmp_path_factory):
    """A box that was flashed, booted, enrolled as its ward's only member, and mines."""
    folder = tmp_path_factory.mktemp("box")
    box = Box(image, folder / "bed-1")
    box.write_card(edgenode_toml=box.settings())
    with box.machine:
        box.boot()
        member = box.run("sudo edgenode key show --file /etc/edgenode/member.key")
        enrol(box, found_ward(folder, {"bed-1": member}))
        box.reboot()
        box.accept_clock()
        box.wait_until("systemctl is-active --quiet edgenode-gossip edgenode-miner")
        yield box
