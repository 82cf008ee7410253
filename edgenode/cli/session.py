"""What all commands share: which node is meant, and in what form to answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import click

from edgenode.api.client import NodeClient
from edgenode.cli.parameter_types import FILE
from edgenode.services.config import CONFIG_VARIABLE, DEFAULT_CONFIG, NodeSettings, load

Given = ParamSpec("Given")
Result = TypeVar("Result")
Command = TypeVar("Command", bound=Callable[..., Any])

SOCKET_VARIABLE = "EDGENODE_SOCKET"


def _default_config() -> Path:
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def _default_socket() -> Path | None:
    path = os.environ.get(SOCKET_VARIABLE)
    return Path(path) if path else None


@dataclass(frozen=True, slots=True)
class Session:
    """The global options.

    Attributes:
        config: The node's configuration file.
        socket: The node's socket, if the configuration's is not meant.
        json: Whether to print JSON.
    """

    config: Path = field(default_factory=_default_config)
    socket: Path | None = field(default_factory=_default_socket)
    json: bool = False

    def settings(self) -> NodeSettings:
        """The node's configuration.

        Raises:
            ConfigError: It is missing or unusable.
        """
        return load(self.config)

    def client(self) -> NodeClient:
        """A client of the node; with a socket named, no configuration is read.

        Raises:
            ConfigError: No socket was named, and the configuration is missing or unusable.
        """
        return NodeClient(self.socket or self.settings().api)

    def configured(self) -> frozenset[str] | None:
        """The tables of the configuration; None where a socket was named and none is read.

        Raises:
            ConfigError: No socket was named, and the configuration is missing or unusable.
        """
        return None if self.socket else self.settings().tables


def _override(context: click.Context, option: click.Parameter, value: Any) -> None:  # noqa: ANN401
    """Put what was given into the session; what stands after a command's name comes last."""
    if value:
        session = context.ensure_object(Session)
        context.obj = replace(session, **{str(option.name): value})


def global_options(command: Command) -> Command:
    """Give a command the global options; they are in its session, not among its arguments."""
    for option in (
        click.option("--json", is_flag=True, expose_value=False, callback=_override,
                     help="Print one JSON document."),
        click.option("--socket", type=FILE, expose_value=False, callback=_override,
                     help="The node's socket, in place of the configuration's "
                          f"(default: ${SOCKET_VARIABLE})."),
        click.option("--config", type=FILE, expose_value=False, callback=_override,
                     help="The node's configuration "
                          f"(default: ${CONFIG_VARIABLE} or {DEFAULT_CONFIG})."),
    ):  # fmt: skip
        command = option(command)
    return command


def pass_session(
    command: Callable[Concatenate[Session, Given], Result],
) -> Callable[Given, Result]:
    """Call a command with the session, and let the global options follow its name, too."""
    return global_options(click.make_pass_decorator(Session)(command))
