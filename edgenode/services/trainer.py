"""The trainer service: learns from the sample store, one local round for each head."""

from __future__ import annotations

import logging
import secrets
import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError, Parameters
from edgenode.ledger.rules import Rule
from edgenode.services import notify
from edgenode.services.config import start
from edgenode.services.ending import EXIT_BAD_FILE, give_up
from edgenode.services.reporter import Heartbeat, Reporter
from edgenode.storage.samples_file import StoreError
from edgenode.storage.samples_reader import BEGINNING, SampleReader
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import TaskError
from edgenode.training.graph import GraphError
from edgenode.training.interpreter import load_graph
from edgenode.training.local import DivergedError
from edgenode.training.online import OnlineTraining
from edgenode.training.settings import TrainerSettings

log = logging.getLogger("edgenode.trainer")

RECORDS_AT_ONCE = 256
"""Records read before the head is looked at again: up to 3 MB of samples."""

IDLE_SECONDS = 1.0
"""How often an idle trainer looks for new samples."""

HEAD_WAIT_SECONDS = 20.0

NO_TROUBLE = {Rule.UPDATE_BASE_STALE, Rule.UPDATE_REPEATED}
"""Refusals with which nothing is wrong: others were faster, or the box's update on that base is in
already, from this trainer before it was started again or from another program of the box."""

HANGS_AFTER_SECONDS = 60.0
"""A trainer that has not come round for so long hangs. It comes round at each step of a round; what
lies between is a step, an evaluation, the wait for a busy node's answer (10 s each)."""


