"""The programs of the host that the harness drives, and the Debian packages they come from."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from qemu.errors import QemuError, ToolMissingError

PACKAGES: Mapping[str, str] = {
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-img": "qemu-utils",
    "qemu-io": "qemu-utils",
    "mcopy": "mtools",
    "sfdisk": "fdisk",
    "e2fsck": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
"""Program to Debian package."""

U_BOOT = Path("/usr/lib/u-boot/qemu_arm64/u-boot.bin")
"""The firmware of the `virt` machine."""

U_BOOT_PACKAGE = "u-boot-qemu"

_SYSTEM_PROGRAMS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def find(program: str) -> str | None:
    """Path of a program; also of one that only root has in its PATH."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SYSTEM_PROGRAMS])
    return shutil.which(program, path=path)


def need(programs: Iterable[str], *, firmware: Path | None = None) -> None:
    """See that all programs, and a firmware, are there.

    Raises:
        ToolMissingError: Some are not; it names all of them and what to install.
    """
    absent = [program for program in programs if find(program) is None]
    packages = {PACKAGES.get(program, program) for program in absent}
    if firmware is not None and not firmware.exists():
        absent.append(str(firmware))
        packages.add(U_BOOT_PACKAGE if firmware == U_BOOT else "the package that has it")
    if absent:
        raise ToolMissingError(
            f"not installed: {', '.join(absent)}\n"
            f"On Debian: apt install {' '.join(sorted(packages))}"
        )


def run(command: Sequence[str | Path], *, cwd: Path | None = None, text: str = "") -> str:
    """Run a program of the host to its end; what it printed.

    Args:
        command: Program and arguments.
        cwd: Where to run it.
        text: Its standard input.

    Raises:
        ToolMissingError: There is no such program.
        QemuError: It failed; the message holds what it said.
    """
    name = str(command[0])
    path = find(name)
    if path is None:
        need([name])
    try:
        done = subprocess.run(
            [str(path), *map(str, command[1:])],
            cwd=cwd,
            input=text,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()
        words = " ".join(map(str, command))
        raise QemuError(f"{words}\nended with status {error.returncode}: {said}") from error
    return done.stdout
