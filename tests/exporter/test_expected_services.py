"""Which services an exporter expects to be at work."""

import pytest

from edgenode.services.config import load
from edgenode.services.exporter import _expected


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ("", ("gossip", "exporter")),
        ("[miner]\n", ("gossip", "miner", "exporter")),
        (
            '[collector]\nadapter = "bluez:hci0"\nsensors = ["F0:0E:00:00:00:01"]\n'
            '[trainer]\nmodel = "activity"\n',
            ("gossip", "collector", "trainer", "exporter"),
        ),
    ],
)
def test_a_service_is_expected_where_the_configuration_has_its_table(tmp_path, tables, expected):
    path = tmp_path / "edgenode.toml"
    path.write_text('[node]\nname = "bed-1"\n' + tables)
    assert _expected(load(path)) == expected
