"""A node whose clock nobody vouches for follows the chain, and neither mines nor signs."""

import json
import time

import pytest

from edgenode.api.client import ApiError
from edgenode.gossip.clock import Reading
from tests.gossip.node import live_node
from tests.gossip.test_api_server import signed_transfer
from tests.ledger.builder import make_genesis


class Clocks:
    """The real time, and what the system says of it, which a test decides."""

    def __init__(self):
        self.synchronised = False
        self.ahead = 0.0

    def __call__(self):
        return Reading(
            time.time() + self.ahead, time.clock_gettime(time.CLOCK_BOOTTIME), "boot",
            self.synchronised,
        )  # fmt: skip


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def genesis():
    return make_genesis(time=int(time.time()) - 1000)


@pytest.fixture
def node(tmp_path, genesis, clocks):
    with live_node(tmp_path, genesis, clocks=clocks) as node:
        yield node


def refusal(answer):
    status, body, _ = answer
    return status, body["error"]


def test_before_anybody_vouches_there_is_no_work_and_no_update_is_signed(node):
    assert node.ask("GET", "/v1/work")[0] == 204
    assert refusal(node.update(node.client.head().id)) == (503, "clock_untrusted")
    body = json.dumps({"extranonce": "00" * 8, "nonce": 1, "time": int(time.time())})
    assert refusal(node.ask("POST", "/v1/work/0123", body)) == (503, "clock_untrusted")
    clock = node.client.status().clock
    assert (clock.trusted, clock.state) == (False, "unsynchronised")
    assert clock == node.client.clock()
    assert node.client.mempool() == ()


def test_a_node_begins_when_the_clock_is_synchronised(node, clocks):
    assert node.client.work() is None
    clocks.synchronised = True
    assert node.client.status().clock.state == "synchronised"
    assert node.update(node.client.head().id)[0] == 202
    assert node.mine()[0] == 201
    assert node.client.head().height == 1


def test_a_node_begins_when_somebody_vouches_and_stops_when_the_clock_is_set(node, clocks):
    assert node.client.accept_clock().state == "accepted"
    assert node.mine()[0] == 201
    message = node.client.work()
    clocks.ahead = 10.0
    assert node.client.work() is None
    body = json.dumps({"extranonce": "00" * 8, "nonce": 1, "time": message.work.time})
    assert refusal(node.ask("POST", f"/v1/work/{message.id}", body)) == (503, "clock_untrusted")
    assert node.client.accept_clock().trusted
    assert node.mine()[0] == 201


def test_nobody_can_vouch_for_a_clock_that_is_certainly_wrong(node, clocks):
    clocks.ahead = -50 * 365 * 86_400.0
    clocks.synchronised = True
    assert node.client.status().clock.state == "behind"
    with pytest.raises(ApiError) as refused:
        node.client.accept_clock()
    assert (refused.value.status, refused.value.name) == (409, "clock_behind")
    assert "when this release was built" in refused.value.detail
    assert refused.value.detail.endswith(": set the clock first")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"accepted": false}', b'{"accepted": "yes"}', b"1"])
def test_vouching_takes_more_than_a_slip(node, body):
    assert refusal(node.ask("PUT", "/v1/clock", body)) == (400, "bad_request")
    assert not node.client.clock().trusted


def test_a_transfer_that_somebody_else_signed_is_taken_all_the_same(node, genesis, clocks):
    clocks.synchronised = True
    assert node.mine()[0] == 201
    clocks.synchronised = False
    clocks.ahead = 10.0
    assert not node.client.clock().trusted
    node.client.submit_transaction(signed_transfer(genesis, 5, 0).encode())
    assert len(node.client.mempool()) == 1


def test_a_node_for_which_any_clock_will_do_is_told_so(tmp_path, genesis):
    with live_node(tmp_path, genesis) as node:
        assert node.client.clock().state == "unchecked"
        assert node.client.accept_clock().state == "unchecked"
        assert node.mine()[0] == 201
