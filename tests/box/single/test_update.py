"""Updates: the good one is kept, every other one leaves the box as it was."""

import random
import time

import pytest

from image import bundle, layout
from image.__main__ import sha256
from qemu.patience import BOOT_PATIENCE
from tests.box.bundles import GOSSIP_FAILS

CUTS = 10


def plug(box, bundle):
    box.plug_stick({"update.raucb": bundle})


def install(box):
    return box.run("sudo rauc install /run/stick/update.raucb 2>&1", patience=BOOT_PATIENCE,
                       check=False)  # fmt: skip


def test_a_bundle_that_nobody_we_trust_signed_is_refused(box, bundles, tmp_path):
    stranger = bundle.update_keys(tmp_path / "keys", tmp_path / "log")
    plug(box, bundles.make(bundles.newer(1), keys=stranger))
    slot = box.slot()
    done = install(box)
    assert done.status != 0
    assert "signature verification failed" in done.stdout.lower()
    assert box.out("sudo edgenode-bootslot get-primary") == slot


@pytest.mark.full
def test_an_older_release_is_refused(box, bundles):
    plug(box, bundles.make("0.0.1"))
    done = install(box)
    assert done.status != 0
    assert "older than" in box.out("sudo journalctl --boot -u rauc --output=cat -n 40")


@pytest.mark.full
def test_a_bundle_that_was_altered_is_refused(box, bundles):
    path = bundles.make(bundles.newer(1))
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))
    plug(box, path)
    slot = box.slot()
    assert install(box).status != 0
    assert box.out("sudo edgenode-bootslot get-primary") == slot


@pytest.mark.full
def test_a_bundle_that_was_cut_off_is_refused(box, bundles):
    path = bundles.make(bundles.newer(1))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
    plug(box, path)
    assert install(box).status != 0


def test_a_good_update_goes_to_the_other_slot_and_is_kept(box, bundles):
    before = box.slot()
    height = box.status()["head"]["height"]
    plug(box, bundles.make(bundles.newer(2)))
    done = install(box)
    assert done.status == 0, done.stdout
    box.reboot()
    assert box.slot() != before
    box.settle()
    box.wait_for_good_slot()
    assert box.status()["head"]["height"] >= height
    assert box.failed_units() == ""


def test_an_update_whose_gossip_fails_gives_way(box, bundles):
    before = box.slot()
    broken = bundles.root_with(GOSSIP_FAILS)
    plug(box, bundles.make(bundles.newer(3), root=broken))
    assert install(box).status == 0
    box.reboot()
    assert box.slot() != before
    boot = box.ssh.boot_id()
    while box.slot() != before:
        boot = box.wait_for_other_boot(boot)
    box.settle()
    box.wait_until("edgenode status")


@pytest.mark.full
def test_a_kernel_that_panics_gives_way(box, bundles):
    before = box.slot()
    # A program that ends, as the first one: "Attempted to kill init!"
    panics = bundles.boot_with("panic=10", "panic=10 rdinit=/bin/true")
    plug(box, bundles.make(bundles.newer(4), boot=panics))
    assert install(box).status == 0
    box.reboot()
    assert box.slot() == before
    assert "Kernel panic" in box.machine.console.text
    box.settle()
    box.wait_until("edgenode status")


def assert_one_slot_or_the_other_works(box, height):
    assert box.failed_units() == ""
    box.settle()
    box.wait_until("edgenode status")
    assert box.status()["head"]["height"] >= height


def assert_root_is_whole(box, bundles):
    """What runs is no slot that was written in part: its root is the bundle's to the last byte."""
    size = bundles.root.stat().st_size
    partition = layout.PI[f"root-{box.slot().lower()}"].number
    device = f"/dev/disk/by-partuuid/{layout.DISK_ID}-{partition:02}"
    found = box.out(f"sudo head -c {size} {device} | sha256sum").split()[0]
    assert found == sha256(bundles.root)


@pytest.mark.full
def test_a_power_cut_while_a_bundle_is_written_leaves_a_box_that_boots(
    box, bundles, record_property
):
    chance = random.Random(1)
    plug(box, bundles.make(bundles.newer(5)))
    for _ in range(CUTS):
        height = box.status()["head"]["height"]
        box.out("sudo systemd-run --quiet --collect --unit=writing "
                "rauc install /run/stick/update.raucb")  # fmt: skip
        time.sleep(chance.uniform(0, 60))
        box.power_cut()
        box.come_up()
        assert_one_slot_or_the_other_works(box, height)
        assert_root_is_whole(box, bundles)
        box.wait_for_good_slot()
        box.mount_stick()
    record_property("power cuts while a bundle was written", CUTS)


@pytest.mark.full
def test_a_power_cut_before_the_commit_leaves_a_slot(box, bundles, record_property):
    chance = random.Random(2)
    plug(box, bundles.make(bundles.newer(6)))
    for _ in range(CUTS):
        height = box.status()["head"]["height"]
        assert install(box).status == 0
        box.reboot()
        time.sleep(chance.uniform(0, 60))
        box.power_cut()
        box.come_up()
        assert_one_slot_or_the_other_works(box, height)
        box.mount_stick()
        box.wait_for_good_slot()
    record_property("power cuts before a release was committed", CUTS)
