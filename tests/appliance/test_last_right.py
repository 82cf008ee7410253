"""What is kept of the settings is read back as it was, by what reads the card."""

from dataclasses import replace

from hypothesis import given

from edgenode.appliance.box_settings import read_box
from edgenode.appliance.last_right import last_right_text
from tests.appliance import boxes


@given(boxes.settings)
def test_settings_read_back(folder, settings):
    path = folder / "last-right.toml"
    path.write_text(last_right_text(settings), encoding="utf-8", newline="")
    reading = read_box(path)
    assert reading.mistakes == ()
    assert reading.settings == replace(settings, ward_key=None, genesis=None)


@given(boxes.settings)
def test_the_wards_key_is_not_copied(settings):
    if settings.ward_key is not None and settings.wifi is None:
        assert settings.ward_key.hex() not in last_right_text(settings)
