"""The power goes at random moments while a box collects, trains and mines: it comes back by itself.

QEMU is killed. What the host's page cache spares so is the subject of `test_power_loss.py`.
"""

from __future__ import annotations

import random
import time

from qemu import disk
from qemu.patience import Clock
from tests.box import extent, stores
from tests.box.guest import flashed
from tests.box.stores import Said, Stores

CUTS = extent.count(short=2, full=20)
SEED = 1
MOST_SECONDS = 60
"""Of work between two cuts: a few blocks and a round."""


def test_a_box_comes_back_from_power_cuts_with_all_that_it_said(
    image, recorded, tmp_path, record_property
):
    chance = random.Random(SEED)
    stored = 0
    with flashed(image, recorded, tmp_path) as box:
        box.come_up()
        genesis = box.found()
        said = work(box, until=lambda said: said.height >= 2 and said.round >= 1)
        for _ in range(CUTS):
            moment = Clock(chance.uniform(1, MOST_SECONDS))
            said += work(box, until=lambda _, moment=moment: not moment.left)
            box.power_cut()
            raw = disk.to_raw(box.machine.disk, tmp_path / "raw.img")
            found = Stores(raw, genesis, tmp_path)
            found.assert_blocks(said)
            # The collector counts from its start on.
            stored = found.assert_samples(stored + max(line.samples for line in said))

            box.come_up()
            assert box.failed_units() == ""
            box.settle()
            box.wait_for_services()
            now = stores.ask(box)
            assert now.height >= said[-1].height
            said = work(box, until=lambda line, now=now: line.height > now.height and line.samples)
        found.assert_valid_from_the_first_block_on()
    record_property("power cuts while it worked", CUTS)
    record_property("height of the chain at the last of them", now.height)
    record_property("samples stored by then", stored)


def work(box, until) -> list[Said]:
    """All that a box says until it has said this."""
    said = [stores.ask(box)]
    while not until(said[-1]):
        time.sleep(1)
        said.append(stores.ask(box))
    return said
