"""A store is verified from its first block on, and repaired from what is legible of it."""

import fcntl
import os

import numpy as np
import pytest

from edgenode.cli.new_genesis import new_genesis
from edgenode.gossip.start_up import genesis_parameters
from edgenode.learning import update_codec
from edgenode.learning.fixed_point import to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Member
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.hashes import content_id
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.ledger.verification import Checked, Fault, Verification
from edgenode.ledger.vows import Vow
from edgenode.storage.chain import SqliteChainStore
from edgenode.storage.keyfile import write_key
from tests.conftest import require_root
from tests.ledger.builder import ALICE, BOB, NOW, Bench

BLOCKS = 9


class StoredWard(Bench):
    """A chain of the first real task in a node's state directory."""

    def __init__(self, directory):
        self.genesis = new_genesis(
            name="stored",
            time=1_700_000_000,
            members=[Member("alice", ALICE.public.hex()), Member("bob", BOB.public.hex())],
            models=["activity"],
            hash_rate=0.1,
        )
        (directory / "genesis.toml").write_text(format_genesis(self.genesis))
        write_key(directory / "ward.key", bytes(32), "ward")
        write_key(directory / "member.key", ALICE.seed, "member")
        (directory / "edgenode.toml").write_text(
            '[node]\nname = "bed-1"\ngenesis = "genesis.toml"\nstate = "state"\n'
            'api = "node.sock"\n[gossip]\nsync = "127.0.0.1:7070"\nbroadcast = "127.0.0.1:7071"\n'
            'ward_key = "ward.key"\nmember_key = "member.key"\n'
        )
        self.path = directory / "state" / "gossip" / "chain.db"
        self.path.parent.mkdir(parents=True)
        self.store = SqliteChainStore(self.path, self.genesis.id)
        self.chain = Chain(self.genesis, genesis_parameters(self.genesis), self.store)


@pytest.fixture
def ward(tmp_path):
    ward = StoredWard(tmp_path)
    ward.grow(BLOCKS)
    yield ward
    ward.store.close()


@pytest.fixture
def ask(edgenode, tmp_path):
    return lambda *arguments: edgenode("--config", tmp_path / "edgenode.toml", *arguments)


def test_a_sound_store_is_verified(ward, ask):
    ran = ask("chain", "verify")
    assert (ran.code, ran.err) == (0, "")
    assert f"{BLOCKS} blocks with 0 updates are as they must be" in ran.out
    assert ask("--json", "chain", "verify").document == {
        "from": 0,
        "blocks": BLOCKS,
        "updates": 0,
        "faults": [],
    }


