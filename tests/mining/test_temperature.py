"""Which temperature counts, and when it sends the miner to rest and back."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgenode.mining.temperature import HYSTERESIS_CELSIUS, Thermostat, Zone, warmest

PI = (Zone("cpu-thermal", 48_300),)
JETSON = (
    Zone("AO-therm", 38_000),
    Zone("CPU-therm", 31_500),
    Zone("GPU-therm", 30_000),
    Zone("PMIC-Die", 100_000),
)
PC = (Zone("acpitz", 27_800), Zone("x86_pkg_temp", 61_000), Zone("iwlwifi_1", 75_000))


@pytest.mark.parametrize(
    ("zones", "celsius"),
    [
        (PI, 48.3),
        (JETSON, 31.5),
        (PC, 61.0),
        ((Zone("soc_thermal", 50_000), Zone("cpu0-thermal", 52_000)), 52.0),
        ((Zone("acpitz", 27_800), Zone("nvme", 40_000)), 40.0),
    ],
)
def test_the_warmest_processor_counts_and_without_one_the_warmest_zone(zones, celsius):
    assert warmest(zones) == round(1000 * celsius)


@pytest.mark.parametrize("nonsense", [-274_000, 200_000, 2**40, -(2**40)])
def test_what_no_running_box_has_does_not_count(nonsense):
    assert warmest([Zone("cpu-thermal", nonsense)]) is None
    assert warmest([Zone("cpu-thermal", nonsense), Zone("nvme", 40_000)]) == 40_000


def test_no_zone_is_no_temperature():
    assert warmest([]) is None


EDGES = (0, -1, -1000 * HYSTERESIS_CELSIUS, 1 - 1000 * HYSTERESIS_CELSIUS)
above_the_ceiling = st.sampled_from(EDGES) | st.integers(-10_000, 5_000)


@given(st.integers(30, 110), st.lists(st.none() | above_the_ceiling, max_size=60))
@example(70, list(EDGES))
@example(70, [0, -1000 * HYSTERESIS_CELSIUS])
def test_a_rest_begins_at_the_ceiling_and_ends_some_degrees_below(ceiling, distances):
    thermostat = Thermostat(ceiling)
    rests = False
    for distance in distances:
        temperature = None if distance is None else 1000 * ceiling + distance
        before, rests = rests, thermostat.read(temperature)
        assert thermostat.rests == rests
        if temperature is None:
            assert not rests
        elif temperature >= 1000 * ceiling:
            assert rests
        elif temperature <= 1000 * (ceiling - HYSTERESIS_CELSIUS):
            assert not rests
        else:
            assert rests == before


@given(st.integers(30, 110), st.lists(st.integers(0, 999 * HYSTERESIS_CELSIUS), min_size=1))
def test_a_temperature_that_trembles_below_the_ceiling_changes_nothing(ceiling, below):
    for start in (0, 150_000):
        thermostat = Thermostat(ceiling)
        first = thermostat.read(start)
        for distance in below:
            assert thermostat.read(1000 * ceiling - 1 - distance) == first
