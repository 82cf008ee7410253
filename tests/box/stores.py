"""What a box said, and what its disk holds of it, looked at with the services' own code."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from edgenode.gossip.start_up import genesis_parameters
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import display
from edgenode.ledger.transaction import Update
from edgenode.storage.chain import SqliteChainStore
from edgenode.storage.samples_reader import BEGINNING, SampleReader
from edgenode.tasks.stream import SampleBlock
from image.layout import PI
from qemu import ext4, founding
from qemu.box import Box

STATE = "/state/var/lib/edgenode"


@dataclass(frozen=True, slots=True)
class Said:
    """What a box said of itself at one moment.

    Attributes:
        height: Of the head.
        head: Its id.
        round: The model's.
        samples: How many the collector has stored since it was started.
    """

    height: int
    head: str
    round: int
    samples: int


def ask(box: Box) -> Said:
    """What it says now."""
    status = founding.status(box)
    collector = status["services"].get("collector", {}).get("values", {})
    head = status["head"]
    samples = int(collector.get("stored_samples_total", 0))
    return Said(head["height"], head["id"], head["models"][0]["round"], samples)


class Stores:
    """The services' state on a disk, as the mount after a power cut shows it.

    Attributes:
        empty: Whether there is none: the power went before the first boot's end.
    """

    def __init__(self, image: Path, genesis: Genesis, folder: Path) -> None:
        """Replay the data partition's journal and check it, in copies in the folder.

        Raises:
            QemuError: The file system cannot be mended by its journal alone.
        """
        self._genesis = genesis
        copies = folder / "state"
        shutil.rmtree(copies, ignore_errors=True)
        data = ext4.take_out(image, PI["data"].number, folder / "data.img")
        try:
            self._state = ext4.copy_out(data, STATE, copies)
        except ext4.NotThereError:
            self._state = copies
        self.empty = not (self._state / "gossip" / "chain.db").exists()

    def _open_chain(self) -> tuple[Chain, SqliteChainStore]:
        # As the service does; a damaged store raises.
        store = SqliteChainStore(self._state / "gossip" / "chain.db", self._genesis.id)
        return Chain(self._genesis, genesis_parameters(self._genesis), store), store

    def assert_blocks(self, due: list[Said]) -> int:
        """Hold the chain to what was said of it; its height."""
        if self.empty:
            assert not due
            return 0
        chain, store = self._open_chain()
        for said in due:
            entry = chain.at(said.height)
            assert entry is not None, f"block {said.height} was shown and is gone"
            assert display(entry.id) == said.head
        store.close()
        return chain.head.height

    def assert_samples(self, due: int) -> int:
        """Hold the sample store to a number of samples; how many it has."""
        reader = SampleReader(self._state / "samples" / "samples.db")
        records, _ = reader.read_after(BEGINNING, 1 << 20)
        stored = sum(len(record.values) for record in records if isinstance(record, SampleBlock))
        assert reader.damaged == 0
        assert stored >= due
        reader.close()
        return stored

    def assert_valid_from_the_first_block_on(self) -> int:
        """Take up the whole chain anew, with nothing believed; its height."""
        chain, store = self._open_chain()
        fresh_store = SqliteChainStore(":memory:", self._genesis.id)
        fresh = Chain(self._genesis, genesis_parameters(self._genesis), fresh_store)
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
        store.close()
        fresh_store.close()
        return chain.head.height
