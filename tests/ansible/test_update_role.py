"""What RAUC gets: its settings, and the handler that refuses an older release."""

import subprocess
import sys
from pathlib import Path

import jinja2
import pytest
import yaml

from edgenode.appliance.boot_state import FACTORY, FILE_NAMES, encode
from tests.ansible.programs import HERE
from tests.conftest import require_tool

ROLE = HERE / "roles" / "update"
HANDLER = ROLE / "root/usr/lib/edgenode/refuse-release"


BOOTSLOT = Path(sys.executable).with_name("edgenode-bootslot")


@pytest.fixture(autouse=True)
def boot_folder(tmp_path):
    """The first partition, as a card has it when it is new."""
    folder = tmp_path / "boot"
    folder.mkdir()
    for name in FILE_NAMES:
        (folder / name).write_bytes(encode(FACTORY))
    return folder


def bootslot(tmp_path, *arguments):
    return [BOOTSLOT, "--folder", tmp_path / "boot", *arguments]


def offered(tmp_path, manifest, running, *, kernel="quiet rauc.slot=A", ward=True):
    (tmp_path / "cmdline").write_text(kernel + "\n")
    (tmp_path / "settings").mkdir()
    for name in ("genesis.toml", "ward.key") if ward else ("genesis.toml",):
        (tmp_path / "settings" / name).touch()
    (tmp_path / "manifest.raucm").write_text(manifest)
    if running is not None:
        (tmp_path / "release").write_text(running)
    return subprocess.run(
        [HANDLER],
        env={"RAUC_BUNDLE_MOUNT_POINT": str(tmp_path), "PATH": "/usr/bin:/bin",
             "EDGENODE_RELEASE": str(tmp_path / "release"),
             "EDGENODE_KERNEL": str(tmp_path / "cmdline"),
             "EDGENODE_SETTINGS": str(tmp_path / "settings"),
             "EDGENODE_BOOTSLOT": " ".join(map(str, bootslot(tmp_path)))},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("running", "version"),
    [
        ("0.1.0", "0.1.0"),
        ("0.1.0", "0.1.1"),
        ("0.9.0", "0.10.0"),
        ("0.1.0+20261124120000", "0.1.0+20261124120001"),
        ("1.0~rc1", "1.0"),
    ],
)
def test_a_release_that_is_not_older_is_welcome(tmp_path, running, version):
    done = offered(tmp_path, f"[update]\ncompatible=x\nversion={version}\n", f"{running}\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("running", "version"),
    [
        ("0.1.1", "0.1.0"),
        ("0.10.0", "0.9.0"),
        ("0.1.0+20261124120001", "0.1.0+20261124120000"),
        ("1.0", "1.0~rc1"),
    ],
)
def test_an_older_release_is_refused_with_both_names(tmp_path, running, version):
    done = offered(tmp_path, f"[update]\ncompatible=x\nversion={version}\n", f"{running}\n")
    assert done.returncode == 1
    assert f"the bundle is release {version}, older than {running}" in done.stderr


@pytest.mark.parametrize(
    ("manifest", "running", "reason"),
    [
        ("[update]\ncompatible=x\n", "1.0\n", "the bundle names no version"),
        ("[update]\nversion=1.0\n", "\n", "is empty"),
        ("[update]\nversion=1.0\n", None, "which release runs is not known"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, manifest, running, reason):
    done = offered(tmp_path, manifest, running)
    assert done.returncode == 1
    assert reason in done.stderr


ON_TRIAL = "quiet rauc.slot=B edgenode.trial panic=10"


def test_nothing_is_written_over_the_only_good_slot(tmp_path):
    subprocess.run(bootslot(tmp_path, "set-primary", "B"), check=True)
    done = offered(tmp_path, "version=2\n", "1\n", kernel=ON_TRIAL)
    assert done.returncode == 1
    assert "the release that runs is on trial" in done.stderr


def test_a_release_that_was_confirmed_since_it_started_takes_the_next_one(tmp_path):
    subprocess.run(bootslot(tmp_path, "set-primary", "B"), check=True)
    subprocess.run(bootslot(tmp_path, "set-state", "B", "good"), check=True)
    done = offered(tmp_path, "version=2\n", "1\n", kernel=ON_TRIAL)
    assert done.returncode == 0, done.stderr


def test_a_boot_state_that_cannot_be_read_is_no_leave_to_write(tmp_path, boot_folder):
    for name in FILE_NAMES:
        (boot_folder / name).write_bytes(b"damaged")
    done = offered(tmp_path, "version=2\n", "1\n")
    assert done.returncode == 1
    assert "the boot state cannot be read" in done.stderr


def test_a_box_without_a_ward_is_not_updated(tmp_path):
    done = offered(tmp_path, "version=2\n", "1\n", ward=False)
    assert done.returncode == 1
    assert "ward.key is missing: a box without a ward cannot confirm a release" in done.stderr


def test_rauc_takes_its_settings_and_reads_a_bundle_with_them(tmp_path):
    rauc, openssl = require_tool("rauc", "rauc"), require_tool("openssl", "openssl")
    require_tool("mksquashfs", "squashfs-tools")
    template = (ROLE / "root/etc/rauc/system.conf.j2").read_text()
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    settings = tmp_path / "system.conf"
    # As Ansible does, which keeps a block's line from becoming an empty one.
    settings.write_text(jinja2.Template(template, trim_blocks=True).render(defaults))
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
         "-out", certificate, "-subj", "/CN=test"],
        check=True, capture_output=True,
    )  # fmt: skip
    content = tmp_path / "content"
    content.mkdir()
    # RAUC refuses bundles of one block.
    (content / "root.img").write_bytes(bytes(range(256)) * 4096)
    (content / "boot.img").write_bytes(bytes(reversed(range(256))) * 4096)
    (content / "manifest.raucm").write_text(
        f"[update]\ncompatible={defaults['update_compatible']}\nversion=1.2.3\n\n"
        "[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=root.img\n\n"
        "[image.boot]\nfilename=boot.img\n"
    )
    bundle = tmp_path / "release.raucb"
    subprocess.run(
        [rauc, "bundle", f"--cert={certificate}", f"--key={key}", content, bundle],
        check=True, capture_output=True,
    )  # fmt: skip
    done = subprocess.run(
        [rauc, f"--conf={settings}", f"--keyring={certificate}", "info", bundle],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1.2.3" in done.stdout
    spoiled = settings.read_text().replace("bundle-formats", "bundle-formatz")
    settings.write_text(spoiled)
    done = subprocess.run(
        [rauc, f"--conf={settings}", f"--keyring={certificate}", "info", bundle],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "bundle-formatz" in done.stderr, "RAUC does not look at its settings here"
