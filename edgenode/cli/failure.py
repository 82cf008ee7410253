"""How the command ends: its exit codes, and the errors that lead to them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import IO, Any

import click

from edgenode.api.client import ApiError, NodeUnavailableError
from edgenode.ledger.genesis import GenesisError
from edgenode.services.config import ConfigError
from edgenode.storage.change_file import ChangeFileError
from edgenode.storage.keyfile import KeyFileError
from edgenode.tasks.task import TaskError


class Exit(IntEnum):
    """The exit codes; scripts rely on them, so they never change."""

    OK = 0
    BUG = 1
    USAGE = 2
    UNAVAILABLE = 3
    REFUSED = 4
    BAD_FILE = 5
    INTERRUPTED = 130
    """What a shell says of a program that SIGINT ended: 128 + 2."""
    NOBODY_READS = 141
    """What a shell says of a program that SIGPIPE ended: 128 + 13."""


MEANINGS = {
    Exit.OK: "done",
    Exit.BUG: "an error in edgenode itself",
    Exit.USAGE: "wrong usage",
    Exit.UNAVAILABLE: "the node does not answer",
    Exit.REFUSED: "the node refuses, or does not have it",
    Exit.BAD_FILE: "a file, or the output, is missing, unusable or in the way",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.NOBODY_READS: "who read the output closed the pipe",
}


class Failure(click.ClickException):
    """An error with its exit code; the text says what is wrong, where, and what to do."""

    def __init__(self, message: str, code: Exit) -> None:
        super().__init__(message)
        self.exit_code = int(code)  # type: ignore[misc]  # click reads the instance's

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the text on stderr."""
        click.echo(f"edgenode: {self.format_message()}", file=file, err=True)


class FailingGroup(click.Group):
    """A group whose commands may raise the package's own errors, and fail to print."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401  (click's signature)
    ) -> click.Context:
        """Read the arguments; print the help if it was asked for.

        Raises:
            Failure: Nothing can be printed.
        """
        with _exit_codes():
            _expect_output()
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's signature)
        """Run a command, and translate what it raises.

        Raises:
            Failure: What the command raised, with its exit code.
        """
        with _exit_codes():
            return super().invoke(ctx)


@contextmanager
def _exit_codes() -> Iterator[None]:
    try:
        yield
    except NodeUnavailableError as error:
        raise Failure(str(error), Exit.UNAVAILABLE) from None
    except ApiError as error:
        raise Failure(_refusal(error), Exit.REFUSED) from None
    except (ConfigError, KeyFileError, ChangeFileError, GenesisError, TaskError) as error:
        raise Failure(str(error), Exit.BAD_FILE) from None
    except OSError as error:
        # Whoever opens a file or a socket names it in an error of the package, so this is stdout.
        _drop_output()
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(Exit.NOBODY_READS) from None
        raise Failure(f"the output cannot be written: {error.strerror}", Exit.BAD_FILE) from None


def _expect_output() -> None:
    """See that there is an output, before anything is done whose result it should show."""
    if sys.stdout is None:
        raise Failure("the output is closed; to see nothing, send it to /dev/null", Exit.BAD_FILE)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may lack a letter of a name


def _drop_output() -> None:
    """Forget what could not be written; else the interpreter tries once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _refusal(error: ApiError) -> str:
    if error.name == "not_found":
        return f"the node does not have it: {error.detail}"
    if error.name == "bad_answer":
        return (
            f"the node's answer makes no sense ({error.detail}); is it of another version than "
            "this command?"
        )
    return f"the node refuses: {error}"
