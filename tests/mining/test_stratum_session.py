"""A miner's connection: what it is told, what of its shares counts, each refusal, each end."""

import json
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenode.ledger.keys import MemberKey
from edgenode.mining.share_difficulty import hardest_below, hashes_of, share_target
from edgenode.mining.stratum_events import (
    CODES,
    Authorized,
    BlockFound,
    Drop,
    Refusal,
    ShareAccepted,
    ShareRefused,
)
from edgenode.mining.stratum_job import Job
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.mining.stratum_session import (
    JOB_MS,
    JOBS_REMEMBERED,
    REMIND_MS,
    SHARES_REMEMBERED,
    WORKERS_LIMIT,
    Session,
)
from edgenode.native import _kernels
from tests.mining.stratum_ward import (
    BOB,
    BOOK,
    CAROL,
    EASY,
    OWN,
    START,
    TextMiner,
    block_target,
    drawing,
    work,
)

EXTRANONCE1 = bytes.fromhex("a1b2")
LIMITS = StratumLimits()
STRANGER = MemberKey(bytes([9]) * 32).public


class Line:
    """A miner and a session, joined; time goes as the test says."""

    def __init__(self, worker="bob.pc", made=None, limits=LIMITS, **miner):
        self.now = 1_000_000
        self.session = Session(EXTRANONCE1, limits, BOOK.find, drawing(), self.now)
        self.miner = TextMiner(worker, **miner)
        self.events = []
        if made is not None:
            self.give(made)

    def give(self, made, work_id="w1"):
        self.session.set_job(Job(work_id, made, self.now), self.now)
        self.pull()

    def send(self, data):
        self.session.receive(data, self.now)
        return self.pull()

    def wait(self, ms, step=1000):
        end = self.now + ms
        while self.now < end and self.session.dropped is None:
            self.now = min(end, self.now + step)
            self.session.tick(self.now)
            self.pull()

    def pull(self):
        data, events = self.session.drain()
        self.miner.feed(data)
        self.events += events
        return events

    def join(self):
        self.send(self.miner.hello())
        return self

    def ask(self, pair):
        """Send a request; its answer."""
        data, number = pair
        self.send(data)
        return self.miner.answers.get(number)

    def easier(self):
        """Shares of 2^16 hashes, so that a test finds some."""
        self.ask(self.miner.call("mining.suggest_difficulty", 2.0**-16))
        return self


@pytest.fixture
def line():
    return Line(made=work()).join().easier()


def refused(line, answer, refusal):
    assert answer["result"] is None
    code, text, _ = answer["error"]
    assert code == CODES[refusal]
    assert text.startswith(f"{refusal}: ")
    assert line.events[-1] == ShareRefused(refusal)
    return text


def shares(line):
    return [event for event in line.events if isinstance(event, ShareAccepted)]


# What a miner is told


def test_a_miner_gets_its_extranonce_a_difficulty_a_job_and_whom_it_works_for():
    line = Line(made=work()).join()
    miner = line.miner
    assert (miner.extranonce1, miner.extranonce2_size) == (EXTRANONCE1, 3)
    assert miner.answers[2]["result"] is True
    assert miner.difficulty == 2**-8
    assert miner.job is not None
    assert miner.restarts == 1
    assert miner.messages == ["shares of 'bob.pc' are paid to the member bob"]
    assert line.events == [Authorized("bob.pc", BOOK.find("bob"))]


def test_the_job_comes_when_there_is_work():
    line = Line().join()
    assert line.miner.job is None
    line.give(work())
    assert line.miner.job is not None


