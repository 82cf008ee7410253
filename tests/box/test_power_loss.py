"""Power fails at any flush of a box that collects, trains and mines: nothing it said is lost.

One run is recorded; the disk of each moment is made from the log and looked at on the host. What
the box acknowledged is noted beside the place in the log, so that each disk is held to all that was
said before its moment.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenode.appliance import boot_state
from edgenode.ledger.genesis import Genesis
from qemu import disk, founding
from qemu.box import Box
from qemu.hardware import Hardware
from qemu.patience import Clock
from qemu.replay import Replay, choose
from qemu.write_log import WriteLog, logged
from tests.box import stores
from tests.box.guest import flashed
from tests.box.stores import Said, Stores

pytestmark = pytest.mark.full

CUTS = 100
SEED = 1
BLOCKS = 12
ROUNDS = 2
HOST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run; `said` has how many writes were done for sure when the box said it."""

    folder: Path
    key: Path
    genesis: Genesis
    log: WriteLog
    base: Path
    said: list[tuple[int, Said]]

    def due(self, boundary: int) -> list[Said]:
        """What was said while no more than these writes were done."""
        return [said for entries, said in self.said if entries <= boundary]


@pytest.fixture(scope="module")
def run(image: Path, recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A box boots for the first time, is taken into its ward, collects, trains and mines."""
    folder = tmp_path_factory.mktemp("power")
    writes = folder / "writes.log"
    with flashed(image, recorded, folder, write_log=writes) as box:
        base = disk.to_raw(box.machine.disk, folder / "base.img")
        box.come_up()
        genesis = box.found()
        said = list(what_it_says(box, writes))
        box.machine.quit()
    log = WriteLog.read(writes, disk.size_of(base))
    yield Run(folder, box.key, genesis, log, base, said)
    shutil.rmtree(folder)


def what_it_says(box: Box, writes: Path) -> Iterator[tuple[int, Said]]:
    """All that a box says until it has mined and trained enough."""
    clock = Clock(HOST_SECONDS)
    while clock.left:
        said = stores.ask(box)
        yield logged(writes), said
        if said.height >= BLOCKS and said.round >= ROUNDS:
            return
        time.sleep(1)
    pytest.fail(f"the box came to {said}")


def test_after_a_power_cut_at_any_flush_nothing_is_missing(run: Run, record_property):
    boundaries = run.log.boundaries()
    assert len(boundaries) >= CUTS
    assert run.said[-1][1].samples > 0
    replay = Replay(run.log, run.base, run.folder / "replay.img")
    firmware = disk.partition(run.base, disk.SETTINGS_PARTITION)
    strays, with_chain, height = 0, 0, 0
    for cut in choose(run.log, CUTS, SEED):
        with replay.at(cut) as image:
            assert_a_slot_can_be_picked(image, firmware)
            found = Stores(image, run.genesis, run.folder)
            due = run.due(cut.boundary)
            height = found.assert_blocks(due)
            found.assert_samples(max((said.samples for said in due), default=0))
        strays += bool(cut.also)
        with_chain += height > 0
    assert with_chain > CUTS // 10
    record_property("writes recorded", len(run.log.entries))
    record_property("moments at which something was safe", len(boundaries))
    record_property("power cuts replayed", CUTS)
    record_property("of them with writes kept that were not flushed", strays)
    record_property("of them with a chain", with_chain)


def test_the_chain_of_the_last_moment_is_valid_from_its_first_block_on(run: Run):
    replay = Replay(run.log, run.base, run.folder / "last.img")
    replay.advance(len(run.log.entries))
    found = Stores(replay.image, run.genesis, run.folder)
    assert found.assert_valid_from_the_first_block_on() >= BLOCKS


def test_a_box_boots_from_the_disk_of_a_power_cut_and_goes_on(run: Run):
    replay = Replay(run.log, run.base, run.folder / "boot.img")
    cut = choose(run.log, CUTS, SEED)[-CUTS // 4]
    due = max((said.height for said in run.due(cut.boundary)), default=0)
    with (
        replay.at(cut) as image,
        Box("bed-1", image, run.folder / "again", run.key, hardware=Hardware()) as box,
    ):
        box.start()
        box.wait()
        founding.accept_clock(box)
        height = stores.ask(box).height
        assert height >= due
        assert box.run("systemctl list-units --failed --no-legend --plain").stdout == ""
        clock = Clock(HOST_SECONDS)
        while stores.ask(box).height <= height:
            assert clock.left, "it mines no more"
            time.sleep(2)


def assert_a_slot_can_be_picked(image: Path, firmware: disk.Partition) -> None:
    copies = [disk.read_file(image, firmware, f"bootstate.{copy}") for copy in (0, 1)]
    state, _ = boot_state.newest(copies)
    assert state.primary is boot_state.Slot.A
