"""What the kernels are compared with: hashlib, one nonce after the other."""

import hashlib
import random
from dataclasses import dataclass

NONCES = 1 << 32


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def number(header: bytes, nonce: int) -> int:
    """The hash of the header with this nonce, as it is compared with a target."""
    return int.from_bytes(sha256d(header[:76] + nonce.to_bytes(4, "little")), "little")


def lowest(header: bytes, target: int, first: int, count: int) -> int | None:
    """What a search has to find."""
    nonces = range(first, min(first + count, NONCES))
    return next((nonce for nonce in nonces if number(header, nonce) <= target), None)


@dataclass(frozen=True, slots=True)
class Search:
    header: bytes
    target: int
    first: int
    count: int

    @property
    def expected(self) -> int | None:
        return lowest(self.header, self.target, self.first, self.count)


def searches(seed: int, lanes: int) -> list[Search]:
    """Searches that meet what a kernel of `lanes` lanes may get wrong.

    Of one hit each: in every lane, at the last nonce of a range, one behind it, with a target that
    it equals or misses by one. Of many and of none: random ranges, to the end of the nonces.
    """
    chosen = random.Random(seed)
    made = []
    for lane in range(lanes):
        header = chosen.randbytes(80)
        first = chosen.randrange(NONCES - 2 * lanes)
        values = [number(header, first + i) for i in range(2 * lanes)]
        best = min(values)
        hit = first + values.index(best)
        start = max(0, hit - lane)
        made += [
            Search(header, best, start, 2 * lanes),
            Search(header, best, start, hit - start + 1),
            Search(header, best, start, hit - start),
            Search(header, best - 1, start, hit - start + 1),
        ]
    for _ in range(40):
        header, count = chosen.randbytes(80), chosen.randrange(4 * lanes + 2)
        first = chosen.randrange(NONCES - count)
        made.append(Search(header, chosen.getrandbits(chosen.randint(244, 256)), first, count))
        left = chosen.randrange(1, 3 * lanes)
        for beyond in (0, 1, chosen.getrandbits(62)):
            target = (1 << chosen.randint(249, 255)) - 1
            made.append(Search(header, target, NONCES - left, left + beyond))
    return made
