"""One miner's connection as a state machine: bytes, jobs and times in; bytes and events out.

A connection subscribes (it gets its extranonce1), authorises one or more workers, is given a
difficulty and a job, and submits shares. What it does wrong is answered by name; who floods,
stalls or speaks no Stratum is dropped with a reason.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edgenode.ledger.target import expand
from edgenode.mining.payee import Payee
from edgenode.mining.share_difficulty import (
    difficulty_number,
    hardest_below,
    hashes_of,
    share_target,
)
from edgenode.mining.share_pace import SharePace
from edgenode.mining.stratum_events import (
    CODES,
    Authorized,
    BlockFound,
    Drop,
    Event,
    Refusal,
    ShareAccepted,
    ShareRefused,
)
from edgenode.mining.stratum_job import (
    EXTRANONCE2_BYTES,
    NO_WORK_METHOD,
    NTIME_AHEAD_S,
    SALT_BYTES,
    Job,
    Submission,
    notify_params,
    submission_of,
    worker_of,
)
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.mining.stratum_wire import (
    REQUEST_BYTES,
    Fault,
    Json,
    LineReader,
    Reply,
    Request,
    StratumError,
    decode,
)
from edgenode.mining.token_bucket import TokenBucket

WORKERS_LIMIT = 16
"""Workers of one connection: a proxy of a few machines. Against names without end."""

JOB_MS = 180_000
"""How long shares of a job count on its head: minerd turns to a newer one after a minute, and a
stranger's miner must not go back to the times of long ago."""

JOBS_REMEMBERED = 200
"""Jobs whose shares still count: a busy mempool brings one a second. Against who asks for another
difficulty again and again."""

SHARES_REMEMBERED = 4096
"""Accepted shares of these jobs, which are known again: hundreds at the shortest pace that
difficulty aims at. Who sends more in three minutes floods."""

REMIND_MS = 30_000
"""How often a miner hears that there is still no work: as often as it would get a job."""

_NAME_BYTES = 4


class _RefusedError(Exception):
    def __init__(self, refusal: Refusal, detail: str) -> None:
        super().__init__(f"{refusal}: {detail}")
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class _Issued:
    """A job as this connection was given it; `shares` are those that were accepted, sorted.

    Eight bytes of a hash are enough to know it again, and a set would take fifteen times as much.
    """

    job: Job
    exponent: int
    salt: bytes
    time: int
    since: int
    shares: array[int] = field(default_factory=lambda: array("Q"))

    def extranonce(self, extranonce1: bytes, found: Submission) -> bytes:
        return extranonce1 + found.extranonce2 + self.salt

    def is_new(self, share: int) -> bool:
        """Note a share by the low eight bytes of its hash; False if it was accepted before."""
        place = bisect_left(self.shares, share)
        if place < len(self.shares) and self.shares[place] == share:
            return False
        self.shares.insert(place, share)
        return True


