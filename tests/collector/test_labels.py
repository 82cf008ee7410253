"""A label that is in doubt is none: what is learned from a sensor whose annotations go wrong."""

import numpy as np
import pytest

from edgenode.collector.imu_service import (
    ANNOTATION,
    SAMPLES,
    AnnotationMark,
    encode_annotation,
    encode_samples,
)
from edgenode.collector.imu_service import Samples as Notified
from edgenode.tasks.activity.windows import LENGTH, WindowCutter
from edgenode.tasks.stream import Annotation, SampleBlock
from tests.collector.bluez_stand_in import reading
from tests.collector.ward import until

EXERCISE = 3


def annotation(first, code):
    return encode_annotation(AnnotationMark(first, code))


def labels(records):
    """The label of each sample that became part of a window."""
    cutter, found = WindowCutter(), {}
    for record in records:
        if isinstance(record, Annotation):
            cutter.annotate(record)
        elif isinstance(record, SampleBlock):
            for window in cutter.feed(record):
                found |= dict.fromkeys(range(window.first, window.first + LENGTH), window.label)
    return found


async def collected(bluez, script):
    """What a collector makes of a script: bytes are annotations, ranges are samples."""
    daemon = await bluez()
    daemon.mute = True
    async with reading() as (counters, records):
        await until(lambda: daemon.subscribed, "the subscription")
        for step in script:
            if isinstance(step, bytes):
                daemon.notify(ANNOTATION, step)
                continue
            for first in range(step.start, step.stop, 20):
                values = np.zeros((20, 6), np.int16)
                daemon.notify(SAMPLES, encode_samples(Notified(first, values)))
        last = max(step.stop for step in script if isinstance(step, range))
        await until(lambda: any(getattr(r, "end", 0) == last for r in records), "the last sample")
        return counters, records


async def test_a_label_holds_until_the_next_annotation(bluez):
    script = [annotation(0, EXERCISE), range(600), annotation(600, 0), range(600, 1200)]
    _, records = await collected(bluez, script)
    found = labels(records)
    assert set(found.values()) == {EXERCISE - 1}
    assert max(found) < 600


@pytest.mark.parametrize("odd", [annotation(600, 0) + b"x", b"", annotation(600, 0)[:-1] + b"\x08"])
async def test_after_an_annotation_that_cannot_be_read_there_is_no_label(bluez, odd):
    script = [annotation(0, EXERCISE), range(600), odd, range(600, 1200)]
    counters, records = await collected(bluez, script)
    assert max(labels(records)) < 600
    assert counters.malformed == 1


async def test_the_next_annotation_that_can_be_read_gives_a_label_again(bluez):
    script = [annotation(0, EXERCISE), range(600), b"?", range(600, 1200)]
    _, records = await collected(bluez, [*script, annotation(1200, 5), range(1200, 1800)])
    assert {label for n, label in labels(records).items() if n >= 600} == {5 - 1}
    assert min(n for n in labels(records) if n >= 600) == 1200


async def test_a_repeated_old_annotation_does_not_bring_its_label_back(bluez):
    script = [annotation(0, EXERCISE), range(600), annotation(600, 0), range(600, 620)]
    counters, records = await collected(bluez, [*script, annotation(580, 4), range(620, 1200)])
    assert max(labels(records)) < 600
    assert counters.out_of_order == 1
    assert counters.annotations == 2
