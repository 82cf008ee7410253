"""The simulated wearable replays the recordings as they are, on the clock of life."""

import asyncio

import numpy as np
import pytest

from datasets.recordings import Series
from demo.radio import Box, Radio
from demo.wearable import REST_SAMPLES, Script, Wearable
from edgenode.collector import imu_service
from edgenode.collector.bumble import BumbleCentral
from edgenode.collector.imu_service import AnnotationMark, Samples
from tests.collector.ward import until

ADDRESS = "F0:0E:00:00:00:01"


def one(exercise, length, start=0):
    values = np.arange(start, start + length * 6).reshape(length, 6).astype(np.int16)
    return Series(1, 0, exercise, values)


def test_the_script_is_the_series_with_a_rest_after_each():
    first, second = one(3, 100), one(5, 80, 1000)
    script = Script([first, second], loop=False)
    assert script.length == 100 + 80 + 2 * REST_SAMPLES
    np.testing.assert_array_equal(script.values(0, 100), first.values)
    assert (script.values(100, REST_SAMPLES) == first.values[-1]).all()
    np.testing.assert_array_equal(script.values(100 + REST_SAMPLES, 80), second.values)


def test_the_script_says_what_is_being_done_and_when_that_changes():
    script = Script([one(3, 100), one(5, 80)], loop=False)
    changes, index = [], 0
    while index < script.length:
        changes.append((index, script.code_at(index)))
        assert script.code_at(script.next_change(index) - 1) == script.code_at(index)
        index = script.next_change(index)
    assert changes == [(0, 3), (100, 0), (150, 5), (230, 0)]
    assert index == script.length


def test_a_looping_script_goes_on_for_ever():
    script = Script([one(3, 100), one(5, 80)], loop=True)
    assert script.length is None
    turn = 100 + 80 + 2 * REST_SAMPLES
    for index in (0, 99, 100, 149, 150, 229, 230, 279):
        assert script.code_at(index + 5 * turn) == script.code_at(index)
        assert script.next_change(index + 5 * turn) == script.next_change(index) + 5 * turn
    across = script.values(turn - 10, 20)
    np.testing.assert_array_equal(across[10:], script.values(0, 10))


def test_a_wearable_needs_something_to_replay_and_a_speed():
    with pytest.raises(ValueError, match="series"):
        Wearable([], ADDRESS)
    with pytest.raises(ValueError, match="speed"):
        Wearable([one(1, 10)], ADDRESS, speed=0)


@pytest.mark.parametrize(
    ("text", "box"),
    [("people=1,2", Box((1, 2))), ("people=7 port=6402", Box((7,), 6402))],
)
def test_a_box_is_read_from_the_command_line(text, box):
    assert Box.parse(text) == box


@pytest.mark.parametrize("text", ["", "people=", "people=0", "people=11", "port=1", "bed=4"])
def test_a_box_that_cannot_be_is_refused(text):
    with pytest.raises(ValueError, match=r"people|bed|invalid literal"):
        Box.parse(text)


async def connected(wearable):
    """A peripheral of a central that reads a wearable on a radio of its own."""
    radio = Radio()
    await wearable.power_on(radio.controller("wearable", "00:00:00:00:00:00"))
    port = await radio.serve(radio.controller("box", "00:0E:00:00:00:01"))
    central = BumbleCentral(f"tcp-client:127.0.0.1:{port}")
    await central.open()
    assert await central.scan(imu_service.SERVICE, [ADDRESS], 60.0) == ADDRESS
    peripheral = await central.connect(ADDRESS, imu_service.SERVICE, lambda _: None)
    return radio, central, peripheral


async def test_each_annotation_comes_right_before_the_samples_that_it_covers():
    wearable = Wearable([one(3, 100), one(5, 80)], ADDRESS, speed=40.0, loop=False)
    radio, central, peripheral = await connected(wearable)
    received = []
    await peripheral.subscribe(
        imu_service.ANNOTATION, lambda v: received.append(imu_service.decode_annotation(v))
    )
    await peripheral.subscribe(
        imu_service.SAMPLES, lambda v: received.append(imu_service.decode_samples(v))
    )
    await wearable.play()
    await until(
        lambda: sum(len(what.values) for what in received if isinstance(what, Samples)) == 280,
        "all samples",
    )
    labelled, code = {}, None
    for what in received:
        if isinstance(what, AnnotationMark):
            code = what.code
        else:
            labelled |= {what.first + n: code for n in range(len(what.values))}
    script = Script([one(3, 100), one(5, 80)], loop=False)
    assert labelled == {n: script.code_at(n) for n in range(280)}
    await central.close()
    radio.close()


async def test_nothing_is_measured_before_the_first_subscription():
    now = [1000.0]
    wearable = Wearable([one(3, 1000)], ADDRESS, loop=True, clock=lambda: now[0])
    heard = []
    wearable.notified = heard.append
    radio, central, peripheral = await connected(wearable)
    playing = asyncio.create_task(wearable.play())
    await asyncio.sleep(0)
    now[0] += 100.0
    await peripheral.subscribe(imu_service.SAMPLES, lambda _: None)
    await samples_of(heard, now)
    assert heard[0] == AnnotationMark(0, 3)
    assert heard[1].first == 0
    playing.cancel()
    await central.close()
    radio.close()


async def samples_of(heard, now):
    """Let time pass until samples are heard."""
    while not any(isinstance(what, Samples) for what in heard):
        now[0] += 0.1
        await asyncio.sleep(0.01)


async def test_what_is_measured_while_nobody_listens_any_more_is_lost():
    now = [1000.0]
    wearable = Wearable([one(3, 1000)], ADDRESS, loop=True, clock=lambda: now[0])
    heard = []
    wearable.notified = heard.append
    radio, central, peripheral = await connected(wearable)
    playing = asyncio.create_task(wearable.play())
    await peripheral.subscribe(imu_service.SAMPLES, lambda _: None)
    await samples_of(heard, now)
    await peripheral.disconnect()
    await until(lambda: wearable._connection is None, "the wearable to notice")
    heard.clear()
    now[0] += 100.0  # 5000 samples of life
    assert await central.scan(imu_service.SERVICE, [ADDRESS], 60.0) == ADDRESS
    peripheral = await central.connect(ADDRESS, imu_service.SERVICE, lambda _: None)
    await peripheral.subscribe(imu_service.SAMPLES, lambda _: None)
    await samples_of(heard, now)
    firsts = [what.first for what in heard]
    assert firsts[0] >= 5000
    assert isinstance(heard[0], AnnotationMark)
    playing.cancel()
    await central.close()
    radio.close()
