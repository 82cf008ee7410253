"""Where a notification belongs in the numbering of its sensor: in order, after a gap, or nowhere.

The sensor numbers its samples modulo 2**32. The link layer delivers notifications in order and
once, so within a connection a hole means that the sensor dropped samples, and a repetition or a
step back means that the sensor is at fault; neither may corrupt what is stored.

    distance of a notification's first sample        what it is
    from the one that is expected next
    ------------------------------------------       ------------------------------------------
    0                                                in order
    1 .. MAX_GAP                                     a gap of that many samples, then in order
    -REORDER_WINDOW .. -1, ends after expected       the part already received is cut off
    -REORDER_WINDOW .. -1, inside a counted gap      out of order: dropped
    -REORDER_WINDOW .. -1, otherwise                 a duplicate: dropped
    beyond both                                      the numbering began anew: a new stream

Over a new connection the first notification is measured from the end of what came before it: what
was received then is not stored again. Annotations come in the order of their indices; one that
lies before the last is out of order.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from edgenode.collector.imu_service import INDEX_MODULUS

# Nearly six hours at 50 Hz, and 105 seconds at the highest rate that a description may state: more
# than the longest supervision timeout (32 s) can hide. A larger step is not a loss.
MAX_GAP = 1 << 20
# Six of the largest notifications. The link layer keeps the order, so what comes from further back
# is no stray repetition but a sensor that began to count anew.
REORDER_WINDOW = 256
# Gaps remembered to tell a late notification from a repeated one; older ones lie behind the
# reorder window unless the sensor drops every second notification.
_GAPS = 32


class Dropped(StrEnum):
    """Why a notification is not stored."""

    DUPLICATE = "duplicate"
    OUT_OF_ORDER = "out of order"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where in its stream a notification belongs.

    Attributes:
        first: Index of its first sample that is new, not negative; it grows on beyond 2**32.
        new_stream: Whether it begins a new stream.
        skip: How many samples at its front were received before.
        missing: How many samples were lost right before it.
    """

    first: int
    new_stream: bool = False
    skip: int = 0
    missing: int = 0


class SequenceTracker:
    """Follows the numbering of one sensor over all its connections."""

    def __init__(self) -> None:
        self._reference: int | None = None  # an index near the current one, to unwrap by
        self._next: int | None = None  # the index expected next; None before the first samples
        self._before: int | None = None  # the index expected next when the last stream ended
        self._marked = 0  # the index of the last annotation of the stream
        self._gaps: deque[range] = deque(maxlen=_GAPS)
        self._renumbered = False  # whether the index just unwrapped began a new stream

    def connection_began(self) -> None:
        """The next notification comes over a new connection and begins a new stream."""
        if self._next is not None:
            self._before = self._next % INDEX_MODULUS
        self._reference = self._next = None
        self._marked = 0
        self._gaps.clear()

    def place_samples(self, first: int, count: int) -> Placed | Dropped:
        """Place `count` samples from wire index `first` (0..2**32 - 1) on."""
        new_stream = self._reference is None
        repeated = self._received_before(first)
        if repeated >= count:
            return Dropped.DUPLICATE
        index = self._unwrap(first)
        expected = self._next
        if expected is None:
            missing = 0 if repeated else self._lost_while_away(first)
        elif index >= expected:
            missing = index - expected
        elif index + count > expected:
            self._advance(index + count)
            return Placed(expected, skip=expected - index)
        else:
            late = any(index in gap for gap in self._gaps)
            return Dropped.OUT_OF_ORDER if late else Dropped.DUPLICATE
        if missing and expected is not None:
            self._gaps.append(range(expected, index))
        self._advance(index + count)
        new_stream = new_stream or self._renumbered
        return Placed(index + repeated, new_stream, skip=repeated, missing=missing)

    def place_annotation(self, first: int) -> Placed | Dropped:
        """Place an annotation from wire index `first` (0..2**32 - 1) on."""
        new_stream = self._reference is None
        index = self._unwrap(first)
        if index < self._marked:
            return Dropped.OUT_OF_ORDER
        self._marked = index
        return Placed(index, new_stream or self._renumbered)

    def annotation_lost(self) -> int | None:
        """An annotation could not be read: the index from which on nobody knows what is done.

        None before anything came over this connection.
        """
        if self._reference is None:
            return None
        self._marked = max(self._marked, self._reference if self._next is None else self._next)
        return self._marked

    def _unwrap(self, first: int) -> int:
        """The stream's index of wire index `first`; begins anew when it is nowhere near."""
        self._renumbered = False
        if self._reference is not None:
            half = INDEX_MODULUS // 2
            distance = (first - self._reference + half) % INDEX_MODULUS - half
            back = MAX_GAP if self._next is None else REORDER_WINDOW
            index = self._reference + distance
            if -back <= distance <= MAX_GAP and index >= 0:
                return index
            self._renumbered = True
            self._next = self._before = None
            self._marked = 0
            self._gaps.clear()
        self._reference = first
        return first

    def _advance(self, index: int) -> None:
        self._reference = self._next = index

    def _received_before(self, first: int) -> int:
        """How many samples from wire index `first` on were received over the last connection."""
        if self._next is not None or self._before is None:
            return 0
        distance = (self._before - first) % INDEX_MODULUS
        return distance if distance <= REORDER_WINDOW else 0

    def _lost_while_away(self, first: int) -> int:
        """Samples between the last stream's end and wire index `first`; 0 if it began anew."""
        if self._before is None:
            return 0
        distance = (first - self._before) % INDEX_MODULUS
        self._before = None
        return distance if distance <= MAX_GAP else 0
