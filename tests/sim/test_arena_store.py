"""The store of a simulated box answers from memory what its database would answer."""

from edgenode.ledger.chain import Chain
from edgenode.ledger.retention import Retention
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.sim.arena import ArenaStore
from edgenode.storage.chain import SqliteChainStore
from tests.ledger.builder import ALICE, BOB, CAROL, Bench, initial_parameters
from tests.ledger.test_joining import give, snapshot


def assert_as_in_the_database(store, names):
    assert list(store.under(b"")) == list(SqliteChainStore.under(store, b""))
    held = {name for name in names if SqliteChainStore.has_block(store, name)}
    assert {name for name in names if store.has_block(name)} == held
    return held


def test_it_knows_what_the_database_holds_also_when_a_state_was_joined_and_blocks_were_let_go():
    source, joiner = Bench(), Bench()
    source.grow_final(2 * STATE_INTERVAL + 9, ALICE, BOB, CAROL)
    store = joiner.store = ArenaStore(joiner.genesis.id)
    keeping = Retention(blocks=10)
    joiner.chain = Chain(joiner.genesis, (initial_parameters(),), store, keeping)
    joiner.round(BOB, miner=BOB)
    names = [joiner.chain.head.id, *(source.chain.at(h).id for h in range(1, 266))]
    assert len(assert_as_in_the_database(store, names)) == 1
    trunk = source.store.headers.raw(1, source.chain.head.height)
    assert joiner.chain.add_headers(trunk, 2**31).fault is None
    floor = 2 * STATE_INTERVAL - 1
    give(source, joiner, floor, floor + 1)
    joiner.chain.join_at(snapshot(source, floor))
    assert len(assert_as_in_the_database(store, names)) == 3
    joiner.chain.let_go()
    assert len(assert_as_in_the_database(store, names)) == 2
    store.drop_block(source.chain.at(floor + 1).id)
    assert len(assert_as_in_the_database(store, names)) == 1
