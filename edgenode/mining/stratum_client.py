"""A box as a miner of another node's pool: one connection as a state machine, without I/O."""

from __future__ import annotations

from dataclasses import dataclass

from edgenode.ledger.template import Work
from edgenode.mining.share_difficulty import target_of_number
from edgenode.mining.stratum_job import (
    NO_WORK_METHOD,
    Submission,
    submit_params,
    work_of_notify,
)
from edgenode.mining.stratum_wire import (
    ANSWER_BYTES,
    Json,
    LineReader,
    Reply,
    Request,
    StratumError,
    decode,
)

AGENT = "edgenode"

SILENCE_MS = 90_000
"""After so long without a job, and without a word that there is none, a pool is taken to be dead,
whatever else it says: it sends one or the other each half minute."""

ANSWER_MS = 10_000
"""How long a pool may take to let a miner in."""

JOBS_REMEMBERED = 16

_EXTRANONCE1_BYTES = range(1, 9)
_EXTRANONCE2_BYTES = range(2, 9)
"""2^48 headers at least, so that no box comes to a job's end."""

WAITING_LIMIT = 64
"""Shares without an answer; further ones are given up. Against pools that never answer: a box
keeps a number for each."""

SHARE_ANSWER_MS = 30_000
"""How long a pool may take to answer a share."""

_SUBSCRIBE, _AUTHORIZE, _FIRST_SHARE = 1, 2, 3


