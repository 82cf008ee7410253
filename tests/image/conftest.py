"""What the image build needs of the machine; without it these tests are skipped, or fail in CI."""

import os
import shutil

import pytest

from image.commands import PROGRAMS


@pytest.fixture(autouse=True)
def _programs(request):
    needed = [mark.args[0] for mark in request.node.iter_markers("needs")]
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for name in needed:
        if shutil.which(name, path=path) is None:
            reason = f"{name} is missing (Debian package {PROGRAMS.get(name, name)})"
            if os.environ.get("EDGENODE_REQUIRE_TOOLS"):
                pytest.fail(reason)
            pytest.skip(reason)


@pytest.fixture(autouse=True)
def _system_programs(monkeypatch):
    monkeypatch.setenv("PATH", os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
