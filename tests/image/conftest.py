"""What the image build needs of the machine: tests name it with the mark `needs`."""

import os

import pytest

from image.commands import PROGRAMS
from tests.conftest import require_tool


@pytest.fixture(autouse=True)
def _programs(request, monkeypatch):
    # Some of them lie where only root looks.
    monkeypatch.setenv("PATH", os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    for mark in request.node.iter_markers("needs"):
        require_tool(mark.args[0], PROGRAMS[mark.args[0]])
