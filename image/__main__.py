"""`python -m image`: from a checkout to the file that is flashed."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from image import boards, bundle, debian_root, layout, provision, python_tree, sbom
from image.assemble import assemble
from image.commands import (
    BuildError,
    ansible_playbook,
    output_of,
    require_programs,
    run,
)
from image.filesystems import ext4, fat, squashfs

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
DATA_UUID = "ed9e0001-0007-4000-8000-000000000007"


@contextlib.contextmanager
def _phase(name: str) -> Iterator[None]:
    print(f"{name} ...", flush=True)
    began = time.monotonic()
    yield
    print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build an image and, beside it, its update bundle and its SBOM.

    Returns:
        0, or 1 when something is missing or failed; the reason is on standard error.
    """
    options = _options(arguments)
    try:
        require_programs()
        ansible_playbook()
        _build(options)
    except BuildError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m image", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "var/image", help="folder of what is made"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=REPOSITORY / "var/image-cache",
        help="folder of what is kept between builds",
    )
    parser.add_argument(
        "--keys",
        type=Path,
        default=REPOSITORY / "var/update-keys",
        help="folder of ca.pem, cert.pem and key.pem that bundles are signed with; development "
        "keys are made where there are none",
    )
    parser.add_argument("--version", help="version of the release (default: from git)")
    return parser.parse_args(arguments)


def _build(options: argparse.Namespace) -> None:
    out, cache = options.out.resolve(), options.cache.resolve()
    out.mkdir(parents=True, exist_ok=True)
    work = out / "work"
    work.mkdir(exist_ok=True)
    log = out / "build.log"
    log.write_bytes(b"")
    epoch = int(output_of(["git", "log", "-1", "--format=%ct"], REPOSITORY))
    version = options.version or release_version(epoch)
    keys = bundle.update_keys(options.keys.resolve(), log)
    root, initrd = work / "root", work / "initrd.img"

    with _phase("Debian"):
        tar, headers = debian_root.build(HERE / "packages.txt", cache, epoch, log)
        provision.unpack(tar, root, log)
    with _phase("Python"):
        tree = work / "edgenode-node.tar"
        pip = Path(sys.executable).parent / "pip"
        python_tree.build(
            REPOSITORY, headers=headers, pip=pip, work=work / "python", out=tree, epoch=epoch
        )
    with _phase("roles"):
        provision.add_image_files(root, HERE, log)
        provision.apply_roles(root, REPOSITORY, tree, epoch, log)
        provision.mark_release(root, version, epoch, keys.ca)
    with _phase("initramfs"):
        provision.make_initramfs(root, initrd, epoch, log)
        provision.clean(root)
    with _phase("root file system"):
        squashfs(root, work / "root.squashfs", epoch, log)
    image = out / "edgenode-pi.img"
    with _phase("image"):
        _assemble_pi(root, initrd, work, epoch, image)
    with _phase("bundle"):
        bundle.build(
            {"rootfs": work / "root.squashfs", "boot": work / "boot.img"},
            version, keys, work=work / "bundle", out=out / f"edgenode-{version}.raucb", log=log,
        )  # fmt: skip
        sbom.write(
            version, epoch, provision.debian_versions(root),
            work / "python/tree/site-packages", out / f"edgenode-{version}.cdx.json",
        )  # fmt: skip
    run(["zstd", "-q", "-T0", "-f", image, "-o", image.with_suffix(".img.zst")], log=log)
    for made in sorted(out.glob("edgenode-*")):
        if made.suffix != ".log":
            print(f"{sha256(made)}  {made.stat().st_size / 1e6:8.1f} MB  {made}")


def _assemble_pi(root: Path, initrd: Path, work: Path, epoch: int, image: Path) -> None:
    parts = layout.PI
    fat(boards.pi_boot_files(root, HERE, work, epoch), work / "firmware.img",
        parts["firmware"].size, "EDGENODE", epoch)  # fmt: skip
    slot = boards.slot_files(root, HERE, initrd, work=work, disk=layout.DISK_ID, epoch=epoch)
    fat(slot, work / "boot.img", parts["boot-a"].size, "BOOT", epoch)
    ext4(work / "data.img", parts["data"].size, "data", DATA_UUID, epoch)
    contents = {
        "firmware": work / "firmware.img",
        "boot-a": work / "boot.img",
        "root-a": work / "root.squashfs",
        "data": work / "data.img",
    }
    assemble(contents, parts, layout.IMAGE_BYTES, image)


def release_version(epoch: int) -> str:
    """The package's version with the commit's time, so that later commits compare as newer."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(epoch))
    return f"{project['project']['version']}+{stamp}"


def sha256(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
