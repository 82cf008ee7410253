"""The work that miners are offered: templates by name, for as long as their head stands."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from edgenode.ledger.template import Template, Work

TEMPLATES_KEPT = 256
"""Templates of one head that a nonce can still be handed in for: four minutes of new ones a
second, each some kilobytes."""

REFRESH_SECONDS = 1.0
"""Shortest time between two templates on one head: miners need not follow each update."""


OLDEST_SECONDS = 30.0
"""Age at which a template is built anew: its time must follow a clock that was set."""


class WorkBoard:
    """Builds templates when they are asked for and something has changed."""

    def __init__(self, build: Callable[[], Template]) -> None:
        """Start empty; `build` makes a template of the current head and mempool."""
        self._build = build
        self._templates: OrderedDict[str, Template] = OrderedDict()
        self._outdated_at: float | None = 0.0
        self._built_at = float("-inf")

    def head_moved(self) -> None:
        """Work on the old head is void."""
        self._templates.clear()
        self._outdated_at = self._built_at = float("-inf")

    def pool_changed(self, now: float) -> None:
        """The current work lacks something of the mempool; `now` in monotonic seconds."""
        if self._outdated_at is None:
            self._outdated_at = now

    def current(self, now: float) -> tuple[str, Work]:
        """The newest work and its name."""
        if not self._templates or now >= self.next_change():
            self._add(self._build(), now)
        name = next(reversed(self._templates))
        return name, self._templates[name].work

    def next_change(self) -> float:
        """When `current` will give other work than now, should nothing else change."""
        fresh = OLDEST_SECONDS if self._outdated_at is None else REFRESH_SECONDS
        return self._built_at + fresh

    def changes_otherwise(self, expected: float) -> bool:
        """Whether `next_change` is no longer what it was."""
        return self.next_change() != expected

    def template(self, name: str) -> Template | None:
        """The template behind work that was handed out, if its head still stands."""
        return self._templates.get(name)

    def _add(self, template: Template, now: float) -> None:
        work = template.work
        digest = hashlib.sha256(work.header(bytes(8), 0).encode() + work.coinbase_tail)
        self._templates[digest.hexdigest()[:16]] = template
        if len(self._templates) > TEMPLATES_KEPT:
            self._templates.popitem(last=False)
        self._built_at = now
        self._outdated_at = None
