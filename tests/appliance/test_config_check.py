"""`edgenode config check` knows a box's file, and reads it as the box does."""

import json

import pytest
from click.testing import CliRunner

from edgenode.appliance.box_settings import TABLES
from edgenode.cli.main import cli
from tests.appliance.boxes import COMPLETE, GENESIS_TEXT, WARD_KEY


@pytest.fixture
def check(tmp_path):
    def check(text, *options):
        path = tmp_path / "edgenode.toml"
        path.write_text(text)
        return CliRunner().invoke(cli, ["--config", str(path), *options, "config", "check"])

    return check


def test_a_box_file_that_is_right_passes_on_any_computer(check, tmp_path):
    ran = check(COMPLETE)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[0] == f"ok  {tmp_path}/edgenode.toml [box]"
    assert len(ran.stdout.splitlines()) == len(TABLES)
    document = json.loads(check(COMPLETE, "--json").stdout)
    assert (document["ok"], document["node"]) == (True, "bed-one")


def test_all_that_is_wrong_is_told_at_once_with_its_line(check, tmp_path):
    (tmp_path / "genesis.toml").write_text(GENESIS_TEXT.replace("spacing", "space"))
    ran = check(COMPLETE.replace('"DE"', '"de"').replace("share = 0.5", "share = 5"))
    assert ran.exit_code == 5
    lines = [line.strip() for line in ran.stderr.splitlines()]
    assert lines[0].startswith(f"edgenode: {tmp_path}/edgenode.toml:10: [wifi] country: 'de'")
    assert lines[1].startswith(f"{tmp_path}/genesis.toml: spacing is missing")
    assert lines[2].startswith(f"{tmp_path}/edgenode.toml:40: [miner] share: 5.0 is not in")
    assert f"ok  {tmp_path}/edgenode.toml [ethernet]" in ran.stdout
    assert "[wifi]" not in ran.stdout


def test_a_key_file_is_read_whatever_modes_the_computer_shows(check, tmp_path):
    (tmp_path / "ward.key").write_text(WARD_KEY.hex())
    (tmp_path / "ward.key").chmod(0o755)
    assert check("[box]\n").exit_code == 0
    (tmp_path / "ward.key").write_text("none")
    ran = check("[box]\n")
    assert ran.exit_code == 5
    assert f"{tmp_path}/ward.key: is no key file" in ran.stderr


def test_a_missing_quote_is_told_with_its_line(check, tmp_path):
    ran = check(COMPLETE.replace('"Ward 7"', '"Ward 7'))
    assert ran.exit_code == 5
    assert f"{tmp_path}/edgenode.toml:11: [wifi]: not TOML: " in ran.stderr


def test_a_nodes_own_file_is_checked_as_before(check, tmp_path):
    ran = check('[node]\nname = "bed-1"\n')
    assert ran.exit_code == 5
    assert f"ok  {tmp_path}/edgenode.toml\n" in ran.stdout
    assert "genesis.toml: there is no such file" in ran.stderr
    assert "member.key: there is no such file" in ran.stderr
