"""What a chain comes to, told a second time: slowly, in plain integers, with none of its code.

It knows a block's parsed transactions and the bytes of payloads; balances, rewards, ages and
aggregates are worked out anew from docs/ledger.md.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from edgenode.ledger.block import Block
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.transaction import Transfer, Update

INT32 = (-(2**31), 2**31 - 1)


class Violation(AssertionError):  # noqa: N818  (what a simulation looks for, not a fault of it)
    """A chain of an honest node is not what it should be."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The truth after a block: parameters of the first model, balances, and what was counted."""

    id: bytes
    parent: "Reference | None"
    height: int
    parameters: tuple[int, ...]
    balances: Mapping[bytes, int]
    counted: frozenset[tuple[int, bytes, bytes]]

    def ancestor(self, height: int) -> "Reference":
        """The block of its chain at a height not above its own."""
        block = self
        while block.height > height:
            assert block.parent is not None, "only genesis has no parent"
            block = block.parent
        return block


class References:
    """The truth about every block that some honest node has taken into its chain."""

    def __init__(self, genesis: Genesis, parameters: tuple[int, ...]) -> None:
        """Start at genesis; only the first model is followed."""
        self._genesis = genesis
        root = Reference(genesis.id, None, 0, parameters, {}, frozenset())
        self._known = {genesis.id: root}

    def __getitem__(self, block_id: bytes) -> Reference:
        """What was worked out for a block; raises KeyError."""
        return self._known[block_id]

    def take(self, block: Block, payload: Callable[[bytes], bytes | None]) -> Reference:
        """Work out a block whose parent is known; `payload` gives bytes by content id.

        Raises:
            Violation: it counts what it must not, or creates or loses coins.
        """
        known = self._known.get(block.id)
        if known is None:
            known = self._after(self._known[block.header.previous], block, payload)
            self._known[block.id] = known
        return known

    def _after(
        self, parent: Reference, block: Block, payload: Callable[[bytes], bytes | None]
    ) -> Reference:
        where = f"block {block.id.hex()[:8]} at height {parent.height + 1}"
        counted = set(parent.counted)
        for update in block.updates:
            if update.once in counted:
                raise Violation(f"{where} counts an update a second time")
            counted.add(update.once)
        members = {bytes.fromhex(member.key) for member in self._genesis.members}
        if block.coinbase.miner not in members:
            raise Violation(f"{where} is by somebody who is no member")
        balances = self._pay(parent, block)
        if min(balances.values(), default=0) < 0:
            raise Violation(f"{where} leaves an account below zero")
        if sum(balances.values()) != (parent.height + 1) * self._genesis.subsidy:
            raise Violation(f"{where} makes coins or loses some")
        return Reference(
            id=block.id,
            parent=parent,
            height=parent.height + 1,
            parameters=self._aggregate(parent, block.updates, payload),
            balances=balances,
            counted=frozenset(counted),
        )

    def _pay(self, parent: Reference, block: Block) -> dict[bytes, int]:
        balances = dict(parent.balances)

        def add(owner: bytes, amount: int) -> None:
            balances[owner] = balances.get(owner, 0) + amount

        for transfer in (t for t in block.transactions if isinstance(t, Transfer)):
            add(transfer.sender, -transfer.amount - transfer.fee)
            add(transfer.recipient, transfer.amount)
        for key, amount in block.coinbase.payouts:
            add(key, amount)
        part = self._genesis.subsidy * self._genesis.contributors_percent // 100
        examples = sum(update.examples for update in block.updates)
        for update in block.updates:
            add(update.member, part * update.examples // examples)
        return balances

    def _aggregate(
        self, parent: Reference, updates: list[Update], payload: Callable[[bytes], bytes | None]
    ) -> tuple[int, ...]:
        weighted: list[tuple[int, tuple[int, ...]]] = []
        for update in updates:
            base = self._known.get(update.base)
            if base is None or base.height > parent.height:
                raise Violation("an update counts whose base is not in the chain")
            if parent.ancestor(base.height) is not base:
                raise Violation("an update counts whose base is on another branch")
            raw = payload(update.payload)
            if raw is None:
                raise Violation("an update counts whose payload is not there")
            delta = struct.unpack(f"<{len(parent.parameters)}i", raw[-4 * len(parent.parameters) :])
            discount = self._genesis.discounts[parent.height - base.height]
            weighted.append((update.examples * discount, delta))
        total = sum(weight for weight, _ in weighted)
        if not total:
            return parent.parameters
        return tuple(
            _moved(old, Fraction(sum(weight * delta[i] for weight, delta in weighted), total))
            for i, old in enumerate(parent.parameters)
        )


def _moved(old: int, change: Fraction) -> int:
    lowest, highest = INT32
    # round() of a fraction goes to the even neighbour from halfway.
    return max(lowest, min(highest, old + round(change)))
