"""Work as Stratum's jobs, both ways: what a miner is told, and what it sends back. No I/O.

A coinbase's extranonce has eight bytes. The first two, extranonce1, are the connection's own; the
miner counts through the next three, extranonce2. So no two miners of a pool try the same header.
The last three are the job's salt, which a miner sees as the beginning of the coinbase's other half:
no header is that of two jobs, so that nobody can look at a hash first and then name the job for
which it counts most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgenode.ledger.template import Work
from edgenode.mining.stratum_wire import Json, StratumError

EXTRANONCE1_BYTES = 2
"""Room for 65536 connections at a time, sixty times as many as there can be."""

EXTRANONCE2_BYTES = 3
"""2^56 headers of a job: ten minutes for a large ASIC, and it has another job in half a minute.
cpuminer-opt and cgminer take no less than two bytes."""

SALT_BYTES = 3
"""Drawn at random for each job as it is given to a connection. Who searched headers of salts that
may come would gain tenfold, were they all to come; of 2^24 at most 1600 do in the minute that a
header's time is good for (`StratumLimits.requests_per_s`), so it is a thousandth of honest work."""

NTIME_AHEAD_S = 60
"""How far the header's time may run ahead of the clock. The difficulty of later blocks follows
their times, so a stranger's miner must not choose them; miners that count the time up when their
nonces run out have room for a minute."""

NO_WORK_METHOD = "edgenode.no_work"
"""Tells a box that there is nothing to search until the next job; stock miners pass over it."""

COINBASE_PART_BYTES = 4096
"""Half of a coinbase; ours has less than 1 kB. Against pools that fill their miners' memory."""

BRANCH_LIMIT = 16
"""Hashes of a merkle branch: 2^16 transactions."""

_JOB_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_NUMBER = re.compile(r"[0-9a-fA-F]{8}")
_WORKER_CHARACTERS = 128
"""A key, a dot and a name; against names that fill logs."""


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work for all miners of a pool.

    Attributes:
        work_id: Name under which the node takes a solution.
        work: The work.
        since: When the node made it, in milliseconds of the pool's clock.
    """

    work_id: str
    work: Work
    since: int

    def time_at(self, now: int) -> int:
        """The header's time, in Unix seconds, at `now` (milliseconds): it goes with the clock."""
        return self.work.time + max(0, now - self.since) // 1000

    def latest_time(self, now: int) -> int:
        """The latest header time, in Unix seconds, that is accepted at `now` (milliseconds)."""
        return self.time_at(now) + NTIME_AHEAD_S


@dataclass(frozen=True, slots=True)
class Submission:
    """What a miner says that it found: the params of mining.submit."""

    worker: str
    job_id: str
    extranonce2: bytes
    time: int
    nonce: int


def notify_params(job_id: str, work: Work, *, clean: bool) -> tuple[Json, ...]:
    """The params of mining.notify; `clean` tells the miner to leave older jobs at once.

    version, nbits and ntime are the numbers as eight digits; miners put them into the header
    little-endian, and read nothing into nbits, so our form of the target passes through.
    """
    return (
        job_id,
        _swap_words(work.previous).hex(),
        work.coinbase_head.hex(),
        work.coinbase_tail.hex(),
        tuple(sibling.hex() for sibling in work.branch),
        f"{work.version:08x}",
        f"{work.target:08x}",
        f"{work.time:08x}",
        clean,
    )


def work_of_notify(params: tuple[Json, ...]) -> tuple[str, Work, bool]:
    """Inverse of `notify_params`: job id, work and `clean`.

    The work's height is not told and stands as 0; its target is whatever 32 bits the pool's
    ledger has there, not necessarily one of ours.

    Raises:
        StratumError: The params are not of this form.
    """
    if len(params) < 9:
        raise StratumError(f"mining.notify has 9 params, not {len(params)}")
    job_id, previous, head, tail, branch, version, target, time, clean = params[:9]
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise StratumError("a job's id is a short word")
    if not isinstance(branch, tuple) or len(branch) > BRANCH_LIMIT:
        raise StratumError(f"a merkle branch is an array of at most {BRANCH_LIMIT} hashes")
    if not isinstance(clean, bool):
        raise StratumError("clean_jobs is true or false")
    work = Work(
        height=0,
        version=_number("version", version),
        previous=_swap_words(_bytes("prevhash", previous, 32, exactly=True)),
        coinbase_head=_bytes("coinb1", head, COINBASE_PART_BYTES),
        coinbase_tail=_bytes("coinb2", tail, COINBASE_PART_BYTES),
        branch=tuple(_bytes("a hash of the branch", item, 32, exactly=True) for item in branch),
        time=_number("ntime", time),
        target=_number("nbits", target),
    )
    return job_id, work, clean


def submit_params(found: Submission) -> tuple[Json, ...]:
    """The params of mining.submit."""
    return (
        found.worker,
        found.job_id,
        found.extranonce2.hex(),
        f"{found.time:08x}",
        f"{found.nonce:08x}",
    )


def submission_of(params: tuple[Json, ...]) -> Submission:
    """Inverse of `submit_params`; a job id of any short word is taken, known or not.

    Raises:
        StratumError: The params are not of this form.
    """
    if len(params) == 6:
        raise StratumError("version bits were not agreed on: a block's version is fixed")
    if len(params) != 5:
        raise StratumError(f"mining.submit has 5 params, not {len(params)}")
    worker, job_id, extranonce2, time, nonce = params
    if not isinstance(job_id, str) or not _JOB_ID.fullmatch(job_id):
        raise StratumError("a job's id is a short word")
    return Submission(
        worker=worker_of(worker),
        job_id=job_id,
        extranonce2=_bytes("extranonce2", extranonce2, EXTRANONCE2_BYTES, exactly=True),
        time=_number("ntime", time),
        nonce=_number("nonce", nonce),
    )


def worker_of(value: Json) -> str:
    """The name of a worker, as in mining.authorize and mining.submit; it may be empty.

    Raises:
        StratumError: It is no short printable text.
    """
    if not isinstance(value, str) or len(value) > _WORKER_CHARACTERS or not value.isprintable():
        raise StratumError(f"a worker's name has at most {_WORKER_CHARACTERS} printable characters")
    return value


def _swap_words(block_id: bytes) -> bytes:
    """Stratum sends the previous block's id with the bytes of each 32-bit word reversed."""
    return b"".join(block_id[i : i + 4][::-1] for i in range(0, len(block_id), 4))


def _number(name: str, value: Json) -> int:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise StratumError(f"{name} has 8 hexadecimal digits")
    return int(value, 16)


def _bytes(name: str, value: Json, limit: int, *, exactly: bool = False) -> bytes:
    if (
        not isinstance(value, str)
        or len(value) > 2 * limit  # looked at first: no text of any length is searched
        or (exactly and len(value) != 2 * limit)
        or not _HEX.fullmatch(value)  # bytes.fromhex skips spaces
    ):
        raise StratumError(
            f"{name} has {'' if exactly else 'at most '}{limit} bytes in hexadecimal"
        )
    return bytes.fromhex(value)
