"""What must hold at every moment in the chains of honest nodes, whatever the others do.

Checked whenever a head has moved, for what is new: each block once for all nodes, against the
reference; each node's state against that of its head; final blocks against those of all nodes.
"""

from dataclasses import dataclass

from edgenode.ledger import finality
from edgenode.ledger.accounts import accounts
from edgenode.ledger.endorsement import Endorsement
from edgenode.protocol.events import HeadMoved
from edgenode.sim.reference import Reference, References, Violation
from edgenode.sim.ward import Box


@dataclass(slots=True)
class Witness:
    """What was last seen of one box."""

    final: Reference
    head: Reference


class Watch:
    """Holds honest boxes against each other and against the reference."""

    def __init__(self, references: References, genesis_id: bytes) -> None:
        self._references = references
        self._genesis = references[genesis_id]
        self._witnesses: dict[int, Witness] = {}
        self._final = self._genesis
        self._voted: dict[bytes, list[Endorsement]] = {}
        self.moves = 0
        self.reorganisations = 0

    @property
    def final(self) -> Reference:
        """The highest block that is final at any honest box."""
        return self._final

    def witness(self, box: Box) -> Witness:
        """What was last seen of a box."""
        return self._witnesses.setdefault(box.index, Witness(self._genesis, self._genesis))

    def forget(self, box: Box) -> None:
        """A box has lost its store and knows nothing any more."""
        self._witnesses.pop(box.index, None)

    def head_moved(self, box: Box, move: HeadMoved) -> None:
        """Take note of the blocks of a move.

        Raises:
            Violation: one of them is not as it should be.
        """
        self.moves += 1
        self.reorganisations += bool(move.change.disconnected)
        chain = box.running.chain
        for block in move.change.connected:
            self._references.take(block, chain.payload)

    def check(self, box: Box) -> None:
        """Hold a box's state at its head against what is true.

        Raises:
            Violation: something is not as it should be.
        """
        state = box.running.chain.state
        head = self._references[state.entry.id]
        where = f"box {box.index} at height {head.height}"
        if tuple(state.parameters[0].tolist()) != head.parameters:
            raise Violation(f"{where}: the parameters are not those of the reference")
        balances = {key: a.balance for key, a in accounts(state.records).items()}
        if {k: b for k, b in balances.items() if b} != {
            k: b for k, b in head.balances.items() if b
        }:
            raise Violation(f"{where}: the balances are not those of the reference")
        self._check_final(box, where, head)

    def _check_final(self, box: Box, where: str, head: Reference) -> None:
        witness, chain = self.witness(box), box.running.chain
        said, counted = chain.final, finality.final(chain.state.records)
        if counted.height > said.height or head.ancestor(counted.height).id != counted.id:
            raise Violation(f"{where}: final by its records is what is not final for the node")
        if head.ancestor(witness.final.height) is not witness.final:
            raise Violation(f"{where}: it has left its final block at {witness.final.height}")
        final = head.ancestor(said.height)
        if final.id != said.id or final.height < witness.final.height:
            raise Violation(f"{where}: its final block is not in its chain, or went back")
        witness.final, witness.head = final, head
        low, high = sorted((final, self._final), key=lambda block: block.height)
        if high.ancestor(low.height) is not low:
            raise Violation(
                f"{where}: final are both {low.id.hex()[:8]} at {low.height} and "
                f"{high.id.hex()[:8]} at {high.height}, on two branches"
            )
        self._final = high

    def endorsed(self, said: Endorsement) -> None:
        """A box that has never lost its store endorses.

        Raises:
            Violation: that breaks its member's vows.
        """
        for other in self._voted.setdefault(said.member, []):
            low, high = sorted((said, other), key=lambda e: e.target_height)
            if low.target_height == high.target_height or high.source_height < low.source_height:
                raise Violation(f"member {said.member.hex()[:8]} has broken its vows")
        self._voted[said.member].append(said)
