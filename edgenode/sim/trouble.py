"""A ward of twenty, a fifth of it dishonest, in trouble for half a minute, then in peace."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from edgenode.sim.adversaries import (
    Boaster,
    ClockForger,
    DoubleVoter,
    Equivocator,
    Forger,
    Hermit,
    Rewriter,
    SwiftMiner,
    Withholder,
)
from edgenode.sim.arena import Behaviour
from edgenode.sim.invariants import Watch
from edgenode.sim.reference import Violation
from edgenode.sim.ward import Box, Conditions
from edgenode.sim.watched_arena import WatchedArena

CONDITIONS = Conditions(
    spacing=2.0,
    training=1.0,
    parameters=3,
    share_window=40,
    share_rest=8,
    future_bound=6,
    checkpoint_interval=3,
)
"""Those of a ward that lives fast, on a network that loses nothing."""

KINDS: tuple[Callable[[], Behaviour], ...] = (
    DoubleVoter,
    Forger,
    Withholder,
    Equivocator,
    ClockForger,
    Boaster,
    SwiftMiner,
    Hermit,
    Rewriter,
)


class Trouble:
    """Draws what happens to a ward, and when."""

    boxes: ClassVar = 20
    dishonest: ClassVar = 4

    seconds: ClassVar = 36.0
    """In which everything happens: some eighteen blocks."""

    stores_lost: ClassVar = 2
    """Honest boxes that may lose their disk in a crash. They count as dishonest in
    docs/finality.md's argument until their silence is over: with them still fewer than a third
    are."""

    patience: ClassVar = 120.0
    """Seconds of peace in which something new must become final: sixty blocks."""

    def __init__(self, seed: int) -> None:
        """Draw it all; nothing has happened yet."""
        self.rng = random.Random(f"trouble {seed}")
        rng = self.rng
        dishonest = rng.sample(range(self.boxes), self.dishonest)
        behaviours = {
            index: [kind() for kind in rng.sample(KINDS, rng.randint(1, 3))] for index in dishonest
        }
        self.conditions = replace(
            CONDITIONS,
            loss=rng.choice((0.0, 0.05, 0.2)),
            duplication=rng.choice((0.0, 0.05)),
            delay=(0.002, rng.choice((0.02, 0.1, 0.2))),
        )
        self.ward = self._make_ward(seed, behaviours)
        self.crashes = 0
        self._lost = 0
        for box in self.ward.boxes:
            box.skew = rng.choice((0.0, rng.uniform(-2.5, 2.5), rng.uniform(-2.5, 2.5)))
        if rng.random() < 0.3:
            rng.choice(self.ward.boxes).skew = rng.choice((-20.0, 20.0))
        for index in dishonest:
            self.ward.boxes[index].hash_rate = rng.choice((1.0, 3.0))
        self._arrange()

    def run(self) -> Watch:
        """Let it happen, then see whether the honest recover.

        Raises:
            Violation: an invariant did not hold.
        """
        ward = self.ward
        ward.run(self.seconds)
        watch = ward.watch
        assert watch is not None, "it is there once the ward is"
        self._peace()
        before = watch.final.height
        end = ward.now + self.patience
        while not (
            min(watch.witness(box).final.height for box in ward.honest()) > before
            and ward.settled()
        ):
            if ward.now >= end:
                finals = [watch.witness(box).final.height for box in ward.honest()]
                heads = [box.running.chain.head.height for box in ward.honest()]
                raise Violation(f"after {self.patience} s of peace final are {finals} of {heads}")
            ward.run(0.5)
        return watch

    # What kinds of trouble differ in

    def _make_ward(self, seed: int, behaviours: dict[int, list[Behaviour]]) -> WatchedArena:
        return WatchedArena(self.boxes, seed, self.conditions, behaviours)

    def _arrange(self) -> None:
        """Say when what happens."""
        rng = self.rng
        for _ in range(rng.randint(0, 6)):
            self.ward.at(rng.uniform(5, self.seconds), self._crash)
        for _ in range(rng.randint(0, 2)):
            self.ward.at(rng.uniform(5, self.seconds - 5), self._part)

    # What happens

    def _crash(self) -> None:
        ward, rng = self.ward, self.rng
        box = rng.choice(ward.on())
        ward.switch_off(box)
        self.crashes += 1
        honest = box.index not in ward.behaviours
        lost = rng.random() < 0.3 and (not honest or self._lost < self.stores_lost)
        if lost:
            self._lost += honest
            ward.lose_store(box)
        ward.note(f"box {box.index} crashes" + (" and loses its disk" if lost else ""))
        self._back(box, rng.uniform(1, 20))

    def _back(self, box: Box, seconds: float) -> None:
        def back() -> None:
            if box.node is None:
                self.ward.note(f"box {box.index} is back")
                self.ward.switch_on(box)

        self.ward.at(seconds, back)

    def _part(self) -> None:
        ward, rng = self.ward, self.rng
        order = list(range(self.boxes))
        rng.shuffle(order)
        cut = rng.randint(1, self.boxes - 1)
        ward.bridging = set(ward.behaviours) if rng.random() < 0.5 else set()
        ward.partition(order[:cut], order[cut:])
        ward.note(f"apart: {sorted(order[:cut])} and the others")

        def join() -> None:
            ward.note("the network is whole")
            ward.partition()

        ward.at(rng.uniform(5, 30), join)

    def _peace(self) -> None:
        ward = self.ward
        ward.note("peace")
        ward.partition()
        ward.isolated.clear()
        ward.conditions = replace(ward.conditions, loss=0.0, duplication=0.0, delay=(0.002, 0.02))
        for box in ward.boxes:
            box.skew, box.hash_rate = 0.0, 2.0
            if box.index in ward.behaviours:
                if box.node is not None:
                    ward.switch_off(box)
            elif box.node is None:
                ward.switch_on(box)
