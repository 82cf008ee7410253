"""A wrong value is refused before anything is done, and the message names it."""

import json

import pytest
import yaml

from edgenode.mining import kernels
from edgenode.services.config import TABLES
from tests.ansible.programs import HERE, run_playbook

WRONG = {
    "packages": ({"packages_present": {"a": "dictionary"}}, "packages_present"),
    "base": ({"base_operator_uid": "first"}, "base_operator_uid"),
    "base keys": ({"base_operator_keys": {"anna": "key"}}, "base_operator_keys"),
    "hardening": ({"hardening_metrics_from": {"10.0.0.0": 8}}, "hardening_metrics_from"),
    "bluetooth": ({"bluetooth_packages": {"bluez": True}}, "bluetooth_packages"),
    "node": ({}, "missing required arguments: node_tree"),
    "node table": (
        {"node_tree": "/t", "node_settings": {"node": {"name": "a"}, "minner": {}}},
        "node_settings.minner. Supported parameters include: collector, exporter",
    ),
    "node key": (
        {"node_tree": "/t", "node_settings": {"miner": {"treads": 2}}},
        "node_settings.miner.treads. Supported parameters include: ceiling_celsius",
    ),
    "node choice": (
        {"node_tree": "/t", "node_settings": {"trainer": {"model": "a", "runtime": "torch"}}},
        "value of runtime must be one of: tflite, litert, got: torch",
    ),
    "node nameless": (
        {"node_tree": "/t", "node_settings": {"node": {"state": "/x"}}},
        "missing required arguments: name found in node_settings -> node",
    ),
    "monitoring": ({"monitoring_metrics_port": "many"}, "monitoring_metrics_port"),
    "update": ({"update_packages": {"rauc": True}}, "update_packages"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_role_refuses_a_wrong_value(case, tmp_path):
    variables, message = WRONG[case]
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "roles": [{"role": case.split()[0]}],
        }
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps(play))
    # --check: were the value not refused, this machine would not be provisioned.
    done = run_playbook(playbook, "-i", "localhost,", "--check", variables=variables)
    assert done.returncode == 2, done.stdout
    assert "Validation of arguments failed" in done.stdout
    assert message in done.stdout.replace("'", "")
    assert "PLAY RECAP" in done.stdout
    assert "ok=0 " in done.stdout


def test_the_settings_of_a_node_are_those_of_its_file():
    specs = yaml.safe_load((HERE / "roles/node/meta/argument_specs.yml").read_text())
    tables = specs["argument_specs"]["main"]["options"]["node_settings"]["options"]
    assert {name: sorted(table["options"]) for name, table in tables.items()} == {
        name: sorted(keys) for name, keys in TABLES.items()
    }
    assert tables["miner"]["options"]["kernel"]["choices"] == [kernels.AUTO, *kernels.KERNELS]
