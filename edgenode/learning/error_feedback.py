"""Error feedback: what a lossy codec leaves out of one update goes into the next one (Seide 2014).

Without it differences that are always rounded away are never learnt; with it they add up until they
are sent (Karimireddy et al. 2019 show that training converges as without coding).
"""

from dataclasses import dataclass

import numpy as np

from edgenode.learning import update_codec
from edgenode.learning.fixed_point import Fixed
from edgenode.learning.quantization import Exact
from edgenode.learning.update_codec import Codec

CARRIED_LIMIT = 2**40
"""What is carried over is cut here, far beyond what a parameter can have; sums stay in 64 bits."""


@dataclass(frozen=True, slots=True)
class _Coded:
    base: bytes
    delta: Fixed
    payload: bytes
    left: Exact


class ErrorFeedback:
    """What the updates of one model have left out so far.

    It is kept in memory alone: what a restart loses is less than one update's rounding. What was
    said in an update that no block counts is not said again, with or without a lossy codec.
    """

    def __init__(self, codec: Codec) -> None:
        """Begin with nothing left out."""
        self._codec = codec
        self._sent: _Coded | None = None
        self._coded: _Coded | None = None

    def encode(self, base: bytes, delta: Fixed) -> bytes:
        """The payload for differences, shape (n,), to the parameters at the block `base`.

        What was left out before is in it. The same once more gives the same payload: a trainer
        that has not heard the answer asks again. Raises CodingError as `update_codec.encode`.
        """
        if not self._codec.is_lossy:
            return update_codec.encode(delta, self._codec)
        sent = self._sent
        if sent is not None and base == sent.base and np.array_equal(delta, sent.delta):
            self._coded = sent
            return sent.payload
        wanted = delta.astype(np.int64)
        if sent is not None:
            wanted += sent.left
        payload = update_codec.encode(wanted, self._codec)
        said = update_codec.decode(payload, len(delta), self._codec)
        left = (wanted - said).clip(-CARRIED_LIMIT, CARRIED_LIMIT)
        self._coded = _Coded(base, delta, payload, left)
        return payload

    def sent(self) -> None:
        """The payload last made is on its way: what it left out is carried over."""
        self._sent = self._coded
