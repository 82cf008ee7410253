"""How long blocks take from being heard of to being the head."""

from collections import OrderedDict

HEARD_LIMIT = 256
"""Heads of peers whose first mention is remembered: what a peer claims costs it nothing."""


class Adoptions:
    """Times by the node's own clock alone: other nodes' clocks need not agree with it.

    Attributes:
        count: Heads that another node was first to have.
        seconds: What they took in all.
        last: What the last one took; None before there was one.
    """

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self.last: float | None = None
        self._heard: OrderedDict[bytes, float | None] = OrderedDict()

    def heard(self, block_id: bytes, now: float) -> None:
        """A peer says that this block is its head."""
        if block_id not in self._heard:
            self._note(block_id, now)

    def adopted(self, block_id: bytes, now: float) -> None:
        """This block is the head here."""
        since = self._heard.get(block_id)
        self._note(block_id, None)  # a reorganisation may come back to it
        if since is not None:
            self.last = now - since
            self.count += 1
            self.seconds += self.last

    def _note(self, block_id: bytes, since: float | None) -> None:
        self._heard[block_id] = since
        if len(self._heard) > HEARD_LIMIT:
            self._heard.popitem(last=False)
