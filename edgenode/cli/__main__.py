"""Where the `edgenode` command begins: ready for Ctrl-C before the rest of it is loaded."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import NoReturn

_INTERRUPTED = 130
"""`failure.Exit.INTERRUPTED`, whose module is not loaded yet."""


def main() -> None:
    """The entry point."""
    # Who started the command may have it ignore Ctrl-C, as a shell does for what ends in `&`.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from edgenode.cli.main import cli  # noqa: PLC0415  (the handler comes first)

    cli(prog_name="edgenode")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
