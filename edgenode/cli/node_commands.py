"""`edgenode status` and `edgenode peers`."""

from __future__ import annotations

from collections.abc import Mapping

import click

from edgenode.api.json_record import to_json
from edgenode.api.shapes import REPORTING_SERVICES, LastReport, Status
from edgenode.cli.output import print_fields, print_json, print_table, shown_time
from edgenode.cli.session import Session, pass_session


@click.command()
@pass_session
def status(session: Session) -> None:
    """Show the node at a glance: head, models, services."""
    client = session.client()
    now, services = client.status(), client.services()
    if session.json:
        print_json({**to_json(now), "services": to_json(services)})
        return
    print_fields(_fields(now))
    click.echo()
    print_table(
        ("model", "round", "updates", "examples"),
        [(m.name, m.round, m.updates, m.examples) for m in now.head.models],
    )
    click.echo()
    print_table(("service", "state", "report"), _services(services))


@click.command()
@pass_session
def peers(session: Session) -> None:
    """List the nodes that this node talks to."""
    known = session.client().peers()
    if session.json:
        print_json(to_json(known))
        return
    print_table(
        ("address", "height", "round trip", "loss", "connected", "sent", "received"),
        [
            (
                peer.address,
                peer.height,
                None if peer.round_trip is None else f"{1000 * peer.round_trip:.1f} ms",
                None if peer.loss is None else f"{100 * peer.loss:.1f} %",
                shown_time(peer.connected),
                peer.datagrams_sent,
                peer.datagrams_received,
            )
            for peer in known
        ],
    )


def _fields(now: Status) -> list[tuple[str, object]]:
    head = now.head
    behind = max(0, now.best_header_height - head.height)
    return [
        ("node", f"{now.node}, version {now.version}, since {shown_time(now.started)}"),
        ("ward", now.ward),
        ("member", now.member),
        ("head", f"{head.height}, {head.id}"),
        ("made", f"{shown_time(head.time)}, {head.interval} s after its parent"),
        ("next block", f"{head.expected_hashes:,} hashes, difficulty {head.difficulty:.6g}"),
        ("syncing", f"{behind} blocks behind" if now.syncing else "no"),
        ("peers", now.peers),
        ("waiting", f"{now.mempool.updates} updates, {now.mempool.transfers} transfers"),
        ("balance", f"{now.balance} coins"),
        ("mined", f"{now.blocks_mined} blocks since the start"),
        ("refused", ", ".join(f"{r} {n}" for r, n in sorted(now.refused.items())) or "nothing"),
    ]


def _services(services: Mapping[str, LastReport]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name in REPORTING_SERVICES:
        report = services.get(name)
        if report is None:
            rows.append((name, "no report", None))
        else:
            rows.append((name, report.state, f"{report.age:.1f} s ago"))
    return rows
