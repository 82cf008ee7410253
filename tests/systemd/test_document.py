"""docs/systemd.md says of the services what their units say."""

from pathlib import Path

import pytest

from tests.systemd.units import NODE_UNITS, UNITS, Unit, node_unit

DOCUMENT = (Path(__file__).parents[2] / "docs" / "systemd.md").read_text()


def row(service):
    """The service's row in the table of what each may do."""
    unit = node_unit(service)
    bound = unit.words("Service", "BindPaths")
    internet = "AF_INET" in unit.words("Service", "RestrictAddressFamilies")
    hidden = unit.words("Service", "InaccessiblePaths")
    slice_ = unit["Service", "Slice"].removeprefix("edgenode-").removesuffix(".slice")
    most = unit["Service", "MemoryMax"].removesuffix("M")
    watchdog = unit["Service", "WatchdogSec"].replace("min", " min").replace("60s", "60 s")
    cells = (
        service,
        f"`{unit['Service', 'User']}`",
        f"`{bound[0].rpartition('/')[2]}`" if bound else "nothing",
        "Unix, Internet" if internet else "Unix",
        "no" if "-/run/dbus" in hidden else "yes",
        slice_,
        f"{most} MiB",
        watchdog,
    )
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("service", NODE_UNITS)
def test_the_document_says_what_a_service_may_do(service):
    assert row(service) in DOCUMENT.splitlines()


def test_the_document_gives_the_weights_of_the_slices():
    for name in ("collecting", "training", "mining"):
        weight = Unit(f"edgenode-{name}.slice")["Slice", "CPUWeight"]
        (line,) = (
            text for text in DOCUMENT.splitlines() if text.startswith(f"| `edgenode-{name}` | ")
        )
        assert line.endswith(f"| {weight} |")


def test_the_document_names_every_unit():
    table = DOCUMENT.split("## Units")[1].split("## ")[0]
    for path in UNITS.iterdir():
        if path.suffix in {".service", ".slice", ".target"}:
            name = path.stem.removeprefix("edgenode")
            assert f"`edgenode{name}`" in table or f"`{name}`" in table or path.name in table, path
