"""The work that miners are offered: templates by name, for as long as their head stands."""

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

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


BOARDS_KEPT = 4
"""Ways to split a reward that miners have asked for last: each has its own templates."""

Shared = tuple[tuple[bytes, int], ...]
"""Public keys with weights that a reward is split by, besides its miner's own."""


class WorkBoards:
    """A board for each way in which miners have asked to split the reward."""

    def __init__(self, build: Callable[[Shared], Template]) -> None:
        """Start empty; `build` makes a template of the current head and mempool."""
        self._build = build
        self._boards: OrderedDict[Shared, WorkBoard] = OrderedDict()
        self._held: Counter[Shared] = Counter()

    def board(self, shared: Shared) -> WorkBoard:
        """The board for this split."""
        if shared not in self._boards:
            self._boards[shared] = WorkBoard(partial(self._build, shared))
            free = [other for other in self._boards if other not in self._held and other != shared]
            if len(self._boards) > BOARDS_KEPT and free:
                del self._boards[free[0]]
        self._boards.move_to_end(shared)
        return self._boards[shared]

    @contextmanager
    def held(self, shared: Shared) -> Iterator[WorkBoard]:
        """The board for this split, which stays and hears the news while somebody waits for it."""
        self._held[shared] += 1
        try:
            yield self.board(shared)
        finally:
            self._held[shared] -= 1
            self._held += Counter()  # leaves out whom nobody holds any more

    def head_moved(self) -> None:
        """Work on the old head is void."""
        for board in self._boards.values():
            board.head_moved()

    def pool_changed(self, now: float) -> None:
        """The current work lacks something of the mempool; `now` in monotonic seconds."""
        for board in self._boards.values():
            board.pool_changed(now)

    def template(self, name: str) -> Template | None:
        """The template behind work that was handed out, if its head still stands."""
        found = (board.template(name) for board in self._boards.values())
        return next((template for template in found if template is not None), None)
