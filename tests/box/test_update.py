"""Updates: the good one is kept, every other one leaves the box as it was."""

import shutil
import subprocess
from pathlib import Path

import pytest

from image import boards, bundle, layout
from image.filesystems import fat
from qemu import founding
from qemu.patience import BOOT_PATIENCE

ROOT = Path(__file__).parent.parent.parent
EPOCH = 1_764_000_000


class Bundles:
    """Makes bundles of what the image was made from."""

    def __init__(self, work, folder):
        self._work = work
        self._folder = folder
        self._keys = bundle.update_keys(ROOT / "var/update-keys", folder / "log")
        self.version = (work / "root/usr/lib/edgenode/release").read_text().strip()

    def make(self, version, *, root=None, boot=None, keys=None):
        out = self._folder / f"{version}.raucb"
        images = {
            "rootfs": root or self._work / "root.squashfs",
            "boot": boot or self._work / "boot.img",
        }
        scratch = self._work.parent / "bundle-of-tests"  # on one file system with the images
        log = self._folder / "log"
        bundle.build(images, version, keys or self._keys, work=scratch, out=out, log=log)
        return out

    def root_with(self, name, text):
        """The root file system with one file more or another one, packed in seconds."""
        scratch = self._work.parent / "root-of-tests"
        shutil.rmtree(scratch, ignore_errors=True)
        for part in ("upper", "work", "merged"):
            (scratch / part).mkdir(parents=True)
        target = scratch / "upper" / name
        target.parent.mkdir(parents=True)
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

    def boot_with(self, before, after):
        """The boot partition with another kernel command line."""
        scratch = self._folder / "boot"
        scratch.mkdir(exist_ok=True)
        script = (ROOT / "image/boot/slot.scr.txt").read_text()
        assert before in script
        (scratch / "boot").mkdir(exist_ok=True)
        (scratch / "boot/slot.scr.txt").write_text(script.replace(before, after))
        files = boards.slot_files(self._work / "root", scratch, self._work / "initrd.img",
                                  disk=layout.DISK_ID, work=scratch, epoch=EPOCH)  # fmt: skip
        out = scratch / "boot.img"
        fat(files, out, layout.PI["boot-a"].size, "BOOT", EPOCH)
        return out


@pytest.fixture(scope="module")
def bundles(image, tmp_path_factory):
    return Bundles(image.parent / "work", tmp_path_factory.mktemp("bundles"))


def newer(version, step):
    """A version above one that `image.__main__.release_version` makes."""
    return f"{version}.{step}"


def send(box, path):
    box.out("sudo rm -f /data/*.raucb && sudo install -d -o operator /data/inbox")
    box.ssh.copy_to(path, "/data/inbox/update.raucb", patience=BOOT_PATIENCE)


def install(box):
    return box.run("sudo rauc install /data/inbox/update.raucb 2>&1", patience=BOOT_PATIENCE,
                       check=False)  # fmt: skip


def test_a_bundle_that_nobody_we_trust_signed_is_refused(box, bundles, tmp_path):
    stranger = bundle.update_keys(tmp_path / "keys", tmp_path / "log")
    send(box, bundles.make(newer(bundles.version, 1), keys=stranger))
    slot = box.slot()
    done = install(box)
    assert done.status != 0
    assert "signature verification failed" in done.stdout.lower()
    assert box.out("sudo edgenode-bootslot get-primary") == slot


def test_an_older_release_is_refused(box, bundles):
    send(box, bundles.make("0.0.1"))
    done = install(box)
    assert done.status != 0
    assert "older than" in box.out("sudo journalctl --boot -u rauc --output=cat -n 40")


def test_a_bundle_that_was_altered_is_refused(box, bundles):
    path = bundles.make(newer(bundles.version, 1))
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    send(box, path)
    slot = box.slot()
    assert install(box).status != 0
    assert box.out("sudo edgenode-bootslot get-primary") == slot


def test_a_bundle_that_was_cut_off_is_refused(box, bundles):
    path = bundles.make(newer(bundles.version, 1))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    send(box, path)
    assert install(box).status != 0


def test_a_good_update_goes_to_the_other_slot_and_is_kept(box, bundles):
    before = box.slot()
    height = box.status()["head"]["height"]
    send(box, bundles.make(newer(bundles.version, 2)))
    done = install(box)
    assert done.status == 0, done.stdout
    box.reboot()
    assert box.slot() != before
    founding.accept_clock(box)
    box.wait_until(f"sudo edgenode-bootslot show | grep -q 'slot {box.slot()}: good'")
    assert box.status()["head"]["height"] >= height
    assert box.out("systemctl list-units --failed --no-legend --plain") == ""


def test_an_update_whose_gossip_fails_gives_way(box, bundles):
    before = box.slot()
    broken = bundles.root_with(
        "etc/systemd/system/edgenode-gossip.service.d/broken.conf",
        "[Service]\nExecStart=\nExecStart=/bin/false\n",
    )
    send(box, bundles.make(newer(bundles.version, 3), root=broken))
    assert install(box).status == 0
    box.reboot()
    assert box.slot() != before
    # Not to wait 20 minutes twice: the unit's deadline is shortened, its effect is the real one.
    for _ in range(2):
        box.out("sudo mkdir -p /run/systemd/system/edgenode-trial.service.d")
        box.run("sudo tee /run/systemd/system/edgenode-trial.service.d/short.conf >/dev/null",
                    text="[Service]\nTimeoutStartSec=30s\n")  # fmt: skip
        boot = box.ssh.boot_id()
        box.out("sudo systemctl daemon-reload")
        box.run("sudo systemctl --no-block restart edgenode-trial.service", check=False)
        box.wait_for_other_boot(boot)
        if box.slot() == before:
            break
    assert box.slot() == before
    founding.accept_clock(box)
    box.wait_until("edgenode status")


def test_a_kernel_that_panics_gives_way(box, bundles):
    before = box.slot()
    panics = bundles.boot_with("panic=10", "panic=10 rdinit=/missing")
    send(box, bundles.make(newer(bundles.version, 4), boot=panics))
    assert install(box).status == 0
    box.reboot()
    assert box.slot() == before
    assert "Kernel panic" in box.machine.console.text
    founding.accept_clock(box)
    box.wait_until("edgenode status")
