"""Old blocks are let go; what is kept can be checked, served and left by itself."""

import pytest

from edgenode.ledger import finality
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import content_id
from edgenode.ledger.retention import ALL, STATES_SHOWN, Retention, least_kept
from edgenode.ledger.store import MissingDataError
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.ledger.verification import Checked, Fault, Verification
from edgenode.storage import chain as chain_store
from tests.ledger.builder import ALICE, BOB, CAROL, Bench, initial_parameters, make_genesis

LEAST = least_kept(make_genesis())
HEIGHT = LEAST + 2 * STATE_INTERVAL + 10
FLOOR = 2 * STATE_INTERVAL - 1
"""The highest state that is `LEAST` blocks below `HEIGHT`."""


def settled(bench):
    """Let go until nothing is left to be let go."""
    for _ in range(100):
        bench.chain.let_go()


def test_states_and_parameters_above_the_lowest_are_looked_at(bench):
    settled(bench)
    assert faults(bench) == []
    database = bench.store._db
    states = database.execute(
        "UPDATE state SET raw = zeroblob(length(raw)) WHERE height <> ?", (FLOOR,)
    )
    assert [(f.height, f.what) for f in faults(bench)] == [
        (height, "the state after it is missing or altered")
        for height in bench.store.states()
        if height != FLOOR
    ]
    assert len(faults(bench)) == states.rowcount > 1
    kept = database.execute(
        "UPDATE parameters SET raw = zeroblob(length(raw)) WHERE height BETWEEN ? AND ?",
        (FLOOR + 1, HEIGHT - 3),
    )
    assert len(faults(bench)) == states.rowcount + kept.rowcount


def stored_heights(bench):
    found = (bench.chain.at(height) for height in range(1, bench.chain.head.height + 1))
    return [entry.height for entry in found if bench.store.has_block(entry.id)]


@pytest.fixture
def bench():
    bench = Bench(retention=Retention(blocks=100))
    bench.grow_final(HEIGHT, ALICE, BOB, CAROL)
    return bench


def faults(bench):
    found = Verification(bench.chain, bench.store, (initial_parameters(),)).run()
    return [fault for fault in found if isinstance(fault, Fault)]


def reopened(bench, retention=ALL):
    return Chain(bench.genesis, (initial_parameters(),), bench.store, retention)


def test_blocks_below_the_floor_go_with_their_payloads_and_headers_stay(bench):
    payloads = {
        height: bench.chain.block(bench.chain.at(height).id).updates[0].payload
        for height in (3, FLOOR, FLOOR + 3)
    }
    settled(bench)
    assert bench.chain.floor == FLOOR
    assert stored_heights(bench) == list(range(FLOOR, HEIGHT + 1))
    kept = {height: bench.chain.payload(name) is not None for height, name in payloads.items()}
    assert kept[3] is False
    assert kept[FLOOR + 3] is True
    assert bench.chain.at(1).height == 1
    assert bench.store.states()[0] == FLOOR


def test_what_is_kept_is_checked_from_the_lowest_state_on(bench):
    settled(bench)
    found = list(Verification(bench.chain, bench.store, (initial_parameters(),)).run())
    assert [f for f in found if isinstance(f, Fault)] == []
    assert [f.height for f in found if isinstance(f, Checked)] == list(range(FLOOR + 1, HEIGHT + 1))


@pytest.mark.parametrize("table", ["state", "parameters"])
def test_a_state_that_the_disk_has_altered_is_found(bench, table):
    settled(bench)
    root = bench.chain.block(bench.chain.at(FLOOR).id).coinbase.models[0].root
    where = ("height", FLOOR) if table == "state" else ("root", root)
    bench.store._db.execute(
        f"UPDATE {table} SET raw = zeroblob(length(raw)) WHERE {where[0]} = ?", (where[1],)
    )
    fault = faults(bench)[0]
    assert fault.height == FLOOR
    assert "missing or altered" in fault.what


def test_a_chain_without_its_past_opens_and_goes_on(bench):
    settled(bench)
    parameters, root = bench.parameters(), bench.chain.state.records
    bench.chain = reopened(bench)
    assert bench.parameters() == parameters
    assert dict(bench.chain.state.records.under(b"")) == dict(root.under(b""))
    bench.grow_final(HEIGHT + 20, ALICE, BOB, CAROL)


def test_without_the_state_at_its_floor_a_store_is_not_whole(bench):
    settled(bench)
    bench.store._db.execute("DELETE FROM state WHERE height = ?", (FLOOR,))
    with pytest.raises(MissingDataError, match="lowest kept block"):
        reopened(bench)


def test_parameters_are_there_from_the_floor_on(bench):
    settled(bench)
    below = bench.chain.at(FLOOR)
    assert bench.chain.parameters_at(below)[0] is not None
    with pytest.raises(MissingDataError):
        bench.chain.parameters_at(bench.chain.at(FLOOR - 1))


def test_states_are_stored_as_the_blocks_above_commit_to_them(bench):
    for height in bench.store.states():
        committing = bench.chain.block(bench.chain.at(height + 1).id)
        raw = bench.store.state_at(height)
        assert content_id(raw) == committing.coinbase.state
        assert bench.chain.served.state(committing.coinbase.state) == raw


