"""Many miners at one pool: a seeded simulation, the limits, and what a dying node does to them."""

import hashlib
import json
import random
from collections import Counter

import pytest

from edgenode.ledger.hashes import sha256d
from edgenode.mining.host_gate import HOSTS_REMEMBERED, VISITS, network_of
from edgenode.mining.pool import NO_WORK_MS, Pool
from edgenode.mining.share_ledger import ShareLedger
from edgenode.mining.stratum_events import Drop, Refusal
from edgenode.mining.stratum_limits import StratumLimits
from tests.mining.stratum_ward import (
    BOB,
    BOOK,
    CAROL,
    EASY,
    HARD,
    OWN,
    TextMiner,
    block_target,
    drawing,
    work,
)

LIMITS = StratumLimits(start=-28, lowest=-31, share_every_ms=2000, connections=24, per_host=3)
"""Shares of some hashes each, so that a simulation has thousands."""


class Ward:
    """A pool with its miners under a clock of the test's own."""

    def __init__(self, seed=0, limits=LIMITS, **pool):
        self.rng = random.Random(seed)
        self.now = 5_000
        self.ledger = ShareLedger(OWN)
        self.pool = Pool(
            BOOK, self.ledger, limits, extranonce=0xFFFE, draw=drawing(seed), now=self.now, **pool
        )
        self.miners = {}
        self.ended = {}
        self.turned_away = Counter()
        self.found = []
        self.digest = hashlib.sha256()

    def join(self, worker="bob", host="10.0.0.1"):
        number = self.pool.admit(host, self.now)
        if isinstance(number, Drop):
            self.turned_away[number] += 1
        if not isinstance(number, Drop):
            self.miners[number] = TextMiner(worker)
            self.send(number, self.miners[number].hello())
        return number

    def send(self, number, data):
        self.pool.receive(number, data, self.now)
        self.pull()

    def pull(self):
        output = self.pool.drain()
        for number, data in output.sent.items():
            self.digest.update(number.to_bytes(4, "big") + data)
            self.miners[number].feed(data)
        for number, reason in output.ended.items():
            self.ended[number] = reason
            del self.miners[number]
        self.found += output.found

    def give(self, made, work_id="w"):
        self.pool.set_work(work_id, made, self.now)
        self.pull()

    def wait(self, ms):
        for _ in range(ms // 1000):
            self.now += 1000
            self.pool.tick(self.now)
            self.pull()

    def ask(self, number, pair):
        data, identity = pair
        miner = self.miners[number]
        miner.answers.pop(identity, None)
        self.send(number, data)
        return miner.answers.get(identity)


def simulated(seed, steps=1500):
    """Miners that come, go, search, repeat themselves, are late, lie, and flood."""
    ward = Ward(seed)
    rng = ward.rng
    height, accepted, refused, old = 1, Counter(), Counter(), []
    headers = set()
    ward.give(work(1, branch=1))
    for _ in range(steps):
        ward.now += rng.randrange(40)
        kind = rng.random()
        if kind < 0.03 or not ward.miners:
            name = rng.choice(["bob", "carol.7", CAROL.hex(), "", "stranger"])
            ward.join(name, f"10.0.0.{rng.randrange(16)}")
            continue
        number = rng.choice(list(ward.miners))
        miner = ward.miners[number]
        is_new = kind < 0.75 and miner.job is not None
        if is_new:
            pair = miner.search()
            header = headers_of(miner, pair)
        elif kind < 0.85 and old:
            number, pair, header = rng.choice(old)
            if number not in ward.miners:
                continue
            miner = ward.miners[number]
        elif kind < 0.86:
            height += 1
            ward.ledger.close_round()
            target = HARD if rng.random() < 0.8 else EASY
            ward.give(work(height, target=target, branch=rng.randrange(4)), f"w{height}")
            continue
        elif kind < 0.88:
            ward.give(work(height, branch=rng.randrange(4)), f"w{height}'")
            continue
        elif kind < 0.885:
            ward.pool.drop_work(ward.now)
            ward.wait(1000 * rng.randrange(3))
            ward.give(work(height), f"w{height}''")
            continue
        elif kind < 0.90:
            ward.pool.leave(number, ward.now)
            del ward.miners[number]
            continue
        elif kind < 0.905:
            ward.send(number, rng.randbytes(rng.randrange(1, 3000)))
            continue
        elif kind < 0.91:
            ward.send(number, miner.call("mining.ping")[0] * rng.choice([1, 500]))
            continue
        else:
            ward.wait(1000)
            continue
        old.append((number, pair, header))
        answer = ward.ask(number, pair)
        if answer is None:
            assert number in ward.ended
        elif answer["result"] is True:
            accepted[BOOK.find(miner.worker).key] += 1
            assert header not in headers
            headers.add(header)
        else:
            name = answer["error"][1].partition(":")[0]
            assert not (is_new and name == Refusal.DUPLICATE)
            refused[name] += 1
        live = {m.extranonce1 for m in ward.miners.values()}
        assert len(live) == len(ward.miners) == len(ward.pool._miners) <= LIMITS.connections
    return ward, accepted, refused


def headers_of(miner, pair):
    """The header that a submission stands for, as the miner built it."""
    _, _, extranonce2, ntime, nonce = json.loads(pair[0])["params"]
    return miner.header(bytes.fromhex(extranonce2), ntime)[:76] + bytes.fromhex(nonce)[::-1]


@pytest.mark.parametrize("seed", range(8))
def test_a_simulated_ward_counts_each_share_once_for_whom_it_belongs_to(seed):
    ward, accepted, refused = simulated(seed)
    counts = ward.pool.counts
    assert counts.accepted == sum(accepted.values()) > 100
    assert accepted.keys() <= {OWN, BOB, CAROL}
    named = {name: n for name, n in counts.refused.items() if name in refused}
    assert {str(name): n for name, n in named.items()} == dict(refused)
    assert {Refusal.STALE, Refusal.DUPLICATE} <= set(named)
    assert Counter(ward.ended.values()) + ward.turned_away == counts.dropped
    for found in ward.found:
        assert found.payee in {OWN, BOB, CAROL}
    ward.ledger.close_round()
    assert set(ward.ledger.hashes()) == set(accepted)


def test_a_simulation_repeats_from_its_seed():
    assert simulated(3)[0].digest.digest() == simulated(3)[0].digest.digest()
    assert simulated(3)[0].digest.digest() != simulated(4)[0].digest.digest()


def test_a_block_is_handed_out_with_the_work_that_it_solves():
    ward = Ward()
    made = work(target=EASY)
    ward.give(made, "work-7")
    number = ward.join("carol")
    assert ward.ask(number, ward.miners[number].search(block_target(made)))["result"] is True
    (found,) = ward.found
    assert (found.work_id, found.payee) == ("work-7", CAROL)
    header = made.header(found.extranonce, found.nonce, found.time).encode()
    assert int.from_bytes(sha256d(header), "little") <= block_target(made)


def test_extranonces_go_round_and_leave_out_those_that_others_search():
    ward = Ward(reserved=frozenset({bytes(2)}))
    numbers = [ward.join(host=f"10.0.0.{n}") for n in range(3)]
    assert [ward.miners[n].extranonce1.hex() for n in numbers] == [
        "fffe", "ffff", "0001"
    ]  # fmt: skip


def test_one_host_cannot_take_all_places_and_all_hosts_not_more_than_there_are():
    ward = Ward()
    assert [ward.join(host="10.0.0.1") for _ in range(4)] == [1, 2, 3, Drop.FULL]
    for n in range(21):
        assert ward.join(host=f"10.0.1.{n}") not in set(Drop)
    assert ward.join(host="10.0.2.1") is Drop.FULL
    ward.pool.leave(1, ward.now)
    assert ward.join(host="10.0.2.1") not in set(Drop)
    assert ward.pool.counts.dropped == {Drop.FULL: 2}


def test_who_is_dropped_for_a_fault_must_wait_before_coming_back_and_others_need_not():
    ward = Ward()
    ward.give(work())
    for _ in range(5):
        number = ward.join(host="10.0.0.9")
        if isinstance(number, Drop):
            break
        ward.send(number, b"GET / HTTP/1.1\n")
    assert number is Drop.FLOOD
    assert ward.join(host="10.0.0.1") not in set(Drop)
    ward.wait(2000)
    assert ward.join(host="10.0.0.9") not in set(Drop)


def test_who_connects_again_and_again_is_turned_away():
    ward = Ward()
    ward.give(work())
    for _ in range(VISITS):
        ward.pool.leave(ward.join(host="10.0.0.9"), ward.now)
    assert ward.join(host="10.0.0.9") is Drop.FLOOD


def test_addresses_without_end_are_forgotten_and_take_no_memory():
    ward = Ward()
    ward.give(work())
    for n in range(2000):
        ward.pool.leave(ward.join(host=f"10.1.{n % 256}.{n // 256}"), ward.now)
    assert len(ward.pool._gate._hosts) == HOSTS_REMEMBERED


def test_miners_wait_for_a_node_that_is_away_for_a_while_and_are_then_sent_to_another():
    ward = Ward()
    ward.give(work())
    number = ward.join()
    ward.pool.drop_work(ward.now)
    ward.wait(NO_WORK_MS - 1000)
    assert number in ward.miners
    ward.give(work(2), "w2")
    assert ward.miners[number].job is not None
    ward.pool.drop_work(ward.now)
    ward.wait(NO_WORK_MS)
    assert ward.ended == {number: Drop.NO_WORK}
    assert ward.join() is Drop.NO_WORK
    ward.give(work(3), "w3")
    assert ward.join() not in set(Drop)


def test_miners_are_kept_while_the_ward_rests_however_long_and_hear_that_it_does():
    ward = Ward()
    ward.give(work())
    number = ward.join()
    ward.pool.rest(ward.now)
    ward.wait(5 * NO_WORK_MS)
    assert number in ward.miners
    assert ward.miners[number].no_work >= 2
    late = ward.join(host="10.0.0.2")
    assert late not in set(Drop)
    ward.pool.drop_work(ward.now)  # the node is away now: from here on a minute
    ward.wait(NO_WORK_MS - 1000)
    assert number in ward.miners
    ward.wait(1000)
    assert ward.ended == {number: Drop.NO_WORK, late: Drop.NO_WORK}


def test_a_network_of_ipv6_addresses_counts_as_one_address():
    ward = Ward()
    ward.give(work())
    joined = [ward.join(host=f"2001:db8::{n:x}") for n in range(4)]
    assert [isinstance(number, Drop) for number in joined] == [False, False, False, True]
    assert ward.join(host="2001:db8:0:1::1") not in set(Drop)
    assert network_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert network_of("fe80::1%eth0") == "fe80::"
    assert network_of("unknown") == "unknown"


def test_what_is_found_while_there_is_no_work_is_stale():
    ward = Ward()
    ward.give(work())
    number = ward.join()
    pair = ward.miners[number].search()
    ward.pool.drop_work(ward.now)
    assert ward.ask(number, pair)["error"][1].startswith("stale")


def test_the_pools_rate_is_that_of_the_shares_of_five_minutes():
    ward = Ward(limits=StratumLimits(start=-28, lowest=-31, share_every_ms=1000))
    ward.give(work())
    number = ward.join()
    for _ in range(60):
        ward.wait(5000)
        assert ward.ask(number, ward.miners[number].search())["result"] is True
    ward.ledger.close_round()
    assert ward.pool.hash_rate(ward.now) == ward.ledger.hashes()[BOB] / 300
    ward.wait(400_000)
    assert ward.pool.hash_rate(ward.now) == 0
