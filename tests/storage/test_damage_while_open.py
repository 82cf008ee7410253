"""Damage to the files of a store that a service has open."""

import contextlib
import random
import shutil

import pytest

from edgenode.ledger.chain import Chain
from edgenode.ledger.store import MissingDataError
from edgenode.storage.chain import DamagedStoreError, SqliteChainStore, StoreError
from tests.ledger.builder import ALICE, BOB, CAROL, Bench, initial_parameters


class StoredBench(Bench):
    """A bench whose store is a file."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        self.store = SqliteChainStore(path, self.genesis.id)
        self.chain = Chain(self.genesis, (initial_parameters(),), self.store)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A store of 300 blocks, closed, and all that is true of it.

    By kind what a node would give to others, by name; and the parameters at some heights.
    """
    bench = StoredBench(tmp_path_factory.mktemp("store") / "chain.db")
    while bench.chain.head.height < 300:
        bench.round(ALICE, BOB)
        bench.grow(3, miner=CAROL)
    chain, served = bench.chain, bench.chain.served
    blocks = [chain.block(chain.at(h).id) for h in range(1, chain.head.height + 1)]
    named = {
        "block": {block.id for block in blocks},
        "payload": {update.payload for block in blocks for update in block.updates},
        "parameters": {model.root for block in blocks for model in block.coinbase.models},
        "state": {block.coinbase.state for block in blocks} - {None},
    }
    true = {
        kind: {name: getattr(served, kind)(name) for name in names} for kind, names in named.items()
    }
    assert all(any(objects.values()) for objects in true.values())
    at = {h: chain.parameters_at(chain.at(h))[0].tobytes() for h in range(0, 301, 20)}
    bench.store.close()
    return bench, true, at


@pytest.mark.parametrize("seed", range(40))
def test_what_is_given_is_true_whatever_happens_to_the_file(grown, tmp_path, seed):
    """Bits, pages and the end of the file change under an open store that has read little of it."""
    bench, true, at = grown
    path = tmp_path / "chain.db"
    shutil.copy(bench.path, path)
    store = SqliteChainStore(path, bench.genesis.id)
    chain = Chain(bench.genesis, (initial_parameters(),), store)
    store._db.execute("PRAGMA cache_size = 0")
    harm(path, random.Random(seed))
    for kind, objects in true.items():
        for name, expected in objects.items():
            with contextlib.suppress(StoreError):
                given = getattr(chain.served, kind)(name)
                assert given in (None, expected), f"{kind} {name.hex()} is altered"
    for height, expected in at.items():
        with contextlib.suppress(StoreError, MissingDataError):
            assert chain.parameters_at(chain.at(height))[0].tobytes() == expected
    store._db.close()


def harm(path, rng):
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 8, 64, 512])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    for _ in range(rng.randrange(4)):
        start = 4096 * rng.randrange(len(data) // 4096)
        data[start : start + 4096] = bytes(4096)
    with path.open("r+b") as file:
        file.write(data)
        if rng.randrange(4) == 0:
            file.truncate(rng.randrange(len(data)))


@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("instead", [None, b"something else"])
def test_a_file_that_is_removed_or_replaced_is_missed_before_anything_is_written(
    tmp_path, ending, instead
):
    bench = StoredBench(tmp_path / "chain.db")
    bench.grow(2)
    part = tmp_path / f"chain.db{ending}"
    part.unlink()
    if instead is not None:
        part.write_bytes(instead)
    with pytest.raises(DamagedStoreError, match=f"{part} was removed or replaced"):
        bench.grow(1)
    assert not bench.store._db.in_transaction


def test_files_that_stay_are_not_missed(tmp_path):
    bench = StoredBench(tmp_path / "chain.db")
    bench.grow(2)
    bench.store.settle()
    bench.grow(2)
    assert bench.chain.head.height == 4


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_what_was_in_a_log_that_is_removed_is_kept_when_the_store_is_closed(tmp_path, ending):
    """The process has it open still: it brings it into the database at the end."""
    bench = StoredBench(tmp_path / "chain.db")
    bench.grow(5)
    head = bench.chain.head.id
    (tmp_path / f"chain.db{ending}").unlink()
    with pytest.raises(DamagedStoreError):
        bench.grow(1)
    bench.store.close()
    store = SqliteChainStore(bench.path, bench.genesis.id)
    assert Chain(bench.genesis, (initial_parameters(),), store).head.id == head
    store.close()
