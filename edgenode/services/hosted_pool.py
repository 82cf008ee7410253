"""The pool of a node: the Stratum server, its shares on disk, its blocks to the node."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from pathlib import Path

from edgenode.api.shapes import Solution, WorkMessage
from edgenode.mining.payee import PayeeBook
from edgenode.mining.pool import Pool
from edgenode.mining.pool_round import Pay, PoolRound
from edgenode.mining.settings import MinerSettings
from edgenode.mining.share_ledger import STATE_BYTES, ShareLedger, StateError
from edgenode.mining.stratum_events import BlockFound, Drop, Refusal
from edgenode.mining.stratum_server import StratumServer, milliseconds
from edgenode.services.hand_in import HandIn, HandInQueue, Outcome
from edgenode.storage.share_file import read_shares, write_shares

log = logging.getLogger("edgenode.miner")


class HostedPool:
    """A pool that runs; all but the constructor is for the miner's own loop."""

    def __init__(
        self,
        settings: MinerSettings,
        hand_in: HandIn,
        payees: PayeeBook,
        ward: str,
        reserved: frozenset[bytes],
    ) -> None:
        """Take up the kept shares, listen and serve.

        Args:
            settings: Where to listen, whom to let in, where shares are kept.
            hand_in: Where found blocks go.
            payees: Whom workers' names stand for.
            ward: Id of the genesis block.
            reserved: Beginnings of extranonces that this node searches itself.

        Raises:
            OSError: The address cannot be listened on.
        """
        assert settings.stratum is not None
        self._payees = payees
        self._ward = ward
        self._file = settings.shares
        self._round = PoolRound(_kept(settings.shares, payees.own, ward))
        self._blocks = 0
        self._is_new_head = self._is_unkept = False
        pool = Pool(
            payees,
            self._round.ledger,
            settings.limits,
            extranonce=secrets.randbits(32),
            draw=secrets.token_bytes,
            now=milliseconds(),
            reserved=reserved,
        )
        self._counts = pool.counts
        self._server = StratumServer(pool, settings.stratum, self._on_found)
        self._found = HandInQueue(hand_in, "pool-blocks")
        host, port = self._server.address
        log.info("serving Stratum", extra={"host": host, "port": port})

    @property
    def blocks(self) -> int:
        """Blocks of its miners that the node accepted."""
        return self._blocks

    @property
    def pay(self) -> Pay:
        """How the next block's reward is to be split."""
        return self._server.call(lambda _: self._round.pay)

    def know(self, members: Mapping[str, bytes]) -> None:
        """These are the ward's members now, by name."""
        self._server.call(lambda _: self._payees.know(members))

    def on_work(self, previous: bytes, own_hashes: int) -> bool:
        """There is work on this block: a new head closes the round before.

        Args:
            previous: Id of the block.
            own_hashes: Hashes that the node itself did on its own work since the last call.

        Returns:
            Whether `pay` is now another, so that the work must be asked for again.
        """

        def turn(_: Pool) -> bool:
            ledger = self._round.ledger
            if own_hashes > 0:
                ledger.credit(ledger.own, own_hashes)
            pay = self._round.pay
            self._is_new_head |= self._round.is_new(previous)
            self._is_unkept |= self._round.on_head(previous)
            return self._round.pay != pay

        return self._server.call(turn)

    def offer(self, message: WorkMessage) -> bool:
        """Give the node's newest work to the miners; whether it is on a new head.

        `on_work` was asked before whether the work pays as it should.
        """

        def give(pool: Pool) -> bytes | None:
            pool.set_work(message.id, message.work, milliseconds())
            return self._round.ledger.encode(self._ward) if self._is_unkept else None

        # Written last: a slow disk must not keep the miners on the old head.
        if (state := self._server.call(give)) is not None:
            self._keep(state)
        is_new_head, self._is_new_head, self._is_unkept = self._is_new_head, False, False
        return is_new_head

    def no_work(self) -> None:
        """The node has none; if that lasts, miners are sent away."""
        self._server.call(lambda pool: pool.drop_work(milliseconds()))

    def rest(self) -> None:
        """The ward leaves a pause after its last block; miners are kept."""
        self._server.call(lambda pool: pool.rest(milliseconds()))

    def pay_refused(self) -> bool:
        """The node refused to give work for the split; whether to ask without one."""
        return self._server.call(lambda _: self._round.refused())

    def check(self) -> None:
        """Raise what ended a part, if something did."""
        self._server.check()
        self._found.check()

    def values(self) -> Mapping[str, float]:
        """Numbers for the service's report; any thread may ask for them."""
        counts = self._counts
        return {
            "stratum_connections": counts.connections,
            "stratum_hash_rate": counts.hash_rate,
            "stratum_shares_total": counts.accepted,
            "stratum_blocks_total": self._blocks,
            **{f"stratum_refused_{name}_total": counts.refused[name] for name in Refusal},
            **{f"stratum_dropped_{name}_total": counts.dropped[name] for name in Drop},
        }

    def stop(self) -> None:
        """End; what was counted of the open round is kept, too."""

        def last(_: Pool) -> bytes:
            self._round.ledger.close_round()
            return self._round.ledger.encode(self._ward)

        try:
            self._keep(self._server.call(last))
        except (RuntimeError, TimeoutError) as error:  # the server ended before
            log.warning("the last shares were not kept", extra={"error": error})
        self._server.stop()
        self._found.stop()

    def _on_found(self, found: BlockFound) -> None:
        def then(outcome: Outcome) -> None:
            if outcome is Outcome.ACCEPTED:
                self._blocks += 1
                log.info("block of the pool", extra={"payee": found.payee.hex()})

        solution = Solution(found.extranonce, found.nonce, found.time)
        self._found.put(found.work_id, solution, then)

    def _keep(self, state: bytes) -> None:
        if self._file is None:
            return
        try:
            write_shares(self._file, state)
        except OSError as error:
            # Mining goes on: a restart would forget the shares, no more.
            log.warning("shares not kept", extra={"file": self._file, "error": error})


def _kept(path: Path | None, own: bytes, ward: str) -> ShareLedger:
    if path is None:
        return ShareLedger(own)
    try:
        data = read_shares(path, STATE_BYTES)
        if data is None:
            return ShareLedger(own)
        if len(data) > STATE_BYTES:
            raise StateError(f"more than {STATE_BYTES} bytes are no shares")
        return ShareLedger.decode(own, ward, data)
    except (OSError, StateError) as error:
        log.warning("kept shares not used", extra={"file": path, "error": error})
        return ShareLedger(own)
