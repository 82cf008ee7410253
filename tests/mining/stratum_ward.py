"""Work, members and an own small miner for the tests of pools: it speaks the protocol's text."""

import itertools
import json
import random
from dataclasses import replace

from edgenode.ledger.hashes import sha256d
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.target import compress, expand
from edgenode.ledger.template import Work
from edgenode.mining.payee import PayeeBook
from edgenode.native import _kernels

OWN, BOB, CAROL = (MemberKey(bytes([n]) * 32).public for n in (1, 2, 3))
MEMBERS = {"bob": BOB, "carol": CAROL, "bed.7": CAROL}
BOOK = PayeeBook(OWN, MEMBERS)

START = 1_700_000_000
EASY = compress((1 << 252) - 1)
"""One hash in sixteen is a block."""

HARD = compress(1 << 150)
"""No test finds a block."""


def work(height=1, target=HARD, branch=2, **changes):
    """Work like a node's, another for each height."""
    made = Work(
        height=height,
        version=1,
        previous=sha256d(height.to_bytes(4, "little")),
        coinbase_head=b"\x00" + height.to_bytes(4, "little"),
        coinbase_tail=bytes(range(100)),
        branch=tuple(sha256d(bytes([n])) for n in range(branch)),
        time=START + 90 * height,
        target=target,
    )
    return replace(made, **changes)


_seeds = itertools.count()


def drawing(seed=None):
    """A source of bytes that repeats from its seed; without one each call gives another."""
    return random.Random(next(_seeds) if seed is None else seed).randbytes


class TextMiner:
    """A stock miner in small: it reads mining.notify as miners do, and knows nothing of `Work`.

    It is fed with what a server sends and gives what it would send; `send` and `feed` join it to
    a session, a pool or a socket.
    """

    def __init__(self, worker="bob.pc", password="x"):
        self.worker = worker
        self.password = password
        self.extranonce1 = None
        self.extranonce2_size = None
        self.next_difficulty = 1.0
        self.difficulty = None
        self.job = None
        self.messages = []
        self.answers = {}
        self.restarts = 0
        self.no_work = 0
        self._id = 2
        self._rest = b""
        self._counter = 0

    def hello(self):
        return self._call(1, "mining.subscribe", ["text-miner/1"]) + self._call(
            2, "mining.authorize", [self.worker, self.password]
        )

    def feed(self, data):
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._read(json.loads(line))

    def _read(self, message):
        method, params = message.get("method"), message.get("params")
        if method == "mining.set_difficulty":
            self.next_difficulty = params[0]
        elif method == "mining.notify":
            if self.job is None or self.job[0] != params[0]:
                self._counter = 0  # as minerd does: a job of another name is searched from 0
            self.job, self.difficulty = params, self.next_difficulty
            self.restarts += params[8]
        elif method == "client.show_message":
            self.messages.append(params[0])
        elif method == "edgenode.no_work":
            self.no_work += 1  # which a stock miner passes over
        elif message["id"] == 1:
            _, extranonce1, self.extranonce2_size = message["result"]
            self.extranonce1 = bytes.fromhex(extranonce1)
        else:
            self.answers[message["id"]] = message

    @property
    def target(self):
        """As minerd makes it of the difficulty."""
        return int((0xFFFF << 208) / self.difficulty)

    def header(self, extranonce2, ntime):
        """The header as miners build it from the job's text."""
        _, previous, head, tail, branch, version, bits, _, _ = self.job
        coinbase = bytes.fromhex(head) + self.extranonce1 + extranonce2 + bytes.fromhex(tail)
        root = sha256d(coinbase)
        for sibling in branch:
            root = sha256d(root + bytes.fromhex(sibling))
        words = bytes.fromhex(previous)
        swapped = b"".join(words[i : i + 4][::-1] for i in range(0, 32, 4))
        numbers = [bytes.fromhex(text)[::-1] for text in (version, ntime, bits)]
        return numbers[0] + swapped + root + numbers[1] + numbers[2] + bytes(4)

    def search(self, target=None, count=1 << 32):
        """Find a share (or what meets another target): the request to send, and its id."""
        extranonce2 = self._counter.to_bytes(self.extranonce2_size, "little")
        ntime = self.job[7]
        self._counter += 1
        header = self.header(extranonce2, ntime)
        wanted = (self.target if target is None else target).to_bytes(32, "little")
        nonce = _kernels.search(header, wanted, 0, count)
        assert nonce is not None
        return self.submit(self.job[0], extranonce2.hex(), ntime, f"{nonce:08x}")

    def submit(self, *params, worker=None):
        """A submission of these params: the request to send, and its id."""
        self._id += 1
        name = self.worker if worker is None else worker
        return self._call(self._id, "mining.submit", [name, *params]), self._id

    def call(self, method, *params):
        self._id += 1
        return self._call(self._id, method, list(params)), self._id

    @staticmethod
    def _call(number, method, params):
        return json.dumps({"id": number, "method": method, "params": params}).encode() + b"\n"


def block_target(made):
    return expand(made.target)