@pytest.mark.parametrize(
    ("worker", "payee", "said"),
    [
        (CAROL.hex(), CAROL, f"the key {CAROL.hex()}"),
        (CAROL.hex().upper() + ".desk", CAROL, f"the key {CAROL.hex()}"),
        (STRANGER.hex(), STRANGER, f"the key {STRANGER.hex()}, once it has an account"),
        ("carol", CAROL, "the member carol"),
        ("bed.7", CAROL, "the member bed.7"),
        ("", OWN, "the pool's own node, because no name was given"),
        ("nobody.pc", OWN, "the pool's own node, because the name is neither"),
        ("02" * 32, OWN, "the pool's own node, because the digits are no public key"),
        (CAROL.hex()[1:], OWN, "the pool's own node, because the name is neither"),
    ],
)
def test_a_worker_is_paid_by_key_or_by_name_and_else_works_for_the_pools_node(worker, payee, said):
    line = Line(worker, made=work()).join().easier()
    assert said in line.miner.messages[0]
    assert line.ask(line.miner.search())["result"] is True
    assert shares(line) == [ShareAccepted(payee, hashes_of(-16))]


def test_requests_of_all_kinds_have_a_sane_answer(line):
    ask = lambda *call: line.ask(line.miner.call(*call))  # noqa: E731
    asked = ["version-rolling", "minimum-difficulty"]
    answer = ask("mining.configure", asked, {"version-rolling.mask": "1fffe000"})
    assert answer["result"] == {"version-rolling": False, "minimum-difficulty": False}
    assert ask("mining.extranonce.subscribe")["result"] is True
    assert ask("mining.ping")["result"] == "pong"
    assert ask("mining.suggest_difficulty", "0.001")["result"] is True  # cpuminer-opt's form
    assert ask("mining.subscribe", "again", "a1b2c3d4")["result"][1] == EXTRANONCE1.hex()
    text = refused(line, ask("mining.get_transactions", "1"), Refusal.MALFORMED)
    assert "no such method" in text


@pytest.mark.parametrize("number", ["", "many", 0, -1, None, float("1e-400"), [1]])
def test_a_difficulty_that_is_none_is_malformed(line, number):
    refused(line, line.ask(line.miner.call("mining.suggest_difficulty", number)), Refusal.MALFORMED)


def test_a_request_without_an_id_is_done_and_not_answered():
    line = Line(made=work())
    line.send(b'{"method":"mining.subscribe","params":[]}\n')
    assert line.miner.extranonce1 is None
    line.send(line.miner.hello())
    assert line.miner.extranonce1 == EXTRANONCE1


# Jobs


def test_a_new_head_restarts_the_miner_and_newer_work_on_the_same_head_does_not(line):
    restarts, first = line.miner.restarts, line.miner.job[0]
    line.give(work(branch=3), "w2")
    assert line.miner.restarts == restarts
    assert line.miner.job[0] != first
    line.give(work(height=2), "w3")
    assert line.miner.restarts == restarts + 1


def test_shares_of_older_work_on_the_same_head_count():
    line = Line(made=work()).join().easier()
    pair = line.miner.search()
    line.give(work(branch=3), "w2")
    assert line.ask(pair)["result"] is True


def test_a_block_names_the_work_that_it_solves():
    line = Line(made=work(target=EASY)).join()
    pair = line.miner.search(block_target(work(target=EASY)))
    line.give(work(target=EASY, branch=3), "w2")
    assert line.ask(pair)["result"] is True
    *_, share, found = line.events
    assert share == ShareAccepted(BOB, hashes_of(hardest_below(block_target(work(target=EASY)))))
    assert isinstance(found, BlockFound)
    assert (found.work_id, found.payee) == ("w1", BOB)
    header = work(target=EASY).header(found.extranonce, found.nonce, found.time)
    assert int.from_bytes(header.id, "little") <= block_target(work(target=EASY))
    assert found.extranonce[:2] == EXTRANONCE1


def test_shares_are_never_harder_than_blocks():
    line = Line(made=work(target=EASY)).join()
    assert line.miner.target >= block_target(work(target=EASY))
    line.ask(line.miner.call("mining.suggest_difficulty", 1000))
    assert line.miner.target >= block_target(work(target=EASY))
    line.give(work(height=2))
    assert line.miner.difficulty == 2**9


