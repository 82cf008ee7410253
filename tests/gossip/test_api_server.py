"""The local API, answered by the real service over a real Unix socket."""

import json
import sqlite3
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from edgenode.gossip.service import NO_WORK
from edgenode.learning.fixed_point import to_bytes, to_float
from edgenode.learning.update_codec import Codec
from edgenode.ledger.block import Block
from edgenode.ledger.hashes import display
from edgenode.ledger.retention import Retention
from edgenode.ledger.transaction import Transfer
from edgenode.storage.format_check import check_chain_store
from tests.gossip.node import live_node
from tests.ledger.builder import (
    ALICE,
    BOB,
    CAROL,
    MALLORY,
    PARAMETERS,
    initial_parameters,
    make_genesis,
)
from tests.storage.test_chain_store import StoredBench


@pytest.fixture
def genesis():
    return make_genesis(time=int(time.time()) - 1000)


@pytest.fixture
def node(tmp_path, genesis):
    with live_node(tmp_path, genesis) as node:
        yield node


def signed_transfer(genesis, amount, sequence):
    return Transfer(ALICE.public, BOB.public, amount, 1, sequence, bytes(64)).signed(
        ALICE, genesis.id
    )


def test_a_mined_block_is_the_next_head(node):
    status, answer, _ = node.mine()
    assert status == 201
    head = node.client.head()
    assert (head.id, head.height) == (answer["id"], 1)
    assert node.client.status().blocks_mined == 1


def test_trained_parameters_become_an_update_and_an_aggregate(node):
    base = node.client.head().id
    status, answer, _ = node.update(base)
    assert status == 202
    assert node.client.mempool() == (answer["id"],)
    assert node.mine()[0] == 201
    parameters = node.client.parameters("activity")
    assert parameters.values == pytest.approx(np.full(PARAMETERS, 0.25), abs=2**-24)
    assert node.client.head().models[0].examples == 10
    assert node.client.block(1).updates[0].id == answer["id"]


def test_an_update_sent_twice_is_kept_once(node):
    base = node.client.head().id
    first, second = node.update(base), node.update(base)
    assert first[:2] == second[:2]
    assert len(node.client.mempool()) == 1


def test_a_ward_with_a_lossy_codec_moves_by_what_was_said_and_says_the_rest_later(tmp_path):
    """Twelve parameters that 4 bits cannot say at once: what is left out goes with the next."""
    (model,) = make_genesis().models
    coarse = (replace(model, codec=Codec.INT4),)
    genesis = make_genesis(time=int(time.time()) - 1000, models=coarse)
    start = to_float(initial_parameters(), model.scale_bits)
    trained = start + np.linspace(0.01, 0.14, PARAMETERS, dtype=np.float32)
    with live_node(tmp_path, genesis) as node:
        base = node.client.head().id
        first = node.update(base, trained)
        assert first[0] == 202
        assert node.update(base, trained)[:2] == first[:2], "asked again, it is the same update"
        assert node.mine()[0] == 201
        assert node.client.block(1).updates[0].payload_length < 4 * PARAMETERS
        after = node.client.parameters("activity").values
        left = trained - after
        assert 0.001 < np.abs(left).max() <= 2**-6, "half a step"
        # Nothing is learnt in the next round: the update says what the first one left out.
        assert node.update(node.client.head().id, after)[0] == 202
        assert node.mine()[0] == 201
        left = trained - node.client.parameters("activity").values
        assert np.abs(left).max() <= 2**-9, "a step of the second update, at most"


@pytest.mark.parametrize(
    ("query", "values", "status", "error"),
    [
        ("examples=10", None, 400, "bad_request"),
        ("base=00&examples=10", None, 400, "bad_request"),
        (f"base={'00' * 32}&examples=10", None, 409, "base_unknown"),
        ("base=HEAD", None, 400, "bad_request"),
        ("base=HEAD&examples=-1", None, 400, "bad_request"),
        ("base=HEAD&examples=0", None, 422, "update_examples"),
        ("base=HEAD&examples=501", None, 422, "update_examples"),
        ("base=HEAD&examples=5", np.zeros(PARAMETERS - 1, "<f4"), 400, "bad_request"),
        ("base=HEAD&examples=5", np.full(PARAMETERS, np.nan, "<f4"), 400, "bad_request"),
        ("base=HEAD&examples=5", b"abc", 400, "bad_request"),
    ],
)
def test_a_wrong_update_is_refused_by_name(node, query, values, status, error):
    query = query.replace("HEAD", node.client.head().id)
    body = np.zeros(PARAMETERS, "<f4") if values is None else values
    raw = body if isinstance(body, bytes) else body.tobytes()
    answer = node.ask("POST", f"/v1/models/activity/updates?{query}", raw)
    assert (answer[0], answer[1]["error"]) == (status, error)
    assert answer[1]["detail"]
    assert node.client.mempool() == ()


