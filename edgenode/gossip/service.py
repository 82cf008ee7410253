"""The gossip service: a protocol node between two UDP sockets, a clock and the local API."""

import asyncio
import contextlib
import logging
import secrets
import socket as sockets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgenode.api.shapes import LastReport, ServiceReport, Solution
from edgenode.gossip.capture import Capture
from edgenode.gossip.clock import Policy
from edgenode.gossip.clock_watch import FILE_NAME, ClockWatch
from edgenode.gossip.lan import DISCOVERY_PORT, Lan
from edgenode.gossip.peers_file import FILE_NAME as PEERS_FILE
from edgenode.gossip.peers_file import PeersMemory
from edgenode.gossip.settings import GossipSettings
from edgenode.gossip.udp import Datagrams, UdpSocket, address_of, bound
from edgenode.gossip.uplink import Mapped, Uplink, UplinkSocket
from edgenode.gossip.work_board import WorkBoard, WorkBoards
from edgenode.learning import update_codec
from edgenode.learning.error_feedback import ErrorFeedback
from edgenode.learning.fixed_point import to_fixed
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.headers import Entry
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.rules import Rejected
from edgenode.ledger.store import MissingDataError
from edgenode.ledger.template import Template, Work
from edgenode.ledger.transaction import Transfer, Update
from edgenode.ledger.validation import base_age
from edgenode.ledger.vows import Voter
from edgenode.protocol.events import HeadMoved, PeerBlamed, PeerRevoked, PoolChanged, Refused
from edgenode.protocol.gateway_door import Door
from edgenode.protocol.instant import Instant
from edgenode.protocol.layout import SAME_HOST
from edgenode.protocol.node import Node
from edgenode.protocol.wire import Address, Socket
from edgenode.storage.chain import (
    AlteredRecordError,
    DamagedStoreError,
    SqliteChainStore,
    StoreError,
    StoreFullError,
)
from edgenode.storage.pieces import PieceFiles

log = logging.getLogger(__name__)

Result = TypeVar("Result")

SHORTEST_PAUSE = 0.02
"""Seconds between two ticks: timers that fall due together are served together."""

LONGEST_PAUSE = 1.0

RESOLVE_INTERVAL = 60.0
"""Seconds between look-ups of seeds that are names: a network may come up after the box."""

ADDRESSES_OF_A_SEED = 8
"""Of one name: the answer of a resolver must not fill the book."""

FULL_PAUSE = 10.0
"""Seconds before anything is kept again after the disk was found full."""

MENDS_AFTER = 86_400.0
"""Seconds that a service runs at least before it ends so that its successor mends what only others
asked for. To mend takes a small board up to hours: with a disk that fails again and again, it still
takes part for most of the day."""


PULLED = "pulled"
"""Directory of the pieces of large objects that are pulled."""

NO_WORK = "none"
"""What a miner that has no work names in its place."""


class WorkStaleError(LookupError):
    """The head moved since this work was handed out."""


class ListensOnlyError(Exception):
    """This node has no sync socket: nobody could fetch what it makes."""

    def __init__(self) -> None:
        super().__init__(
            'this node only listens ([gossip] sync = "off"): others could not fetch from it what '
            "it hands out"
        )


class CaptureRunsError(Exception):
    """Another capture is being made."""

    def __init__(self) -> None:
        super().__init__("another capture is being made; wait for its end")


class BaseUnknownError(LookupError):
    """A block that an update is based on is not known here."""