def test_difficulty_follows_the_pace_of_shares_with_a_job_of_another_name(line):
    before, job, restarts = line.miner.difficulty, line.miner.job[0], line.miner.restarts
    for _ in range(16):
        line.now += 200
        assert line.ask(line.miner.search())["result"] is True
    assert line.miner.difficulty > before
    assert line.miner.job[0] != job
    assert line.miner.restarts == restarts + 1


def test_a_share_counts_what_it_was_asked_for_when_its_job_was_given(line):
    pair = line.miner.search()
    line.ask(line.miner.call("mining.suggest_difficulty", 1))
    assert line.ask(pair)["result"] is True
    assert shares(line) == [ShareAccepted(BOB, hashes_of(-16))]


def test_a_miner_that_begins_anew_with_each_job_never_sends_a_share_twice(line):
    """As minerd does: extranonce2 counts from 0 whenever a job has another name."""
    for n in range(8):
        assert line.ask(line.miner.search())["result"] is True
        line.ask(line.miner.call("mining.suggest_difficulty", 2.0 ** (-16 + n % 2)))
    assert len(shares(line)) == 8


# Refusals


def test_malformed(line):
    job, ntime = line.miner.job[0], f"{work().time:08x}"
    for params, what in (
        ((job, "000000", ntime), "5 params"),
        ((job, "00", ntime, "00000000"), "extranonce2"),
        ((job, "000000", f"{int(ntime, 16) - 1:08x}", "00000000"), "ntime"),
        ((job, "000000", f"{int(ntime, 16) + 61:08x}", "00000000"), "ntime"),
        ((job, "000000", ntime, "00000000", "1fffe000"), "version"),
    ):
        assert what in refused(line, line.ask(line.miner.submit(*params)), Refusal.MALFORMED)


def test_the_time_of_a_share_may_go_with_the_clock(line):
    line.now += 120_000
    ntime = f"{work().time + 180:08x}"
    answer = line.ask(line.miner.submit(line.miner.job[0], "000000", ntime, "00000000"))
    refused(line, answer, Refusal.LOW_DIFFICULTY)


def test_stale(line):
    pair = line.miner.search()
    line.give(work(height=2), "w2")
    refused(line, line.ask(pair), Refusal.STALE)
    refused(line, line.ask(line.miner.submit("77", "00000000", "655f1e00", "0")), Refusal.MALFORMED)
    unknown = line.miner.submit("77", "000000", line.miner.job[7], "00000000")
    refused(line, line.ask(unknown), Refusal.STALE)


def test_jobs_without_end_on_one_head_make_the_oldest_stale(line):
    line.give(work(), "first")
    pair = line.miner.search()
    for n in range(JOBS_REMEMBERED - 1):
        line.give(work(branch=3 + n % 5), f"x{n}")
    assert line.ask(pair)["result"] is True
    pair = line.miner.search()
    for n in range(JOBS_REMEMBERED):
        line.give(work(branch=3 + n % 5), f"y{n}")
    refused(line, line.ask(pair), Refusal.STALE)


