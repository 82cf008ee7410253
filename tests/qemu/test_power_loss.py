"""Power fails at every flush of a box that collects, trains and mines: nothing it said is lost.

One run is recorded; the disk of each moment is made from the log and looked at on the host. What
the box acknowledged is noted beside the place in the log, so that each disk is held to all that was
said before its moment.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgenode.appliance import boot_state
from edgenode.gossip.start_up import genesis_parameters
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import display
from edgenode.ledger.transaction import Update
from edgenode.storage.chain import SqliteChainStore
from edgenode.storage.samples_reader import BEGINNING, SampleReader
from edgenode.tasks.stream import SampleBlock
from qemu import disk, ext4, founding, settings
from qemu.box import SETTINGS, Box
from qemu.hardware import Hardware
from qemu.patience import BOOT_PATIENCE, Clock
from qemu.radio import Place
from qemu.radio_process import RadioProcess
from qemu.replay import Replay, choose
from qemu.ssh import make_key, public_key
from qemu.write_log import WriteLog, logged

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(6 * BOOT_PATIENCE)]

CUTS = int(os.environ.get("EDGENODE_CUTS", "100"))
SEED = 1
BLOCKS = 12
ROUNDS = 2
DATA = 7
STATE = "/state/var/lib/edgenode"
HOST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a box said, and how many writes were done for sure when it had."""

    entries: int
    height: int
    head: str
    samples: int


@dataclass(frozen=True, slots=True)
class Run:
    """A recorded run."""

    folder: Path
    image: Path
    key: Path
    genesis: Genesis
    log: WriteLog
    base: Path
    said: list[Said]


