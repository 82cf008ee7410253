"""The client asks as docs/local-api.md says, and turns every fault into one of two errors."""

import json
import socket
import threading

import numpy as np
import pytest

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import ServiceReport, Solution
from edgenode.learning.fixed_point import to_float
from edgenode.ledger.hashes import display
from tests.api.ledger_node import PEER_ADDRESS, LedgerNode
from tests.api.unix_server import Reply, serve
from tests.ledger.builder import ALICE, BOB, CAROL


@pytest.fixture
def node(tmp_path):
    node = LedgerNode()
    node.round(ALICE, BOB)
    with node.serving(tmp_path / "node.sock"):
        yield node


@pytest.fixture
def client(node, tmp_path):
    return NodeClient(tmp_path / "node.sock")


@pytest.fixture
def answering(tmp_path):
    """A client of a server that answers everything with one reply."""
    servers = []

    def answering(reply, timeout=10.0):
        path = tmp_path / "node.sock"
        servers.append(serve(path, lambda _: reply))
        servers[-1].__enter__()
        return NodeClient(path, timeout)

    yield answering
    for server in servers:
        server.__exit__(None, None, None)


def test_the_status_is_the_nodes(node, client):
    assert client.status() == node.run(node.status)


def test_blocks_are_listed_from_the_end_or_from_a_height(node, client):
    node.grow(4)
    assert [b.height for b in client.blocks(count=2)] == [4, 5]
    assert [b.height for b in client.blocks(start=1, count=3)] == [1, 2, 3]


def test_a_block_is_found_by_height_and_by_id(node, client):
    block = client.block(1)
    assert client.block(block.id) == block
    assert len(block.updates) == 2
    stored = node.run(lambda: node.bench.chain.block(node.bench.chain.head.id))
    assert client.raw_block(1) == stored.encode()


def test_parameters_come_with_their_block_and_round(node, client):
    parameters = client.parameters("activity")
    assert parameters.values.tolist() == to_float(node.bench.chain.state.parameters[0], 24).tolist()
    assert (parameters.block, parameters.height, parameters.round) == (client.head().id, 1, 1)
    assert parameters.root == client.head().models[0].root
    assert client.parameters("activity", at=0).round == 0


def test_parameters_of_an_unchanged_head_are_not_sent_again(node, client):
    old = client.parameters("activity").block
    assert client.parameters("activity", unless=old) is None
    node.round(CAROL)
    assert client.parameters("activity", unless=old).round == 2


def test_an_update_is_sent_as_little_endian_float32(node, client):
    values = np.array([1.5, -2.0, 1e-30], np.float32)
    assert client.submit_update("activity", "00" * 32, 77, values) == "ab" * 20
    (request,) = node.updates
    assert request.path == "/v1/models/activity/updates"
    assert request.query == {"base": "00" * 32, "examples": "77"}
    assert np.frombuffer(request.body, "<f4").tolist() == values.tolist()


def test_a_solution_becomes_a_block(node, client):
    message = client.work()
    nonce = next(
        n
        for n in range(10_000)
        if int.from_bytes(message.work.header(bytes(8), n).id, "little")
        <= message.work.target_number
    )
    made = client.submit_solution(message.id, Solution(bytes(8), nonce, message.work.time))
    assert (made.height, made.id) == (2, client.head().id)
    with pytest.raises(ApiError) as caught:
        client.submit_solution(message.id, Solution(bytes(8), nonce, message.work.time))
    assert (caught.value.status, caught.value.name) == (409, "work_stale")


def test_no_work_is_none(node, client):
    node.has_work = False
    assert client.work() is None


def test_work_is_asked_for_with_those_who_are_to_be_paid(node, client):
    client.work()
    client.work(unlike="none", pay=[(b"\xab" * 32, 7), (b"\xcd" * 32, 1)])
    assert node.pay == [[], [f"{'ab' * 32}:7", f"{'cd' * 32}:1"]]


def test_a_wait_ends_with_a_new_head(node, client):
    old = client.head().id
    got = []
    waiting = threading.Thread(target=lambda: got.append(client.head(unlike=old, wait=50)))
    waiting.start()
    node.grow(1)
    waiting.join()
    assert got[0].height == 2


