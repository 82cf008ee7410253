"""Who is paid for a worker's shares: a public key, a member by name, or the pool's own node."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgenode.ledger.keys import is_public_key

_KEY = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True, slots=True)
class Payee:
    """Whom a worker's shares are counted for.

    Attributes:
        key: The public key, 32 bytes.
        said: The same in a few words, for the worker's log and ours.
    """

    key: bytes
    said: str


class PayeeBook:
    """Finds the payee of a worker's name, `PAYEE` or `PAYEE.worker`."""

    def __init__(self, own: bytes, members: Mapping[str, bytes]) -> None:
        """Know the pool's own key and the ward's members by name."""
        self.own = own
        self._members = dict(members)

    def know(self, members: Mapping[str, bytes]) -> None:
        """Members come and go; who was let in before stays with whom it was let in for."""
        self._members = dict(members)

    def find(self, worker: str) -> Payee:
        """The payee; a name that says nothing works for the pool's own node.

        A member's name may hold dots itself, so the whole is looked up before its first part.
        """
        first = worker.partition(".")[0]
        if _KEY.fullmatch(first):
            # The ledger pays no other keys, and would refuse the split of everybody.
            key = bytes.fromhex(first)
            if not is_public_key(key):
                return Payee(self.own, "the pool's own node, because the digits are no public key")
            # What would not open an account stays with the node (docs/ledger.md, Reserve).
            needs = "" if key in {self.own, *self._members.values()} else ", once it has an account"
            return Payee(key, f"the key {first.lower()}{needs}")
        for name in (worker, first):
            if name in self._members:
                return Payee(self._members[name], f"the member {name}")
        why = "no name was given" if not worker else "the name is neither a key nor a member's"
        return Payee(self.own, f"the pool's own node, because {why}")
