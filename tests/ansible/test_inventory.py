"""The example inventory, with secrets made as docs/ansible.md says."""

import json
import re
import secrets
import shutil
import stat
import subprocess

import pytest

from tests.ansible.programs import HERE, ansible_program, environment, run_playbook
from tests.conftest import require_tool

WARD_KEY = re.compile(r"[0-9a-f]{64}")


@pytest.fixture
def here(tmp_path):
    """A directory with the inventory and a vault, and the environment that opens it."""
    require_tool("shred", "coreutils")
    shutil.copytree(HERE / "inventory.example", tmp_path / "inventory")
    password = tmp_path / "password"
    password.write_text(secrets.token_hex(16))
    edgenode = ansible_program("edgenode")
    document = (HERE.parent / "docs/ansible.md").read_text()
    (commands,) = re.findall(r"```sh\n(\S+ key create ward .*?)```", document, re.DOTALL)
    subprocess.run(
        ["sh", "-ec", commands.replace("../.venv/bin/edgenode", edgenode)],
        cwd=tmp_path,
        env=environment(ANSIBLE_VAULT_PASSWORD_FILE=str(password)),
        check=True,
        capture_output=True,
    )
    return tmp_path


def known(here, *arguments):
    """Variables of each box."""
    names = ("node_settings", "node_genesis", "node_ward_key")
    pairs = ", ".join(f"'{name}': {name}" for name in names)
    play = [
        {
            "hosts": "boxes",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.copy": {
                        "content": f"{{{{ {{{pairs}}} | to_json }}}}",
                        "dest": f"{here}/{{{{ inventory_hostname }}}}.json",
                        "mode": "0600",
                    }
                }
            ],
        }
    ]
    (here / "play.yml").write_text(json.dumps(play))
    inventory = str(here / "inventory" / "hosts.yml")
    done = run_playbook(here / "play.yml", "-i", inventory, *arguments)
    return done, {path.stem: json.loads(path.read_text()) for path in here.glob("bed-*.json")}


def test_the_vault_gives_each_box_the_key_of_its_ward(here):
    vault = here / "inventory/group_vars/boxes/vault.yml"
    assert vault.read_text().startswith("$ANSIBLE_VAULT;1.1;AES256")
    assert not stat.S_IMODE(vault.stat().st_mode) & 0o077
    assert not (here / "ward.key").exists()
    done, boxes = known(here, "--vault-password-file", str(here / "password"))
    assert done.returncode == 0, done.stdout
    assert sorted(boxes) == ["bed-1", "bed-2", "bed-3"]
    (key,) = {box["node_ward_key"] for box in boxes.values()}
    assert WARD_KEY.fullmatch(key)


def test_each_box_has_its_own_settings_and_asks_the_others_of_its_ward(here):
    _, boxes = known(here, "--vault-password-file", str(here / "password"))
    settings = boxes["bed-2"]["node_settings"]
    assert settings["node"]["name"] == "bed-2"
    assert settings["gossip"]["seeds"] == ["10.0.3.11:7070", "10.0.3.13:7070"]
    assert settings["collector"]["sensors"] == ["F0:0E:00:00:00:02"]
    assert boxes["bed-2"]["node_genesis"].endswith("/inventory/wards/ward-3a/genesis.toml")


def test_without_the_password_nothing_is_known(here):
    done, boxes = known(here)
    assert done.returncode != 0
    assert boxes == {}
