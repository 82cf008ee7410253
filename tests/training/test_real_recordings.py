"""On real people's recordings: windows of two people, as a box gets them, can be learned."""

from pathlib import Path

import numpy as np
import pytest

from datasets import recordings
from edgenode.tasks.activity.windows import WindowCutter
from edgenode.tasks.registry import find_task
from edgenode.tasks.stream import Annotation, SampleBlock
from edgenode.training.held_out import Memory
from edgenode.training.interpreter import load_graph
from edgenode.training.local import evaluate, train_round

ROOT = Path(__file__).parent.parent.parent
TASK = find_task("activity")


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    path = ROOT / "var" / "recordings.npz"
    if not path.exists():
        path = tmp_path_factory.mktemp("recordings") / "recordings.npz"
        assert recordings.main(["--out", str(path)]) == 0
    return recordings.load(path)


def test_the_recordings_are_the_studys(series):
    assert len(series) == 140
    assert sum(len(s.values) for s in series) == 244_102
    per_person = {(s.person, s.side, s.exercise) for s in series}
    assert per_person == {(p, s, e) for p in range(1, 11) for s in (0, 1) for e in range(1, 8)}
    gravity = np.linalg.norm(np.concatenate([s.values[:, :3] for s in series]), axis=1)
    assert 1.0 < gravity.mean() / 4096 < 1.3


@pytest.mark.parametrize("runtime", ["tflite", "litert"])
def test_loss_falls_and_held_out_windows_are_recognised(series, runtime):
    memory = Memory.of(1024, TASK.input_shape, TASK.classes, seed=1)
    cutter, first = WindowCutter(), 0
    for one in (s for s in series if s.person in {9, 10}):
        cutter.annotate(Annotation(1, first, one.exercise))
        for window in cutter.feed(SampleBlock(1, first, one.values)):
            memory.add(window.x, window.label, window.stream, window.first, len(window.x))
        first += len(one.values) + 1
    graph = load_graph(TASK.model_file(runtime), runtime)
    parameters = (TASK.genesis_parameters() * 2.0**-24).astype(np.float32)
    random = np.random.default_rng(1)
    untrained = evaluate(graph, parameters, memory.held_out.content()).overall
    losses = []
    for _ in range(8):
        done = train_round(
            graph,
            parameters,
            memory.training,
            TASK.schedule,
            random=random,
            augment=TASK.augment,
        )
        parameters = done.parameters
        losses.append(done.loss)
    assert losses[-1] < 0.5 * losses[0]
    trained = evaluate(graph, parameters, memory.held_out.content())
    assert sum(trained.examples) > 30
    assert trained.overall > max(0.7, untrained)
