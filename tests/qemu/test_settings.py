"""The settings that guests get, read by what a box reads them with."""

import tomllib
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from edgenode.appliance.box_settings import Reading, read_box
from qemu import settings
from qemu.network import address
from qemu.ssh import make_key, public_key
from tests.conftest import require_tool

WARD_KEY = bytes(range(32))


@pytest.fixture(scope="module")
def key(tmp_path_factory) -> str:
    require_tool("ssh-keygen", "openssh-client")
    return public_key(make_key(tmp_path_factory.mktemp("key")))


def read(folder: Path, text: str) -> Reading:
    path = folder / "edgenode.toml"
    path.write_text(text)
    return read_box(path, scratch=folder)


def test_a_box_understands_them(tmp_path, key):
    tables = settings.for_box("bed-1", [key], address=address(1))
    tables |= settings.for_member([IPv4Address("10.77.0.12")], WARD_KEY, ["F0:0E:00:00:00:01"], 0.2)
    reading = read(tmp_path, settings.text(tables))
    assert reading.mistakes == ()
    assert reading.settings.hostname == "bed-1"
    assert reading.settings.ssh_keys == (key,)
    assert reading.settings.ward_key == WARD_KEY
    assert reading.settings.ethernet is not None
    assert str(reading.settings.ethernet.interface) == "10.77.0.11/24"
    assert reading.settings.node["gossip"]["seeds"] == ["10.77.0.12:7070"]
    assert reading.settings.node["collector"]["sensors"] == ["F0:0E:00:00:00:01"]


def test_a_box_without_wearable_neither_collects_nor_trains(tmp_path, key):
    tables = settings.for_box("bed-1", [key]) | settings.for_member([], WARD_KEY, [], 0.2)
    reading = read(tmp_path, settings.text(tables))
    assert reading.mistakes == ()
    assert "collector" not in reading.settings.node
    assert "trainer" not in reading.settings.node
    assert reading.settings.ethernet is None


def test_a_persons_settings_get_the_key_beside_theirs(tmp_path, key):
    theirs = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0s1jCDVUMSKmhSUiYX1Y2nUhCcvTQnTJIlo1fmTn1J anna"
    written = f'# mine\n[box]\nhostname = "ward-7"\n[ssh]\nkeys = ["{theirs}"]\n'
    reading = read(tmp_path, settings.with_key(written, key))
    assert reading.mistakes == ()
    assert reading.settings.hostname == "ward-7"
    assert set(reading.settings.ssh_keys) == {theirs, key}


def test_settings_without_keys_get_one(tmp_path, key):
    reading = read(tmp_path, settings.with_key('[box]\nhostname = "ward-7"\n', key))
    assert reading.settings.ssh_keys == (key,)


def test_settings_that_name_the_key_stay_as_they_are(key):
    written = f'# a comment\n[ssh]\nkeys = ["{key}"]\n'
    assert settings.with_key(written, key) == written


@pytest.mark.parametrize(
    "written",
    ["[box\n", "ssh = 1\n", "[ssh]\nkeys = 5\n", 'hostname = "in no table"\n', "[[ssh]]\n"],
)
def test_settings_with_a_mistake_stay_as_they_are(written, key):
    assert settings.with_key(written, key) == written


def test_the_file_is_toml(key):
    tables = settings.for_box("bed-1", [key])
    assert tomllib.loads(settings.text(tables)) == tables
