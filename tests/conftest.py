"""What tests of several rooms need: recordings, and tools that a machine may lack."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

from datasets import recordings

RECORDINGS = Path(__file__).parent.parent / "var" / "recordings.npz"
IMAGE = Path(__file__).parent.parent / "var" / "image" / "edgenode-pi.img"

# What a shell's background jobs and nohup ignore would be inherited by the programs under test.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Whether an example is fast is no behaviour; on a loaded machine none is.
settings.register_profile("edgenode", deadline=None)
settings.load_profile("edgenode")


SLOW = ("ward", "ansible", "monitoring", "doctor", "demo", "mining", "sim")
"""Folders whose files take longest. They are given to the processes first: a long one that comes
last would keep one busy while the others are done."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow folders first."""
    folder = Path(__file__).parent

    def place(item: pytest.Item) -> int:
        room = item.path.relative_to(folder).parts[0]
        return SLOW.index(room) if room in SLOW else len(SLOW)

    items.sort(key=place)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of the recordings that boxes sense."""
    if RECORDINGS.exists():
        return RECORDINGS
    path = tmp_path_factory.mktemp("recordings") / "recordings.npz"
    assert recordings.main(["--out", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def image() -> Path:
    """The appliance's image; a check of another one names it in EDGENODE_IMAGE."""
    path = Path(os.environ.get("EDGENODE_IMAGE", IMAGE))
    if not path.exists():
        pytest.fail(f"{path} is missing: make image")
    return path


def missing(reason: str) -> NoReturn:
    """Skip the test; fail it where EDGENODE_REQUIRE_TOOLS says that nothing may be missing."""
    if os.environ.get("EDGENODE_REQUIRE_TOOLS"):
        pytest.fail(f"{reason}, and EDGENODE_REQUIRE_TOOLS is set")
    pytest.skip(reason)


def require_tool(program: str, package: str) -> str:
    """Path of a program; the test is skipped without it, or fails (see `missing`)."""
    path = shutil.which(program)
    if path is None:
        missing(f"{program} is not installed (Debian's package {package})")
    return path


def require_root(purpose: str) -> None:
    """Skip the test where it has no root rights, or fail it (see `missing`)."""
    if os.geteuid() != 0:
        missing(f"only root may {purpose}")
