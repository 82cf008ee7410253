"""What several tests of the appliance need."""

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for all examples of a module's properties."""
    return tmp_path_factory.mktemp("folder")
