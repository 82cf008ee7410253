"""What happens in a miner's session: refusals, ends, shares and blocks, by name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edgenode.mining.payee import Payee


class Refusal(StrEnum):
    """Why a request is refused; the same names are in answers, metrics and tests."""

    MALFORMED = "malformed"
    STALE = "stale"
    DUPLICATE = "duplicate"
    LOW_DIFFICULTY = "low_difficulty"
    UNAUTHORIZED = "unauthorized"
    NOT_SUBSCRIBED = "not_subscribed"


CODES = {
    Refusal.MALFORMED: 20,
    Refusal.STALE: 21,
    Refusal.DUPLICATE: 22,
    Refusal.LOW_DIFFICULTY: 23,
    Refusal.UNAUTHORIZED: 24,
    Refusal.NOT_SUBSCRIBED: 25,
}
"""Stratum's numbers; 20 is its "other"."""


class Drop(StrEnum):
    """Why a connection is ended by the pool."""

    MALFORMED = "malformed"
    FLOOD = "flood"
    BAD_SHARES = "bad_shares"
    SLOW = "slow"
    IDLE = "idle"
    FULL = "full"
    NO_WORK = "no_work"


@dataclass(frozen=True, slots=True)
class Authorized:
    """A worker was let in."""

    worker: str
    payee: Payee


@dataclass(frozen=True, slots=True)
class ShareAccepted:
    """A share counts so many hashes for a payee's key."""

    payee: bytes
    hashes: int


@dataclass(frozen=True, slots=True)
class ShareRefused:
    """A request was refused."""

    refusal: Refusal


@dataclass(frozen=True, slots=True)
class BlockFound:
    """A share that is a block: what the node takes as a solution, and whose it was."""

    work_id: str
    extranonce: bytes
    nonce: int
    time: int
    payee: bytes


Event = Authorized | ShareAccepted | ShareRefused | BlockFound
