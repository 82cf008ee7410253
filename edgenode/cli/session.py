"""What all commands share: which node is meant, and in what form to answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from edgenode.api.client import NodeClient
from edgenode.services.config import NodeSettings, load


@dataclass(frozen=True, slots=True)
class Session:
    """The global options.

    Attributes:
        config: The node's configuration file.
        socket: The node's socket, if the configuration's is not meant.
        json: Whether to print JSON.
    """

    config: Path
    socket: Path | None
    json: bool

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


pass_session = click.make_pass_decorator(Session)
