"""What all tests of guests need, and the summary of a run."""

from pathlib import Path

import pytest

from qemu.patience import BOOT_PATIENCE
from tests.box import extent, summary
from tests.box.bundles import Bundles

HERE = Path(__file__).parent
SUMMARY = HERE.parent.parent / "var" / "qemu-test" / "summary.md"


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.qemu)
            item.add_marker(pytest.mark.timeout(8 * BOOT_PATIENCE))
            if not extent.FULL and item.get_closest_marker("full"):
                item.add_marker(pytest.mark.skip(reason="only make qemu-test-full runs it"))


def pytest_configure(config):
    plugin = summary.Summary(SUMMARY, config)
    config.pluginmanager.register(plugin, "summary-of-guests")


@pytest.fixture(scope="session")
def bundles(image, tmp_path_factory):
    return Bundles(image.parent / "work", tmp_path_factory.mktemp("bundles"))
