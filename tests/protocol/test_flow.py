"""What a flow makes of a path: full use of it, short queues, and way for other traffic."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.protocol.congestion import LONGEST_WINDOW, SHORTEST_WINDOW, TARGET
from edgenode.protocol.flow import MOST_REORDERING, REORDERING, Flow
from edgenode.protocol.queueing import BASE_TIME, QueueingDelay
from edgenode.sim.path import DATAGRAM_BITS, Path, Puller, Reno


def pulled(path, seconds, beside=None):
    """Shares of what the path could bring: of the puller, of `beside`; and the middle wait."""
    puller = Puller(path)
    other = beside(path) if beside else None
    path.run(seconds / 2)
    before, theirs = len(puller.got), other.got if other else 0
    came = puller.came
    path.waits.clear()
    path.run(seconds)
    possible = path.rate / DATAGRAM_BITS * seconds / 2 * (1 - path.loss)
    waits = sorted(wait for _, wait in path.waits)
    got = len(puller.got) - before
    assert puller.came - came <= 1.01 * got, "what came already is not asked for again"
    assert SHORTEST_WINDOW <= puller.flow.window <= LONGEST_WINDOW
    rest = (other.got - theirs) / possible if other else 0.0
    return got / possible, rest, waits[len(waits) // 2]


@pytest.mark.parametrize("rate", [2e6, 10e6, 50e6])
@pytest.mark.parametrize("round_trip", [0.002, 0.05])
@pytest.mark.parametrize("buffer", [50, 300])
@pytest.mark.parametrize("loss", [0.0, 0.01, 0.05])
def test_a_path_is_used_whatever_its_rate_delay_queue_and_loss(rate, round_trip, buffer, loss):
    share, _, wait = pulled(
        Path(rate=rate, round_trip=round_trip, buffer=buffer, loss=loss), seconds=20
    )
    assert share > 0.85
    assert wait < 1.5 * TARGET


@pytest.mark.parametrize("rate", [2e6, 10e6, 50e6])
@pytest.mark.parametrize("round_trip", [0.002, 0.05])
def test_a_path_that_loses_a_fifth_each_way_brings_at_least_a_third(rate, round_trip):
    share, _, wait = pulled(
        Path(rate=rate, round_trip=round_trip, buffer=300, loss=0.2), seconds=20
    )
    assert share > 0.33
    assert wait < 2 * TARGET


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.4])
def test_a_path_of_two_seconds_brings_something_whatever_it_loses(loss):
    share, *_ = pulled(Path(rate=1e6, round_trip=2.0, buffer=300, loss=loss), seconds=200)
    assert share > 0.3


@pytest.mark.parametrize("buffer", [10, 20])
def test_a_short_queue_is_not_flooded(buffer):
    path = Path(rate=10e6, round_trip=0.01, buffer=buffer)
    puller = Puller(path)
    path.run(20)
    assert puller.flow.lost < 0.3 * puller.flow.asked
    assert len(puller.got) > 0.8 * 10e6 / DATAGRAM_BITS * 20


@pytest.mark.parametrize("buffer", [100, 200])
def test_a_transfer_by_tcp_goes_first(buffer):
    share, rest, _ = pulled(
        Path(rate=10e6, round_trip=0.02, buffer=buffer), seconds=40, beside=Reno
    )
    assert rest > 0.85
    assert share > 0.01, "but does not keep it out"


def test_when_the_other_traffic_is_over_the_path_is_used_again():
    path = Path(rate=10e6, round_trip=0.02, buffer=200)
    puller, other = Puller(path), Reno(path)
    path.run(20)
    other.window = 0.0
    other._pump = other._tick = lambda: None
    path.run(25)
    before = len(puller.got)
    path.run(35)
    assert len(puller.got) - before > 0.85 * 10e6 / DATAGRAM_BITS * 10


def test_chunks_that_overtake_each_other_are_not_lost_for_long():
    """A path that shuffles: the first spurious losses teach how far chunks are overtaken."""
    rng, flow, now = random.Random(3), Flow(), 0.0
    lost = []
    for tag in range(200):
        chunks = [(1, 20 * tag + n) for n in range(20)]
        flow.ask(tag, chunks, now)
        shuffled = chunks[:]
        rng.shuffle(shuffled)
        asked_again = set()
        for chunk in shuffled:
            now += 0.001
            if chunk in asked_again:
                flow.receive(tag, chunk, int(now * 1e6), now)
                continue
            overtaken = flow.receive(tag, chunk, int(now * 1e6), now)
            lost.append(len(overtaken))
            if overtaken:
                flow.ask(1000 + len(lost), overtaken, now)
                asked_again |= set(overtaken)
        now += 0.01
    assert sum(lost[:400]) > 0
    assert sum(lost[-2000:]) == 0
    assert REORDERING < flow._reordering <= MOST_REORDERING


def test_what_is_left_of_a_lost_request_is_found_by_one_chunk():
    flow = Flow()
    flow.round_trip.sample(0.01)
    flow.ask(1, [(1, n) for n in range(8)], 0.0)
    assert flow.probe(0.01) is None
    probe = flow.probe(flow.deadline())
    assert probe == (1, 0)
    flow.ask(2, [probe], 0.03)
    assert flow.probe(10.0) is None, "one is enough"
    assert sorted(flow.receive(2, probe, 0, 0.04)) == [(1, n) for n in range(1, 8)]


def test_silence_is_answered_by_the_timeout():
    flow = Flow()
    flow.ask(1, [(1, 0), (1, 1)], 0.0)
    deadline = flow.deadline()
    assert flow.expire(deadline - 0.01) == []
    assert sorted(flow.expire(deadline)) == [(1, 0), (1, 1)]
    assert flow.silences == 1
    assert not flow.proven
    assert flow.deadline() is None


def test_chunks_that_nobody_asked_for_change_nothing():
    flow = Flow()
    assert flow.receive(9, (1, 1), 0, 1.0) == []
    assert flow.round_trip.smoothed is None
    assert not flow.proven


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(0, 1e6)), max_size=50))
def test_queueing_is_never_negative_whatever_time_a_peer_writes(samples):
    delay = QueueingDelay()
    for sent, now in sorted(samples, key=lambda sample: sample[1]):
        assert 0 <= delay.sample(sent, now) < 5000


@pytest.mark.parametrize("offset", [0, 1_000_000, 2**32 - 1, 2**31])
def test_queueing_is_what_comes_on_top_whatever_the_clocks_say(offset):
    delay = QueueingDelay()
    measured = []
    for n in range(400):
        now = n * 0.02
        wait = 0.03 if 200 <= n < 300 else 0.0
        sent = (int((now - 0.01 - wait) * 1e6) + offset) % 2**32
        measured.append(delay.sample(sent, now))
    assert max(measured[:200]) == pytest.approx(0, abs=1e-5)
    assert measured[250] == pytest.approx(0.03, abs=1e-5)
    assert measured[-1] == pytest.approx(0, abs=1e-5)


def test_a_route_that_became_longer_is_no_queue_for_ever():
    delay = QueueingDelay()
    for n in range(2000):
        now = n * 0.5
        extra = 0.2 if n > 200 else 0.0
        last = delay.sample(int((now - 0.01 - extra) * 1e6) % 2**32, now)
    assert last == pytest.approx(0, abs=1e-5)
    assert now > 3 * BASE_TIME


def test_clocks_that_drift_while_nothing_is_pulled_are_no_queue():
    delay = QueueingDelay()
    for hour in range(5):
        for n in range(100):
            now = 3600.0 * hour + 0.1 * n
            sent = int(now * (1 - 50e-6) * 1e6) % 2**32
            assert delay.sample(sent, now) < 0.005


def test_a_tag_measures_each_of_its_chunks_once():
    """A peer cannot stretch the timeout by answers to requests of long ago."""
    flow = Flow()
    flow.ask(1, [(1, 0), (1, 1)], 0.0)
    flow.receive(1, (1, 0), 0, 0.01)
    for n in range(100):
        flow.receive(1, (1, 0), 0, 100.0 + n)
        flow.receive(1, (1, 7), 0, 100.0 + n)
    assert flow.round_trip.timeout < 0.5
