"""Server and clients agree on the local API's JSON, and bad JSON is refused by name."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.api.block_shapes import BlockShape, BlockSummary, block_of, summary_of
from edgenode.api.shapes import (
    AdoptionTimes,
    AllTraffic,
    ClockStatus,
    Finality,
    Head,
    HeadModel,
    LastReport,
    MempoolCounts,
    Messages,
    ServiceReport,
    ShapeError,
    Solution,
    Status,
    Traffic,
    WorkMessage,
    from_json,
    to_json,
)
from edgenode.ledger.hashes import display
from edgenode.ledger.template import Work
from tests.api.ledger_node import PEER
from tests.ledger.builder import ALICE, BOB, Bench

ID = "ab" * 32
HEAD = Head(
    id=ID,
    height=3,
    time=1_700_000_000,
    target="1effff00",
    difficulty=12.5,
    work="0x1f00",
    expected_hashes=65537,
    next_target="1effff00",
    interval=87,
    models=(HeadModel("activity", 400, 3, 812, "cd" * 32),),
)
STATUS = Status(
    node="bed-1",
    version="0.1.0",
    ward="demo",
    genesis=ID,
    member="ef" * 32,
    enrolled=True,
    time=1,
    clock=ClockStatus(False, "unsynchronised", "not synchronised yet"),
    started=0,
    head=HEAD,
    finality=Finality(justified=2, final=1),
    best_header_height=3,
    kept_from=1,
    syncing=False,
    mempool=MempoolCounts(2, 0, 0, 3),
    peers=3,
    balance=5000,
    blocks_mined=4,
    reorganisations=0,
    traffic=AllTraffic(Traffic(datagrams_sent=7), Traffic()),
    messages=Messages({"status": 3}, {"chunk": 2}, {"offer": 1}),
    adoptions=AdoptionTimes(2, 3.5, 0.5),
    refused={"update_base_stale": 1},
)


def through_json(value):
    return json.loads(json.dumps(value))


@st.composite
def works(draw):
    u32 = st.integers(0, 2**32 - 1)
    return Work(
        height=draw(u32),
        version=draw(u32),
        previous=draw(st.binary(min_size=32, max_size=32)),
        coinbase_head=draw(st.binary(max_size=512)),
        coinbase_tail=draw(st.binary(max_size=512)),
        branch=tuple(draw(st.lists(st.binary(min_size=32, max_size=32), max_size=16))),
        time=draw(u32),
        target=draw(st.integers(4, 33)) << 24 | draw(st.integers(1 << 16, (1 << 24) - 1)),
    )


@given(works())
def test_work_comes_back_from_json_as_it_was(work):
    message = WorkMessage("9f2c", work)
    assert WorkMessage.from_json(through_json(message.to_json())) == message


@given(st.binary(min_size=8, max_size=8), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_solution_comes_back_from_json_as_it_was(extranonce, nonce, time):
    solution = Solution(extranonce, nonce, time)
    assert Solution.from_json(through_json(solution.to_json())) == solution


@pytest.mark.parametrize(
    "record",
    [
        HEAD,
        STATUS,
        PEER,
        replace(PEER, name=None, role="guest", round_trip=None, loss=None, queue=None, rate=None),
        LastReport("ok", 0.8, {"samples_total": 1200.0}),
    ],
)
def test_a_record_comes_back_from_json_as_it_was(record):
    assert from_json(type(record), through_json(to_json(record))) == record


def test_a_block_is_shown_with_all_that_it_holds():
    bench = Bench()
    bench.grow(1)
    update, payload = bench.update(BOB)
    transfer = bench.transfer(ALICE, BOB, amount=5, sequence=0)
    bench.chain.add_payload(payload)
    block = bench.add(bench.block(update, transfer, seconds=77))

    shown = block_of(bench.genesis, block, 77)

    assert from_json(BlockShape, through_json(to_json(shown))) == shown
    assert (shown.height, shown.interval, shown.id) == (2, 77, display(block.id))
    assert [u.base for u in shown.updates] == [shown.previous]
    assert [t.amount for t in shown.transfers] == [5]
    assert [m.round for m in shown.models] == [1]
    summary = summary_of(block, 77)
    assert from_json(BlockSummary, through_json(to_json(summary))) == summary
    assert (summary.updates, summary.transfers, summary.examples) == (1, 1, 50)
    assert summary.size == len(block.encode())


def test_an_unknown_field_is_ignored_so_that_either_side_may_be_newer():
    assert from_json(Head, to_json(HEAD) | {"colour": "blue"}) == HEAD


def test_a_field_that_never_came_is_named():
    value = to_json(STATUS)
    del value["head"]["models"][0]["root"]
    with pytest.raises(ShapeError, match=r"head\.models\[0\]\.root is missing"):
        from_json(Status, value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("height", "3"), ("height", True), ("height", 3.0), ("difficulty", "x"), ("models", {}),
     ("models", [1]), ("id", None), ("difficulty", 10**400)],
)  # fmt: skip
def test_a_field_of_another_type_is_named(field, value):
    with pytest.raises(ShapeError, match=field):
        from_json(Head, to_json(HEAD) | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../status"),
        ("id", ""),
        ("extranonce_bytes", 4),
        ("branch", ["00" * 32] * 17),
        ("branch", ["00" * 31]),
        ("branch", ["0 " * 32]),
        ("target", "1effff0"),
        ("target", "0x1effff"),
        ("target", "1f000000"),
        ("previous", "00"),
        ("coinbase_head", "0g"),
        ("coinbase_tail", "00" * 1025),
        ("height", -1),
        ("time", 2**32),
    ],
)
def test_work_out_of_bounds_never_reaches_a_miner(field, value):
    work = Work(1, 1, bytes(32), b"head", b"tail", (), 0, 0x1EFFFF00)
    good = WorkMessage("1", work).to_json()
    assert WorkMessage.from_json(good).work == work
    with pytest.raises(ShapeError):
        WorkMessage.from_json(good | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("extranonce", "00" * 7), ("extranonce", "zz" * 8), ("nonce", 2**32), ("time", -1)],
)
def test_a_solution_out_of_bounds_is_refused(field, value):
    good = Solution(bytes(8), 1, 2).to_json()
    with pytest.raises(ShapeError, match=field):
        Solution.from_json(good | {field: value})


@pytest.mark.parametrize(
    "change",
    [
        {"state": "x" * 201},
        {"state": "two\nlines"},
        {"values": {f"v{n}": 0 for n in range(65)}},
        {"values": {"Name": 0}},
        {"values": {"": 0}},
        {"values": {"x": float("nan")}},
        {"values": {"x": float("inf")}},
        {"values": {"x": True}},
        {"values": {"x": "F0:0E:00:00:00:01"}},
        {"values": {"x": [1, 2, 3]}},
        {"values": None},
    ],
)
def test_a_report_holds_nothing_but_a_line_and_numbers(change):
    good = {"state": "ok", "values": {"samples_total": 1}}
    assert from_json(ServiceReport, good) == ServiceReport("ok", {"samples_total": 1.0})
    with pytest.raises(ShapeError):
        from_json(ServiceReport, good | change)


def test_the_text_of_any_error_fits_a_report():
    assert ServiceReport.of("a\nb\0" + "c" * 300, {}).state == "a b " + "c" * 196


def test_a_report_ages():
    report = LastReport.of(ServiceReport("ok", {}), 0.5)
    assert report.aged(1.0) == replace(report, age=1.5)
