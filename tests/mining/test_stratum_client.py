"""A box at another node's pool: it is let in, searches what it is told, and leaves a bad pool."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenode.mining.pool import Pool
from edgenode.mining.share_difficulty import target_of_number
from edgenode.mining.share_ledger import ShareLedger
from edgenode.mining.stratum_client import (
    ANSWER_MS,
    JOBS_REMEMBERED,
    SHARE_ANSWER_MS,
    SILENCE_MS,
    WAITING_LIMIT,
    Message,
    NoWork,
    PoolError,
    PoolJob,
    ShareAnswer,
    StratumClient,
)
from edgenode.mining.stratum_job import notify_params
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.native import _kernels
from tests.mining.stratum_ward import BOB, BOOK, EASY, OWN, drawing, work

LIMITS = StratumLimits(start=-16)


class Pair:
    """A client at a real pool, without sockets."""

    def __init__(self, made=None):
        self.now = 0
        self.ledger = ShareLedger(OWN)
        self.pool = Pool(BOOK, self.ledger, LIMITS, extranonce=7, draw=drawing(), now=0)
        if made is not None:
            self.pool.set_work("w", made, 0)
        self.number = self.pool.admit("10.0.0.1", 0)
        self.client = StratumClient(BOB.hex(), 0)
        self.events = []
        self.found = []
        self.run()

    def run(self):
        """Carry bytes to and fro until both are quiet."""
        while True:
            data, events = self.client.drain()
            self.events += events
            if data:
                self.pool.receive(self.number, data, self.now)
            output = self.pool.drain()
            self.found += output.found
            if not (data or output.sent):
                return
            self.client.receive(output.sent.get(self.number, b""), self.now)

    @property
    def jobs(self):
        return [event for event in self.events if isinstance(event, PoolJob)]

    @property
    def answers(self):
        return [event.refusal for event in self.events if isinstance(event, ShareAnswer)]

    def search(self, job, counter=0):
        extranonce = job.extranonce1 + counter.to_bytes(job.extranonce2_bytes, "little")
        header = job.work.header(extranonce, 0).encode()
        nonce = _kernels.search(header, job.target.to_bytes(32, "little"), 0, 1 << 24)
        return self.client.submit(job.id, extranonce, nonce, job.work.time, self.now)


def test_a_client_is_let_in_and_its_shares_count_for_its_key():
    pair = Pair(made=work())
    (job,) = pair.jobs
    assert (job.work.previous, job.extranonce1) == (work().previous, bytes([0, 7]))
    assert job.target == target_of_number(2.0**-16)
    assert any(isinstance(e, Message) and BOB.hex() in e.text for e in pair.events)
    assert all(pair.search(job, counter) for counter in range(3))
    pair.run()
    assert pair.answers == [None] * 3
    pair.ledger.close_round()
    assert pair.ledger.hashes() == {BOB: 3 << 16}


def test_a_refusal_comes_with_its_name():
    pair = Pair(made=work())
    (job,) = pair.jobs
    pair.search(job)
    pair.search(job)
    pair.run()
    assert pair.answers[0] is None
    assert pair.answers[1].startswith("duplicate")


def test_shares_of_a_head_that_went_are_not_sent():
    pair = Pair(made=work())
    pair.pool.set_work("w2", work(2), 0)
    pair.run()
    old, new = pair.jobs
    assert not pair.search(old)
    assert pair.search(new)


def test_shares_of_the_last_jobs_on_one_head_are_sent():
    pair = Pair(made=work())
    for n in range(JOBS_REMEMBERED):
        pair.pool.set_work(f"w{n}", work(branch=n % 5), 0)
    pair.run()
    first, second, *_ = pair.jobs
    assert not pair.search(first)
    assert pair.search(second)
    pair.run()
    assert pair.answers == [None]


def test_a_block_reaches_the_pool_whole():
    pair = Pair(made=work(target=EASY))
    (job,) = pair.jobs
    for counter in range(200):
        pair.search(job, counter)
        pair.run()
    assert pair.found
    assert all(found.payee == BOB for found in pair.found)


def said(*messages):
    return b"".join(json.dumps(message).encode() + b"\n" for message in messages)


SUBSCRIBED = {"id": 1, "result": [[], "0007", 3], "error": None}
NOTIFY = {"method": "mining.notify", "params": list(notify_params("1", work(), clean=True))}
NO_WORK = {"method": "edgenode.no_work", "params": []}
LET_IN = {"id": 2, "result": True, "error": None}


def client_that_hears(*messages):
    client = StratumClient("bob", 0)
    client.receive(said(*messages), 0)
    return client


@pytest.mark.parametrize(
    ("messages", "why"),
    [
        ([{"id": 1, "result": None, "error": [20, "closed", None]}], "to be subscribed to: closed"),
        ([{"id": 1, "result": [[], "0007", 1], "error": None}], "extranonce2"),
        ([{"id": 1, "result": [[], "0007", True], "error": None}], "extranonce2"),
        ([{"id": 1, "result": [[], "", 4], "error": None}], "extranonce1"),
        ([{"id": 1, "result": [[], "00" * 9, 4], "error": None}], "extranonce1"),
        ([{"id": 1, "result": [[], "zz000007", 4], "error": None}], "extranonce1"),
        ([{"id": 1, "result": True, "error": None}], "three parts"),
        ([SUBSCRIBED, {"id": 2, "result": False, "error": None}], "refuses the worker bob"),
        ([SUBSCRIBED, {"id": 2, "result": None, "error": [24, "who?", None]}], "bob: who?"),
        ([{"id": 9, "result": True, "error": None}], "an answer to nothing"),
        ([SUBSCRIBED, LET_IN, LET_IN], "an answer to nothing"),
        ([{"method": "mining.notify", "params": []}], "9 params"),
        ([{"method": "mining.set_difficulty", "params": [0]}], "not above 0"),
        ([{"method": "mining.set_difficulty", "params": ["1"]}], "a number"),
        ([{"method": "mining.set_difficulty", "params": [True]}], "a number"),
        ([{"method": "client.reconnect", "params": ["evil", 1]}], "client.reconnect"),
        ([{"method": "mining.set_extranonce", "params": ["00", 4]}], "set_extranonce"),
        (
            [SUBSCRIBED, LET_IN, NOTIFY],
            "before a difficulty",
        ),
    ],
)  # fmt: skip
def test_a_pool_that_cannot_be_used_is_left_and_the_reason_named(messages, why):
    with pytest.raises(PoolError, match=why):
        client_that_hears(*messages)


def test_a_pool_that_is_slow_to_let_in_or_falls_silent_is_left():
    client = StratumClient("bob", 0)
    client.tick(ANSWER_MS)
    with pytest.raises(PoolError, match="did not let"):
        client.tick(ANSWER_MS + 1)
    client = client_that_hears(SUBSCRIBED, LET_IN)
    client.tick(SILENCE_MS)
    with pytest.raises(PoolError, match="silent"):
        client.tick(SILENCE_MS + 1)


def test_a_pool_that_talks_but_gives_no_jobs_is_left():
    client = client_that_hears(SUBSCRIBED, LET_IN)
    for now in range(0, SILENCE_MS + 1, 10_000):
        client.receive(said({"method": "client.show_message", "params": ["soon"]}), now)
        client.tick(now)
    with pytest.raises(PoolError, match="no job came"):
        client.tick(SILENCE_MS + 1)


def test_a_pool_that_says_that_it_has_no_work_is_kept_and_its_shares_are_kept_back():
    pair = Pair(made=work())
    (job,) = pair.jobs
    pair.pool.rest(0)
    for pair.now in range(0, 3 * SILENCE_MS, 1000):
        pair.pool.tick(pair.now)
        pair.run()
        pair.client.tick(pair.now)
    assert NoWork() in pair.events
    assert not pair.search(job)
    pair.pool.set_work("w2", work(2), pair.now)
    pair.run()
    assert pair.search(pair.jobs[-1])


def test_other_parts_of_an_extranonce_are_taken_as_the_pool_gives_them():
    difficulty = {"method": "mining.set_difficulty", "params": [1]}
    subscribed = {"id": 1, "result": [[], "00000007", 4], "error": None}
    client = client_that_hears(subscribed, LET_IN, difficulty, NOTIFY)
    job = client.drain()[1][-1]
    assert (job.extranonce1, job.extranonce2_bytes) == (bytes([0, 0, 0, 7]), 4)
    assert client.submit("1", job.extranonce1 + b"abcd", 0, 0, 0)
    assert b"abcd".hex() in client.drain()[0].decode()


def test_a_pool_that_answers_no_share_is_left():
    pair = Pair(made=work())
    (job,) = pair.jobs
    for counter in range(WAITING_LIMIT):
        assert pair.client.submit(job.id, job.extranonce1 + bytes([counter, 0, 0]), 0, 0, 5)
    assert not pair.client.submit(job.id, job.extranonce1 + bytes(3), 0, 0, 5)
    pair.client.tick(5 + SHARE_ANSWER_MS)
    with pytest.raises(PoolError, match="not answered a share"):
        pair.client.tick(6 + SHARE_ANSWER_MS)


def test_calls_of_extensions_are_passed_over():
    client = client_that_hears(SUBSCRIBED, LET_IN, {"method": "mining.set_goal", "params": ["x"]})
    assert client.drain()[1] == []


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=80) | st.sampled_from(
    [said(SUBSCRIBED), said(LET_IN), said({"method": "mining.set_difficulty", "params": [1]}),
     said(NOTIFY), said(NO_WORK), said({"id": 3, "result": True})]
), max_size=10))  # fmt: skip
def test_whatever_a_pool_sends_is_used_or_makes_it_one_that_cannot_be(pieces):
    client = StratumClient("bob", 0)
    try:
        for piece in pieces:
            client.receive(piece, 0)
    except PoolError:
        return
    assert len(client.drain()[0]) < 1000
