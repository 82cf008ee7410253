"""From boxes with edgenode on them to a ward: real keys, a real genesis, real checks."""

import re
import secrets
import sys
from pathlib import Path

import pytest
import yaml

from edgenode.appliance.box_settings import TABLES, BoxSettings
from edgenode.appliance.node_tables import NODE_TABLES
from edgenode.appliance.rendering import NODE, render
from edgenode.ledger.genesis_file import parse_genesis
from edgenode.ledger.keys import MemberKey
from edgenode.storage.keyfile import read_key
from tests.ansible.boxes import boxes
from tests.ansible.programs import HERE, REPOSITORY, changes

NAMES = ["bed-1", "bed-2", "bed-3"]
WARD_KEY = secrets.token_hex(32)

_EDGENODE = f"""\
#!/bin/sh
PYTHONPATH={REPOSITORY} exec {sys.executable} -m edgenode.cli "$@"
"""

# There is no systemd in a box of these tests; what it was told is kept.
_SYSTEMCTL = """\
#!/bin/sh
case $1 in
    show) echo "LoadState=loaded"; echo "ActiveState=$(cat /run/state || echo inactive)" ;;
    start | restart) echo active >/run/state; echo "$*" >>/run/told ;;
esac
"""


@pytest.fixture
def ward(tmp_path):
    folder = tmp_path / "boxes"
    folder.mkdir()
    with boxes(NAMES, folder) as made:
        for name in NAMES:
            made.write(name, "/usr/bin/edgenode", _EDGENODE, 0o755)
            made.write(name, "/usr/bin/systemctl", _SYSTEMCTL, 0o755)
            made.path(name, "/etc/edgenode").mkdir()
        yield made


@pytest.fixture
def genesis(tmp_path):
    return tmp_path / "wards" / "ward-3a" / "genesis.toml"


def enroll(ward, genesis, *arguments, key=WARD_KEY, **of_all):
    variables = {
        name: {
            "ward_name": "ward-3a",
            "node_genesis": str(genesis),
            "node_ward_key": key,
            "node_settings": {"node": {"name": name}, "gossip": {"seeds": ["10.0.0.1:7070"]}},
            "enroll_edgenode": str(Path(sys.executable).parent / "edgenode"),
            **of_all,
        }
        for name in NAMES
    }
    return ward.run(HERE / "enroll.yml", *arguments, host_variables=variables)


def member(ward, name):
    return MemberKey(read_key(ward.path(name, "/etc/edgenode/member.key"))).public


def test_a_flashed_box_keeps_the_settings_of_its_card(ward, genesis):
    card, settings = "/boot/firmware/edgenode.toml", "/etc/edgenode/edgenode.toml"
    of_card = BoxSettings(hostname="bed-2", node={"gossip": {}, "miner": {"share": 0.5}})
    (written,) = [file.text for file in render(of_card) if file.path == NODE]
    ward.write("bed-2", card, '[box]\nhostname = "bed-2"\n\n[gossip]\n [miner]\nshare = 0.5\n')
    ward.write("bed-2", settings, written)
    ward.write("bed-3", card, '[box]\nhostname = "bed-3"\n# [miner]\n')
    done = enroll(ward, genesis)
    assert done.returncode == 0, done.stdout
    assert "bed-2 has the settings of edgenode.toml on its card" in " ".join(done.stdout.split())
    assert ward.path("bed-2", settings).read_text() == written
    assert "seeds" in ward.path("bed-3", settings).read_text()
    for name in NAMES:
        assert ward.path(name, "/etc/edgenode/ward.key").exists()


def test_every_table_of_the_node_on_a_card_decides_and_no_other_does():
    variables = (HERE / "roles/node/vars/main.yml").read_text()
    (pattern,) = re.findall(r"is search\('(.+?)', multiline=True\)", variables)
    decide = {name for name in TABLES if re.search(pattern, f"[{name}]")}
    assert decide == set(NODE_TABLES)