class GossipService:
    """Carries bytes between the node and the world; owns the member's key."""

    def __init__(
        self,
        settings: GossipSettings,
        chain: Chain,
        store: SqliteChainStore,
        ward_key: bytes,
        member_key: MemberKey,
        *,
        clock: ClockWatch | None = None,
    ) -> None:
        """Prepare; nothing is opened before `run`. Without a `clock` the system's is watched."""
        self.settings = settings
        self.chain = chain
        self._store = store
        self.member_key = member_key
        self.clock = clock or ClockWatch(
            Policy(settings.clock), settings.directory / FILE_NAME, self._newest_time
        )
        self.started = time.time()
        self.blocks_mined = 0
        self.node = Node(
            chain=chain,
            store=store,
            ward_key=ward_key,
            key=member_key,
            seeds=[],
            layout=settings.layout,
            rng=secrets.SystemRandom(),
            now=self._now(),
            voter=Voter(chain.genesis, member_key, store),
            kept=PieceFiles(settings.directory / PULLED),
        )
        self._work = WorkBoards(
            lambda shared: self.node.template(member_key.public, self._now(), shared)
        )
        self._feedback: dict[int, ErrorFeedback] = {}
        self._reports: dict[str, tuple[ServiceReport, float]] = {}
        self._sockets: dict[Socket, UdpSocket | UplinkSocket] = {}
        self._uplink: Uplink | None = None
        if settings.gateway is not None:
            door = Door(ward_key, chain.genesis.id)
            self._uplink = Uplink(
                settings.gateway, door, member_key, self._received, self._moved_to
            )
        self._lan: Lan | None = None
        self._peers = PeersMemory(settings.directory / PEERS_FILE, self.node.links.book)
        self._changed = asyncio.Condition()
        self._wake = asyncio.Event()
        self._failure: Exception | None = None
        self._damage: str | None = None
        self._past_noted = False
        self._full_told = float("-inf")
        self._mends_at = time.monotonic() + MENDS_AFTER
        # A gateway may have any address, and sends where its networks lead.
        speaks_ipv6 = ":" in settings.main[0] or settings.gateway is not None
        self._seed_family = sockets.AF_UNSPEC if speaks_ipv6 else sockets.AF_INET
        self._ended = threading.Event()
        self._notices: set[asyncio.Task[None]] = set()

    async def run(self, on_turn: Callable[[], None]) -> None:
        """Serve until cancelled; `on_turn` is called whenever the loop comes round.

        Raises:
            OSError: a socket cannot be bound; the text names its key in the configuration.
            StoreError: the chain's store failed, or the next start is to mend it.
        """
        loop = asyncio.get_running_loop()
        if self.settings.peers == "ward":  # else its seeds are all that it talks to
            self._peers.recall(time.monotonic())
        self._open_sockets()
        resolver = partial(self._resolve_seeds, loop)
        threading.Thread(target=resolver, name="resolver", daemon=True).start()
        try:
            while True:
                if self._failure is not None:
                    raise self._failure
                if self._damage is not None and time.monotonic() >= self._mends_at:
                    raise DamagedStoreError(f"{self._damage}; another start mends it")
                on_turn()
                self._look_at_past()
                self.clock.look(time.clock_gettime(time.CLOCK_BOOTTIME))
                self._attempt(lambda: self.node.tick(self._now()))
                self._flush()
                self._send_beacons()
                self._peers.keep(time.monotonic())
                await self._sleep()
        finally:
            self._ended.set()
            self.node.links.say_goodbye()
            self._flush()
            self._peers.keep(float("inf"))
            for udp in self._sockets.values():
                udp.close()
            if self._uplink is not None:
                self._uplink.close()
            if self._lan is not None:
                self._lan.close()

    def _open_sockets(self) -> None:
        """Open what the configuration asks for; raises OSError as `run` does."""
        settings = self.settings
        if self._uplink is not None:
            for kind in (Socket.SYNC, Socket.BROADCAST):
                self._sockets[kind] = self._uplink.socket(kind)
            self._uplink.start()
            return
        for kind, address in (
            (Socket.SYNC, settings.sync),
            (Socket.BROADCAST, settings.broadcast),
        ):
            if address is not None:
                name, received = kind.name.lower(), partial(self._received, kind)
                self._sockets[kind] = UdpSocket(name, bound(name, address), received)
        if settings.discovery and settings.peers == "ward":
            self._lan = Lan(settings.main, partial(self._received, Socket.DISCOVERY))

    def _moved_to(self, mapped: Mapped) -> None:
        """A gateway has given this node its sockets."""
        now = time.monotonic()
        self.node.links.move_broadcast(Address(SAME_HOST, mapped.broadcast))
        for address in mapped.nodes:
            self.node.links.book.add_seed(address, now)
        self._wake.set()

    def _send_beacons(self) -> None:
        """Let nodes on the LAN know where this one is, if that is due."""
        beacons, now = self.node.links.beacons, time.monotonic()
        if self._lan is None or now < beacons.due_at:
            return
        sent = (0, 0)
        if self.settings.sync is not None:
            sent = self._lan.send(beacons.seal)
        else:
            self._lan.look()
        self.node.links.beacons_sent(*sent, self._now())

    # What the local API asks for

    async def wait_for_head(self, unlike: bytes, seconds: float) -> Entry:
        """The head, once it is another than `unlike` (block id) or the time is up."""
        await self._wait(lambda: self.chain.head.id != unlike, seconds)
        return self.chain.head

    async def wait_for_work(
        self, unlike: str, seconds: float, shared: tuple[tuple[bytes, int], ...] = ()
    ) -> tuple[str, Work] | None:
        """The newest work, once it is another than `unlike` or the time is up.

        None while this node leaves the next block to others: at once to who still has work, when
        the time is up to who has none. `shared` are keys with weights that the reward is split by.
        """
        with self._work.held(shared) as board:
            return await self._wait_for_work(board, unlike, seconds)

    async def _wait_for_work(
        self, board: WorkBoard, unlike: str, seconds: float
    ) -> tuple[str, Work] | None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            if rest := self.node.rest(self.member_key.public, self._now()):
                if unlike != NO_WORK or loop.time() >= deadline:
                    return None
                head = self.chain.head
                pause = min(rest, deadline - loop.time())
                await self._wait(lambda head=head: self.chain.head is not head, pause)  # type: ignore[misc]
                continue
            name, work = board.current(loop.time())
            if name != unlike or loop.time() >= deadline:
                return name, work
            change = board.next_change()
            until = min(deadline, change)
            await self._wait(partial(board.changes_otherwise, change), until - loop.time())

    def submit_solution(self, name: str, solution: Solution) -> Block:
        """Make a block of a found nonce, validate it, keep it durably, announce it.

        Raises:
            ClockUntrustedError: the block's time cannot be vouched for.
            WorkStaleError: its head does not stand any more.
            Rejected: the block violates a rule.
            StoreFullError: there is no room on the disk.
            ListensOnlyError: others could not fetch the block.
        """
        self._require_sync()
        self.clock.require()
        template = self._work.template(name)
        if template is None:
            raise WorkStaleError(f"work {name} is not on the head {display(self.chain.head.id)}")
        block = self._finished(template, solution)
        try:
            self.node.submit_block(block, self._now())
        finally:
            self._flush()
        self.blocks_mined += 1
        return block

    def submit_parameters(
        self, model_name: str, base_id: bytes, examples: int, values: NDArray[np.float32]
    ) -> Update:
        """Make a client update of trained parameters, keep it durably, announce it.

        Raises:
            ClockUntrustedError: the node does not sign by this clock.
            KeyError: the ward has no such model.
            BaseUnknownError: the base is not a known block.
            ValueError: the number of parameters is wrong, or one is not finite.
            Rejected: the update violates a rule.
            StoreFullError: there is no room on the disk.
            ListensOnlyError: others could not fetch its payload.
        """
        self._require_sync()
        self.clock.require()
        index = self.chain.genesis.model_index(model_name)
        model = self.chain.genesis.models[index]
        if values.shape != (model.parameters,):
            raise ValueError(f"{model.parameters} parameters are needed, not {len(values)}")
        base = self.chain.tree.get(base_id)
        if base is None:
            raise BaseUnknownError(f"block {display(base_id)} is not known")
        # Before the parameters there are looked for, which for an old block would take long.
        try:
            base_age(self.chain.genesis, base_id, self.chain.head, self.chain.tree.get)
        except Rejected as rejected:
            self.node.refused[rejected.rule] += 1
            raise
        current = self.chain.parameters_at(base)[index]
        delta = update_codec.difference(to_fixed(values, model.scale_bits), current)
        feedback = self._feedback.setdefault(index, ErrorFeedback(model.codec))
        payload = feedback.encode(base_id, delta)
        update = Update(
            model=index,
            member=self.member_key.public,
            base=base_id,
            examples=examples,
            payload_length=len(payload),
            payload=content_id(payload),
            signature=bytes(SIGNATURE_BYTES),
        ).signed(self.member_key, self.chain.genesis.id)
        try:
            self.node.submit_update(update, payload, self._now())
        finally:
            self._flush()
        feedback.sent()
        return update

    def _require_sync(self) -> None:
        if self.settings.sync is None:
            raise ListensOnlyError

    def submit(self, transaction: Transfer | Enrolment | Revocation) -> None:
        """Keep a transaction durably and announce it; raises as `Node.submit`."""
        try:
            self.node.submit(transaction, self._now())
        finally:
            self._flush()

    async def capture(self, seconds: float) -> bytes:
        """A pcapng file of what goes through the sockets in that time, opened.

        Raises:
            CaptureRunsError: another one is being made.
        """
        links = self.node.links
        if links.tap is not None:
            raise CaptureRunsError
        sync, broadcast = self.settings.sync, self.settings.broadcast
        bound = {Socket.SYNC: sync, Socket.BROADCAST: broadcast}
        own = {kind: Address(*where) for kind, where in bound.items() if where is not None}
        own[Socket.DISCOVERY] = Address(self.settings.main[0], DISCOVERY_PORT)
        capture = Capture(own)
        links.tap = capture.take
        try:
            await asyncio.sleep(seconds)
        finally:
            links.tap = None
        log.info(
            "captured", extra={"datagrams": capture.packets, "left_out": capture.left_out or None}
        )
        return capture.file()

    def report(self, service: str, report: ServiceReport) -> None:
        """Keep a service's report in memory."""
        self._reports[service] = report, time.monotonic()

    def reports(self) -> dict[str, LastReport]:
        """The last report of each service."""
        now = time.monotonic()
        return {
            service: LastReport.of(report, now - at)
            for service, (report, at) in sorted(self._reports.items())
        }

    # Between the node and the world

    def _received(self, kind: Socket, datagrams: Datagrams) -> None:
        """Datagrams came in on one of the sockets."""
        now = self._now()
        for data, source in datagrams:
            if self._attempt(partial(self.node.receive, kind, source, data, now)):
                self._wake.set()
        self._flush()

    def _look_at_past(self) -> None:
        """Have the next start validate an archive's past, once all of it is here."""
        chain = self.chain
        if not self._past_noted and chain.keeps_all and chain.floor and chain.past.is_whole:
            self._past_noted = True
            log.warning("the blocks below are here again", extra={"height": chain.floor})
            self.note_damage(f"the blocks below height {chain.floor} are not validated")

    def fail(self, error: Exception) -> None:
        """End the service with this error; its successor mends what is damaged."""
        if isinstance(error, DamagedStoreError):
            self.note_damage(str(error))
        self._failure = self._failure or error
        self._wake.set()

    def note_damage(self, damage: str) -> None:
        """Have the next start mend what is damaged; this one goes on, a day at least."""
        if self._damage is not None:
            return  # once is enough, and whoever asks for it can do so again and again
        try:
            self._store.note_damage(damage)  # a start looks at little of the store
        except OSError as unwritable:
            # Then it is met again, and noted when there is room.
            log.error("damage cannot be noted", extra={"error": unwritable})
        else:
            self._damage = damage

    def _attempt(self, act: Callable[[], Result]) -> Result | None:
        """Let the node act; with a full disk it goes on without what could not be kept."""
        try:
            return act()
        except StoreFullError as error:
            # Without a pause the same blocks would be pulled again and again.
            now = time.monotonic()
            self.node.hold(now + FULL_PAUSE)
            if now >= self._full_told + FULL_PAUSE:  # transactions come all the time
                self._full_told = now
                log.error(
                    "new blocks and updates are not kept until there is room",
                    extra={"error": error},
                )
        except StoreError as error:
            self.fail(error)
        except MissingDataError as error:
            self.fail(AlteredRecordError(str(error)))
        return None

    def _flush(self) -> None:
        if damage := self.chain.served.altered():
            self.note_damage(damage)
        datagrams, events = self.node.drain()
        for datagram in datagrams:
            if (udp := self._sockets.get(datagram.socket)) is not None:
                udp.send(datagram.data, datagram.address)
        for event in events:
            match event:
                case HeadMoved(change):
                    self._work.head_moved()
                    log.info(
                        "head moved",
                        extra={
                            "height": change.new.height,
                            "block": display(change.new.id),
                            "undone": len(change.disconnected) or None,
                        },
                    )
                case PoolChanged():
                    self._work.pool_changed(asyncio.get_running_loop().time())
                case Refused(what, rejected, peer):
                    log.info(
                        "refused",
                        extra={
                            "what": what,
                            "peer": peer.address if peer else None,
                            "rule": rejected.rule.value,
                            "detail": rejected.detail,
                        },
                    )
                case PeerBlamed(peer, reason):
                    log.warning("peer shunned", extra={"peer": peer.address, "reason": reason})
                case PeerRevoked(peer):
                    log.warning(
                        "session ended: its member was revoked",
                        extra={"peer": peer.address, "member": peer.member.hex()},
                    )
        if any(isinstance(event, HeadMoved | PoolChanged) for event in events):
            notice = asyncio.get_running_loop().create_task(self._notify())
            self._notices.add(notice)
            notice.add_done_callback(self._notices.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        async with self._changed:
            try:
                async with asyncio.timeout(max(0.0, seconds)):
                    await self._changed.wait_for(condition)
            except TimeoutError:
                return

    async def _sleep(self) -> None:
        deadline = self.node.deadline()
        if self._lan is not None:
            beacon = self.node.links.beacons.due_at
            deadline = beacon if deadline is None else min(beacon, deadline)
        now = time.monotonic()
        pause = LONGEST_PAUSE if deadline is None else deadline - now
        pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, pause))
        self._wake.clear()
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return
        # A datagram may have moved a deadline closer; many of them are served by one tick.
        await asyncio.sleep(SHORTEST_PAUSE)

    def _resolve_seeds(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look names up, in a thread of its own: a resolver that hangs must not hold up the end."""
        while not self._ended.is_set():
            for host, port in self.settings.seeds:
                try:
                    found = sockets.getaddrinfo(
                        host, port, family=self._seed_family, type=sockets.SOCK_DGRAM
                    )
                except (OSError, UnicodeError) as error:  # the latter for an impossible name
                    log.warning("seed not found", extra={"seed": host, "error": error})
                    continue
                seeds = [address_of(address) for *_, address in found[:ADDRESSES_OF_A_SEED]]
                with contextlib.suppress(RuntimeError):  # the loop has ended in between
                    loop.call_soon_threadsafe(self._add_seeds, seeds)
            self._ended.wait(RESOLVE_INTERVAL)

    def _add_seeds(self, seeds: list[Address]) -> None:
        for seed in seeds:
            self.node.links.book.add_seed(seed, time.monotonic())
        self._wake.set()

    def _finished(self, template: Template, solution: Solution) -> Block:
        return template.block(
            solution.extranonce,
            solution.nonce,
            solution.time,
            self.member_key,
            self.chain.genesis.id,
        )

    def _newest_time(self) -> float:
        """The head's time, less what a block may be ahead of a right clock."""
        return float(self.chain.head.header.time - self.chain.genesis.future_bound)

    @staticmethod
    def _now() -> Instant:
        return Instant(time.monotonic(), time.time())
