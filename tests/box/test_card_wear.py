"""What a box writes to its card, at the pace of life: how long a card lasts hangs on it."""

import time

import pytest

from tests.box.guest import flashed

pytestmark = pytest.mark.full

SPACING = 90
SETTLING = 300
SECONDS = 1200
SECTOR = 512
MOST_PER_HOUR = 1e9
"""At which a card of 32 GB that stands 500 writes of each cell lasts for two years."""


def test_what_is_written_to_the_card(image, recorded, tmp_path, record_property):
    with flashed(image, recorded, tmp_path, speed=1) as box:
        box.come_up()
        box.found(SPACING)
        box.wait_for_services()
        while box.status()["head"]["models"][0]["round"] < 1:
            time.sleep(2)
        time.sleep(SETTLING)  # until its difficulty is right
        at_work = per_hour(box)
        record_property("written in an hour, collecting, training and mining", megabytes(at_work))
        assert at_work < MOST_PER_HOUR
        box.out("sudo systemctl stop edgenode-collector edgenode-trainer")
        record_property("written in an hour, mining without wearables", megabytes(per_hour(box)))
        box.out("sudo systemctl stop edgenode-miner")
        record_property("written in an hour, idle", megabytes(per_hour(box)))


def per_hour(box):
    """Bytes that the box writes in an hour, from what it writes in a shorter while."""
    box.out("sync")
    before, began = written(box), time.monotonic()
    time.sleep(SECONDS)
    box.out("sync")
    return (written(box) - before) * 3600 / (time.monotonic() - began)


def megabytes(size):
    return f"{size / 1e6:.1f} MB"


def written(box):
    """Bytes that the box has written to its card since it was started."""
    card = "$(lsblk --noheadings --output PKNAME $(findmnt --noheadings --output SOURCE /data))"
    return SECTOR * int(box.out(f"cat /sys/class/block/{card}/stat").split()[6])