def test_a_wrong_update_is_refused_for_what_is_wrong_also_while_another_waits(node):
    base = node.client.head().id
    assert node.update(base)[0] == 202
    assert node.update(base, examples=501)[1]["error"] == "update_examples"
    assert node.update(base, examples=11)[1]["error"] == "update_repeated"
    assert len(node.client.mempool()) == 1


def test_a_stale_update_is_refused_with_the_reason(node):
    base = node.client.head().id
    for _ in range(4):
        assert node.mine()[0] == 201
    status, answer, _ = node.update(base)
    assert (status, answer["error"]) == (422, "update_base_stale")
    assert node.client.status().refused == {"update_base_stale": 1}


def test_a_node_that_is_no_member_is_told_so(tmp_path, genesis):
    with live_node(tmp_path, genesis, key=MALLORY) as node:
        assert node.update(node.client.head().id)[1]["error"] == "update_member"
        status, answer, _ = node.mine()
        assert (status, answer["error"]) == (422, "block_member")
        assert node.client.head().height == 0


def test_parameters_carry_their_block_and_need_not_be_sent_again(node):
    node.update(node.client.head().id)
    node.mine()
    status, exact, headers = node.ask("GET", "/v1/models/activity/parameters?format=fixed")
    assert status == 200
    assert exact == to_bytes(np.full(PARAMETERS, 2**22, np.int32))
    assert headers["ETag"] == f'"{node.client.head().id}"'
    again = node.ask(
        "GET", "/v1/models/activity/parameters", headers={"If-None-Match": headers["ETag"]}
    )
    assert again[0] == 304
    assert node.client.exact_parameters("activity", at=0).data == to_bytes(initial_parameters())
    assert node.client.exact_parameters("activity").data == exact
    assert node.client.exact_parameters("activity").block == node.client.head().id


@pytest.mark.parametrize(
    "target",
    [
        "/v1/models/vitals/parameters",
        "/v1/blocks/7",
        f"/v1/blocks/{'00' * 32}",
        "/v1/nothing",
    ],
)
def test_what_is_not_there_is_not_found(node, target):
    status, answer, _ = node.ask("GET", target)
    assert (status, answer["error"]) == (404, "not_found")


@pytest.mark.parametrize(
    "target",
    [
        "/v1/blocks?count=0",
        "/v1/blocks?count=101",
        "/v1/blocks?from=x",
        "/v1/blocks/xyz",
        "/v1/head?not=12",
        "/v1/head?not=HEAD&wait=never",
        "/v1/models/activity/parameters?format=double",
    ],
)
def test_a_wrong_question_gets_a_clear_answer(node, target):
    status, answer, _ = node.ask("GET", target.replace("HEAD", node.client.head().id))
    assert (status, answer["error"]) == (400, "bad_request")
    assert answer["detail"]


def test_waiting_for_a_head_ends_when_it_comes(node):
    old = node.client.head().id
    seen = []
    waiting = threading.Thread(
        target=lambda: seen.append(node.client.head(unlike=old, wait=30).height)
    )
    waiting.start()
    node.mine()
    waiting.join(30)
    assert seen == [1]
    assert node.client.head(unlike=node.client.head().id, wait=0.1).height == 1


def test_waiting_for_work_ends_with_a_new_head_and_with_a_new_update(node):
    old = node.client.work()
    node.update(node.client.head().id)
    newer = node.client.work(unlike=old.id, wait=30)
    assert newer.id != old.id
    assert newer.work.previous == old.work.previous
    assert newer.work.branch
    node.mine()
    assert node.client.work(unlike=newer.id, wait=30).work.height == 2


def test_work_on_an_old_head_is_stale(node):
    work = node.client.work()
    node.mine()
    body = {"extranonce": "00" * 8, "nonce": 1, "time": work.work.time}
    status, answer, _ = node.ask("POST", f"/v1/work/{work.id}", json.dumps(body))
    assert (status, answer["error"]) == (409, "work_stale")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"nonce": 1}',
        b'{"extranonce": "00", "nonce": 1, "time": 1}',
        b'{"extranonce": "0000000000000000", "nonce": -1, "time": 1}',
    ],
)
def test_a_malformed_solution_is_refused(node, body):
    status, answer, _ = node.ask("POST", f"/v1/work/{node.client.work().id}", body)
    assert (status, answer["error"]) == (400, "bad_request")


def test_a_solution_that_misses_the_target_is_refused_by_its_rule(node):
    work = node.client.work()
    nonce = 0
    while int.from_bytes(work.work.header(bytes(8), nonce).id, "little") <= (
        work.work.target_number
    ):
        nonce += 1
    body = {"extranonce": "00" * 8, "nonce": nonce, "time": work.work.time}
    status, answer, _ = node.ask("POST", f"/v1/work/{work.id}", json.dumps(body))
    assert (status, answer["error"]) == (422, "proof_of_work")


