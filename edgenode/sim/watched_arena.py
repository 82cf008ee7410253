"""An arena whose honest boxes are held against the invariants after every event."""

from collections.abc import Callable, Mapping

from edgenode.ledger.retention import Retention
from edgenode.protocol.events import Event, HeadMoved, PeerBlamed
from edgenode.sim.arena import Arena, ArenaNode, Behaviour
from edgenode.sim.invariants import Watch
from edgenode.sim.reference import References, Violation
from edgenode.sim.ward import Box, Conditions


class WatchedArena(Arena):
    """An arena whose honest boxes are held against the invariants after every event."""

    def __init__(
        self,
        boxes: int,
        seed: int,
        conditions: Conditions,
        behaviours: dict[int, list[Behaviour]],
        degree: int = 3,
        *,
        retentions: Mapping[int, Retention] | None = None,
    ) -> None:
        """As an arena; `retentions` says what boxes keep that keep something else than others."""
        self._retentions = retentions or {}
        self.joins = 0
        """How often a box went on from a state instead of from each block."""
        self.watch: Watch | None = None
        self.forgetful: set[int] = set()
        """Honest boxes whose vow was lost with their disk."""
        self.note: Callable[[str], None] = lambda _: None
        super().__init__(boxes, seed, conditions, behaviours, degree)
        parameters = tuple(int(value) for value in self.initial)
        self.watch = Watch(References(self.genesis, parameters), self.genesis.id)

    def lose_store(self, box: Box) -> None:
        """See Arena."""
        super().lose_store(box)
        self.forgetful.add(box.index)
        if self.watch is not None:
            self.watch.forget(box)

    def switch_on(self, box: Box) -> None:
        """See Ward."""
        super().switch_on(box)
        node = box.running
        if box.index not in self.behaviours and isinstance(node, ArenaNode):
            node.on_endorsement = lambda endorsement: (
                None
                if self.watch is None or box.index in self.forgetful
                else self.watch.endorsed(endorsement)
            )

    def noted(self, box: Box, events: list[Event]) -> None:
        """See Arena."""
        if self.watch is None or box.index in self.behaviours:
            return
        moved = False
        for event in events:
            if isinstance(event, HeadMoved):
                moved = True
                self.watch.head_moved(box, event)
                change = event.change
                self.note(
                    f"box {box.index} goes to {change.new.id.hex()[:8]} at {change.new.height}"
                    + (f", leaving {len(change.disconnected)}" if change.disconnected else "")
                )
            elif isinstance(event, PeerBlamed):
                blamed = self._by_host[event.peer.address.host]
                self.note(f"box {box.index} blames {blamed.index}: {event.reason}")
                if blamed.index not in self.behaviours:
                    raise Violation(
                        f"box {box.index} blames honest box {blamed.index}: {event.reason}"
                    )
        if moved:
            floor, before = box.running.chain.floor, self.watch.final
            if floor > self.watch.witness(box).head.height:
                self.joins += 1
                self.note(f"box {box.index} has joined at {floor}")
            self.watch.check(box)
            if self.watch.final is not before:
                self.note(f"box {box.index}: final at {self.watch.final.height}")

    def _retention(self, box: Box) -> Retention:
        return self._retentions.get(box.index, super()._retention(box))

    def settled(self) -> bool:
        """Whether all honest boxes have one head."""
        heads = {box.running.chain.head.id for box in self.honest()}
        return len(heads) == 1