@pytest.fixture(scope="module")
def run(image: Path, recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A box boots for the first time, is taken into its ward, collects, trains and mines."""
    folder = tmp_path_factory.mktemp("power")
    key = make_key(folder / "key")
    writes = folder / "writes.log"
    place = Place((1, 2), folder / "radio.sock")
    hardware = Hardware(write_log=writes, radio=place.socket)
    radio = RadioProcess([place], folder / "radio.log", recordings=recorded, speed=8)
    with radio, Box("bed-1", image, folder / "bed-1", key, hardware=hardware) as box:
        tables = settings.for_box("bed-1", [public_key(key)])
        sensors = ["F0:0E:00:00:00:01"]
        tables |= settings.for_member([], bytes(range(32)), sensors, share=0.2)
        box.write_card({SETTINGS: settings.text(tables)})
        base = disk.to_raw(box.machine.disk, folder / "base.img")
        box.start()
        box.wait()
        box.attach_radio()
        genesis = founding.found([box], spacing=10)
        said = list(what_it_says(box, writes))
        box.machine.quit()
    log = WriteLog.read(writes, disk.size_of(base))
    yield Run(folder, image, key, genesis, log, base, said)
    shutil.rmtree(folder)


def what_it_says(box: Box, writes: Path) -> Iterator[Said]:
    """All that a box says until it has mined and trained enough."""
    clock = Clock(HOST_SECONDS)
    while clock.left:
        status = founding.status(box)
        head = status["head"]
        collector = status["services"].get("collector", {}).get("values", {})
        samples = int(collector.get("stored_samples_total", 0))
        yield Said(logged(writes), head["height"], head["id"], samples)
        if head["height"] >= BLOCKS and head["models"][0]["round"] >= ROUNDS:
            return
        time.sleep(1)
    pytest.fail(f"the box came to {status}")


def test_after_a_power_cut_at_any_flush_nothing_is_missing(run: Run, record_property):
    boundaries = run.log.boundaries()
    assert len(boundaries) >= CUTS
    assert run.said[-1].samples > 0
    replay = Replay(run.log, run.base, run.folder / "replay.img")
    firmware = disk.partition(run.base, disk.SETTINGS_PARTITION)
    strays, with_chain, height = 0, 0, 0
    for cut in choose(run.log, CUTS, SEED):
        with replay.at(cut) as image:
            assert_a_slot_can_be_picked(image, firmware)
            stores = state_of(image, run.folder)
            due = [said for said in run.said if said.entries <= cut.boundary]
            height = assert_no_block_is_missing(stores, run.genesis, due)
            assert_no_sample_is_missing(stores, due)
        strays += bool(cut.also)
        with_chain += height > 0
    assert with_chain > CUTS // 10
    record_property("writes recorded", len(run.log.entries))
    record_property("moments at which something was safe", len(boundaries))
    record_property("power cuts replayed", CUTS)
    record_property("of them with writes kept that were not flushed", strays)
    record_property("of them with a chain", with_chain)
    record_property("blocks at the last", height)


def test_the_chain_of_the_last_moment_is_valid_from_its_first_block_on(run: Run):
    replay = Replay(run.log, run.base, run.folder / "last.img")
    replay.advance(len(run.log.entries))
    stores = state_of(replay.image, run.folder)
    chain, store = open_chain(stores, run.genesis)
    fresh_store = SqliteChainStore(":memory:", run.genesis.id)
    fresh = Chain(run.genesis, genesis_parameters(run.genesis), fresh_store)
    for height in range(1, chain.head.height + 1):
        entry = chain.at(height)
        assert entry is not None
        block = chain.block(entry.id)
        assert isinstance(block, Block)
        fresh.add_block(block, int(time.time()))
        for transaction in block.transactions:
            if isinstance(transaction, Update):
                payload = chain.payload(transaction.payload)
                assert payload is not None
                fresh.add_payload(payload)
    while fresh.advance()[0] is not None:
        continue
    assert fresh.head.id == chain.head.id
    assert chain.head.height >= BLOCKS
    store.close()
    fresh_store.close()


def test_a_box_boots_from_the_disk_of_a_power_cut_and_goes_on(run: Run):
    replay = Replay(run.log, run.base, run.folder / "boot.img")
    cut = choose(run.log, CUTS, SEED)[-CUTS // 4]
    due = [said for said in run.said if said.entries <= cut.boundary]
    with (
        replay.at(cut) as image,
        Box("bed-1", image, run.folder / "again", run.key, hardware=Hardware()) as box,
    ):
        box.start()
        box.wait()
        founding.accept_clock(box)
        status = founding.status(box)
        assert status["head"]["height"] >= max((said.height for said in due), default=0)
        assert box.run("systemctl list-units --failed --no-legend --plain").stdout == ""
        clock = Clock(HOST_SECONDS)
        while founding.status(box)["head"]["height"] <= status["head"]["height"]:
            assert clock.left, "it mines no more"
            time.sleep(2)


def assert_a_slot_can_be_picked(image: Path, firmware: disk.Partition) -> None:
    copies = [disk.read_file(image, firmware, f"bootstate.{copy}") for copy in (0, 1)]
    state, _ = boot_state.newest(copies)
    assert state.primary is boot_state.Slot.A


def state_of(image: Path, folder: Path) -> Path:
    """The services' state as a mount after the cut shows it; empty before the first boot's end."""
    out = folder / "state"
    shutil.rmtree(out, ignore_errors=True)
    data = ext4.take_out(image, DATA, folder / "data.img")
    try:
        return ext4.copy_out(data, STATE, out)
    except ext4.NotThereError:
        return out


def open_chain(stores: Path, genesis: Genesis) -> tuple[Chain, SqliteChainStore]:
    """Load the chain as the service does; a damaged store raises."""
    store = SqliteChainStore(stores / "gossip" / "chain.db", genesis.id)
    return Chain(genesis, genesis_parameters(genesis), store), store


def assert_no_block_is_missing(stores: Path, genesis: Genesis, due: list[Said]) -> int:
    """Height of the chain."""
    if not (stores / "gossip" / "chain.db").exists():
        assert not due
        return 0
    chain, store = open_chain(stores, genesis)
    for said in due:
        entry = chain.at(said.height)
        assert entry is not None, f"block {said.height} was shown and is gone"
        assert display(entry.id) == said.head
    store.close()
    return chain.head.height


def assert_no_sample_is_missing(stores: Path, due: list[Said]) -> None:
    reader = SampleReader(stores / "samples" / "samples.db")
    records, _ = reader.read_after(BEGINNING, 1 << 20)
    stored = sum(len(record.values) for record in records if isinstance(record, SampleBlock))
    assert reader.damaged == 0
    assert stored >= max((said.samples for said in due), default=0)
    reader.close()
