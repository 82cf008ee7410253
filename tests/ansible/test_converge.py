"""The roles of a box against a root file system: what they make of it, and that they make it once.

The root is a copy of this machine's: its Debian programs need no emulation. Packages that it
lacks are left out; tests/image has a box's own root.
"""

import io
import subprocess
import tarfile

import pytest

from tests.ansible.boxes import boxes
from tests.ansible.programs import HERE, changes
from tests.conftest import require_tool

BOX = "image"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl anna@clinic"
SYSTEM = "/usr/lib/systemd/system"


def tree(folder, **modules):
    """A small tar of the form that image.python_tree makes."""
    file = folder / "node.tar"
    files = {"bin/edgenode": "#!/bin/sh\n"} | {
        f"site-packages/{name}.py": text for name, text in modules.items()
    }
    with tarfile.open(file, "w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o755 if name.startswith("bin/") else 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return file


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A root file system on which image.yml ran."""
    require_tool("nft", "nftables")
    require_tool("systemctl", "systemd")
    require_tool("dpkg-query", "dpkg")
    folder = tmp_path_factory.mktemp("box")
    (folder / "boxes").mkdir()
    with boxes([BOX], folder / "boxes") as made:
        root = Root(made, folder)
        if not made.path(BOX, f"{SYSTEM}/bluetooth.service").exists():
            made.write(BOX, f"{SYSTEM}/bluetooth.service", "[Install]\nWantedBy=bluetooth.target\n")
        root.first = root.run()
        assert root.first.returncode == 0, root.first.stdout + root.first.stderr
        yield root


class Root:
    def __init__(self, boxes, folder):
        self.boxes, self.folder = boxes, folder
        self.variables = {
            "node_tree": str(tree(folder, one="1", two="2")),
            "image_epoch": 1_700_000_000,
            "base_operator_keys": [KEY],
            "base_operator_uid": 54321,
            **{
                f"{role}_packages": []
                for role in ("base", "hardening", "bluetooth", "node", "update")
            },
        }

    def run(self, *arguments, **variables):
        return self.boxes.run(
            HERE / "image.yml", *arguments, variables={**self.variables, **variables}
        )

    def read(self, path):
        return self.boxes.read(BOX, path)

    def path(self, path):
        return self.boxes.path(BOX, path)


def link(box, path):
    return box.path(path).readlink().as_posix()


def test_a_second_run_changes_nothing(box):
    done = box.run()
    assert changes(done) == {BOX: 0}, done.stdout


def test_a_check_after_it_finds_nothing_to_change(box):
    done = box.run("--check", "--diff")
    assert changes(done) == {BOX: 0}, done.stdout


def test_a_check_finds_what_was_changed_by_hand(box):
    path = box.path("/etc/sysctl.d/60-edgenode.conf")
    before = path.read_text()
    path.write_text(before.replace("kernel.panic = 10", "kernel.panic = 0"))
    try:
        done = box.run("--check", "--diff")
        assert changes(done) == {BOX: 1}, done.stdout
        assert "+kernel.panic = 10" in done.stdout
    finally:
        path.write_text(before)


def test_each_service_has_its_account_and_the_operator_may_use_the_api(box):
    accounts = dict(line.split(":", 1) for line in box.read("/etc/passwd").splitlines())
    groups = {line.split(":")[0]: line.split(":") for line in box.read("/etc/group").splitlines()}
    for name in ("samples", "gossip", "miner", "exporter"):
        fields = accounts[f"edgenode-{name}"].split(":")
        assert fields[2] == groups["edgenode"][2]
        assert fields[5].endswith("nologin")
    assert groups["edgenode"][3] == "operator"
    assert accounts["operator"].startswith("x:54321:")


def test_an_account_carries_no_date_of_the_build(box):
    shadow = dict(line.split(":", 1) for line in box.read("/etc/shadow").splitlines())
    assert shadow["operator"].split(":")[:2] == ["!", str(1_700_000_000 // 86_400)]


def test_only_keys_let_the_operator_in(box):
    assert box.read("/etc/ssh/authorized_keys.d/operator").endswith(f" card.\n{KEY}\n")
    settings = box.read("/etc/ssh/sshd_config.d/10-edgenode.conf")
    assert "PasswordAuthentication no" in settings
    assert "AuthorizedKeysFile /etc/ssh/authorized_keys.d/%u\n" in settings
    assert [line for line in settings.splitlines() if line.startswith("HostKey")] == [
        "HostKey /etc/ssh/ssh_host_ed25519_key"
    ]


def test_units_are_there_and_start_at_each_boot(box):
    for unit in (HERE.parent / "systemd").glob("edgenode*.service"):
        assert box.read(f"{SYSTEM}/{unit.name}") == unit.read_text()
    wanted = {path.name for path in box.path("/etc/systemd/system").glob("*.wants/*")}
    assert {
        "edgenode.target", "edgenode-setup.service", "edgenode-health.service",
        "edgenode-trial.service", "nftables.service", "bluetooth.service",
    } <= wanted  # fmt: skip


def test_debian_updates_nothing_by_itself(box):
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer"):
        assert link(box, f"/etc/systemd/system/{unit}") == "/dev/null"


def test_the_programs_have_names(box):
    assert link(box, "/usr/bin/edgenode") == "../lib/edgenode/bin/edgenode"
    assert box.path("/usr/lib/edgenode/bin/edgenode").stat().st_mode & 0o777 == 0o755


def test_sudo_accepts_its_file(box):
    visudo = require_tool("visudo", "sudo")
    path = box.path("/etc/sudoers.d/operator")
    assert path.stat().st_mode & 0o777 == 0o440
    subprocess.run([visudo, "--check", "--file", path], check=True, capture_output=True)


def test_no_box_of_the_image_has_keys_or_settings(box):
    assert [path.name for path in box.path("/etc/edgenode").iterdir()] == ["README"]


def test_a_newer_tree_leaves_nothing_of_the_older_one(box):
    newer = tree(box.folder, one="1", three="3")
    done = box.run(node_tree=str(newer))
    assert done.returncode == 0, done.stdout
    packages = box.path("/usr/lib/edgenode/site-packages")
    assert sorted(path.name for path in packages.iterdir()) == ["one.py", "three.py"]
    assert box.path("/usr/lib/edgenode/refuse-release").exists()
    assert changes(box.run(node_tree=str(newer))) == {BOX: 0}


def test_a_tree_that_is_not_there_is_missed_before_anything_is_removed(box):
    done = box.run(node_tree="/nowhere/node.tar")
    assert done.returncode != 0
    assert "node_tree: /nowhere/node.tar is no file on this machine" in done.stdout
    assert list(box.path("/usr/lib/edgenode/site-packages").iterdir())


def test_a_package_that_the_image_lacks_is_named(box):
    done = box.run(base_packages=["edgenode-imaginary"])
    assert done.returncode != 0
    assert "lacks edgenode-imaginary: add it to image/packages.txt" in " ".join(done.stdout.split())
