"""A box's connection to the first of some pools that answers, in a thread of its own."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from edgenode.collector.log_limit import LogLimit
from edgenode.ledger.template import Work
from edgenode.mining.searchers import Found
from edgenode.mining.stratum_client import (
    Message,
    NoWork,
    PoolError,
    PoolJob,
    ShareAnswer,
    StratumClient,
)
from edgenode.mining.stratum_server import milliseconds

log = logging.getLogger(__name__)

Address = tuple[str, int]

CONNECT_S = 5.0
"""How long a pool may take to accept: hosts of one network answer in milliseconds."""

SEND_S = 5.0

_TURN_S = 1.0
_READ_BYTES = 65536

# All pools were asked and none took us. The box meanwhile mines for its own node.
_SHORTEST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0

_LASTED_S = 10.0
"""A pool that let us go sooner than this is passed over like one that is not there: else a pool
that lets in and throws out would be asked without end."""


@dataclass(frozen=True, slots=True)
class PoolWork:
    """What to search for a pool.

    Attributes:
        id: A name that no other work of this link has.
        work: The work.
        prefix: How each extranonce begins.
        counter_bytes: So many bytes of it follow, which are to be tried.
        target: Highest hash that is a share.
    """

    id: str
    work: Work
    prefix: bytes
    counter_bytes: int
    target: int


@dataclass(slots=True)
class LinkCounts:
    """What a link counted since it began."""

    accepted: int = 0
    refused: int = 0
    switches: int = 0


class PoolLink:
    """Mines for the first pool of a list that answers, and goes on to the next when it dies.

    A pool that works is kept, also when one that stands before it in the list comes back: boxes
    that move to and fro cost both pools their shares.
    """

    def __init__(
        self,
        pools: Sequence[Address],
        worker: str,
        on_work: Callable[[PoolWork | None], None],
    ) -> None:
        """Begin to look for a pool.

        Args:
            pools: Hosts and ports, the first ones first.
            worker: The name to authorise as.
            on_work: Called in the link's thread with what to search; None when there is no pool,
                or none of its work.
        """
        self.counts = LinkCounts()
        self._pools = tuple(pools)
        self._worker = worker
        self._on_work = on_work
        self._stopping = threading.Event()
        self._found: SimpleQueue[Found] = SimpleQueue()
        self._connections = 0
        self._connected: Address | None = None
        self._has_work = False
        self._failure: Exception | None = None
        self._log_limit = LogLimit()
        self._waking = threading.Lock()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="pool-link", daemon=True)
        self._thread.start()

    @property
    def pool(self) -> Address | None:
        """The pool that this box mines for now."""
        return self._connected if self._has_work else None

    def submit(self, found: Found) -> bool:
        """Hand in a share, from any thread; False, as the search goes on."""
        self._found.put(found)
        self._wake()
        return False

    def check(self) -> None:
        """Raise what ended the thread, if something did."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the connection and the thread."""
        self._stopping.set()
        self._wake()
        self._thread.join(CONNECT_S + SEND_S)
        with self._waking:
            self._waker.close()

    def _wake(self) -> None:
        # Enough wake-ups wait already, or a thread hands in a share after the end.
        with self._waking, suppress(BlockingIOError, BrokenPipeError):
            if self._waker.fileno() >= 0:
                self._waker.send(b"x")

    def _run(self) -> None:
        pause = _SHORTEST_PAUSE_S
        try:
            while not self._stopping.is_set():
                if self._try_all():
                    pause = _SHORTEST_PAUSE_S
                else:
                    self._stopping.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
        except Exception as failure:  # kept for `check`, which raises it
            log.exception("the link to the pools ended")
            self._failure = failure
        finally:
            self._woken.close()

    def _try_all(self) -> bool:
        """Ask one pool after the other; True once one was mined for and is lost again."""
        for address in self._pools:
            if self._stopping.is_set():
                return True
            began = time.monotonic()
            try:
                self._mine_for(address)
            except (OSError, PoolError) as error:
                self._tell(address, error)
            finally:
                lost, self._has_work, self._connected = self._has_work, False, None
                if lost:
                    self._on_work(None)
            if lost and time.monotonic() - began >= _LASTED_S:
                return True
        return False

    def _mine_for(self, address: Address) -> None:
        self._connections += 1
        with (
            socket.create_connection(address, CONNECT_S) as connection,
            selectors.DefaultSelector() as selector,
        ):
            connection.settimeout(SEND_S)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            self._connected = address
            client = StratumClient(self._worker, milliseconds())
            while not self._stopping.is_set():
                self._flush(client, connection)
                ready = {key.fileobj for key, _ in selector.select(_TURN_S)}
                if self._woken in ready:
                    self._woken.recv(4096)
                    self._hand_in(client)
                if connection in ready:
                    data = connection.recv(_READ_BYTES)
                    if not data:
                        raise PoolError("it ended the connection")
                    client.receive(data, milliseconds())
                client.tick(milliseconds())

    def _flush(self, client: StratumClient, connection: socket.socket) -> None:
        data, events = client.drain()
        if data:
            connection.sendall(data)
        for event in events:
            match event:
                case PoolJob():
                    self._take(event)
                case NoWork():
                    if self._has_work:  # the pool stays ours: it rests, or waits for its node
                        self._on_work(None)
                case ShareAnswer(refusal=None):
                    self.counts.accepted += 1
                case ShareAnswer():
                    self.counts.refused += 1
                    self._say("share refused", event.refusal)
                case Message():
                    self._say("message", event.text)

    def _take(self, job: PoolJob) -> None:
        if not self._has_work:
            self._has_work = True
            self.counts.switches += 1
            log.info("mining for a pool", extra={"pool": _shown(self._connected)})
        self._on_work(
            PoolWork(
                f"{self._connections}:{job.id}",
                job.work,
                job.extranonce1,
                job.extranonce2_bytes,
                job.target,
            )
        )

    def _hand_in(self, client: StratumClient) -> None:
        while True:
            try:
                found = self._found.get_nowait()
            except Empty:
                return
            connection, _, job_id = found.work_id.partition(":")
            if connection == str(self._connections):  # else it is a share of a pool that is lost
                client.submit(job_id, found.extranonce, found.nonce, found.time, milliseconds())

    def _say(self, about: str, text: str | None) -> None:
        """Log what a pool sent, not as often as it likes."""
        if (held_back := self._log_limit.admit(about, time.monotonic())) is not None:
            log.info("the pool says", extra={"about": about, "text": text, "held_back": held_back})

    def _tell(self, address: Address, error: Exception) -> None:
        shown = _shown(address)
        held_back = self._log_limit.admit(shown, time.monotonic())
        if held_back is not None:
            log.warning(
                "no pool there", extra={"pool": shown, "error": error, "held_back": held_back}
            )


def _shown(address: Address | None) -> str:
    if address is None:
        return "none"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
