"""`edgenode status`, `edgenode peers` and `edgenode capture`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from edgenode.api.client import LONGEST_WAIT_S
from edgenode.api.json_record import to_json
from edgenode.api.shapes import REPORTING_SERVICES, LastReport, Peer, Status
from edgenode.api.wording import shown_duration, shown_time
from edgenode.cli.clock_commands import shown_clock
from edgenode.cli.output import (
    print_fields,
    print_json,
    print_table,
    shown_energy,
    shown_hash_rate,
    shown_interval,
)
from edgenode.cli.session import Session, pass_session
from edgenode.exporter.snapshot import UP_SECONDS


@click.command()
@pass_session
def status(session: Session) -> None:
    """Show the node at a glance: head, models, services."""
    client, configured = session.client(), session.configured()
    now, services = client.status(), client.services()
    if session.json:
        print_json({**to_json(now), "services": to_json(services)})
        return
    print_fields(_fields(now, services.get("miner")))
    click.echo()
    print_table(
        ("model", "round", "updates", "examples"),
        [(m.name, m.round, m.updates, m.examples) for m in now.head.models],
    )
    click.echo()
    print_table(
        ("service", "state"),
        [
            (name, _state(name, services.get(name), configured))
            for name in REPORTING_SERVICES
            if name != "gateway" or name in services or name in (configured or ())
        ],
    )


@click.command()
@pass_session
def peers(session: Session) -> None:
    """List the nodes that this node talks to."""
    known = session.client().peers()
    if session.json:
        print_json(to_json(known))
        return
    print_table(
        (
            *("address", "member", "height", "round trip", "queue", "loss", "rate"),
            *("since", "silent", "sent", "received"),
        ),
        [
            (
                peer.address + _remarks(peer),
                peer.name or f"guest {peer.member[:8]}",
                peer.height,
                _milliseconds(peer.round_trip),
                _milliseconds(peer.queue),
                None if peer.loss is None else f"{100 * peer.loss:.1f} %",
                None if peer.rate is None else f"{peer.rate / 1000:.0f} kB/s",
                shown_time(peer.connected),
                shown_duration(peer.silent),
                peer.datagrams_sent,
                peer.datagrams_received,
            )
            for peer in known
        ],
    )


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, writable=True, path_type=Path))
@click.option("--seconds", type=click.IntRange(1, LONGEST_WAIT_S), default=10, show_default=True)
@pass_session
def capture(session: Session, file: Path, seconds: int) -> None:
    """Capture what the node sends and receives, opened, for Wireshark.

    FILE is written as pcapng; "-" stands for standard output. It holds what nodes say to each
    other, but no samples, which never leave a box. docs/edgenode.lua teaches Wireshark to read it.
    """
    captured = session.client().capture(seconds)
    with click.open_file(str(file), "wb") as out:
        out.write(captured)
    click.echo(f"{len(captured)} bytes in {seconds} s: {file}", err=True)


def _remarks(peer: Peer) -> str:
    """What is unusual about a peer's sockets."""
    if not peer.sync:
        return " (listens)"
    return "" if peer.broadcast else " (no broadcast)"


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{1000 * seconds:.1f} ms"


def _fields(now: Status, miner: LastReport | None) -> list[tuple[str, object]]:
    head = now.head
    behind = max(0, now.best_header_height - head.height)
    return [
        ("node", f"{now.node}, version {now.version}, since {shown_time(now.started)}"),
        ("ward", now.ward),
        ("member", now.member if now.enrolled else f"{now.member}, not enrolled"),
        ("head", f"{head.height}, {head.id}"),
        ("made", f"{shown_time(head.time)}, {shown_interval(head.height, head.interval)}"),
        ("next block", f"{head.expected_hashes:,} hashes{_time_for(head.expected_hashes, miner)}"),
        ("final", f"up to {now.finality.final}, justified up to {now.finality.justified}"),
        ("kept", f"blocks from {now.kept_from} on" if now.kept_from else "all blocks"),
        ("difficulty", head.difficulty),
        ("clock", shown_clock(now.clock)),
        ("syncing", f"{behind} blocks behind" if now.syncing else "no"),
        ("peers", now.peers),
        (
            "waiting",
            f"{now.mempool.updates} updates, {now.mempool.transfers} transfers, "
            f"{now.mempool.endorsements} endorsements, {now.mempool.changes} changes of members",
        ),
        ("balance", f"{now.balance} coins"),
        ("mined", f"{now.blocks_mined} blocks since the start"),
        ("refused", ", ".join(f"{r} {n}" for r, n in sorted(now.refused.items())) or "nothing"),
    ]


def _time_for(hashes: int, miner: LastReport | None) -> str:
    """How long this node's miner would take for so many; empty where its rate is not known."""
    rate = 0.0 if miner is None or _is_silent(miner) else miner.values.get("hash_rate", 0.0)
    if rate <= 0:
        return ""
    return f", about {shown_duration(hashes / rate)} at this miner's {shown_hash_rate(rate)}"


def _is_silent(report: LastReport) -> bool:
    return report.age >= UP_SECONDS


def _state(name: str, report: LastReport | None, configured: frozenset[str] | None) -> str:
    """A service's state in a few words.

    Args:
        name: The service.
        report: Its last report, if there was one.
        configured: The tables of the node's configuration, if it was read.
    """
    if report is None:
        asked_for = configured is None or name in configured
        return "no report" if asked_for else "not configured"
    if _is_silent(report):
        return f"silent for {shown_duration(report.age)} (last: {report.state})"
    return ", ".join((report.state, *_figures(name, report.values)))


def _figures(name: str, values: Mapping[str, float]) -> Iterator[str]:
    if name == "collector" and "stored_samples_total" in values:
        yield f"{values['stored_samples_total']:,.0f} samples stored"
    if name == "trainer" and "windows_total" in values:
        yield f"{values['windows_total']:,.0f} windows"
    if name == "trainer" and "accuracy" in values:
        yield f"accuracy {values['accuracy']:.2f}"
    if name == "miner" and "hash_rate" in values:
        yield shown_hash_rate(values["hash_rate"])
    if name == "miner" and "temperature_celsius" in values:
        yield f"{values['temperature_celsius']:.0f} °C"
    if name == "miner" and "joules_total" in values:
        yield f"about {shown_energy(values['joules_total'])} spent"
    if name == "miner" and "joules_per_block" in values:
        yield f"{shown_energy(values['joules_per_block'])} a block"
    if name == "gateway" and "boxes" in values:
        yield f"{values['boxes']:.0f} box{'' if values['boxes'] == 1 else 'es'} linked"
