"""A box that a ward has taken up, once for all tests of this folder."""

import subprocess
import sys

import pytest

from qemu import founding
from tests.box.guest import flashed


def edgenode(*arguments):
    """Run the edgenode command of this checkout."""
    return subprocess.run(
        [sys.executable, "-m", "edgenode.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def found_ward(folder, members):
    """A ward's files: its key and a genesis that lists these members (name to public key)."""
    edgenode("key", "create", "ward", "--file", folder / "ward.key")
    listed = [word for name, key in members.items() for word in ("--member", f"{name}={key}")]
    edgenode("genesis", "create", "--name", "ward-7", *listed, "--hash-rate", "20000",
             "--spacing", "15", "--out", folder / "genesis.toml")  # fmt: skip
    return {name: (folder / name).read_text() for name in ("ward.key", "genesis.toml")}


@pytest.fixture(scope="package")
def box(image, recorded, tmp_path_factory):
    """A box that was flashed, booted, enrolled as its ward's only member, and works."""
    folder = tmp_path_factory.mktemp("box")
    with flashed(image, recorded, folder, ward_key=None, share=0.5) as box:
        box.come_up()
        # What a person does with a box that waits for its ward.
        box.put_on_card(found_ward(folder, {"bed-1": founding.member_key(box)}))
        box.reboot()
        box.settle()
        box.wait_for_services()
        yield box
