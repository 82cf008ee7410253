"""What systemd-analyze says of the units: nothing wrong with them, and little that they may do."""

import subprocess

import pytest

from tests.conftest import require_root, require_tool
from tests.systemd.units import (
    NODE_UNITS,
    SERVICES,
    UNITS,
    analyze,
    instance,
    node_unit,
    tree,
)

EXPOSURE = 15
"""Tenths: the highest exposure that a unit of ours may have, of 100."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    tree(root)
    return root


@pytest.fixture
def spoiled(tmp_path):
    """Change a unit in a tree of its own; gives the tree."""

    def spoil(name, old, new):
        units = tree(tmp_path)
        text = (units / name).read_text()
        assert old in text
        (units / name).write_text(text.replace(old, new))
        return tmp_path

    return spoil


@pytest.mark.parametrize(
    "name",
    [*map(instance, SERVICES), "bluetooth.service", "edgenode.target",
     *(path.name for path in sorted(UNITS.glob("*.slice")))],
)  # fmt: skip
def test_systemd_finds_nothing_to_remark(installed, name):
    assert analyze(installed, "verify", "--man=no", name) == (0, "")


@pytest.mark.parametrize("name", [*map(instance, SERVICES)])
def test_each_service_is_confined(installed, name):
    status, printed = analyze(
        installed, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}", name
    )
    assert status == 0, printed


def test_a_setting_that_systemd_252_does_not_know_would_be_seen(spoiled):
    root = spoiled("edgenode-miner.service", "RestartSec=2s", "RestartSec=2s\nRestartBogus=3")
    _, printed = analyze(root, "verify", "--man=no", "edgenode-miner.service")
    assert "Unknown key 'RestartBogus'" in printed


def test_a_program_that_is_missing_would_be_seen(spoiled):
    root = spoiled("edgenode-miner.service", "edgenode-wanted", "edgenode-wnated")
    _, printed = analyze(root, "verify", "--man=no", "edgenode-miner.service")
    assert "/usr/bin/edgenode-wnated" in printed


def test_an_ordering_cycle_would_be_seen(spoiled):
    root = spoiled("edgenode-setup.service", "After=boot-firmware.mount", "After=edgenode.target")
    _, printed = analyze(root, "verify", "--man=no", "edgenode-setup.service", "edgenode.target")
    assert "ordering cycle" in printed


def test_a_service_that_is_not_confined_would_be_seen(spoiled):
    root = spoiled("edgenode-gossip.service", "CapabilityBoundingSet=\n", "")
    status, printed = analyze(
        root, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE}",
        "edgenode-gossip.service",
    )  # fmt: skip
    assert status != 0, printed


def test_systemd_makes_the_accounts_that_the_services_run_as(tmp_path):
    program = require_tool("systemd-sysusers", "systemd")
    require_root("make accounts")
    (tmp_path / "etc").mkdir()
    subprocess.run(
        [program, f"--root={tmp_path}", UNITS / "sysusers.d" / "edgenode.conf"],
        check=True,
        capture_output=True,
    )
    accounts = {}
    for line in (tmp_path / "etc" / "passwd").read_text().splitlines():
        name, _, _, group, _, home, shell = line.split(":")
        accounts[name] = (group, home, shell)
    assert set(accounts) == {node_unit(service)["Service", "User"] for service in NODE_UNITS}
    (group,) = (
        line.split(":")[2]
        for line in (tmp_path / "etc" / "group").read_text().splitlines()
        if line.startswith("edgenode:")
    )
    assert set(accounts.values()) == {(group, "/nonexistent", "/usr/sbin/nologin")}
