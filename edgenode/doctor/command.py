"""Running a program of the system for what it prints, in bounded time."""

from __future__ import annotations

import os
import subprocess

TIMEOUT_S = 10.0


class CommandError(Exception):
    """The program is missing, late or says that it failed; the text says which."""


def output_of(*command: str) -> str:
    """What a program prints on its standard output.

    Args:
        command: The program and its arguments.

    Raises:
        CommandError: There is no such program, it does not end, or it fails.
    """
    try:
        done = subprocess.run(  # noqa: S603  (programs named in this package, no shell)
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        raise CommandError(f"there is no program {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise CommandError(f"{command[0]} did not end within {TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise CommandError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
        reason = said[-1] if said else f"exit status {done.returncode}"
        raise CommandError(f"{command[0]}: {reason}")
    return done.stdout
