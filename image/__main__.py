"""`python -m image`: from a checkout to the files that are flashed."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from image import bmap, boards, bundle, debian_root, layout, provision, python_tree, sbom
from image.assemble import assemble
from image.boot_files import Sources
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
    """Build an image for each board that is asked for; beside them their update bundle and SBOM.

    Returns:
        0, or 1 when something is missing or failed; the reason is on standard error.
    """
    options = _options(arguments)
    try:
        wanted = boards.chosen(options.board or ["pi"])
        require_programs()
        ansible_playbook()
        _build(options, wanted)
    except BuildError as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m image", description=__doc__)
    parser.add_argument(
        "--board",
        action="append",
        metavar="NAME",
        help=f"what the card is for: {' or '.join(sorted(boards.BOARDS))}; given twice, both are "
        "made of one root file system (default: pi)",
    )
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


def _build(options: argparse.Namespace, wanted: Sequence[boards.Board]) -> None:
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
        tar, headers = debian_root.build(HERE / "packages.txt", cache, log)
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
    sources = Sources(root, initrd, HERE, work, epoch)
    slot = {"root-a": work / "root.squashfs", "boot-a": work / "boot.img"}
    with _phase("boot and data partitions"):
        size = layout.PI["boot-a"].size
        fat(boards.slot_files(sources), slot["boot-a"], size, "BOOT", epoch)
        ext4(work / "data.img", layout.PI["data"].size, "data", DATA_UUID, epoch)
    made: list[Path] = []
    for board in wanted:
        with _phase(f"image for {board.name}"):
            image = out / f"edgenode-{board.name}.img"
            made += _assemble(board, sources, slot | {"data": work / "data.img"}, image)
    with _phase("bundle"):
        raucb = out / f"edgenode-{version}.raucb"
        bundle.build(
            {"rootfs": slot["root-a"], "boot": slot["boot-a"]},
            version, keys, work=work / "bundle", out=raucb, log=log,
        )  # fmt: skip
        bill = out / f"edgenode-{version}.cdx.json"
        sbom.write(
            version, epoch, provision.debian_versions(root),
            work / "python/tree/site-packages", bill,
        )  # fmt: skip
    for path in (*made, raucb, bill):
        print(f"{sha256(path)}  {path.stat().st_size / 1e6:8.2f} MB  {path}")


def _assemble(
    board: boards.Board, sources: Sources, contents: Mapping[str, Path], image: Path
) -> list[Path]:
    """The image, the same compressed, and its block map."""
    first = sources.work / f"first-{board.name}.img"
    size = board.disk.partitions["firmware"].size
    fat(board.first_files(sources), first, size, "EDGENODE", sources.epoch)
    whole = {"firmware": first, **contents}
    assemble(whole, board.disk, image)
    packed, block_map = image.with_suffix(".img.zst"), image.with_suffix(".img.bmap")
    bmap.write(image, whole, board.disk, block_map)
    run(["zstd", "-q", "-T0", "-f", image, "-o", packed], log=image.with_suffix(".log"))
    return [image, packed, block_map]


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