def test_a_report_is_found_among_the_services(client):
    client.report("miner", ServiceReport("ok", {"hashes_total": 12.0}))
    assert client.services()["miner"].values == {"hashes_total": 12.0}
    assert client.services()["miner"].age >= 0


def test_peers_models_and_the_mempool_are_listed(client):
    assert [peer.address for peer in client.peers()] == [PEER_ADDRESS]
    assert [(model.name, model.round) for model in client.models()] == [("activity", 1)]
    assert client.mempool() == ()


def test_a_transaction_is_sent_raw(node, client):
    transfer = node.bench.transfer(ALICE, BOB, 1, 0)
    assert client.submit_transaction(transfer.encode()) == transfer.id.hex()


def test_a_refusal_carries_status_name_and_detail(client):
    with pytest.raises(ApiError) as caught:
        client.block("ff" * 32)
    assert (caught.value.status, caught.value.name) == (404, "not_found")
    assert "there is no block ffff" in caught.value.detail


def test_a_name_cannot_leave_its_place_in_the_path(node, client):
    with pytest.raises(ApiError) as caught:
        client.block("../status?x=#y")
    assert caught.value.status == 404


def test_a_missing_socket_is_reported_with_the_service_to_start(tmp_path):
    with pytest.raises(NodeUnavailableError, match=r"there is no socket .*none.sock; .*-gossip"):
        NodeClient(tmp_path / "none.sock").status()


def test_a_socket_that_nobody_listens_on_is_reported(tmp_path):
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    with pytest.raises(NodeUnavailableError, match=r"nobody listens on .*; start the node"):
        NodeClient(path).status()


def test_a_silent_node_is_given_up(tmp_path):
    path = tmp_path / "node.sock"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        with pytest.raises(NodeUnavailableError, match=r"did not answer GET /v1/status within"):
            NodeClient(path, timeout=0.05).status()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_whole_http_is_given_up(answering, raw):
    with pytest.raises(NodeUnavailableError, match="broke off its answer"):
        answering(raw).status()


def test_an_answer_without_end_is_given_up(answering):
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (5 << 20)
    with pytest.raises(NodeUnavailableError, match="more than 4194304 bytes"):
        answering(endless).status()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b"NaN", b"3"])
@pytest.mark.parametrize(
    "ask",
    [
        NodeClient.status,
        NodeClient.work,
        lambda client: client.block(1),
        lambda client: client.submit_transaction(b""),
    ],
)
def test_an_answer_of_another_shape_is_an_error_of_the_node(answering, body, ask):
    with pytest.raises(ApiError) as caught:
        ask(answering(Reply(200, body)))
    assert caught.value.name == "bad_answer"


@pytest.mark.parametrize("body", [b"{}", b'"x"', b"[1]", b'{"miner": {"state": 1}}'])
@pytest.mark.parametrize("ask", [NodeClient.peers, NodeClient.services, NodeClient.mempool])
def test_a_list_of_another_shape_is_an_error_of_the_node(answering, body, ask):
    if body == b"{}" and ask is NodeClient.services:
        assert answering(Reply(200, body)).services() == {}
        return
    with pytest.raises(ApiError, match="bad_answer"):
        ask(answering(Reply(200, body)))


@pytest.mark.parametrize(
    "reply", [Reply(200, b"123"), Reply(200, bytes(8)), Reply(200, bytes(8), {"ETag": '"a"',
     "Edgenode-Height": "x", "Edgenode-Round": "1", "Edgenode-Root": ""})]
)  # fmt: skip
def test_parameters_without_their_headers_are_an_error_of_the_node(answering, reply):
    with pytest.raises(ApiError, match="bad_answer"):
        answering(reply).parameters("activity")


@pytest.mark.parametrize("body", [b"", b"oops", b"[]", b"{}", json.dumps("x").encode()])
def test_a_refusal_without_a_name_is_still_a_refusal(answering, body):
    with pytest.raises(ApiError, match="HTTP status 500") as caught:
        answering(Reply(500, body)).status()
    assert (caught.value.status, caught.value.name) == (500, "bad_answer")


def test_the_id_of_the_head_is_shown_as_bitcoin_shows_it(node, client):
    assert client.head().id == display(node.bench.chain.head.id)
