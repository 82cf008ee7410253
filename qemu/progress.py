"""What commands tell a person while they wait for slow guests."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from demo.interruption import undisturbed
from qemu.console import Cleaner
from qemu.errors import QemuError

_PAUSE = 0.2


def say(text: str) -> None:
    """A line for the person, beside what the command prints as its result."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._began:.0f} s"


def need_image(image: Path) -> None:
    """See that there is an image.

    Raises:
        QemuError: There is none; the message says how one is made.
    """
    if not image.is_file():
        raise QemuError(f"there is no image {image}; `make image` builds it")


@contextlib.contextmanager
def removed(directory: Path) -> Iterator[None]:
    """Remove a directory at the end; after a failure its logs are wanted, and it is kept."""
    try:
        yield
    except Exception:
        say(f"logs and disks are kept in {directory}")
        raise
    except BaseException:  # Ctrl-C
        _remove(directory)
        raise
    _remove(directory)


def _remove(directory: Path) -> None:
    with undisturbed():
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def shown(logs: Sequence[Path], *, wanted: bool) -> Iterator[None]:
    """Show what guests say on their consoles meanwhile, if that is wanted."""
    ending = threading.Event()
    threads = [
        threading.Thread(target=_show, args=(log, ending), daemon=True)
        for log in (logs if wanted else ())
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def _show(log: Path, ending: threading.Event) -> None:
    cleaner = Cleaner()
    read = 0
    last = False
    while not last:
        last = ending.wait(_PAUSE)
        if not log.exists():
            continue
        with log.open("rb") as file:
            file.seek(read)
            data = file.read()
        read += len(data)
        sys.stderr.write(cleaner.feed(data))
        sys.stderr.flush()
