"""A pool on real sockets: small miners mine, hosts have their bounds, floods end, nothing leaks."""

import json
import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from edgenode.mining.stratum_events import Drop
from edgenode.mining.stratum_limits import StratumLimits
from tests.mining.stratum_tcp import PATIENCE_S, TcpMiner, serving, until
from tests.mining.stratum_ward import BOB, CAROL, EASY, block_target, work


def test_miners_mine_blocks_and_shares_over_tcp():
    with serving() as pool:
        pool.give(work(), "hard")
        with TcpMiner(pool.address) as bob, TcpMiner(pool.address, "carol") as carol:
            for miner in (bob.join(), carol.join()):
                for _ in range(5):
                    assert miner.ask(miner.search())["result"] is True
            assert pool.hashes() == {BOB: 5 << 16, CAROL: 5 << 16}
            made = work(2, target=EASY)
            pool.give(made, "easy")
            carol.listen_for(lambda: carol.job[7] == f"{made.time:08x}")
            assert carol.ask(carol.search(block_target(made)))["result"] is True
            found = pool.found.get(timeout=PATIENCE_S)
            assert (found.work_id, found.payee) == ("easy", CAROL)
            header = made.header(found.extranonce, found.nonce, found.time)
            assert int.from_bytes(header.id, "little") <= block_target(made)
        until(lambda: pool.connections == 0)


def test_new_work_reaches_every_miner_and_old_shares_are_stale():
    with serving() as pool:
        pool.give(work())
        miners = [TcpMiner(pool.address, f"w{n}").join() for n in range(8)]
        pairs = [miner.search() for miner in miners]
        pool.give(work(2), "w2")
        for miner, pair in zip(miners, pairs, strict=True):
            assert miner.ask(pair)["error"][0] == 21
            miner.socket.close()


def test_many_miners_at_once_are_each_counted_right():
    with serving() as pool:
        pool.give(work())

        def mine():
            with TcpMiner(pool.address, CAROL.hex()) as miner:
                miner.join()
                for _ in range(4):
                    assert miner.ask(miner.search())["result"] is True
                done.append(miner.extranonce1)

        done = []
        threads = [threading.Thread(target=mine) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        assert len(set(done)) == len(threads)
        assert pool.hashes() == {CAROL: 4 * len(threads) << 16}


def test_a_host_has_its_places_and_another_host_still_comes_in():
    with serving(StratumLimits(per_host=2), host="0.0.0.0") as pool:
        pool.give(work())
        address = ("127.0.0.1", pool.address[1])
        with TcpMiner(address) as one, TcpMiner(address) as two, TcpMiner(address) as three:
            one.join()
            two.join()
            assert three.is_ended()
            with TcpMiner(address, source="127.0.0.2") as other:
                other.join()
            assert pool.counts.dropped == {Drop.FULL: 1}
        until(lambda: pool.connections == 0)
        with TcpMiner(address) as again:
            again.join()


def test_who_floods_is_dropped_and_the_others_mine_on():
    with serving() as pool:
        pool.give(work())
        with TcpMiner(pool.address) as good, TcpMiner(pool.address) as bad:
            good.join()
            bad.join()
            ping, _ = bad.call("mining.ping")
            with suppress(ConnectionError):  # it may be dropped before all was sent
                bad.socket.sendall(ping * 5000)
            assert bad.is_ended()
            assert good.ask(good.search())["result"] is True
            assert pool.counts.dropped == {Drop.FLOOD: 1}


@pytest.mark.parametrize("data", [b"\0" * 5000, b"GET / HTTP/1.1\r\n\r\n", b"{" * 5000])
def test_who_speaks_something_else_is_dropped(data):
    with serving() as pool, TcpMiner(pool.address) as miner:
        miner.socket.sendall(data)
        assert miner.is_ended()
        assert pool.counts.dropped == {Drop.MALFORMED: 1}


def test_who_asks_and_never_reads_is_dropped_and_holds_no_memory():
    limits = StratumLimits(requests_burst=1_000_000, requests_per_s=1000)
    with serving(limits) as pool:
        pool.give(work())
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(pool.address)
            names = [f"extension-{n}" for n in range(60)]
            ask = {"id": 1, "method": "mining.configure", "params": [names]}
            line = json.dumps(ask).encode() + b"\n"
            with pytest.raises(ConnectionError):
                deaf.sendall(line * 100_000)
            until(lambda: pool.counts.dropped == {Drop.SLOW: 1})
            assert pool.connections == 0


def test_an_address_that_is_taken_is_said_at_once():
    with serving() as pool, pytest.raises(OSError, match="in use"), serving(port=pool.address[1]):
        pass


def test_an_address_that_cannot_be_had_costs_no_descriptor():
    with serving() as pool:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(5):
            with pytest.raises(OSError, match="in use"), serving(port=pool.address[1]):
                pass
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_server_that_was_stopped_serves_no_more():
    with serving() as pool:
        pool.give(work())
        with TcpMiner(pool.address) as miner:
            miner.join()
            pool.server.stop()
            assert miner.is_ended()
        with pytest.raises(ConnectionRefusedError):
            TcpMiner(pool.address)


def test_it_serves_ipv6():
    with serving(host="::1") as pool:
        pool.give(work())
        with TcpMiner(pool.address) as miner:
            assert miner.join().job is not None


def test_a_fault_of_the_pool_itself_ends_the_server_and_is_raised():
    with serving() as pool:
        pool.server.call(lambda pool: setattr(pool, "tick", lambda now: 1 / 0))
        until(lambda: not pool.server._thread.is_alive())
        with pytest.raises(ZeroDivisionError):
            pool.server.check()
        pool.server._failure = None