class PoolError(Exception):
    """A pool cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class PoolJob:
    """What to search for a pool.

    Attributes:
        id: The pool's name for it.
        work: The work.
        extranonce1: How each extranonce begins.
        extranonce2_bytes: So many bytes follow, which are the miner's; `work` holds what comes
            after them.
        target: Highest hash that is a share, as a number.
    """

    id: str
    work: Work
    extranonce1: bytes
    extranonce2_bytes: int
    target: int


@dataclass(frozen=True, slots=True)
class ShareAnswer:
    """What a pool said of a share; `refusal` is its text, None for a share that it took."""

    refusal: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """A line for people."""

    text: str


@dataclass(frozen=True, slots=True)
class NoWork:
    """There is nothing to search until the next job."""


ClientEvent = PoolJob | NoWork | ShareAnswer | Message


class StratumClient:
    """One connection to a pool."""

    def __init__(self, worker: str, now: int) -> None:
        """Begin with a new connection.

        Args:
            worker: The name to authorise as.
            now: Milliseconds of a clock that never goes back; so for all that follow.
        """
        self._worker = worker
        self._began = self._worked = now
        self._reader = LineReader(ANSWER_BYTES)
        self._extranonce: tuple[bytes, int] | None = None
        self._is_in = False
        self._target: int | None = None
        self._notified: tuple[str, Work] | None = None
        self._jobs: list[str] = []
        self._next_id = _FIRST_SHARE
        self._waiting: dict[int, int] = {}
        self._out = bytearray()
        self._events: list[ClientEvent] = []
        self._send(_SUBSCRIBE, "mining.subscribe", (AGENT,))

    def drain(self) -> tuple[bytes, list[ClientEvent]]:
        """What is to be sent since the last call, and what happened."""
        out, events = bytes(self._out), self._events
        self._out.clear()
        self._events = []
        return out, events

    def receive(self, data: bytes, now: int) -> None:
        """Bytes came in.

        Raises:
            PoolError: The pool refuses this miner, or what it says cannot be used.
        """
        try:
            for line in self._reader.feed(data):
                message = decode(line)
                if isinstance(message, Reply):
                    self._on_reply(message)
                else:
                    self._on_call(message, now)
        except StratumError as error:
            raise PoolError(f"it speaks no Stratum that is known here: {error}") from None

    def tick(self, now: int) -> None:
        """Time goes by.

        Raises:
            PoolError: The pool has been silent for too long.
        """
        if not self._is_in and now - self._began > ANSWER_MS:
            raise PoolError(f"it did not let this miner in within {ANSWER_MS // 1000} s")
        if now - self._worked > SILENCE_MS:
            raise PoolError(f"it has been silent for {SILENCE_MS // 1000} s: no job came")
        if self._waiting and now - next(iter(self._waiting.values())) > SHARE_ANSWER_MS:
            raise PoolError(f"it has not answered a share for {SHARE_ANSWER_MS // 1000} s")

    def submit(self, job_id: str, extranonce: bytes, nonce: int, time: int, now: int) -> bool:
        """Hand in a share; False if the pool took its job back, or answers too slowly."""
        if (
            self._extranonce is None
            or job_id not in self._jobs
            or len(self._waiting) >= WAITING_LIMIT
        ):
            return False
        extranonce2 = extranonce[len(self._extranonce[0]) :]
        found = Submission(self._worker, job_id, extranonce2, time, nonce)
        self._waiting[self._next_id] = now
        self._send(self._next_id, "mining.submit", submit_params(found))
        self._next_id += 1
        return True

    def _on_reply(self, reply: Reply) -> None:
        if reply.id == _SUBSCRIBE and self._extranonce is None:
            self._extranonce = _extranonce_of(reply)
            self._send(_AUTHORIZE, "mining.authorize", (self._worker, "x"))
        elif reply.id == _AUTHORIZE and not self._is_in:
            if reply.result is not True:
                why = "" if reply.fault is None else f": {reply.fault.text[:100]}"
                raise PoolError(f"it refuses the worker {self._worker}{why}")
            self._is_in = True
            self._announce()
        elif isinstance(reply.id, int) and reply.id in self._waiting:
            del self._waiting[reply.id]
            refusal = None
            if reply.result is not True:
                refusal = "no reason" if reply.fault is None else reply.fault.text[:100]
            self._events.append(ShareAnswer(refusal))
        else:
            raise StratumError(f"an answer to nothing, with the id {reply.id!r}")

    def _on_call(self, call: Request, now: int) -> None:
        match call.method:
            case "mining.set_difficulty":
                self._target = _target_of(call.params)
            case "mining.notify":
                job_id, work, clean = work_of_notify(call.params)
                if clean:
                    self._jobs.clear()
                self._jobs = [*self._jobs[-JOBS_REMEMBERED + 1 :], job_id]
                self._notified = (job_id, work)
                self._worked = now
                self._announce()
            case method if method == NO_WORK_METHOD:
                self._jobs.clear()
                self._notified = None
                self._worked = now
                self._events.append(NoWork())
            case "client.show_message":
                if call.params and isinstance(call.params[0], str):
                    self._events.append(Message(call.params[0][:200]))
            case "client.reconnect" | "mining.set_extranonce":
                # To another host, perhaps: whoever can speak for a pool must not lead its miners
                # away. A new connection to the pool in the configuration does the rest.
                raise PoolError(f"it asks for {call.method}")
            case _:
                return  # what an extension adds does not concern a miner that asked for none

    def _announce(self) -> None:
        if not (self._is_in and self._notified and self._extranonce is not None):
            return
        if self._target is None:
            raise StratumError("a job came before a difficulty")
        job_id, work = self._notified
        self._events.append(PoolJob(job_id, work, *self._extranonce, self._target))

    def _send(self, number: int, method: str, params: tuple[Json, ...]) -> None:
        self._out += Request(number, method, params).encode()


def _extranonce_of(reply: Reply) -> tuple[bytes, int]:
    if reply.fault is not None:
        raise PoolError(f"it refuses to be subscribed to: {reply.fault.text[:100]}")
    if not isinstance(reply.result, tuple) or len(reply.result) < 3:
        raise StratumError("the answer to mining.subscribe has three parts")
    extranonce1, size = reply.result[1:3]
    try:
        prefix = bytes.fromhex(extranonce1) if isinstance(extranonce1, str) else b""
    except ValueError:
        prefix = b""
    if len(prefix) not in _EXTRANONCE1_BYTES:
        raise StratumError("extranonce1 has one to eight bytes")
    if not isinstance(size, int) or isinstance(size, bool) or size not in _EXTRANONCE2_BYTES:
        raise StratumError("extranonce2 has two to eight bytes")
    return prefix, size


def _target_of(params: tuple[Json, ...]) -> int:
    number = params[0] if params else None
    if not isinstance(number, int | float) or isinstance(number, bool):
        raise StratumError("a difficulty is a number")
    try:
        return target_of_number(number)
    except ValueError as error:
        raise StratumError(str(error)) from None
