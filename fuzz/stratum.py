"""Coverage-guided fuzzing of Stratum: the decoder, a miner's session, a box's client, kept shares.

Invariant:

- the only exceptions are those that are declared (StratumError, PoolError, StateError);
- what decodes codes to a line that decodes to the same;
- what a session or client holds stays within its bounds, whatever comes;
- what a session sends are whole lines that its own decoder reads, and no share is counted whose
  header does not meet its difficulty.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import replace

from edgenode.ledger.hashes import sha256d
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.template import Work
from edgenode.mining import stratum_session
from edgenode.mining.payee import PayeeBook
from edgenode.mining.share_ledger import PAYEES_LIMIT, ROUNDS, ShareLedger, StateError
from edgenode.mining.stratum_client import (
    JOBS_REMEMBERED,
    WAITING_LIMIT,
    PoolError,
    PoolJob,
    StratumClient,
)
from edgenode.mining.stratum_events import BlockFound, ShareAccepted
from edgenode.mining.stratum_job import (
    Job,
    notify_params,
    submission_of,
    submit_params,
    work_of_notify,
)
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.mining.stratum_session import SHARES_REMEMBERED, WORKERS_LIMIT, Session
from edgenode.mining.stratum_wire import (
    ANSWER_BYTES,
    REQUEST_BYTES,
    LineReader,
    Request,
    StratumError,
    decode,
)

OWN, MEMBER = (MemberKey(bytes([n]) * 32).public for n in (1, 2))
WARD = "ab" * 32
BOOK = PayeeBook(OWN, {"bob": MEMBER})
LIMITS = StratumLimits(start=-31, lowest=-31)
"""Every other hash is a share, so that a fuzzer finds accepted ones, too."""

WORK = Work(
    height=1,
    version=1,
    previous=sha256d(b"head"),
    coinbase_head=b"\x00\x01\x00\x00\x00",
    coinbase_tail=bytes(40),
    branch=(sha256d(b"sibling"),),
    time=1_700_000_000,
    target=0x210FFFFF,
)
NEXT = replace(WORK, height=2, previous=sha256d(b"next"), branch=(), time=WORK.time + 90)

OUTPUT_BYTES = 4096
"""What one request may be answered with; a notification goes with it."""


def one_input(data: bytes) -> None:
    """Try one input: its first byte says on what."""
    if data:
        TARGETS[data[0] % len(TARGETS)](data[1:])


def lines(data: bytes) -> None:
    """The decoder, and what is made of a message that it gives."""
    reader = LineReader(REQUEST_BYTES)
    try:
        for line in reader.feed(data):
            _message(line)
    except StratumError:
        return
    assert reader.unfinished <= REQUEST_BYTES


def _message(line: bytes) -> None:
    message = decode(line)
    again = message.encode()
    assert again.endswith(b"\n")
    assert again.count(b"\n") == 1
    assert decode(again[:-1]) == message
    if isinstance(message, Request):
        _job(message)
        _share(message)


def _job(message: Request) -> None:
    try:
        job_id, work, clean = work_of_notify(message.params)
        params = notify_params(job_id, work, clean=clean)
        assert work_of_notify(params) == (job_id, work, clean)
    except StratumError:
        return  # most params are not those of a job


def _share(message: Request) -> None:
    try:
        found = submission_of(message.params)
        assert submission_of(submit_params(found)) == found
    except StratumError:
        return


def session(data: bytes) -> None:
    """A session that has a job, fed in pieces, with time and new heads in between."""
    now = 1000
    names = itertools.count(1)  # a fuzzer cannot guess what is drawn at random
    one = Session(
        b"\xa1\xb2", LIMITS, BOOK.find, lambda size: next(names).to_bytes(size, "little"), now
    )
    one.set_job(Job("w", WORK, now), now)
    for piece in _pieces(data):
        now += piece[0] * 100
        if piece[0] == 255:
            one.set_job(Job("n", NEXT, now) if piece[1:2] < b"\x80" else None, now)
        one.tick(now)
        one.receive(piece[1:], now)
        out, events = one.drain()
        # At most an answer, a difficulty, a job and a message for each request.
        assert len(out) <= OUTPUT_BYTES * (1 + piece.count(b"\n"))
        for line in LineReader(ANSWER_BYTES).feed(out):
            decode(line)
        for event in events:
            if isinstance(event, ShareAccepted):
                assert event.payee in {OWN, MEMBER} or len(event.payee) == 32
                assert event.hashes >= 2
            elif isinstance(event, BlockFound):
                work = WORK if event.work_id == "w" else NEXT
                header = work.header(event.extranonce, event.nonce, event.time)
                assert int.from_bytes(header.id, "little") <= work.target_number
        _bounded(one)


def _bounded(one: Session) -> None:
    held = vars(one)
    assert held["_reader"].unfinished <= REQUEST_BYTES
    assert len(held["_workers"]) <= WORKERS_LIMIT
    assert sum(len(each.shares) for each in held["_issued"].values()) <= SHARES_REMEMBERED + 1
    assert len(held["_issued"]) <= stratum_session.JOBS_REMEMBERED


def client(data: bytes) -> None:
    """A box's client that hears anything from its pool, and hands in a share now and then."""
    now = 1000
    one = StratumClient("bob", now)
    job: PoolJob | None = None
    try:
        for piece in _pieces(data):
            now += piece[0] * 100
            one.tick(now)
            one.receive(piece[1:], now)
            if job is not None:
                one.submit(
                    job.id, job.extranonce1 + piece[:4].ljust(4, b"\0"), 7, job.work.time, now
                )
            out, events = one.drain()
            for line in LineReader(REQUEST_BYTES).feed(out):
                assert isinstance(decode(line), Request)
            for event in events:
                if isinstance(event, PoolJob):
                    job = event
                    assert 0 < job.target < 1 << 256
            held = vars(one)
            assert len(held["_waiting"]) <= WAITING_LIMIT
            assert len(held["_jobs"]) <= JOBS_REMEMBERED
            assert held["_reader"].unfinished <= ANSWER_BYTES
    except PoolError:
        return


def kept_shares(data: bytes) -> None:
    """The file of shares, with the right hash at its end, so that the rest is reached."""
    body, _, _ = data.partition(b"\n")
    whole = body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"
    for text in (data, whole):
        try:
            ledger = ShareLedger.decode(OWN, WARD, text)
        except StateError:
            continue
        hashes = ledger.hashes()
        assert len(hashes) <= ROUNDS * (PAYEES_LIMIT + 1)
        assert ShareLedger.decode(OWN, WARD, ledger.encode(WARD)).hashes() == hashes
        assert len(ledger.split()) <= 12


def _pieces(data: bytes) -> Iterator[bytes]:
    """Pieces of which the first byte is what went before: a length, then so many bytes."""
    start = 0
    while start < len(data):
        length = 1 + data[start] * 8
        yield data[start + 1 : start + 1 + length] or b"\0"
        start += 1 + length


TARGETS = (lines, session, client, kept_shares)
