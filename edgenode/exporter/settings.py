"""What an exporter is configured with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """The settings of one exporter.

    Attributes:
        listen: Address and port for Prometheus. The default is for this machine only: metrics
            tell when a patient exercises, so who may read them is for the site to decide.
    """

    listen: tuple[str, int] = ("127.0.0.1", 9464)

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: One of them is unusable; the text begins with its name.
        """
        host, port = self.listen
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise ValueError(f"listen: {host!r} is no IP address of this machine") from None
        if not 1 <= port <= 65535:
            raise ValueError(f"listen: port {port} is not in 1..65535")
