"""Pools and small miners over real TCP, for the tests."""

import queue
import socket
import time
from contextlib import contextmanager

from edgenode.mining.pool import Pool
from edgenode.mining.share_ledger import ShareLedger
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.mining.stratum_server import StratumServer, milliseconds
from tests.mining.stratum_ward import BOOK, OWN, TextMiner, drawing

PATIENCE_S = 60
"""Only so that a test that hangs ends."""


def until(condition, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return result


class TcpMiner(TextMiner):
    """The text miner on a socket of its own."""

    def __init__(self, address, worker="bob.pc", source=None):
        super().__init__(worker)
        self.socket = socket.create_connection(
            address, timeout=PATIENCE_S, source_address=source and (source, 0)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def join(self):
        self.socket.sendall(self.hello())
        self.listen_for(lambda: self.job is not None)
        return self

    def listen_for(self, condition):
        while not condition():
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.feed(data)

    def ask(self, pair):
        data, number = pair
        self.socket.sendall(data)
        self.listen_for(lambda: number in self.answers)
        return self.answers[number]

    def is_ended(self):
        """Wait until the pool ends the connection."""
        try:
            while data := self.socket.recv(65536):
                self.feed(data)
        except ConnectionError:
            return True
        return True


class PoolServer:
    """A pool behind a port."""

    def __init__(self, limits=None, port=0, host="127.0.0.1"):
        self.ledger = ShareLedger(OWN)
        self.found = queue.SimpleQueue()
        limits = limits or StratumLimits(start=-16)
        pool = Pool(BOOK, self.ledger, limits, extranonce=1, draw=drawing(), now=milliseconds())
        self.server = StratumServer(pool, (host, port), self.found.put)
        self.address = self.server.address

    def give(self, made, work_id="w"):
        self.server.call(lambda pool: pool.set_work(work_id, made, milliseconds()))

    def rest(self):
        self.server.call(lambda pool: pool.rest(milliseconds()))

    @property
    def counts(self):
        return self.server.call(lambda pool: pool.counts)

    @property
    def connections(self):
        return self.server.call(lambda pool: len(pool._miners))

    def hashes(self):
        """What is counted, the open round included."""
        self.server.call(lambda _: self.ledger.close_round())
        return self.server.call(lambda _: self.ledger.hashes())


@contextmanager
def serving(*args, **options):
    pool = PoolServer(*args, **options)
    try:
        yield pool
    finally:
        pool.server.stop()
        pool.server.check()
