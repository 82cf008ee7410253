"""Many consecutive headers checked in one call of C; the rules are those of `ledger.headers`."""

from array import array
from dataclasses import dataclass

from edgenode.ledger.genesis import Genesis
from edgenode.ledger.header import ID_BYTES
from edgenode.ledger.headers import Entry
from edgenode.ledger.rules import Rule
from edgenode.native import _kernels

_LATEST_LIMIT = 1 << 63

_RULES = {
    1: Rule.TIME_TOO_NEW,
    3: Rule.HEADER_VERSION,
    4: Rule.TARGET_FORM,
    5: Rule.TARGET_VALUE,
    6: Rule.PROOF_OF_WORK,
    7: Rule.TIME_TOO_OLD,
}
"""By number of `edgenode_violation` in native/header_run.h; 2 is a header that does not build on
the one before."""


@dataclass(frozen=True, slots=True)
class CheckedRun:
    """How far consecutive headers are good.

    `ids` are those of the good ones, 32 bytes each; `violated` is the rule that the next one
    violates first, None if there is none or it does not build on the one before.
    """

    ids: bytes
    violated: Rule | None

    @property
    def good(self) -> int:
        """Number of good headers, from the first on."""
        return len(self.ids) // ID_BYTES


def check_run(
    genesis: Genesis, parent: Entry, times: "array[int]", headers: bytes, now: int
) -> CheckedRun:
    """Check headers of 80 bytes, the first of which should build on `parent`.

    Args:
        genesis: The ward's constants.
        parent: A checked entry.
        times: Of up to ten blocks before it and its own, oldest first, in Unix seconds.
        headers: Each is to build on the one before.
        now: This node's clock in Unix seconds.
    """
    latest = max(0, min(now + genesis.future_bound, _LATEST_LIMIT))
    violation, ids = _kernels.check_run(
        genesis.header_constants,
        latest,
        (parent.id, times, parent.header.target, parent.height == 0),
        headers,
    )
    return CheckedRun(ids, _RULES.get(violation))