def test_a_share_counts_for_three_minutes_whatever_came_since(line):
    """minerd turns to a newer job after a minute; a busy mempool brings one a second."""
    pairs = [line.miner.search() for _ in range(2)]
    for second in range(1, JOB_MS // 1000 + 1):
        line.now += 1000
        line.give(work(time=work().time + second, branch=3 + second % 5), f"x{second}")
    assert line.ask(pairs[0])["result"] is True
    line.now += 1000
    line.give(work(), "last")
    refused(line, line.ask(pairs[1]), Refusal.STALE)


def test_duplicate(line):
    pair = line.miner.search()
    assert line.ask(pair)["result"] is True
    refused(line, line.ask(pair), Refusal.DUPLICATE)
    line.give(work(branch=3), "w2")
    refused(line, line.ask(pair), Refusal.DUPLICATE)
    assert len(shares(line)) == 1


def test_a_share_counts_under_no_other_name(line):
    """Else a miner would see the hash first, and then name the hardest job that it meets."""
    pair = line.miner.search()
    line.easier()
    line.ask(line.miner.call("mining.suggest_difficulty", 2.0**-17))  # no easier than the easiest
    line.give(work(branch=3), "w2")
    line.give(work(), "w1")
    params = json.loads(pair[0])["params"][2:]
    for name in [name for name in line.session._issued if name != json.loads(pair[0])["params"][1]]:
        refused(line, line.ask(line.miner.submit(name, *params)), Refusal.LOW_DIFFICULTY)
    assert line.ask(pair)["result"] is True
    assert len(shares(line)) == 1


@pytest.mark.parametrize("between", [None, work(height=2)])
def test_a_share_counts_once_also_when_its_work_was_away_in_between(line, between):
    pair = line.miner.search()
    assert line.ask(pair)["result"] is True
    line.session.set_job(between and Job("w2", between, line.now), line.now)
    line.give(work())
    refused(line, line.ask(pair), Refusal.STALE)
    again = line.miner.submit(line.miner.job[0], *json.loads(pair[0])["params"][2:])
    refused(line, line.ask(again), Refusal.LOW_DIFFICULTY)


def test_no_choice_of_jobs_counts_more_than_was_hashed():
    """Whoever has jobs of many difficulties and names for each hash the hardest that it meets."""
    line = Line(made=work(), limits=replace(LIMITS, bad_burst=10_000)).join()
    names = []
    for level in (-6, -8, -10, -12, -14, -16):
        line.ask(line.miner.call("mining.suggest_difficulty", 2.0**level))
        names.append(line.miner.job[0])
    header, ntime = line.miner.header(bytes(3), line.miner.job[7]), line.miner.job[7]
    target, position, found = share_target(-16).to_bytes(32, "little"), 0, 0
    while (nonce := _kernels.search(header, target, position, (1 << 22) - position)) is not None:
        position, found = nonce + 1, found + 1
        for name in names:
            line.now += 60  # no flood
            if line.ask(line.miner.submit(name, "000000", ntime, f"{nonce:08x}"))["result"]:
                break
    assert found > 40
    assert shares(line) == [ShareAccepted(BOB, hashes_of(-16))] * found


def test_names_and_salts_are_drawn_at_random_and_come_once(line):
    drawn = iter([b"aaax", b"aaay", b"bbbz"])
    line.session._draw = lambda size: next(drawn)
    line.easier()
    line.give(work(), "w1")
    line.give(work(), "w1")
    names = list(line.session._issued)[-2:]
    assert [bytes.fromhex(name) for name in names] == [b"aaax", b"bbbz"]
    assert line.miner.job[3].startswith(b"bbb".hex())


def test_a_pool_that_was_started_anew_gives_no_job_the_name_of_an_older_one():
    """minerd takes a job of the same name for the one that it has, and searches that for ever."""
    before, after = (Line(made=work()).join() for _ in range(2))
    assert before.miner.job[0] != after.miner.job[0]
    assert before.miner.job[3] != after.miner.job[3]


def test_a_clock_that_is_set_back_makes_no_honest_share_malformed(line):
    line.give(work(time=START + 300), "w1")
    assert line.ask(line.miner.search())["result"] is True
    line.now += 1000
    line.give(work(time=START), "w2")
    assert line.miner.job[7] == f"{START:08x}"
    for _ in range(30):
        assert line.ask(line.miner.search())["result"] is True


def test_low_difficulty(line):
    answers = [line.ask(line.miner.search(target=share_target(-20))) for _ in range(6)]
    low = [answer for answer in answers if answer["result"] is None]
    assert low  # one such hash in sixteen is a share
    assert len(shares(line)) == len(answers) - len(low)
    assert "difficulty 1.52587890625e-05" in low[0]["error"][1]
    assert all(answer["error"][1].startswith("low_difficulty: ") for answer in low)


def test_not_subscribed():
    line = Line(made=work())
    line.send(line.miner.hello().split(b"\n")[1] + b"\n")  # authorised only
    assert line.miner.job is None
    answer = line.ask(line.miner.submit("1", "000000", "655f1e00", "00000000"))
    refused(line, answer, Refusal.NOT_SUBSCRIBED)


def test_unauthorized(line):
    job = line.miner.job
    answer = line.ask(line.miner.submit(job[0], "000000", job[7], "00000000", worker="mallory"))
    refused(line, answer, Refusal.UNAUTHORIZED)


def test_unauthorized_is_also_who_wants_more_workers_than_a_connection_has(line):
    for n in range(WORKERS_LIMIT - 1):
        assert line.ask(line.miner.call("mining.authorize", f"w{n}", "x"))["result"] is True
    assert line.ask(line.miner.call("mining.authorize", "w0"))["result"] is True
    answer = line.ask(line.miner.call("mining.authorize", "one more", "x"))
    refused(line, answer, Refusal.UNAUTHORIZED)


# Ends


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\n", b"\n", b"{}\n", b"\x16\x03\x01\n", b"a" * 2049, b"[" * 2000 + b"\n"],
)
def test_who_speaks_no_stratum_is_dropped(data):
    line = Line()
    line.send(data)
    assert line.session.dropped is Drop.MALFORMED


def test_who_sends_more_requests_than_any_miner_is_dropped(line):
    data, _ = line.miner.call("mining.ping")
    line.send(data * (LIMITS.requests_burst + 10))
    assert line.session.dropped is Drop.FLOOD
    assert sum("pong" in str(answer) for answer in line.miner.answers.values()) == 1
    line.send(data)
    assert line.pull() == []


def test_a_steady_stream_at_the_allowed_rate_is_no_flood(line):
    for _ in range(3 * LIMITS.requests_burst):
        line.now += 1000 // LIMITS.requests_per_s
        assert line.ask(line.miner.call("mining.ping")) is not None
    assert line.session.dropped is None


def test_who_sends_shares_that_are_worth_nothing_is_dropped(line):
    pair = line.miner.search()
    assert line.ask(pair)["result"] is True
    sent = 0
    while line.session.dropped is None:
        line.now += 1000
        line.ask(pair)
        sent += 1
    assert line.session.dropped is Drop.BAD_SHARES
    assert sent in range(LIMITS.bad_burst, LIMITS.bad_burst + 4)


def test_stale_shares_are_nobodys_fault(line):
    pair = line.miner.search()
    line.give(work(height=2), "w2")
    for _ in range(5 * LIMITS.bad_burst):
        line.now += 100
        refused(line, line.ask(pair), Refusal.STALE)
    assert line.session.dropped is None


def test_a_line_that_trickles_is_dropped_and_one_that_comes_is_not(line):
    ping, _ = line.miner.call("mining.ping")
    for byte in ping:
        line.wait(200)
        line.send(bytes([byte]))
    assert line.session.dropped is None
    line.send(b'{"id":')
    for _ in range(20):
        line.wait(2000)
        line.send(b" ")
    assert line.session.dropped is Drop.SLOW


@pytest.mark.parametrize("said", [b"", b'{"id":1,"method":"mining.subscribe"}\n'])
def test_who_does_not_come_in_is_dropped(said):
    line = Line(made=work())
    line.send(said)
    line.wait(LIMITS.handshake_ms)
    assert line.session.dropped is None
    line.wait(1000)
    assert line.session.dropped is Drop.SLOW


def test_who_falls_silent_is_dropped_as_idle(line):
    line.wait(LIMITS.idle_ms)
    assert line.session.dropped is None
    line.wait(1000)
    assert line.session.dropped is Drop.IDLE


def test_who_talks_but_does_not_mine_is_dropped_as_idle_and_who_mines_is_not(line):
    assert line.ask(line.miner.search())["result"] is True
    silent = Line(made=work()).join().easier()
    for _ in range(LIMITS.idle_ms // 30_000 + 1):
        for one in (line, silent):
            one.wait(30_000)
            one.ask(one.miner.call("mining.ping"))
        line.give(work(), "w1")
        assert line.ask(line.miner.search())["result"] is True
    assert (line.session.dropped, silent.session.dropped) == (None, Drop.IDLE)


def test_nobody_is_idle_while_there_is_no_work(line):
    line.session.set_job(None, line.now)
    line.wait(2 * LIMITS.idle_ms)
    line.give(work(height=2))
    line.wait(LIMITS.idle_ms)
    assert line.session.dropped is None


def test_a_miner_hears_at_once_and_again_and_again_that_there_is_no_work(line):
    assert line.miner.no_work == 0
    line.session.set_job(None, line.now)
    line.pull()
    assert line.miner.no_work == 1
    line.wait(3 * REMIND_MS)
    assert line.miner.no_work == 4
    late = Line().join()
    assert late.miner.no_work == 1


QUICK = StratumLimits(start=-28, lowest=-28, share_every_ms=1000)
"""Shares of 16 hashes."""


def test_an_honest_miner_on_a_head_that_stands_for_long_is_no_flood():
    line = Line(made=work(), limits=QUICK).join()
    for n in range(2 * SHARES_REMEMBERED):
        line.now += 700
        if n % 40 == 0:
            line.give(work(), f"w{n}")
        assert line.ask(line.miner.search())["result"] is True
    assert line.session.dropped is None


def test_who_sends_more_shares_than_are_remembered_is_dropped():
    line = Line(made=work(), limits=QUICK).join()
    issued = next(iter(line.session._issued.values()))
    issued.shares.extend(range(SHARES_REMEMBERED))
    line.ask(line.miner.search())
    assert line.session.dropped is Drop.FLOOD


def test_what_is_remembered_of_a_connection_takes_little_memory(line):
    issued = next(iter(line.session._issued.values()))
    for n in range(SHARES_REMEMBERED):
        assert issued.is_new(n * 0x9E3779B97F4A7C15 % (1 << 64))
    assert not issued.is_new(0)
    assert issued.shares.buffer_info()[1] == SHARES_REMEMBERED
    assert sys.getsizeof(issued.shares) < 64_000


messages = st.sampled_from(
    ["mining.subscribe", "mining.authorize", "mining.submit", "mining.configure", "mining.x",
     "mining.suggest_difficulty", "mining.extranonce.subscribe", "mining.ping"]
)  # fmt: skip
words = st.sampled_from(["bob", "1", "2", "00000000", "655f1e00", "zz", "", "\ud800"])
params = st.lists(words | st.none() | st.integers() | st.floats() | st.lists(words, max_size=2))


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.sampled_from([1, "a", None]), messages, params).map(
            lambda m: (
                json.dumps(dict(zip(("id", "method", "params"), m, strict=True))).encode() + b"\n"
            )
        )
        | st.binary(max_size=100),
        max_size=12,
    ),
    st.lists(st.integers(0, 100_000), min_size=12, max_size=12),
)
def test_whatever_is_sent_a_session_answers_or_ends_and_counts_no_share(pieces, waits):
    line = Line(made=work())
    for piece, wait in zip(pieces, waits, strict=False):
        line.now += wait
        line.session.tick(line.now)
        line.session.receive(piece, line.now)
        data, events = line.session.drain()
        assert data == b"" or data.endswith(b"\n")
        assert len(data) <= 2048 * (1 + piece.count(b"\n"))
        assert not any(isinstance(event, ShareAccepted | BlockFound) for event in events)