class HeadWatch:
    """Follows the head in a thread of its own, so that a round can stop at a step boundary."""

    def __init__(self, client: NodeClient) -> None:
        self._client = client
        self._changed = threading.Condition()
        self._head: str | None = None
        threading.Thread(target=self._follow, name="head", daemon=True).start()

    @property
    def head(self) -> str | None:
        """Id of the head, as far as it is known."""
        return self._head

    def wait(self, unlike: str | None, seconds: float) -> None:
        """Wait for another head than `unlike`, at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._head != unlike, seconds)

    def _follow(self) -> None:
        pause = threading.Event()
        while True:
            try:
                head = self._client.head(unlike=self._head, wait=HEAD_WAIT_SECONDS)
            except (NodeUnavailableError, ApiError) as error:
                log.debug("no head", extra={"error": error})
                pause.wait(IDLE_SECONDS)
                continue
            with self._changed:
                self._head = head.id
                self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class Result:
    """A round's result that the node has not taken yet.

    Attributes:
        base: Id of the block that was trained from.
        examples: Number of distinct windows trained on, capped as the ward asks.
        parameters: float32 (n,).
    """

    base: str
    examples: int
    parameters: NDArray[np.float32]


class Trainer:
    """Reads samples, trains from each new head, submits, reports."""

    def __init__(self, settings: TrainerSettings, client: NodeClient) -> None:
        """Load the graph.

        Raises:
            TaskError, GraphError: the task or the runtime cannot be used.
        """
        task = find_task(settings.model)
        graph = load_graph(task.model_file(settings.runtime), settings.runtime, settings.threads)
        self._model = task.name
        self._client = client
        self._online = OnlineTraining(
            task, graph, settings.schedule, settings.reservoir, secrets.randbits(63)
        )
        self._reader = SampleReader(settings.samples)
        self._cursor = BEGINNING
        self._heads = HeadWatch(client)
        self.heartbeat = Heartbeat(HANGS_AFTER_SECONDS)
        self._state = "starting"
        self._values: dict[str, float] = {
            "rounds_total": 0,
            "steps_total": 0,
            "updates_submitted_total": 0,
            "updates_refused_total": 0,
            "diverged_rounds_total": 0,
        }
        self._trained: str | None = None
        self._interrupted = False
        self._trouble = ""
        self._diverged = ""  # the last round's trouble, until one succeeds
        self._refused = ""  # why the ward's rules refused the last update, until one is taken
        self._examples_cap: int | None = None
        self._held: Result | None = None

    def run(self) -> NoReturn:
        """Train until an exception ends it."""
        while True:
            self.heartbeat.beat()
            behind = self._take_samples()
            head = self._heads.head
            idle = head is None or head == self._trained or not self._online.reservoir
            if idle and self._held is None:
                self._set_state("ok" if head else "waiting for the node")
                if not behind:
                    self._heads.wait(head, IDLE_SECONDS)
                continue
            try:
                if self._held is not None:  # what is trained now would not be taken either
                    self._hand_in(self._held)
                elif head is not None:
                    self._round(head)
            except (NodeUnavailableError, ApiError) as error:
                self._set_state(str(error))
                self._heads.wait(head, IDLE_SECONDS)

    def _take_samples(self) -> bool:
        """Read what was stored since, a bounded part of it; whether there may be more."""
        try:
            records, self._cursor = self._reader.read_after(self._cursor, RECORDS_AT_ONCE)
        except StoreError as error:
            # The collector salvages the store; until then there is nothing new to learn from.
            self._trouble = str(error)
            return False
        self._trouble = ""
        self._online.take(records)
        return len(records) == RECORDS_AT_ONCE

    def _round(self, head: str) -> None:
        """Train from the head's parameters and submit what came of it."""
        base = self._client.parameters(self._model)
        assert base is not None, "no condition was set"
        if base.block == self._trained:
            self._heads.wait(head, IDLE_SECONDS)  # the watch is behind the node
            return
        self._note_accuracy(base)
        # A round that a new head ended is followed by one that runs to its end: where blocks come
        # faster than rounds, a slightly stale update is worth more than none.
        finish = self._interrupted

        def should_stop() -> bool:
            self.heartbeat.beat()
            return not finish and self._heads.head not in {base.block, None}

        try:
            result = self._online.round(base.values, should_stop)
        except DivergedError as error:
            self._diverged = str(error)
            self._values["diverged_rounds_total"] += 1
            self._set_state("ok")
            self._trained = base.block  # the next head may be a better place to start from
            return
        self._values["steps_total"] += result.steps
        self._interrupted = result.stopped
        if result.stopped or not result.steps:
            return
        self._diverged = ""
        self._values["rounds_total"] += 1
        self._values["loss"] = result.loss
        examples = min(result.examples, self._cap())
        self._values["examples"] = examples
        self._held = Result(base.block, examples, result.parameters)
        self._hand_in(self._held)

    def _hand_in(self, result: Result) -> None:
        """Submit a result.

        It stays held while the node is away, has no room, or does not sign because its clock is
        not trusted yet: what was learnt is worth another attempt, and the ledger says when it is
        too old.

        Raises:
            NodeUnavailableError, ApiError: The node did not take it, and no rule is the reason.
        """
        try:
            self._client.submit_update(self._model, result.base, result.examples, result.parameters)
        except ApiError as error:
            if error.status >= 500:
                raise
            self._held = None
            if error.status != 422:
                raise
            self._values["updates_refused_total"] += 1
            self._refused = "" if error.name in NO_TROUBLE else str(error)
            log.info("update refused", extra={"base": result.base, "error": error})
        else:
            self._held = None
            self._refused = ""
            self._values["updates_submitted_total"] += 1
        self._set_state("ok")
        self._trained = result.base

    def _note_accuracy(self, base: Parameters) -> None:
        accuracy = self._online.accuracy(base.values)
        if accuracy is not None:
            self._values["accuracy"] = accuracy
        self._values["adopted_height"] = base.height

    def _cap(self) -> int:
        """What an update of this ward may claim; it does not change."""
        if self._examples_cap is None:
            models = {model.name: model for model in self._client.models()}
            if self._model not in models:
                raise ApiError(404, "not_found", f"the ward has no model {self._model}")
            self._examples_cap = models[self._model].examples_cap
        return self._examples_cap

    def _set_state(self, state: str) -> None:
        if state == "ok":
            state = self._trouble or self._diverged or self._refused or state
        if state != self._state:
            if state == "ok":
                log.info("training")
            else:
                log.info("not training", extra={"reason": state})
            self._state = state

    def report(self) -> tuple[str, dict[str, float]]:
        """The state and the values that it reports."""
        values = dict(self._values)
        values["windows_total"] = self._online.windows
        values["reservoir_windows"] = self._online.reservoir
        values["damaged_records_total"] = self._reader.damaged
        values["misplaced_records_total"] = self._online.disorder
        return self._state, values


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the trainer until SIGTERM or SIGINT.

    Raises:
        SystemExit: always in the end; status 0 when it was told to stop, 5 when the task or the
            runtime cannot be used.
    """
    settings = start("trainer", argv)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    client = NodeClient(settings.api)
    try:
        trainer = Trainer(settings.for_trainer(), client)
    except (TaskError, GraphError) as error:
        give_up("trainer", error, EXIT_BAD_FILE)
    notify.ready()
    try:
        with Reporter("trainer", client, trainer.report, trainer.heartbeat):
            trainer.run()
    finally:
        notify.stopping()


if __name__ == "__main__":
    main()