def test_the_boxes_become_the_members_of_one_ward(ward, genesis):
    done = enroll(ward, genesis)
    assert done.returncode == 0, done.stdout
    founded = parse_genesis(genesis.read_text())
    assert {entry.name: entry.key for entry in founded.members} == {
        name: member(ward, name).hex() for name in NAMES
    }
    assert len(founded.members) == len(set(founded.member_keys)) == 3
    listed = yaml.safe_load((genesis.parent / "members.yml").read_text())
    assert listed == {entry.name: entry.key for entry in founded.members}
    for name in NAMES:
        assert ward.read(name, "/etc/edgenode/genesis.toml") == genesis.read_text()
        assert f'name = "{name}"' in ward.read(name, "/etc/edgenode/edgenode.toml")
        assert read_key(ward.path(name, "/etc/edgenode/ward.key"), "ward").hex() == WARD_KEY
        for key in ("ward.key", "member.key"):
            assert ward.path(name, f"/etc/edgenode/{key}").stat().st_mode & 0o777 == 0o600
        assert "start edgenode.target" in ward.read(name, "/run/told")
    assert changes(enroll(ward, genesis)) == dict.fromkeys(NAMES, 0)


def test_no_secret_is_printed_however_much_is_asked_for(ward, genesis):
    done = enroll(ward, genesis, "-vvvv", "--diff")
    assert done.returncode == 0, done.stdout
    printed = done.stdout + done.stderr
    assert WARD_KEY not in printed
    for name in NAMES:
        assert read_key(ward.path(name, "/etc/edgenode/member.key")).hex() not in printed


def test_a_box_that_comes_later_is_told_what_it_would_take(ward, genesis):
    assert enroll(ward, genesis).returncode == 0
    before = genesis.read_text()
    ward.path("bed-3", "/etc/edgenode/member.key").unlink()  # a box that was exchanged
    done = enroll(ward, genesis)
    assert done.returncode != 0
    said = re.sub(r"\s+", " ", done.stdout)
    assert "bed-3 is no member of ward ward-3a, and never will be" in said
    assert "founded without authorities" in said
    assert "found a new ward" in said
    assert genesis.read_text() == before


def test_a_ward_is_founded_with_authorities_or_told_what_it_lacks(ward, genesis):
    matron, dean = MemberKey.generate(), MemberKey.generate()
    done = enroll(
        ward, genesis, ward_authority_quorum=1,
        ward_authorities={"matron": matron.public.hex(), "dean": dean.public.hex()},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    founded = parse_genesis(genesis.read_text())
    assert {entry.name: entry.key for entry in founded.authorities} == {
        "matron": matron.public.hex(), "dean": dean.public.hex(),
    }  # fmt: skip
    assert founded.authority_quorum == 1
    assert "ward_authorities is empty" not in done.stdout
    genesis.unlink()
    done = enroll(ward, genesis)
    assert "ward_authorities is empty: the members of ward-3a are those of today for ever" in (
        re.sub(r"\s+", " ", done.stdout)
    )


def test_a_check_before_there_are_keys_and_a_ward_changes_nothing(ward, genesis):
    done = enroll(ward, genesis, "--check")
    assert done.returncode == 0, done.stdout
    assert not genesis.exists()
    assert not ward.path("bed-1", "/etc/edgenode/member.key").exists()


def test_no_ward_is_founded_without_one_of_its_boxes(ward, genesis):
    ward.write("bed-2", "/usr/bin/edgenode", "#!/bin/sh\nexit 1\n", 0o755)
    done = enroll(ward, genesis)
    assert done.returncode != 0
    assert not genesis.exists()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key": "0123"}, "node_ward_key is not 64 hexadecimal digits"),
        ({"key": ""}, "each box needs ward_name, node_genesis and node_ward_key"),
    ],
)
def test_a_wrong_ward_key_is_refused_in_words(ward, genesis, wrong, reason):
    done = enroll(ward, genesis, **wrong)
    assert done.returncode != 0
    assert reason in re.sub(r"\s+", " ", done.stdout)
