"""The estimate of what mining costs."""

import pytest

from edgenode.mining.energy import spent


def test_energy_is_power_times_the_time_that_threads_took():
    assert spent(0.9, 1000.0, 0) == {"joules_total": pytest.approx(900)}


def test_each_block_found_bears_its_part():
    values = spent(2.0, 300.0, 4)
    assert values == {"joules_total": 600, "joules_per_block": 150}


def test_an_unknown_power_is_no_estimate():
    assert spent(0, 1000.0, 3) == {}
