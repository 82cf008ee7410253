"""Boxes that come when the ward runs are enrolled by its authorities, through a real node."""

import re
import secrets
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from edgenode.gossip.start_up import genesis_parameters
from edgenode.ledger.genesis_file import parse_genesis
from edgenode.ledger.keys import MemberKey
from edgenode.storage.keyfile import write_key
from tests.ansible.boxes import boxes
from tests.ansible.programs import HERE, REPOSITORY, changes
from tests.ansible.test_enroll import _EDGENODE, _SYSTEMCTL
from tests.gossip.node import live_node

# Playbooks one after another: patience for a slow machine that does other things besides.
pytestmark = pytest.mark.timeout(900)

OLD, NEW = ["bed-1"], ["bed-2", "bed-3"]
NAMES = [*OLD, *NEW]
WARD_KEY = secrets.token_hex(32)
EDGENODE = str(Path(sys.executable).parent / "edgenode")


@pytest.fixture
def keys():
    return {name: MemberKey.generate() for name in NAMES}


@pytest.fixture
def authorities(tmp_path):
    """Key files of three authorities, of which two change the ward."""
    (tmp_path / "authorities").mkdir()
    held = {name: MemberKey.generate() for name in ("matron", "dean", "chief")}
    for name, key in held.items():
        write_key(tmp_path / "authorities" / f"{name}.key", key.seed, name)
    return {name: tmp_path / "authorities" / f"{name}.key" for name in held} | {"held": held}


@pytest.fixture
def genesis(tmp_path, keys, authorities):
    """The genesis of a ward that was founded with the old boxes, and whose blocks cost nothing."""
    file = tmp_path / "wards" / "ward-3a" / "genesis.toml"
    file.parent.mkdir(parents=True)
    subprocess.run(
        [EDGENODE, "genesis", "create", "--name", "ward-3a", "--out", file, "--spacing", "1",
         "--hash-rate", "1", "--authority-quorum", "2",
         *(f"--member={name}={keys[name].public.hex()}" for name in OLD),
         *(f"--authority={name}={key.public.hex()}"
           for name, key in authorities["held"].items())],
        check=True,
    )  # fmt: skip
    return file


@contextmanager
def running_node(genesis, key):
    """The node of a box, at a socket that all boxes see: the repository is mounted in each."""
    (REPOSITORY / "var").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="n", dir=REPOSITORY / "var"))
    try:
        founded = parse_genesis(genesis.read_text())
        parameters = genesis_parameters(founded)
        with live_node(folder, founded, key, parameters=parameters) as node:
            yield node
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def node(genesis, keys):
    with running_node(genesis, keys["bed-1"]) as node:
        yield node


@pytest.fixture
def ward(tmp_path, keys, node):
    """Boxes with their member keys. The node is that of bed-1; at the others none answers."""
    folder = tmp_path / "boxes"
    folder.mkdir()
    with boxes(NAMES, folder) as made:
        for name in NAMES:
            socket = node.api if name == "bed-1" else "/run/nothing.sock"
            program = _EDGENODE.replace("PYTHONPATH", f"EDGENODE_SOCKET={socket} PYTHONPATH")
            made.write(name, "/usr/bin/edgenode", program, 0o755)
            made.write(name, "/usr/bin/systemctl", _SYSTEMCTL, 0o755)
            made.path(name, "/etc/edgenode").mkdir()
            write_key(made.path(name, "/etc/edgenode/member.key"), keys[name].seed, name)
        yield made


@pytest.fixture
def enroll(ward, genesis):
    def run(*arguments, **of_all):
        variables = {
            name: {
                "ward_name": "ward-3a",
                "node_genesis": str(genesis),
                "node_ward_key": WARD_KEY,
                "node_settings": {"node": {"name": name}},
                "enroll_edgenode": EDGENODE,
                "enroll_retries": 1,
                "enroll_delay": 0,
                **of_all,
            }
            for name in NAMES
        }
        return ward.run(HERE / "enroll.yml", *arguments, host_variables=variables)

    return run


def said(done):
    return re.sub(r"\s+", " ", done.stdout)


def members(genesis):
    return yaml.safe_load((genesis.parent / "members.yml").read_text())


def public(keys, names):
    return {name: keys[name].public.hex() for name in names}


def test_new_boxes_are_enrolled_once_by_whoever_has_the_authorities_keys(
    enroll, ward, node, genesis, keys, authorities
):
    signing = {"enroll_authority_keys": [str(authorities["matron"]), str(authorities["chief"])]}
    checked = enroll("--check", **signing)
    assert checked.returncode == 0, checked.stdout
    assert f"enrolling bed-3 with key {keys['bed-3'].public.hex()}" in said(checked)
    assert node.client.members().waiting == (), "a check hands nothing in"

    done = enroll("-vvvv", "--diff", **signing)
    assert done.returncode == 0, done.stdout
    waiting = node.client.members().waiting
    assert {each.name: each.key for each in waiting} == public(keys, NEW)
    assert members(genesis) == public(keys, NAMES)
    assert node.mine()[0] == 201
    found = {each.name: each.key for each in node.client.members().members}
    assert found == public(keys, [*OLD, "bed-2"]), "in the order of their sequences, one at a time"
    # One is a member now, and the other one waits.
    assert changes(enroll(**signing)) == dict.fromkeys(NAMES, 0)
    assert changes(enroll("--check", **signing)) == dict.fromkeys(NAMES, 0)

    # The authorities' keys stay on the controller.
    for name in authorities["held"]:
        digits = authorities["held"][name].seed.hex()
        assert digits not in done.stdout + done.stderr
    for name in NAMES:
        left = sorted(path.name for path in ward.path(name, "/etc/edgenode").iterdir())
        assert left == [
            "edgenode.toml", "genesis.toml", "member.key", "ward.key",
        ]  # fmt: skip


def test_without_enough_keys_the_boxes_follow_and_the_play_says_who_must_sign(
    enroll, ward, node, genesis, keys, authorities
):
    done = enroll(enroll_authority_keys=[str(authorities["dean"])])
    assert done.returncode == 0, done.stdout
    assert "bed-2, bed-3: in ward ward-3a, but no member yet" in said(done)
    assert "2 authorities of the ward must sign" in said(done)
    assert "names the key files of 1" in said(done)
    assert f"edgenode member enrol bed-3={keys['bed-3'].public.hex()} --sequence 1" in said(done)
    assert node.client.members().waiting == ()
    assert members(genesis) == public(keys, OLD)
    assert ward.read("bed-3", "/etc/edgenode/genesis.toml") == genesis.read_text()
    assert "edgenode.target" in ward.read("bed-3", "/run/told")


def test_a_key_that_is_no_authoritys_enrols_nobody(enroll, node, ward, authorities, tmp_path):
    stranger = tmp_path / "stranger.key"
    write_key(stranger, MemberKey.generate().seed, "a stranger")
    done = enroll(enroll_authority_keys=[str(authorities["dean"]), str(stranger)])
    assert done.returncode != 0
    assert "is no authority of ward ward-3a" in said(done)
    assert node.client.members().waiting == ()


def test_nobody_is_enrolled_where_no_members_node_answers(enroll, ward, authorities):
    ward.write("bed-1", "/usr/bin/edgenode", ward.read("bed-2", "/usr/bin/edgenode"), 0o755)
    done = enroll(enroll_authority_keys=[str(authorities["dean"]), str(authorities["chief"])])
    assert done.returncode != 0
    assert "no member's node in this run says who else belongs to it" in said(done)
