"""The image is a Pi's: its own loader, kernel and root file system start on QEMU's Pi 3B."""

import pytest

from qemu import disk
from qemu.box import SETTINGS, Box
from qemu.patience import BOOT_PATIENCE
from qemu.pi import pi_3
from qemu.settings import for_box, text
from qemu.ssh import make_key, public_key

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(3 * BOOT_PATIENCE)]


def test_the_image_reaches_the_login_prompt_on_a_pi_3(image, tmp_path):
    hardware = pi_3(image, tmp_path / "firmware")
    key = make_key(tmp_path / "key")
    with Box(
        "pi", image, tmp_path / "pi", key, hardware=hardware, size=disk.card_size(image)
    ) as box:
        box.write_card({SETTINGS: text(for_box("pi", [public_key(key)]))})
        box.start()
        box.machine.wait_for(r"edgenode: slot A", BOOT_PATIENCE)
        box.machine.wait_for(r"Starting kernel", BOOT_PATIENCE)
        # It has applied the settings on its card and made its keys.
        box.machine.wait_for(r"^edgenode box pi$", BOOT_PATIENCE)
        box.machine.wait_for(r"member key  [0-9a-f]{64}$", BOOT_PATIENCE)
        box.machine.wait_for(r"^pi login: ", BOOT_PATIENCE)
