"""The recordings that boxes sense."""

from pathlib import Path

import pytest

from datasets import recordings

RECORDINGS = Path(__file__).parent.parent.parent / "var" / "recordings.npz"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """File of the recordings."""
    if RECORDINGS.exists():
        return RECORDINGS
    path = tmp_path_factory.mktemp("recordings") / "recordings.npz"
    assert recordings.main(["--out", str(path)]) == 0
    return path
