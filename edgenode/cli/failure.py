"""How the command ends: its exit codes, and the errors that lead to them."""

from __future__ import annotations

from enum import IntEnum
from typing import IO, Any

import click

from edgenode.api.client import ApiError, NodeUnavailableError
from edgenode.ledger.genesis import GenesisError
from edgenode.services.config import ConfigError
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


MEANINGS = {
    Exit.OK: "done",
    Exit.BUG: "an error in edgenode itself",
    Exit.USAGE: "wrong usage",
    Exit.UNAVAILABLE: "the node does not answer",
    Exit.REFUSED: "the node refuses, or does not have it",
    Exit.BAD_FILE: "a file is missing, unusable or in the way",
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
    """A group whose commands may raise the package's own errors."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  (click's signature)
        """Run a command, and translate what it raises.

        Raises:
            Failure: What the command raised, with its exit code.
        """
        try:
            return super().invoke(ctx)
        except NodeUnavailableError as error:
            raise Failure(str(error), Exit.UNAVAILABLE) from None
        except ApiError as error:
            raise Failure(_refusal(error), Exit.REFUSED) from None
        except (ConfigError, KeyFileError, GenesisError, TaskError) as error:
            raise Failure(str(error), Exit.BAD_FILE) from None


def _refusal(error: ApiError) -> str:
    if error.name == "not_found":
        return f"the node does not have it: {error.detail}"
    if error.name == "starting":
        return "the node is still starting; try again in a moment"
    if error.name == "bad_answer":
        return (
            f"the node's answer makes no sense ({error.detail}); is it of another version than "
            "this command?"
        )
    return f"the node refuses: {error}"
