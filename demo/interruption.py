"""An interruption ends the demo in order; further ones do not interrupt that."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a polite kill, and a terminal that was closed."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """The first interruption raises KeyboardInterrupt, later ones do nothing.

    One that the caller ignores, as `nohup` does with SIGHUP, stays ignored.
    """
    with _handled_by(_interrupt):
        yield


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Interruptions do nothing meanwhile."""
    with _handled_by(_do_nothing):
        yield


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in INTERRUPTIONS}
    _set(handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _set(handler: Callable[[int, FrameType | None], None]) -> None:
    for number in INTERRUPTIONS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    _set(_do_nothing)
    raise KeyboardInterrupt


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Unlike SIG_IGN, no process that is started meanwhile inherits this."""
