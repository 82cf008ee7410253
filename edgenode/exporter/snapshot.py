"""What the local API says at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import LastReport, Peer, Status, WardState

UP_SECONDS = 15.0
"""A service that has not reported for so long is down: it reports every second, and the longest
that a healthy one falls silent is a commit to a slow SD card."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The node at one moment.

    Attributes:
        version: This exporter's version.
        expected: Services that the configuration has, in the order to show them.
        status: The node's status; None if the node did not answer.
        ward: How the ward stands; None then.
        peers: The peers; empty then.
        reports: Last reports by service; empty then.
        scrapes: Scrapes answered so far, this one included.
    """

    version: str
    expected: tuple[str, ...]
    status: Status | None
    ward: WardState | None
    peers: tuple[Peer, ...]
    reports: Mapping[str, LastReport]
    scrapes: int

    def is_up(self, service: str) -> bool:
        """Whether a service is at work."""
        if service == "exporter":
            return True
        if service == "gossip":
            return self.status is not None
        return self.fresh(service) is not None

    def fresh(self, service: str) -> LastReport | None:
        """A service's report, unless it is too old to say how things are."""
        report = self.reports.get(service)
        return report if report is not None and report.age < UP_SECONDS else None


def take_snapshot(
    client: NodeClient, version: str, expected: tuple[str, ...], scrapes: int
) -> tuple[Snapshot, str]:
    """Ask the node; a node that does not answer gives a snapshot that says so.

    Returns:
        The snapshot, and why the node did not answer (empty if it did).
    """
    try:
        status, ward = client.status(), client.ward()
        peers, reports = client.peers(), client.services()
    except (NodeUnavailableError, ApiError) as error:
        return Snapshot(version, expected, None, None, (), {}, scrapes), str(error)
    return Snapshot(version, expected, status, ward, peers, reports, scrapes), ""