SPOILS = {
    "UPDATE block SET raw = zeroblob(length(raw)) WHERE height = 4": "height 4: ",
    "DELETE FROM block WHERE height = 5": "height 5: block ",
    "UPDATE block SET undo = zeroblob(length(undo)) WHERE height = 3": "height 3: its undo record",
    "DELETE FROM record WHERE hex(key) LIKE '05%'": "the records at the head",
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_what_the_disk_has_altered_is_named_and_repaired(ward, ask, spoil):
    ward.store._db.execute(spoil)
    ran = ask("chain", "verify")
    assert ran.code == 5
    assert SPOILS[spoil] in ran.out
    assert "edgenode chain repair" in ran.err
    ward.store.close()
    told = ask("chain", "repair")
    assert told.code == 0
    assert "would be put aside" in told.out
    assert ask("chain", "verify").code == 5, "nothing was done yet"
    assert ask("chain", "repair", "--yes").code == 0
    assert list(ward.path.parent.glob("chain.db.damaged-1"))
    assert ask("chain", "verify").code == 0


REST = {
    "UPDATE parameters SET raw = zeroblob(length(raw))": "parameters ",
    "UPDATE block SET raw = zeroblob(length(raw)) WHERE undo IS NULL": "block ",
    "UPDATE block SET height = 3 WHERE undo IS NULL": "the height of block ",
    "UPDATE mempool SET raw = zeroblob(length(raw))": "waiting transaction ",
    "UPDATE payload SET raw = zeroblob(length(raw))": "payload ",
    "DELETE FROM payload": "the payload of waiting update ",
    "DELETE FROM payload_user": "what waiting update ",
    "UPDATE meta SET value = zeroblob(8) WHERE key = 'vow'": "vow in its table meta",
    "UPDATE beside SET work = zeroblob(32)": "header ",
    "UPDATE state SET raw = zeroblob(length(raw))": "the state after it",
}


@pytest.mark.parametrize("spoil", REST)
def test_what_is_beside_the_chain_above_it_or_waits_is_verified_too(ward, spoil):
    """All but the chain's own blocks."""
    ward.grow(STATE_INTERVAL)
    parameters = genesis_parameters(ward.genesis)
    other = Bench(ward.genesis, parameters=parameters)
    for height in range(1, ward.chain.head.height):
        other.add(ward.chain.block(ward.chain.at(height).id))
    ward.chain.add_block(other.block(miner=BOB), NOW)
    payload = update_codec.encode(np.zeros(len(parameters[0]), np.int32), Codec.INT32)
    update, _ = ward.update(payload=content_id(payload), payload_length=len(payload))
    ward.store.add_waiting(update, payload)
    ward.store.keep_vow(Vow(1, 2))
    root = content_id(to_bytes(parameters[0]))
    ward.store._db.execute(
        "INSERT INTO parameters VALUES (?, 1, NULL, ?)", (root, to_bytes(parameters[0]))
    )
    assert found_in(ward, parameters) == []
    assert ward.store._db.execute(spoil).rowcount == 1
    assert REST[spoil] in found_in(ward, parameters)[0].what


def found_in(ward, parameters):
    checks = Verification(ward.chain, ward.store, parameters).run()
    return [found for found in checks if isinstance(found, Fault)]


def test_what_is_verified_does_not_leave_a_long_log_behind(ward):
    """While somebody reads all, the log grows; then it is cut back."""
    seen = SqliteChainStore(ward.path, ward.genesis.id, still=True)
    seen.head()
    for number in range(12):
        payload = bytes([number]) * 1_000_000
        ward.store.add_payload(content_id(payload), payload)
    log = ward.path.with_name("chain.db-wal")
    assert log.stat().st_size > 12_000_000
    seen.close()
    for _ in range(2):
        ward.store.add_payload(content_id(b"x"), b"x")
    assert log.stat().st_size < 5_000_000


def test_repair_leaves_a_running_node_alone(ward, ask, tmp_path):
    with (ward.path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = ask("chain", "repair", "--yes")
    assert ran.code == 5
    assert "another gossip service uses" in ran.err
    assert ward.path.exists()


def test_what_root_repairs_stays_the_service_s(ward, ask):
    require_root("work as another")
    service = 65534
    ward.store.close()
    state = ward.path.parent
    for file in (state, *state.iterdir()):
        os.chown(file, service, service)
    assert ask("chain", "repair", "--yes").code == 0
    owners = {file.name: file.stat().st_uid for file in state.iterdir()}
    assert owners == dict.fromkeys(owners, service)
    assert {"chain.db", "chain.db.damaged-1", "lock"} <= owners.keys()


def test_without_a_store_there_is_nothing_to_verify_or_repair(ward, ask):
    ward.path.unlink()
    for command in ("verify", "repair"):
        ran = ask("chain", command)
        assert ran.code == 5
        assert "there is no store" in ran.err


def test_a_store_is_verified_as_it_stood_whatever_its_node_does_meanwhile(ward):
    seen = SqliteChainStore(ward.path, ward.genesis.id, still=True)
    parameters = genesis_parameters(ward.genesis)
    chain = Chain(ward.genesis, parameters, seen)
    checks = Verification(chain, seen, parameters).run()
    found = [next(checks)]
    ward.grow(3)
    ward.store._db.execute("DELETE FROM block WHERE height < 5")  # as if they were let go
    assert [*found, *checks] == [Checked(height, 0) for height in range(1, BLOCKS + 1)]
    seen.close()


def test_of_a_store_that_let_blocks_go_the_rest_is_verified(ward, ask):
    ward.grow(STATE_INTERVAL)
    ward.store.raise_floor(STATE_INTERVAL - 1)
    while ward.store.drop_below_floor(16):
        pass
    ran = ask("chain", "verify")
    assert (ran.code, ran.err) == (0, "")
    assert f"{BLOCKS + 1} blocks with 0 updates from height {STATE_INTERVAL - 1} on" in ran.out
    ward.store._db.execute("UPDATE state SET raw = zeroblob(length(raw))")
    ran = ask("chain", "verify")
    assert ran.code == 5
    assert f"height {STATE_INTERVAL - 1}: the state after it" in ran.out
