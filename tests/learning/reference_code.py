"""A slow decoder of coded numbers, written from docs/ledger.md, section "Code of numbers"."""

from collections import defaultdict


class NoCodeError(ValueError):
    """The bytes are no code of so many numbers."""


class _Decoder:
    def __init__(self, code: bytes) -> None:
        self.rest = list(code)
        self.range = 2**32 - 1
        self.ahead = 0
        for _ in range(4):
            self.ahead = 256 * self.ahead + self.read()
        self.probabilities: dict[object, tuple[int, int]] = defaultdict(lambda: (32768, 0))

    def read(self) -> int:
        if not self.rest:
            raise NoCodeError("it ends early")
        return self.rest.pop(0)

    def widen(self) -> None:
        while self.range < 2**24:
            self.range = self.range * 256
            self.ahead = (self.ahead * 256 + self.read()) % 2**32

    def bit(self, name: object) -> int:
        p, k = self.probabilities[name]
        bound = self.range // 2**15 * (p // 2)
        rate = 131072 // (2 * k + 3)
        if self.ahead < bound:
            bit, self.range = 0, bound
            p += (65535 - p) * rate // 65536
        else:
            bit, self.range = 1, self.range - bound
            self.ahead -= bound
            p -= p * rate // 65536
        self.probabilities[name] = p, min(k + 1, 60)
        self.widen()
        return bit

    def plain(self, count: int) -> int:
        value = 0
        while count > 0:
            now = min(count, 16)
            self.range //= 2**now
            bits = self.ahead // self.range
            if bits >= 2**now:
                raise NoCodeError("beyond the range")
            self.ahead -= bits * self.range
            value = value * 2**now + bits
            count -= now
            self.widen()
        return value

    def number(self, levels: int) -> int:
        node = 1
        for _ in range(levels):
            node = 2 * node + self.bit(("node", node))
        length = node - 2**levels
        if length == 0:
            return 0
        negative = self.plain(1)
        bits = [1]
        if length >= 2:
            bits.append(self.bit((length, 0)))
        if length >= 3:
            bits.append(self.bit((length, 1 + bits[1])))
        magnitude = int("".join(map(str, bits)), 2)
        if (left := length - len(bits)) > 0:
            magnitude = magnitude * 2**left + self.plain(left)
        return -magnitude if negative else magnitude


def decode(code: bytes, count: int, levels: int) -> list[int]:
    """The numbers of 2^levels bits that the code says; raises NoCodeError."""
    decoder = _Decoder(code)
    numbers = [decoder.number(levels) for _ in range(count)]
    if decoder.rest or decoder.ahead:
        raise NoCodeError("something is left over")
    return numbers
