"""Whose shares count how much: the last rounds of a pool, and what follows for a block's reward.

A round is the time that one head stands. A block is paid by the shares of the rounds before it
(pay per last n shares, PPLNS), so that nobody gains by coming late to a round or leaving early,
and so that the split is known before its block is searched. Integers only: the same shares in
the same order give the same split everywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque

ROUNDS = 32
"""Rounds that count: 48 minutes at a spacing of 90 s."""

PAYEES_LIMIT = 128
"""Payees of a round that are told apart, besides the pool's own node; a block pays 12. Against
somebody who makes up keys to fill memory, or to push others out."""

SPLIT_LIMIT = 10
"""Payees of a block besides the node that makes it: it takes eleven keys with weights, its own, for
its own part, among them."""

PARTS = 1_000_000
"""Weights are given in parts of this many; a reward has some thousand coins."""

STATE_BYTES = 1 << 20
"""What a state may have: 32 rounds of 129 payees take 410 kB."""

_FORMAT = 1
_HASHES_LIMIT = 1 << 128


class StateError(ValueError):
    """A kept state cannot be used; the text says why."""


class ShareLedger:
    """The shares of a pool by payee, in hashes."""

    def __init__(self, own: bytes) -> None:
        """Begin without shares; `own` is the key of the pool's own node."""
        self.own = own
        self._closed: deque[dict[bytes, int]] = deque(maxlen=ROUNDS)
        self._open: dict[bytes, int] = {}

    def credit(self, payee: bytes, hashes: int) -> None:
        """Count a share for a payee's key in the round that is open.

        When there is no place for another payee, the share is cancelled against those who have
        one, each losing as much (Misra and Gries, 1982): nobody loses more than the 129th part
        of all that was hashed in the round, whoever makes up keys.
        """
        if payee in self._open or payee == self.own or self._places < PAYEES_LIMIT:
            self._open[payee] = self._open.get(payee, 0) + hashes
            return
        others = {key: value for key, value in self._open.items() if key != self.own}
        lost = min(hashes, *others.values())
        for key, value in others.items():
            if value == lost:
                del self._open[key]
            else:
                self._open[key] = value - lost
        if hashes > lost:
            self._open[payee] = hashes - lost

    @property
    def _places(self) -> int:
        return len(self._open) - (self.own in self._open)

    def close_round(self) -> bool:
        """The head moved; a round without shares does not count. Whether this one does."""
        if not self._open:
            return False
        self._closed.append(self._open)
        self._open = {}
        return True

    def hashes(self) -> dict[bytes, int]:
        """What counts now, by payee: the closed rounds."""
        sums: dict[bytes, int] = {}
        for shares in self._closed:
            for payee, hashes in shares.items():
                sums[payee] = sums.get(payee, 0) + hashes
        return sums

    def split(self) -> tuple[tuple[bytes, int], ...]:
        """Keys and weights for the next block, the highest first; empty without shares of others.

        The weights are parts of `PARTS`, rounded down. The pool's own node gets its part, those
        of all below the first `SPLIT_LIMIT`, and what rounding leaves.
        """
        sums = self.hashes()
        total = sum(sums.values())
        others = sorted(
            ((payee, value * PARTS // total) for payee, value in sums.items() if payee != self.own),
            key=lambda part: (-part[1], part[0]),
        )
        paid = [part for part in others[:SPLIT_LIMIT] if part[1] > 0]
        rest = PARTS - sum(weight for _, weight in paid)
        if paid and rest > 0:
            paid.append((self.own, rest))
        return tuple(sorted(paid, key=lambda part: (-part[1], part[0])))

    def encode(self, ward: str) -> bytes:
        """The closed rounds as text, for a file; `ward` says whose they are."""
        rounds = [_written(shares) for shares in self._closed]
        body = json.dumps(
            {"format": _FORMAT, "ward": ward, "own": self.own.hex(), "rounds": rounds}
        ).encode()
        return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"

    @classmethod
    def decode(cls, own: bytes, ward: str, data: bytes) -> ShareLedger:
        """Inverse of `encode`, for the same node and ward.

        Raises:
            StateError: The text is not whole, or not this node's in this ward.
        """
        body, _, rest = data.partition(b"\n")
        if rest != hashlib.sha256(body).hexdigest().encode() + b"\n":
            raise StateError("the text is not whole")
        try:
            value = json.loads(body)
            if value["format"] != _FORMAT:
                raise StateError(f"format {value['format']!r} is not {_FORMAT}")
            if (value["ward"], value["own"]) != (ward, own.hex()):
                raise StateError("the shares are those of another ward or node")
            rounds = [_read(shares) for shares in value["rounds"]]
        except StateError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise StateError("the text is no list of rounds") from None
        ledger = cls(own)
        ledger._closed.extend(rounds)
        return ledger


def _written(shares: dict[bytes, int]) -> dict[str, str]:
    # Hexadecimal: a JSON integer above 2^53 is not safe with every reader.
    return {payee.hex(): f"{hashes:x}" for payee, hashes in sorted(shares.items())}


def _read(value: dict[str, str]) -> dict[bytes, int]:
    shares = {bytes.fromhex(payee): int(hashes, 16) for payee, hashes in value.items()}
    if len(shares) > PAYEES_LIMIT + 1 or not all(_is_right(*item) for item in shares.items()):
        raise StateError("a round has too many payees, or a payee or its hashes are out of range")
    return shares


def _is_right(payee: bytes, hashes: int) -> bool:
    return len(payee) == 32 and 0 < hashes < _HASHES_LIMIT
