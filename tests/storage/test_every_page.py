"""A bit flips anywhere in a small store: its service starts, or is mended by its next start."""

import random

import pytest

from edgenode.gossip.start_up import noting_damage
from edgenode.ledger.hashes import content_id
from edgenode.ledger.vows import Voter, Vow
from edgenode.protocol.instant import Instant
from edgenode.storage.chain import DamagedStoreError
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, Bench
from tests.protocol.lone_node import lone_node
from tests.storage.test_chain_store import StoredBench, open_again

PAGE = 4096
HEIGHT = 15
VOW = Vow(8, 12)
BITS_OF_A_PAGE = 32
"""Of 32,768: a longer run flips them all."""


class Ward:
    """A closed store with something in most tables, and what the ward's other nodes have."""

    def __init__(self, directory):
        self.bench = bench = StoredBench(directory / "chain.db")
        bench.grow_final(HEIGHT, ALICE, BOB, CAROL)
        chain, fork = bench.chain, Bench()
        blocks = [chain.block(chain.at(h).id) for h in range(1, HEIGHT + 1)]
        self.objects = [(b, [chain.payload(u.payload) for u in b.updates]) for b in blocks]
        for block, payloads in self.objects[:-1]:
            fork.add(block, *payloads)
        chain.add_block(fork.block(miner=BOB), NOW)
        chain.add_header(fork.block(miner=CAROL).header, NOW)
        bench.store.keep_vow(VOW)
        self.waiting, payload = bench.update(BOB, delta=7)
        bench.store.add_waiting(self.waiting, payload)
        self.next = bench.block()
        bench.store.settle()
        bench.store.close()
        self.good = bench.path.read_bytes()

    def spoil(self, offset, bit):
        """Put a copy with one bit flipped in the place of the store."""
        for part in self.bench.path.parent.iterdir():
            part.unlink()
        data = bytearray(self.good)
        data[offset] ^= 1 << bit
        self.bench.path.write_bytes(data)

    def run(self):
        """Run as the service does: take what the peers have, go on by a block.

        Raises:
            DamagedStoreError: damage was met; it is noted.
        """
        chain, store = open_again(self.bench)
        with noting_damage(store):
            node = lone_node(chain, store, Voter(chain.genesis, ALICE, store))
            counted = {t.id for block, _ in self.objects for t in block.transactions}
            assert {t.id for t in store.waiting()} <= {self.waiting.id} | counted
            assert store.vow() in (VOW, None), "a lower one is a vote given twice"
            for block, payloads in self.objects:
                chain.add_block(block, NOW)
                for payload in payloads:
                    if chain.lacks_payload(content_id(payload)):
                        chain.add_payload(payload)
            node.tick(Instant(1.0, NOW))
            node.submit_block(self.next, Instant(2.0, NOW))
            assert chain.head.id == self.next.id
            assert (vow := store.vow()) in (VOW, None) or vow.target > VOW.target
            store.close()


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    return Ward(tmp_path_factory.mktemp("store"))


def goes_on(ward, offset, bit):
    """One start may meet the damage in the end; the next one mends it."""
    ward.spoil(offset, bit)
    try:
        ward.run()
    except DamagedStoreError:
        ward.run()


@pytest.mark.parametrize("part", range(8))
def test_no_bit_of_what_says_how_to_read_the_file_stops_the_service(ward, part):
    for offset in range(part, 100, 8):
        for bit in range(8):
            goes_on(ward, offset, bit)


@pytest.mark.parametrize("seed", range(8))
def test_no_bit_of_any_page_stops_the_service(ward, seed):
    rng = random.Random(seed)
    for page in range(len(ward.good) // PAGE):
        for _ in range(BITS_OF_A_PAGE // 8):
            goes_on(ward, PAGE * page + rng.randrange(PAGE), rng.randrange(8))
