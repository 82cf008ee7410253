"""Update bundles of what the image was made from: good ones, and ones with something wrong."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from image import boards, bundle, layout
from image.boot_files import Sources
from image.filesystems import fat

ROOT = Path(__file__).parent.parent.parent
EPOCH = 1_764_000_000

GOSSIP_FAILS = {
    "etc/systemd/system/edgenode-gossip.service.d/broken.conf": (
        "[Service]\nExecStart=\nExecStart=/bin/false\n"
    ),
    # A release is given up after 20 minutes; not to wait for them twice, this one says 30 s.
    "etc/systemd/system/edgenode-trial.service.d/short.conf": "[Service]\nTimeoutStartSec=30s\n",
}
"""Files that make a release one whose gossip service fails."""


class Bundles:
    """Makes bundles.

    Attributes:
        version: The image's release.
    """

    def __init__(self, work: Path, folder: Path) -> None:
        self._work = work
        self._folder = folder
        self._keys = bundle.update_keys(ROOT / "var/update-keys", folder / "log")
        self.version = (work / "root/usr/lib/edgenode/release").read_text().strip()

    @property
    def root(self) -> Path:
        """The root file system of the image, and of every bundle that is not made with another."""
        return self._work / "root.squashfs"

    def newer(self, step: int) -> str:
        """A version above the image's."""
        return f"{self.version}.{step}"

    def make(
        self,
        version: str,
        *,
        root: Path | None = None,
        boot: Path | None = None,
        keys: bundle.UpdateKeys | None = None,
    ) -> Path:
        """A bundle of the image's file systems, or of others."""
        out = self._folder / f"{version}.raucb"
        images = {
            "rootfs": root or self.root,
            "boot": boot or self._work / "boot.img",
        }
        scratch = self._work.parent / "bundle-of-tests"  # on one file system with the images
        log = self._folder / "log"
        bundle.build(images, version, keys or self._keys, work=scratch, out=out, log=log)
        return out

    def root_with(self, files: Mapping[str, str]) -> Path:
        """The root file system with these files instead of its own, packed in seconds."""
        scratch = self._work.parent / "root-of-tests"
        shutil.rmtree(scratch, ignore_errors=True)
        for part in ("upper", "work", "merged"):
            (scratch / part).mkdir(parents=True)
        for name, text in files.items():
            target = scratch / "upper" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        out = scratch / "root.squashfs"
        script = (
            'mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" o "$2/merged" && '
            'mksquashfs "$2/merged" "$3" -noappend -no-progress -quiet -comp zstd '
            "-Xcompression-level 1"
        )
        subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script, "sh", self._work / "root", scratch, out],
            check=True,
            capture_output=True,
        )
        return out

    def boot_with(self, before: str, after: str) -> Path:
        """The boot partition with another kernel command line."""
        scratch = self._folder / "boot"
        (scratch / "boot").mkdir(parents=True, exist_ok=True)
        script = (ROOT / "image/boot/slot.scr.txt").read_text()
        assert before in script
        (scratch / "boot/slot.scr.txt").write_text(script.replace(before, after))
        root, initrd = self._work / "root", self._work / "initrd.img"
        files = boards.slot_files(Sources(root, initrd, scratch, scratch, EPOCH))
        out = scratch / "boot.img"
        fat(files, out, layout.PI["boot-a"].size, "BOOT", EPOCH)
        return out
