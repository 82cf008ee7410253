"""Bundles are what RAUC accepts when the right key signed them, and nothing else is."""

import os
import subprocess

import pytest

from image.bundle import build, manifest, update_keys
from image.commands import BuildError

pytestmark = [pytest.mark.needs("rauc"), pytest.mark.needs("openssl"),
              pytest.mark.needs("mksquashfs")]  # fmt: skip


@pytest.fixture
def images(tmp_path):
    files = {"rootfs": tmp_path / "root", "boot": tmp_path / "boot"}
    for path in files.values():
        path.write_bytes(os.urandom(1 << 16))
    return files


@pytest.fixture
def keys(tmp_path):
    return update_keys(tmp_path / "keys", tmp_path / "log")


def _make(tmp_path, images, keys, version="1.0"):
    out = tmp_path / f"{version}.raucb"
    build(images, version, keys, work=tmp_path / "work", out=out, log=tmp_path / "log")
    return out


def _info(bundle, ca):
    return subprocess.run(
        ["rauc", f"--keyring={ca}", "info", bundle], capture_output=True, text=True, check=False
    )


def test_a_bundle_names_its_release_and_is_verified(tmp_path, images, keys):
    done = _info(_make(tmp_path, images, keys), keys.ca)
    assert done.returncode == 0, done.stderr
    assert "'edgenode-arm64'" in done.stdout
    assert "'1.0'" in done.stdout
    assert "verity" in done.stdout


def test_a_bundle_of_another_ca_is_refused(tmp_path, images, keys):
    other = update_keys(tmp_path / "other", tmp_path / "log")
    done = _info(_make(tmp_path, images, other), keys.ca)
    assert done.returncode != 0
    assert "signature verification failed" in done.stderr


def test_development_keys_are_made_once(tmp_path, keys):
    again = update_keys(tmp_path / "keys", tmp_path / "log")
    assert again == keys
    assert keys.key.parent.stat().st_mode & 0o077 == 0


def test_half_a_folder_of_keys_is_an_error(tmp_path, keys):
    keys.key.unlink()
    with pytest.raises(BuildError, match=r"must hold ca\.pem, cert\.pem and key\.pem"):
        update_keys(tmp_path / "keys", tmp_path / "log")


def test_every_image_of_the_manifest_has_a_slot():
    text = manifest("1.0")
    assert "[image.rootfs]" in text
    assert "[image.boot]" in text
