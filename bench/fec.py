"""Forward error correction against asking again: time, bytes and processor time of a payload.

    pip install zfec
    python -m bench.fec                              # a payload of 490 kB, 10 Mbit/s
    python -m bench.fec --bytes 4000000 --megabits 2

One node pulls one payload from one other through a simulated path (edgenode.sim.path), by the
node's own window and loss detection (edgenode.protocol.flow). *again*: what was lost is asked for
again, as the node does. *code*: for each piece of 29 chunks the other also sends as many chunks of
repair as it takes that 99 of 100 pieces can be decoded at once, and any 29 of them make the piece;
a piece that lacks some still is repaired by more of them. The code is as good as can be: it is told
the true loss, and costs no byte and no time of its own. Printed are the seconds until the payload
is here and the datagrams on the path over the least, mean over seeds.

Below, what a processor makes of it: zfec (Reed-Solomon over GF(256), in C) for a piece, beside the
hash of the piece and the opening of its datagrams, which a node does anyway.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

from edgenode.ledger.hashes import PIECE_BYTES
from edgenode.protocol.channel import Channel
from edgenode.protocol.flow import Wanted
from edgenode.protocol.wire import CHUNK_BYTES, CHUNKS_PER_PIECE
from edgenode.sim.path import Path, Puller

LOSSES = (0.0, 0.01, 0.05, 0.2)
ROUND_TRIPS = (0.005, 0.05, 0.5)
BUFFER = 300
LIMIT = 600.0
"""Seconds of the simulation after which a transfer counts as failed."""

DECODED = 0.99


def repairs(loss: float) -> int:
    """Chunks of repair with which so many pieces can be decoded at once."""
    extra = 0
    while True:
        sent = CHUNKS_PER_PIECE + extra
        at_most = sum(
            math.comb(sent, lost) * loss**lost * (1 - loss) ** (sent - lost)
            for lost in range(extra + 1)
        )
        if at_most >= DECODED:
            return extra
        extra += 1


class Again(Puller):
    """Pulls one payload; what is lost is asked for again."""

    def __init__(self, path: Path, chunks: int) -> None:
        self.wanted = [(piece, index) for piece, index in _places(chunks)]
        self.done_at: float | None = None
        super().__init__(path)

    def _take(self) -> Wanted | None:
        if self._again:
            return self._again.pop()
        if self._next == len(self.wanted):
            return None
        self._next += 1
        return self.wanted[self._next - 1]

    def _came(self, tag: int, chunk: Wanted, sent: int, wait: float) -> None:
        super()._came(tag, chunk, sent, wait)
        if self.done_at is None and self.is_done():
            self.done_at = self.path.now

    def is_done(self) -> bool:
        """Whether all of the payload is here."""
        return len(self.got) == len(self.wanted)


class Code(Again):
    """Pulls one payload with repair; any 29 chunks of a piece make it."""

    def __init__(self, path: Path, chunks: int, extra: int) -> None:
        self.needed: dict[int, int] = {}
        for piece, _ in _places(chunks):
            self.needed[piece] = self.needed.get(piece, 0) + 1
        self.made = {piece: needed + extra for piece, needed in self.needed.items()}
        super().__init__(path, chunks)
        self.wanted = [(p, n) for p, made in self.made.items() for n in range(made)]

    def _pump(self) -> None:
        # A lost chunk is not asked for again: another one of its piece is, if it needs one more.
        lost, self._again = self._again, []
        for piece in {piece for piece, _ in lost}:
            here = sum(p == piece for p, _ in self.got)
            coming = sum(p == piece for p, _ in self.flow._under_way)  # noqa: SLF001
            ahead = sum(p == piece for p, _ in self.wanted[self._next :])
            for _ in range(self.needed[piece] - here - coming - ahead):
                self.wanted.append((piece, self.made[piece]))
                self.made[piece] += 1
        super()._pump()

    def is_done(self) -> bool:
        """Whether all pieces can be decoded."""
        here: dict[int, int] = {}
        for piece, _ in self.got:
            here[piece] = here.get(piece, 0) + 1
        return all(here.get(piece, 0) >= needed for piece, needed in self.needed.items())


def _places(chunks: int) -> Iterable[Wanted]:
    return (divmod(number, CHUNKS_PER_PIECE) for number in range(chunks))


def transfer(make: Callable[[Path], Again], path: Path, chunks: int) -> tuple[float, float]:
    """Seconds until the payload is here, and the datagrams given to the path over the least."""
    puller = make(path)
    while puller.done_at is None and path.now < LIMIT:
        path.run(path.now + 0.05)
    return puller.done_at or math.inf, path.given / chunks


def paths(payload_bytes: int, rate: float, seeds: int) -> None:
    """Print the table of transfers."""
    chunks = math.ceil(payload_bytes / CHUNK_BYTES)
    print("| round trip | loss | again (s) | code (s) | again, datagrams / least | code |")
    print("|---|---|---|---|---|---|")
    for trip in ROUND_TRIPS:
        for loss in LOSSES:
            extra = repairs(loss)
            cells = []
            makers: tuple[Callable[[Path], Again], ...] = (
                partial(Again, chunks=chunks),
                partial(Code, chunks=chunks, extra=extra),
            )
            for make in makers:
                runs = [
                    transfer(make, Path(rate=rate, round_trip=trip, buffer=BUFFER, loss=loss,
                                        seed=seed), chunks)
                    for seed in range(seeds)
                ]  # fmt: skip
                cells.append([sum(column) / seeds for column in zip(*runs, strict=True)])
            (again_s, again_n), (code_s, code_n) = cells
            print(f"| {1000 * trip:.0f} ms | {100 * loss:.0f} % | {again_s:.2f} | {code_s:.2f} "
                  f"| {again_n:.3f} | {code_n:.3f} |", flush=True)  # fmt: skip


def processor() -> None:
    """Print what a piece costs the processor."""
    import zfec  # noqa: PLC0415  (only this bench needs it)

    piece = os.urandom(CHUNKS_PER_PIECE * CHUNK_BYTES)
    parts = [piece[i : i + CHUNK_BYTES] for i in range(0, len(piece), CHUNK_BYTES)]
    one, other = (
        Channel(local=1, remote=1, sending=bytes(32), receiving=bytes(32), made=0.0, asked=True)
        for _ in range(2)
    )

    def open_all() -> None:
        for part in parts:
            other.open(one.seal(part), 0.0)

    print("\n| for a piece of 32 KiB | microseconds | of the hash |")
    print("|---|---|---|")
    hashed = timed(lambda: hashlib.sha256(piece[:PIECE_BYTES]).digest())
    print(f"| its SHA-256 | {hashed:.0f} | 1.0 |")
    sealed = timed(open_all)
    print(f"| 29 datagrams sealed and opened | {sealed:.0f} | {sealed / hashed:.1f} |")
    for loss in LOSSES[1:]:
        extra = repairs(loss)
        encoder = zfec.Encoder(CHUNKS_PER_PIECE, CHUNKS_PER_PIECE + extra)
        decoder = zfec.Decoder(CHUNKS_PER_PIECE, CHUNKS_PER_PIECE + extra)
        numbers = tuple(range(CHUNKS_PER_PIECE, CHUNKS_PER_PIECE + extra))
        made = encoder.encode(parts, numbers)
        lost = min(extra, round(loss * CHUNKS_PER_PIECE) or 1)
        kept = [*made[:lost], *parts[lost:]]
        names = [*numbers[:lost], *range(lost, CHUNKS_PER_PIECE)]
        coded = timed(partial(encoder.encode, parts, numbers))
        back = timed(partial(decoder.decode, kept, names))
        print(f"| zfec, {extra} of repair: coded | {coded:.0f} | {coded / hashed:.1f} |")
        print(f"| zfec, {extra} of repair: {lost} restored | {back:.0f} | {back / hashed:.1f} |")


def timed(act: Callable[[], object]) -> float:
    """Microseconds that it takes: the least of five times the mean of fifty."""
    means = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(50):
            act()
        means.append((time.perf_counter() - began) / 50)
    return 1e6 * min(means)


def main(arguments: Iterable[str] | None = None) -> int:
    """Run both and print the tables; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fec",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--bytes", type=int, default=4 * 122_570)
    parser.add_argument("--megabits", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args(None if arguments is None else list(arguments))
    paths(options.bytes, 1e6 * options.megabits, options.seeds)
    processor()
    return 0


if __name__ == "__main__":
    sys.exit(main())
