"""A box without a network takes part by Bluetooth: real BlueZ, with two radios in one guest."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.genesis import Member
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.keys import MemberKey
from qemu import founding
from qemu.hardware import Hardware
from qemu.settings import for_member
from tests.box.guest import STICK_SIZE, WARD_KEY, FlashedBox

PACKAGE = "bluez-test-tools"
"""Has btvirt, which makes radios that hear each other; a box has no need of it."""

PLUG = Path(__file__).with_name("plug_radio.py")

LONE = "/run/lone"

METRICS = (
    'import urllib.request as u; print(u.urlopen("http://127.0.0.1:9464/metrics").read().decode())'
)


def btvirt(folder):
    """The program for a guest, of Debian's package; the machine's own lists stay as they are."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    options = [
        f"Dir::State={folder}/state",
        f"Dir::State::status={folder}/status",
        f"Dir::Cache={folder}/cache",
        "APT::Architecture=arm64",
        "APT::Architectures::=arm64",
        "APT::Sandbox::User=root",
    ]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    for words in (["update"], ["download", PACKAGE]):
        subprocess.run([*apt, *words], cwd=folder, check=True)
    (package,) = folder.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "tree"], check=True)
    return folder / "tree" / "usr" / "bin" / "btvirt"


@pytest.fixture(scope="module")
def ward(image, tmp_path_factory):
    """A box that is a gateway, and the files of a second node on it that has no socket of UDP."""
    folder = tmp_path_factory.mktemp("gateway")
    stick = folder / "stick.img"
    stick.touch()
    os.truncate(stick, STICK_SIZE)
    tables = {**for_member([], WARD_KEY, [], 0.2), "gateway": {"listen": ["rfcomm:*"]}}
    key = MemberKey.generate()
    with FlashedBox(image, folder / "bed-1", "bed-1", Hardware(stick=stick), tables) as box:
        box.come_up()
        box.plug_stick({"btvirt": btvirt(folder / "debian"), "plug_radio.py": PLUG})
        genesis = new_genesis(
            name="radio ward",
            time=int(time.time()) - 15,
            members=[Member("bed-1", founding.member_key(box)), Member("lone", key.public.hex())],
            models=["activity"],
            spacing=15,
            hash_rate=20_000.0,
            half_life=120,
        )
        founding.join(box, format_genesis(genesis))
        make_lone(box, key)
        yield box


def make_lone(box, key):
    box.out(f"sudo install -d {LONE} && sudo cp /etc/edgenode/genesis.toml /etc/edgenode/ward.key "
            f"{LONE}")  # fmt: skip
    box.run(f"sudo tee {LONE}/member.key >/dev/null && sudo chmod 600 {LONE}/*.key",
            text=key.seed.hex() + "\n")  # fmt: skip


def plug_radios(box):
    """Two radios that hear each other; returns their addresses."""
    box.out("sudo modprobe -a algif_hash algif_skcipher hci_uart rfcomm")
    box.out("sudo install -m 755 /run/stick/btvirt /run/stick/plug_radio.py /dev/shm")
    box.out("sudo systemd-run --quiet --unit=btvirt /dev/shm/btvirt -s")
    for number in (0, 1):
        box.out(
            f"sudo systemd-run --quiet --unit=radio-{number} python3 /dev/shm/plug_radio.py "
            "/tmp/bt-server-bredrle"
        )
        box.wait_until(f"sudo hciconfig hci{number} up")
        # They would ask for a pairing, which is the collector's issue and a person's work.
        box.out(f"sudo hciconfig hci{number} sspmode 0")
    shown = [box.out(f"hciconfig hci{number}").split("BD Address: ")[1] for number in (0, 1)]
    return [text.split()[0] for text in shown]


def follows(box):
    """Wait until the box without a network has the block that is the other's head now."""
    height = box.status()["head"]["height"]
    while lone(box)["head"]["height"] < height:
        time.sleep(2)


def lone(box):
    return json.loads(box.out(f"sudo edgenode --socket {LONE}/node.sock status --json"))


def test_a_box_with_a_radio_alone_follows_the_chain_through_real_bluez(ward):
    gateway, _ = plug_radios(ward)
    ward.out("sudo systemctl restart edgenode-gateway")  # the radio answers calls from now on
    ward.wait_until("sudo journalctl -u edgenode-gateway -b | grep -q 'listening for boxes'")
    config = (
        f'[node]\\nname = "lone"\\nstate = "{LONE}/state"\\napi = "{LONE}/node.sock"\\n'
        f'[gossip]\\ngateway = "rfcomm:{gateway}"\\n'
    )
    ward.out(f"printf '{config}' | sudo tee {LONE}/edgenode.toml >/dev/null")
    ward.out(f"sudo systemd-run --quiet --unit=lone edgenode-gossip --config {LONE}/edgenode.toml")
    ward.wait_until("sudo journalctl -u lone -b | grep -q 'linked to the gateway'")
    ward.wait_until(f"sudo edgenode --socket {LONE}/node.sock peers | grep -q ':7070'")
    ward.wait_for_a_block()
    follows(ward)
    pid = ward.out("systemctl show --property=MainPID --value lone")
    assert f"pid={pid}," not in ward.out("sudo ss -uanp"), "it has no socket of UDP"
    assert "edgenode_gateway_boxes 1.0" in ward.out(f"python3 -c '{METRICS}'").splitlines()

    # The radio goes, and comes back: so does the link.
    ward.out("sudo systemctl stop radio-1")
    ward.wait_until("sudo journalctl -u lone -b | grep -q 'no link to the gateway'")
    ward.out("sudo systemd-run --quiet --unit=radio-2 python3 /dev/shm/plug_radio.py "
             "/tmp/bt-server-bredrle")  # fmt: skip
    ward.wait_until("sudo hciconfig hci1 up && sudo hciconfig hci1 sspmode 0")
    ward.wait_until("test $(sudo journalctl -u lone -b | grep -c 'linked to the gateway') = 2")
    ward.wait_for_a_block()
    follows(ward)
