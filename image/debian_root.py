"""Debian's part of the root file system, by mmdebstrap; the slowest phase, kept between builds."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from image.commands import BuildError, run

SUITE = "bookworm"
COMPONENTS = "main non-free-firmware"
MIRRORS = (
    f"deb http://deb.debian.org/debian {SUITE} {COMPONENTS}",
    f"deb http://deb.debian.org/debian {SUITE}-updates {COMPONENTS}",
    f"deb http://deb.debian.org/debian-security {SUITE}-security {COMPONENTS}",
)

_RELEASED = 1686355200
"""10 June 2023, when Debian 12 came out, in Unix seconds: what stands for now in the root, whose
files (/etc/shadow among them) are older than that or say that. No time of a commit will do: a root
that is kept serves the builds of many commits, and each is the same from an empty cache."""

_DPKG_OPTIONS = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
)

# Under emulation one run of update-initramfs takes a minute and more, and packages ask for several;
# the build makes one at its end. The diversion stays: nothing on a read-only root makes another.
_NO_INITRAMFS = (
    'chroot "$1" dpkg-divert --local --rename --divert /usr/sbin/update-initramfs.real '
    '--add /usr/sbin/update-initramfs; ln -s /bin/true "$1/usr/sbin/update-initramfs"'
)

_HEADERS = "libpython3.11-dev"
"""Fetched beside the root, of the same version as its Python; no box gets them."""


def packages(file: Path) -> tuple[str, ...]:
    """Names in a package list: one a line, # begins a comment."""
    lines = (line.partition("#")[0].strip() for line in file.read_text("utf-8").splitlines())
    return tuple(line for line in lines if line)


def recipe_id(file: Path) -> str:
    """Names a cached root: it changes with what the root is made from."""
    recipe = "\n".join(
        (*packages(file), *MIRRORS, *_DPKG_OPTIONS, _NO_INITRAMFS, _HEADERS, str(_RELEASED))
    )
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def build(package_list: Path, cache: Path, log: Path) -> tuple[Path, Path]:
    """The root as a tar, and the folder with CPython's headers; from the cache where it has them.

    Args:
        package_list: Names of packages (image/packages.txt).
        cache: Folder that is kept between builds.
        log: Takes what mmdebstrap prints.

    Raises:
        BuildError: mmdebstrap failed.
    """
    kept = cache / f"debian-{recipe_id(package_list)}"
    tar, headers = kept / "root.tar", kept / "headers"
    if kept.is_dir():
        return tar, headers / "usr" / "include"
    half = kept.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    run(
        ["mmdebstrap", "--architectures=arm64", "--variant=apt", f"--components={COMPONENTS}",
         "--aptopt=Apt::Install-Recommends false", "--aptopt=Acquire::Retries 5",
         *(f"--dpkgopt={option}" for option in _DPKG_OPTIONS),
         f"--essential-hook={_NO_INITRAMFS}",
         f"--customize-hook=cd {half} && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG "
         f"apt-get download {_HEADERS}",
         f"--include={','.join(packages(package_list))}", SUITE, half / "root.tar", *MIRRORS],
        log=log,
        environment={"SOURCE_DATE_EPOCH": str(_RELEASED)},
    )  # fmt: skip
    found = list(half.glob(f"{_HEADERS}_*.deb"))
    if len(found) != 1:
        raise BuildError(f"apt fetched {len(found)} packages {_HEADERS}; see {log}")
    run(["dpkg-deb", "-x", found[0], half / "headers"], log=log)
    half.rename(kept)
    return tar, headers / "usr" / "include"
