"""Thermal zones are read as the kernel shows them; what cannot be read is left out."""

import pytest

from edgenode.mining.temperature import Zone, warmest
from edgenode.mining.thermal_zones import THERMAL, read_zones
from tests.mining.thermal import Thermal


@pytest.fixture
def thermal(tmp_path):
    return Thermal(tmp_path)


def test_zones_are_read_with_type_and_temperature(thermal):
    thermal.set(0, "cpu-thermal", "48312\n")
    thermal.set(1, "nvme", "-1000\n")
    thermal.set(10, "acpitz", "27800\n")
    (thermal.root / "cooling_device0").mkdir()
    assert set(read_zones(thermal.root)) == {
        Zone("cpu-thermal", 48312), Zone("nvme", -1000), Zone("acpitz", 27800),
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "\n", "warm\n", "48.3\n", "\xff", "0x10", "9" * 5000])
def test_a_zone_without_a_temperature_does_not_count(thermal, text):
    thermal.set(0, "acpitz", text)
    thermal.set(1, "cpu-thermal", "50000\n")
    assert warmest(read_zones(thermal.root)) == 50000
    thermal.set(1, "acpitz", text)
    assert warmest(read_zones(thermal.root)) is None


def test_a_zone_that_cannot_be_read_is_left_out(thermal):
    thermal.set(0, "acpitz", "1\n")
    temperature = thermal.root / "thermal_zone0" / "temp"
    temperature.unlink()
    assert read_zones(thermal.root) == []
    temperature.mkdir()
    assert read_zones(thermal.root) == []


def test_a_machine_without_zones_has_none(tmp_path):
    assert read_zones(tmp_path) == []
    assert read_zones(tmp_path / "none") == []
    (tmp_path / "file").write_text("")
    assert read_zones(tmp_path / "file") == []


def test_those_of_this_machine_can_be_read():
    zones = read_zones()
    assert len(zones) <= len(list(THERMAL.glob("thermal_zone*")))
    assert all(zone.kind for zone in zones)