def test_a_transfer_is_carried_out_once(node, genesis):
    node.mine()
    transfer = signed_transfer(genesis, 300, 0)
    for _ in range(2):
        status, answer, _ = node.ask("POST", "/v1/transactions", transfer.encode())
        assert (status, answer["id"]) == (202, transfer.id.hex())
    node.mine()
    assert node.client.block(2).transfers[0].amount == 300
    status, answer, _ = node.ask("POST", "/v1/transactions", transfer.encode())
    assert (status, answer["error"]) == (422, "transfer_sequence")
    poor = signed_transfer(genesis, 10**9, 1)
    assert node.ask("POST", "/v1/transactions", poor.encode())[1]["error"] == "transfer_balance"
    assert node.ask("POST", "/v1/transactions", b"\x02abc")[1]["error"] == "bad_request"


def test_services_report_and_are_seen(node):
    report = json.dumps({"state": "ok", "values": {"hash_rate": 5.0}})
    assert node.ask("PUT", "/v1/services/miner", report)[0] == 204
    seen = node.client.services()["miner"]
    assert seen.values == {"hash_rate": 5.0}
    assert node.ask("PUT", "/v1/services/intruder", report)[0] == 404


@pytest.mark.parametrize(
    "report",
    [
        {"state": "ok"},
        {"state": "x" * 201, "values": {}},
        {"state": "ok", "values": {"Name": 1}},
        {"state": "ok", "values": {"a": "F0:0E:00:00:00:01"}},
        {"state": "ok", "values": {f"v{i}": 1 for i in range(65)}},
    ],
)
def test_only_numbers_fit_into_a_report(node, report):
    status, answer, _ = node.ask("PUT", "/v1/services/collector", json.dumps(report))
    assert (status, answer["error"]) == (400, "bad_request")


def test_a_body_that_is_too_large_is_refused(node):
    status, answer, _ = node.ask("PUT", "/v1/services/miner", b" " * 70_000)
    assert (status, answer["error"]) == (413, "too_large")


def test_a_raw_block_is_what_the_network_carries(node):
    node.mine()
    head = node.client.head()
    raw = node.client.raw_block(head.id)
    assert display(Block.decode(raw).id) == head.id
    assert node.client.blocks()[-1].size == len(raw)


def test_a_clock_that_is_far_behind_the_chain_gets_no_work(tmp_path):
    genesis = make_genesis(time=int(time.time()) + 10_000)
    with live_node(tmp_path, genesis) as node:
        assert node.ask("GET", "/v1/work")[0] == 204
        assert node.client.work() is None


def test_work_whose_block_would_be_refused_as_too_new_is_not_handed_out_yet(tmp_path):
    genesis = make_genesis(time=int(time.time()) + 8, future_bound=10)
    with live_node(tmp_path, genesis) as node:
        while node.client.work() is not None:  # each pushes the earliest time of the next
            assert node.mine()[0] == 201
        assert node.client.head().height > 1
        assert node.client.work(unlike=NO_WORK, wait=30) is not None
        assert node.mine()[0] == 201


def test_a_block_that_is_acknowledged_is_the_head_also_after_the_disk_was_full(node):
    node.service.node.hold(time.monotonic() + 3600)
    status, answer, _ = node.mine()
    assert status == 201
    assert node.client.head().id == answer["id"]


def test_a_block_that_the_disk_has_altered_is_named_and_the_node_goes_on(node, tmp_path):
    for _ in range(3):
        assert node.mine()[0] == 201
    with sqlite3.connect(tmp_path / "chain.db") as database:
        (raw,) = database.execute("SELECT raw FROM block WHERE height = 2").fetchone()
        database.execute(
            "UPDATE block SET raw = ? WHERE height = 2", (raw[:-1] + bytes([raw[-1] ^ 1]),)
        )
    status, answer, _ = node.ask("GET", "/v1/blocks/2")
    assert (status, answer["error"]) == (503, "store_failed")
    assert "changed on the disk" in answer["detail"]
    assert node.client.block(1).height == 1
    assert node.mine()[0] == 201
    assert node.client.head().height == 4
    assert "changed on the disk" in check_chain_store(tmp_path / "chain.db")


def test_a_block_that_was_let_go_is_named_as_such(tmp_path):
    bench = StoredBench(tmp_path / "chain.db", Retention(blocks=100))
    bench.grow_final(700, ALICE, BOB, CAROL)
    for _ in range(50):
        bench.chain.let_go()
    floor, below = bench.chain.floor, display(bench.chain.at(5).id)
    assert floor > 5
    bench.store.close()
    with live_node(tmp_path, bench.genesis) as node:
        assert node.client.status().kept_from == floor
        for name in ("5", below):
            status, answer, _ = node.ask("GET", f"/v1/blocks/{name}")
            assert (status, answer["error"]) == (404, "not_kept")
            assert f"from height {floor} on" in answer["detail"]
        assert node.ask("GET", "/v1/models/activity/parameters?at=5")[0] == 404
        shown = node.ask("GET", f"/v1/blocks?from={floor - 3}&count=5")[1]
        assert [block["height"] for block in shown] == [floor, floor + 1]
        assert node.ask("GET", f"/v1/blocks/{floor}")[0] == 200
        assert node.ask("GET", "/v1/blocks/0")[0] == 200