class Session:
    """One connection. After `dropped` is set nothing more is read from it."""

    def __init__(
        self,
        extranonce1: bytes,
        limits: StratumLimits,
        find_payee: Callable[[str], Payee],
        draw: Callable[[int], bytes],
        now: int,
    ) -> None:
        """Begin with a new connection.

        Args:
            extranonce1: Its own 2 bytes.
            limits: What it may have.
            find_payee: Who is paid for a worker of this name.
            draw: Gives so many random bytes, which no miner can foresee.
            now: Milliseconds of a clock that never goes back; so for all that follow.
        """
        self.dropped: Drop | None = None
        self.extranonce1 = extranonce1
        self._limits = limits
        self._find_payee = find_payee
        self._draw = draw
        self._began = self._line_began = now
        self._worked = self._told_at = now
        self._reader = LineReader(REQUEST_BYTES)
        self._requests = TokenBucket(limits.requests_burst, 1000, now, tokens=limits.requests_per_s)
        self._bad = TokenBucket(limits.bad_burst, limits.bad_every_ms, now)
        self._pace = SharePace(limits.share_every_ms, now, limits.start, limits.lowest)
        self._subscribed = False
        self._workers: dict[str, Payee] = {}
        self._job: Job | None = None
        self._issued: dict[str, _Issued] = {}
        self._told: int | None = None
        self._out = bytearray()
        self._events: list[Event] = []
        self._methods: dict[str, Callable[[tuple[Json, ...], int], Json]] = {
            "mining.submit": self._submit,
            "mining.subscribe": lambda *_: self._subscribe(),
            "mining.authorize": lambda params, _: self._authorize(params),
            "mining.configure": lambda params, _: self._configure(params),
            "mining.suggest_difficulty": self._suggest,
            # It would be told of another extranonce1, but there never is one.
            "mining.extranonce.subscribe": lambda *_: True,
            "mining.ping": lambda *_: "pong",
        }

    @property
    def is_mining(self) -> bool:
        """Whether it subscribed and authorised, so that it gets jobs."""
        return self._subscribed and bool(self._workers)

    def drain(self) -> tuple[bytes, list[Event]]:
        """What is to be sent since the last call, and what happened."""
        out, events = bytes(self._out), self._events
        self._out.clear()
        self._events = []
        return out, events

    def receive(self, data: bytes, now: int) -> None:
        """Bytes came in."""
        if self.dropped is not None:
            return
        is_new = self._reader.unfinished == 0  # what is unfinished in the end began just now
        try:
            for line in self._reader.feed(data):
                is_new = True
                if not self._requests.take(now):
                    self.dropped = Drop.FLOOD
                    return
                self._answer(line, now)
                if self.dropped is not None:
                    return
        except StratumError:
            self.dropped = Drop.MALFORMED
            return
        if is_new:
            self._line_began = now

    def tick(self, now: int) -> None:
        """Time goes by; call it each second or so."""
        limits = self._limits
        if self.dropped is not None:
            return
        late = not self.is_mining and now - self._began > limits.handshake_ms
        stalls = self._reader.unfinished > 0 and now - self._line_began > limits.line_ms
        if late or stalls:
            self.dropped = Drop.SLOW
        elif not self.is_mining:
            return
        elif self._job is None:
            if now - self._told_at >= REMIND_MS:
                self._tell_no_work(now)
        elif now - self._worked > limits.idle_ms:
            self.dropped = Drop.IDLE
        else:
            self._pace.tick(now)
            self._follow_pace(now)

    def set_job(self, job: Job | None, now: int) -> None:
        """Mine this from now on; None when there is no work, and nothing that is sent counts."""
        moved = job is None or self._job is None or job.work.previous != self._job.work.previous
        if self._job is None:
            self._worked = now  # nobody can work without a job
        self._job = job
        if moved:
            self._issued.clear()
        if self.is_mining:
            self._issue(now, restart=moved)

    def _follow_pace(self, now: int) -> None:
        if self._job is not None and self._exponent(self._job) != self._told:
            # A difficulty counts from the next job on, and miners take up to a minute to turn
            # to one that does not ask them to restart. Restarting costs them nothing.
            self._issue(now, restart=True)

    def _exponent(self, job: Job) -> int:
        return min(self._pace.exponent, hardest_below(expand(job.work.target)))

    def _issue(self, now: int, *, restart: bool) -> None:
        job = self._job
        if job is None:
            self._tell_no_work(now)
            return
        exponent = self._exponent(job)
        if exponent != self._told:
            self._told = exponent
            self._tell("mining.set_difficulty", (difficulty_number(exponent),))
        self._forget(now)
        name = self._new_name()
        salt, time = bytes.fromhex(name)[:SALT_BYTES], job.time_at(now)
        self._issued[name] = _Issued(job, exponent, salt, time, now)
        work = replace(job.work, time=time, coinbase_tail=salt + job.work.coinbase_tail)
        self._tell("mining.notify", notify_params(name, work, clean=restart))

    def _new_name(self) -> str:
        """A job's name, whose first bytes are its salt; no other job has either.

        Miners turn to another job only if its name is another, also after they came back to a pool
        that was started anew. Some read the names as hexadecimal numbers.
        """
        salts = {issued.salt for issued in self._issued.values()}
        drawn = self._draw(_NAME_BYTES)
        while drawn[:SALT_BYTES] in salts:
            drawn = self._draw(_NAME_BYTES)
        return drawn.hex()

    def _forget(self, now: int) -> None:
        """Leave out jobs that are too old or too many; the one to come has its place."""
        while self._issued:
            name, oldest = next(iter(self._issued.items()))
            if len(self._issued) < JOBS_REMEMBERED and now - oldest.since <= JOB_MS:
                return
            del self._issued[name]

    def _tell_no_work(self, now: int) -> None:
        self._told_at = now
        self._tell(NO_WORK_METHOD, ())

    def _answer(self, line: bytes, now: int) -> None:
        request = decode(line)
        if not isinstance(request, Request):
            return  # an answer to client.show_message, from miners that give one
        try:
            result = self._result(request, now)
        except _RefusedError as refused:
            self._events.append(ShareRefused(refused.refusal))
            self._reply(request, None, Fault(CODES[refused.refusal], str(refused)))
        else:
            self._reply(request, result)
            self._after(request, now)

    def _result(self, request: Request, now: int) -> Json:
        method = self._methods.get(request.method)
        if method is None:
            raise _RefusedError(Refusal.MALFORMED, "there is no such method here")
        try:
            return method(request.params, now)
        except StratumError as error:
            self._charge(request, now)
            raise _RefusedError(Refusal.MALFORMED, str(error)) from None
        except _RefusedError as refused:
            if refused.refusal is not Refusal.STALE:
                self._charge(request, now)
            raise

    def _charge(self, request: Request, now: int) -> None:
        if request.method == "mining.submit" and not self._bad.take(now):
            self.dropped = Drop.BAD_SHARES

    def _after(self, request: Request, now: int) -> None:
        """What follows an answer, in the order in which miners expect it."""
        if not self.is_mining:
            return
        if request.method == "mining.authorize":
            (name,) = request.params[:1]
            payee = self._workers[worker_of(name)]
            self._tell("client.show_message", (f"shares of {name!r} are paid to {payee.said}",))
        if self._told is None and (self._job is not None or request.method == "mining.authorize"):
            self._issue(now, restart=True)
        else:
            self._follow_pace(now)

    def _subscribe(self) -> Json:
        self._subscribed = True
        name = self.extranonce1.hex()
        subscriptions = (("mining.set_difficulty", name), ("mining.notify", name))
        return (subscriptions, name, EXTRANONCE2_BYTES)

    def _authorize(self, params: tuple[Json, ...]) -> Json:
        if not 1 <= len(params) <= 2:
            raise StratumError("mining.authorize has a worker's name and a password")
        worker = worker_of(params[0])
        if worker not in self._workers and len(self._workers) == WORKERS_LIMIT:
            raise _RefusedError(
                Refusal.UNAUTHORIZED, f"a connection has at most {WORKERS_LIMIT} workers"
            )
        payee = self._find_payee(worker)
        self._workers[worker] = payee
        self._events.append(Authorized(worker, payee))
        return True

    @staticmethod
    def _configure(params: tuple[Json, ...]) -> Json:
        """BIP 310: none of the extensions is here, and each that was asked for is told so."""
        asked = params[0] if params else ()
        if not isinstance(asked, tuple) or not all(isinstance(name, str) for name in asked):
            raise StratumError("mining.configure has an array of names")
        return {str(name): False for name in asked}

    def _suggest(self, params: tuple[Json, ...], now: int) -> Json:
        try:
            # cpuminer-opt writes the number as a text.
            number = float(str(params[0])[:32]) if params else 0.0
        except ValueError:
            number = 0.0
        if not (math.isfinite(number) and number > 0):
            raise StratumError("a difficulty is a number above 0")
        self._pace.suggest(math.frexp(number)[1] - 1, now)
        return True

    def _submit(self, params: tuple[Json, ...], now: int) -> Json:
        found = submission_of(params)
        if not self._subscribed:
            raise _RefusedError(Refusal.NOT_SUBSCRIBED, "mining.subscribe comes first")
        payee = self._workers.get(found.worker)
        if payee is None:
            raise _RefusedError(Refusal.UNAUTHORIZED, "this worker was not authorised here")
        issued = self._issued.get(found.job_id)
        if issued is None:
            raise _RefusedError(Refusal.STALE, "the job is not that of the head any more")
        job, work = issued.job, issued.job.work
        if not issued.time <= found.time <= job.latest_time(now):
            raise StratumError(
                f"ntime is before the job's, or more than {NTIME_AHEAD_S} s ahead of the clock"
            )
        extranonce = issued.extranonce(self.extranonce1, found)
        header = work.header(extranonce, found.nonce, found.time)
        number = int.from_bytes(header.id, "little")
        is_block = number <= expand(work.target)
        if not is_block and number > share_target(issued.exponent):
            raise _RefusedError(
                Refusal.LOW_DIFFICULTY,
                f"the hash does not meet difficulty {difficulty_number(issued.exponent)!r}",
            )
        if not issued.is_new(number % (1 << 64)):
            raise _RefusedError(Refusal.DUPLICATE, "this share was sent before")
        self._accept(issued, payee, now)
        if is_block:
            self._events.append(
                BlockFound(job.work_id, extranonce, found.nonce, found.time, payee.key)
            )
        return True

    def _accept(self, issued: _Issued, payee: Payee, now: int) -> None:
        self._worked = now
        if sum(len(each.shares) for each in self._issued.values()) > SHARES_REMEMBERED:
            self.dropped = Drop.FLOOD
        self._events.append(ShareAccepted(payee.key, hashes_of(issued.exponent)))
        self._pace.share(issued.exponent, now)

    def _reply(self, request: Request, result: Json, fault: Fault | None = None) -> None:
        if request.id is not None:
            self._out += Reply(request.id, result, fault).encode()

    def _tell(self, method: str, params: tuple[Json, ...]) -> None:
        self._out += Request(None, method, params).encode()
