"""The host's programs: what is said when one is missing or fails."""

from pathlib import Path

import pytest

from qemu.errors import QemuError, ToolMissingError
from qemu.tools import PACKAGES, U_BOOT, find, need, run


def test_all_that_is_missing_is_named_at_once_with_the_packages(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("qemu.tools._SYSTEM_PROGRAMS", ())
    with pytest.raises(ToolMissingError) as caught:
        need(["qemu-system-aarch64", "mcopy", "qemu-img", "qemu-io"], firmware=tmp_path / "u.bin")
    said = str(caught.value)
    assert "qemu-system-aarch64, mcopy, qemu-img, qemu-io" in said
    assert str(tmp_path / "u.bin") in said
    assert "apt install" in said
    for package in ("qemu-system-arm", "mtools", "qemu-utils"):
        assert said.count(package) == 1


def test_the_firmware_comes_from_a_package(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(ToolMissingError, match=r"(?s)u-boot\.bin.*apt install u-boot-qemu"):
        need([], firmware=U_BOOT)


def test_nothing_is_said_when_nothing_is_missing():
    need(["sh"], firmware=Path("/"))


def test_a_program_that_only_root_has_in_its_path_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "sbin" / "sfdisk"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("qemu.tools._SYSTEM_PROGRAMS", (str(program.parent),))
    assert find("sfdisk") == str(program)


def test_each_package_is_one_word():
    assert all(name and " " not in name for name in PACKAGES.values())


def test_a_program_that_fails_is_quoted(tmp_path):
    with pytest.raises(QemuError, match=r"(?s)sh -c .*ended with status 3: that is why"):
        run(["sh", "-c", "echo that is why >&2; exit 3"])
    assert run(["sh", "-c", "cat; pwd"], text="in\n", cwd=tmp_path) == f"in\n{tmp_path}\n"
