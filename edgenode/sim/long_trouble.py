"""Trouble that lasts for thousands of blocks: boxes let go of their past, and some join anew.

A box loses its disk again and again, another is away until the ward is far ahead. They come back
to boxes that have no first blocks any more, some of them dishonest.
"""

from dataclasses import replace
from typing import ClassVar

from edgenode.ledger.retention import ALL, Retention
from edgenode.sim.arena import Behaviour
from edgenode.sim.trouble import Trouble
from edgenode.sim.watched_arena import WatchedArena

KEPT = Retention(blocks=100)
"""As little as a node keeps: 524 blocks and those down to the next state."""

HASH_RATE = 2.5
"""Of each box, so that with what its share holds it up blocks come about every two seconds."""

BUILT = 1400.0
"""Seconds until boxes have let go of their first blocks."""

AWAY_SECONDS = (540.0, 900.0)
"""270 to 450 blocks: too many to take each of them, not so many that none is left to take."""


class LongTrouble(Trouble):
    """Draws what happens to a ward of thirteen over some two thousand blocks.

    Two dishonest boxes and the one that may have forgotten its vows are fewer than a third; without
    the box that is away and these two, the others are a quorum still.
    """

    boxes: ClassVar = 13
    dishonest: ClassVar = 2
    seconds: ClassVar = 5000.0
    stores_lost: ClassVar = 0
    patience: ClassVar = 300.0

    def _make_ward(self, seed: int, behaviours: dict[int, list[Behaviour]]) -> WatchedArena:
        honest = [index for index in range(self.boxes) if index not in behaviours]
        archive, self._forgetful, self._traveller = self.rng.sample(honest, 3)
        self.conditions = replace(self.conditions, retention=KEPT)
        return WatchedArena(
            self.boxes, seed, self.conditions, behaviours, retentions={archive: ALL}
        )

    def _arrange(self) -> None:
        rng, ward = self.rng, self.ward
        for box in ward.boxes:
            box.hash_rate *= HASH_RATE
        for _ in range(rng.randint(10, 60)):
            ward.at(rng.uniform(5, self.seconds), self._crash)
        for _ in range(rng.randint(5, 20)):
            ward.at(rng.uniform(5, self.seconds - 5), self._part)
        for _ in range(rng.randint(2, 8)):
            ward.at(rng.uniform(BUILT, self.seconds), self._lose)
        for _ in range(rng.randint(1, 4)):
            ward.at(rng.uniform(BUILT / 2, self.seconds - AWAY_SECONDS[0]), self._leave)

    def _lose(self) -> None:
        """One box, always the same, loses its disk: it alone may have forgotten its vows."""
        ward, box = self.ward, self.ward.boxes[self._forgetful]
        if box.node is None:
            return
        ward.note(f"box {box.index} loses its disk")
        ward.switch_off(box)
        ward.lose_store(box)
        self._back(box, self.rng.uniform(1, 60))

    def _leave(self) -> None:
        """One box, always the same, is away for long."""
        ward, box = self.ward, self.ward.boxes[self._traveller]
        if box.node is None:
            return
        ward.note(f"box {box.index} leaves")
        ward.switch_off(box)
        self._back(box, self.rng.uniform(*AWAY_SECONDS))
