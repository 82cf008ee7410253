"""The life of one sensor."""

import pytest

from edgenode.collector.sensor import (
    LONGEST_PAUSE_S,
    SHORTEST_PAUSE_S,
    SILENCE_S,
    Sensor,
    SensorState,
    SensorStateError,
)


def streaming_sensor():
    sensor = Sensor("F0:0E:00:00:00:01")
    sensor.connecting()
    sensor.streaming(0.0)
    return sensor


def test_a_new_sensor_is_wanted_at_once():
    assert Sensor("F0:0E:00:00:00:01").wanted_from < 0


def test_a_sensor_is_not_looked_for_while_it_connects_or_streams():
    sensor = Sensor("F0:0E:00:00:00:01")
    sensor.connecting()
    assert sensor.wanted_from is None
    sensor.streaming(0.0)
    assert sensor.wanted_from is None
    assert sensor.state is SensorState.STREAMING


def test_a_lost_sensor_is_wanted_again_after_a_short_pause():
    sensor = streaming_sensor()
    sensor.lost(100.0)
    assert sensor.wanted_from == 100.0 + SHORTEST_PAUSE_S


def test_the_pause_doubles_with_each_failure_up_to_its_bound():
    sensor = Sensor("F0:0E:00:00:00:01")
    pauses = []
    for _ in range(100):
        sensor.connecting()
        sensor.failed(0.0)
        pauses.append(sensor.wanted_from)
    assert pauses[:4] == [SHORTEST_PAUSE_S * factor for factor in (1, 2, 4, 8)]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert pauses == sorted(pauses)


def test_a_connection_without_a_valid_notification_does_not_shorten_the_pause():
    sensor = streaming_sensor()
    sensor.lost(0.0)
    sensor.connecting()
    sensor.streaming(0.0)
    sensor.lost(0.0)
    assert sensor.wanted_from == 2 * SHORTEST_PAUSE_S


def test_a_valid_notification_makes_the_pause_short_again():
    sensor = streaming_sensor()
    sensor.lost(0.0)
    sensor.connecting()
    sensor.streaming(0.0)
    sensor.heard(0.0)
    sensor.lost(0.0)
    assert sensor.wanted_from == SHORTEST_PAUSE_S


def test_a_streaming_sensor_is_silent_some_time_after_its_last_valid_notification():
    sensor = Sensor("F0:0E:00:00:00:01")
    assert sensor.silent_from is None
    sensor.connecting()
    assert sensor.silent_from is None
    sensor.streaming(10.0)
    assert sensor.silent_from == 10.0 + SILENCE_S
    sensor.heard(25.0)
    assert sensor.silent_from == 25.0 + SILENCE_S
    sensor.lost(30.0)
    assert sensor.silent_from is None


def test_connections_are_counted():
    sensor = streaming_sensor()
    sensor.lost(0.0)
    sensor.connecting()
    sensor.streaming(0.0)
    assert sensor.connections == 2


@pytest.mark.parametrize(
    "event", [lambda s: s.streaming(0.0), lambda s: s.failed(0.0), lambda s: s.lost(0.0)]
)
def test_an_event_that_its_state_does_not_know_is_refused(event):
    sensor = Sensor("F0:0E:00:00:00:01")
    with pytest.raises(SensorStateError, match="absent"):
        event(sensor)
    assert sensor.state is SensorState.ABSENT
