"""Anybody can check that an image is what its commit says: a second build is the same."""

import subprocess
import sys
from pathlib import Path

import pytest

from image.__main__ import sha256

ROOT = Path(__file__).parent.parent.parent

pytestmark = pytest.mark.full


def test_a_build_from_an_empty_cache_is_the_same_bit_for_bit(image, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "image", "--out", tmp_path / "out", "--cache", tmp_path / "cache"],
        cwd=ROOT,
        check=True,
    )
    for name in ("work/root.squashfs", "work/boot.img", image.name):
        assert sha256(tmp_path / "out" / name) == sha256(image.parent / name), name
