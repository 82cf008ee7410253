"""A power cut at a chosen moment: the process is gone, and so is what was not flushed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

_GONE = 137
_CHANGES = (
    "open", "fsync", "fchmod", "chmod", "rename", "replace", "link", "unlink", "mkdir", "rmdir",
)  # fmt: skip


class _Supply:
    """Counts the steps that change a disk, and ends the process before one of them."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self._unflushed: dict[tuple[int, int], int] = {}
        """A descriptor of each file that was opened for writing since it was last flushed."""

    def counting(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if name == "open" and not arguments[1] & (os.O_WRONLY | os.O_RDWR):
                return real(*arguments, **options)
            if self._left == 0:
                self._cut()
            self._left -= 1
            result = real(*arguments, **options)
            if name == "open":
                self._unflushed[_identity(result)] = os.dup(result)
            if name == "fsync":
                self._unflushed.pop(_identity(arguments[0]), None)
            return result

        return counted

    def _cut(self) -> None:
        # What a program wrote and did not flush is lost, whatever name it has by now: the worst
        # that ext4 does. It also takes what is still in Python's buffers.
        for descriptor in self._unflushed.values():
            os.ftruncate(descriptor, 0)
        os._exit(_GONE)


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def run_until_cut(action: Callable[[], object], steps: int) -> bool:
    """Run something in a process of its own, whose power fails after a number of steps.

    Returns:
        Whether it was cut; if not, it had fewer steps and ended in order.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            supply = _Supply(steps)
            for name in _CHANGES:
                setattr(os, name, supply.counting(name, getattr(os, name)))
            action()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, _GONE), f"it failed by itself with status {code}"
    return code == _GONE


def files_below(root: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of each file."""
    return {
        str(path.relative_to(root)): (path.stat().st_mode & 0o7777, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
