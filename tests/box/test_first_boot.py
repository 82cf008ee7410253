"""First boots that do not go as they should: the box comes up to be mended, and says why."""

from datetime import UTC, datetime

from qemu.box import SETTINGS
from qemu.settings import text
from tests.box.guest import flashed


def test_wrong_settings_and_a_clock_of_1970_leave_a_box_that_can_be_mended(
    image, recorded, tmp_path
):
    with flashed(image, recorded, tmp_path, rtc=datetime(1970, 1, 1, tzinfo=UTC)) as box:
        right = text({**box.tables, "firewall": {"metrics_from": ["192.168.1.9"]}})
        box.write_card({SETTINGS: right.replace("[miner]\nshare = ", "[miner]\nshar = ")})
        box.come_up()
        assert "shar" in box.machine.console.text
        assert "shar" in box.out("sudo journalctl --boot --output=cat -u edgenode-setup")
        state, words, status = box.doctor("settings")
        assert state == "fail"
        assert "shar" in words
        assert status != 0
        # What is right holds.
        assert "192.168.1.9" in box.out("sudo nft list set inet edgenode metrics_from4")

        # No board's clock is believed; the release's own time is the least that it can be.
        built = int(box.out("stat -c %Y /usr/lib/edgenode/release"))
        assert int(box.out("date +%s")) >= built
        assert box.doctor("clock")[0] != "ok"

        box.put_on_card({SETTINGS: right})
        box.reboot()
        assert box.doctor("settings")[0] == "ok"
