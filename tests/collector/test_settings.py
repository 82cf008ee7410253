"""The collector's settings are refused before anything is opened."""

from dataclasses import replace
from pathlib import Path

import pytest

from edgenode.collector.settings import CollectorSettings, SettingsError

GOOD = CollectorSettings(
    adapter="bluez:hci0", sensors=("F0:0E:00:00:00:01",), database=Path("samples/samples.db")
)


@pytest.mark.parametrize("adapter", ["bluez:hci0", "bumble:tcp-client:127.0.0.1:6402"])
def test_both_kinds_of_adapter_are_accepted(adapter):
    assert replace(GOOD, adapter=adapter).adapter == adapter


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sensors": ()}, "sensors: the list is empty; name the address"),
        ({"sensors": ("F0:0E:00:00:00:0",)}, "F0:0E:00:00:00:0"),
        ({"sensors": ("f0:0e:00:00:00:01",)}, "upper case"),
        ({"sensors": ("F0:0E:00:00:00:01",) * 2}, "twice"),
        ({"sensors": tuple(f"F0:0E:00:00:00:{n:02X}" for n in range(65))}, "more than 64"),
        ({"adapter": "hci0"}, "neither"),
        ({"adapter": "bluez:../../etc"}, "neither"),
        ({"adapter": "bumble:"}, "neither"),
        ({"max_bytes": 1}, "max_bytes"),
        ({"max_age_s": 0.0}, "max_age_s"),
        ({"max_age_s": float("nan")}, "max_age_s"),
        ({"commit_within_s": 0.0}, "commit_within_s"),
        ({"commit_within_s": float("nan")}, "commit_within_s"),
    ],
)
def test_an_unusable_setting_is_named_with_the_reason(change, text):
    with pytest.raises(SettingsError, match=text):
        replace(GOOD, **change)
