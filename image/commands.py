"""Runs the programs that the build is made of, and says what went wrong when one fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_TAIL_LINES = 30

_EMULATION = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
"""Where the kernel says that it hands aarch64 programs to QEMU."""


class BuildError(Exception):
    """The image cannot be built; the text says why and what to do."""


PROGRAMS: Mapping[str, str] = {
    "mmdebstrap": "mmdebstrap",
    "arch-test": "arch-test",  # without which mmdebstrap makes no root of another architecture
    "qemu-aarch64-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
    "mksquashfs": "squashfs-tools",
    "mkfs.vfat": "dosfstools",
    "mcopy": "mtools",
    "mke2fs": "e2fsprogs",
    "sfdisk": "fdisk",
    "mkimage": "u-boot-tools",
    "rauc": "rauc",
    "openssl": "openssl",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    "dpkg-deb": "dpkg",
    "systemctl": "systemd",
    "tar": "tar",
    "unshare": "util-linux",
    "zstd": "zstd",
}
"""What the build calls, and the Debian packages that bring it."""


def require_programs() -> None:
    """Check that all programs are here and that this is root.

    Raises:
        BuildError: Something is missing; the text is the command that installs it.
    """
    # Some of them lie where only root looks.
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        packages = " ".join(sorted({PROGRAMS[name] for name in missing}))
        raise BuildError(
            f"missing: {', '.join(missing)}; on Debian 12: apt-get install "
            f"--no-install-recommends {packages}"
        )
    if os.geteuid() != 0:
        raise BuildError("the root file system has files of many owners: run the build as root")
    if not _EMULATION.exists():
        raise BuildError(
            "aarch64 programs cannot be run here: as root, mount -t binfmt_misc binfmt_misc "
            "/proc/sys/fs/binfmt_misc (unless it is mounted) and update-binfmts --enable "
            "qemu-aarch64"
        )


def ansible_playbook() -> Path:
    """The program ansible-playbook.

    Raises:
        BuildError: It is not in PATH.
    """
    found = shutil.which("ansible-playbook")
    if found is None:
        raise BuildError(
            "ansible-playbook is missing: `make image` installs it, or pip install "
            "--require-hashes -r requirements/ansible.lock"
        )
    return Path(found)


def run(
    command: Sequence[str | Path],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    given: bytes | None = None,
) -> None:
    """Run a program to its end, with what it prints appended to a log file.

    Args:
        command: The program and its arguments.
        log: File that takes standard output and error.
        environment: Variables in addition to those of this process.
        directory: Where it runs.
        given: What it reads on standard input; nothing without.

    Raises:
        BuildError: It failed; the text has the last lines that it printed.
    """
    line = " ".join(str(part) for part in command)
    with log.open("ab") as output:
        output.write(f"\n$ {line}\n".encode())
        output.flush()
        began = output.tell()
        done = subprocess.run(
            [str(part) for part in command],
            input=b"" if given is None else given,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", **(environment or {})},
            cwd=directory,
            check=False,
        )
    if done.returncode != 0:
        with log.open("rb") as output:
            output.seek(began)
            tail = output.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
        printed = "\n".join(f"  {text}" for text in tail)
        raise BuildError(
            f"this failed with status {done.returncode}:\n  {line}\n{printed}\nThe log is {log}"
        )


def output_of(command: Sequence[str | Path], directory: Path | None = None) -> str:
    """Standard output of a short program.

    Raises:
        BuildError: It failed; the text has what it said.
    """
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, check=False, cwd=directory
    )
    if done.returncode != 0:
        raise BuildError(f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()