def test_a_state_on_a_branch_that_was_left_is_forgotten():
    bench, other = Bench(), Bench()
    for each in (bench, other):
        each.grow(STATE_INTERVAL - 3)
    bench.grow(4, miner=BOB)
    assert bench.store.states() == [STATE_INTERVAL - 1]
    before = bench.store.state_at(STATE_INTERVAL - 1)
    other.grow(5, miner=CAROL)
    for height in range(STATE_INTERVAL - 2, other.chain.head.height + 1):
        bench.chain.add_block(other.chain.block(other.chain.at(height).id), 2**31)
    assert bench.chain.advance()[0] is not None
    assert bench.chain.head == other.chain.head
    assert bench.store.states() == [STATE_INTERVAL - 1]
    assert bench.store.state_at(STATE_INTERVAL - 1) == other.store.state_at(STATE_INTERVAL - 1)
    assert bench.store.state_at(STATE_INTERVAL - 1) != before


def test_an_archive_keeps_all_and_shows_its_last_states():
    bench = Bench(retention=ALL)
    bench.grow_final(HEIGHT, ALICE, BOB, CAROL)
    settled(bench)
    assert bench.chain.floor == 0
    assert stored_heights(bench) == list(range(1, HEIGHT + 1))
    assert bench.store.states()[-1] == HEIGHT // STATE_INTERVAL * STATE_INTERVAL - 1
    bench.store.forget_states(bench.store.states()[-1])
    assert len(bench.store.states()) == 1


def test_the_parameters_of_what_may_become_the_floor_are_there_however_far_below(monkeypatch):
    monkeypatch.setattr(chain_store, "SNAPSHOTS_KEPT", 1)
    bench = Bench(retention=Retention(blocks=LEAST))
    bench.grow_final(HEIGHT, ALICE, BOB, CAROL)
    settled(bench)
    assert bench.chain.floor == FLOOR
    assert faults(bench) == []
    assert bench.chain.parameters_at(bench.chain.at(FLOOR + 3)) is not None


def test_what_a_block_below_the_floor_lacked_is_lacking_no_more():
    bench, other = Bench(retention=Retention(blocks=100)), Bench()
    update, payload = other.update(BOB)
    other.chain.add_payload(payload)
    bench.chain.add_block(other.block(update, miner=BOB), 2**31)
    assert bench.chain.lacks_payload(update.payload)
    bench.grow_final(HEIGHT, ALICE, BOB, CAROL)
    settled(bench)
    assert bench.chain.floor == FLOOR
    assert not bench.chain.lacks_payload(update.payload)


def test_while_nothing_becomes_final_blocks_above_the_final_one_are_kept():
    bench = Bench(retention=Retention(blocks=100))
    bench.grow(HEIGHT)
    assert finality.final(bench.chain.state.records).height == 0
    settled(bench)
    assert bench.chain.floor == 0


def test_but_a_store_that_has_too_many_bytes_lets_go_also_of_those(caplog):
    bench = Bench(retention=Retention(blocks=100, bytes=1))
    bench.grow(HEIGHT)
    settled(bench)
    assert bench.chain.floor == FLOOR
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [(record.height, record.final) for record in warnings] == [(127, 0), (FLOOR, 0)]
    assert bench.chain.head.height - bench.chain.floor >= LEAST


def test_room_that_is_free_inside_of_the_file_is_not_counted(bench):
    before = bench.store.used_bytes()
    settled(bench)
    assert bench.store.used_bytes() < before


STATES = [127, 255, 383, 511, 639]


@pytest.mark.parametrize(
    ("retention", "head", "final", "used", "floor"),
    [
        (Retention(100, None), 700, 690, 0, 127),
        (Retention(100, None), 1200, 1190, 0, 639),
        (Retention(100, None), 1200, 300, 0, 255),
        (Retention(100, None), 400, 390, 0, 0),
        (Retention(600, None), 1200, 1190, 0, 511),
        (Retention(1100, 1000), 1200, 1190, 1000, 0),
        (Retention(1100, 1000), 1200, 1190, 1001, 127),
        (Retention(1100, 1000), 600, 590, 1001, 0),
        (ALL, 10**6, 10**6, 10**12, 0),
    ],
)
def test_how_much_is_kept(retention, head, final, used, floor):
    assert floor == retention.floor(
        make_genesis(), current=0, head=head, final=final, states=STATES, used=used
    )


def test_states_between_the_floor_and_the_last_ones_are_forgotten_where_all_blocks_are_kept():
    bench = Bench(retention=ALL)
    bench.grow(STATE_INTERVAL + 1)
    (state,) = bench.store.states()
    for number in range(1, STATES_SHOWN + 3):
        bench.store._db.execute(
            "INSERT INTO state SELECT ?, ?, raw FROM state WHERE height = ?",
            (number.to_bytes(32), -number * STATE_INTERVAL, state),
        )
    settled(bench)
    assert len(bench.store.states()) <= STATES_SHOWN
