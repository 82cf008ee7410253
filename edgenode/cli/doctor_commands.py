"""`edgenode doctor`: what is wrong with this box, and what to do about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from edgenode.api.json_record import to_json
from edgenode.cli.output import print_json, print_table
from edgenode.cli.session import Session, pass_session
from edgenode.doctor.finding import Status

if TYPE_CHECKING:
    from edgenode.doctor.examine import Report

EXIT_STATUS = {Status.OK: 0, Status.SKIP: 0, Status.WARN: 1, Status.FAIL: 2}
"""Those of a Nagios plugin: OK, WARNING, CRITICAL."""

AGAIN_S = 5.0


@click.command(
    epilog="\b\nExit status:\n    0  all is well\n    1  something wants a look\n"
    "    2  something does not work"
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 86_400),
    default=0.0,
    metavar="SECONDS",
    help="Look again until all is well, for at most so long.",
)
@pass_session
def doctor(session: Session, wait: float) -> None:
    """Say what is wrong with this box, and what to do about it.

    Run it as root to see all of it; docs/doctor.md describes each check.
    """
    # Only here: the other commands need none of it, and a slow board feels each import.
    from edgenode.doctor.examine import examine  # noqa: PLC0415
    from edgenode.doctor.gather import gather  # noqa: PLC0415

    end = time.monotonic() + wait
    while True:
        report = examine(gather(session.config, session.socket))
        left = end - time.monotonic()
        if report.ok or left <= 0:
            break
        time.sleep(min(AGAIN_S, left))
    if session.json:
        _print_json(report)
    else:
        _print(report)
    raise click.exceptions.Exit(EXIT_STATUS[report.status])


def _print(report: Report) -> None:
    print_table(
        ("check", "status", "what was found"),
        [(finding.name, finding.status.upper(), finding.detail) for finding in report.findings],
    )
    hints = [finding for finding in report.findings if finding.hint]
    if hints:
        click.echo()
        print_table(("check", "what to do"), [(finding.name, finding.hint) for finding in hints])


def _print_json(report: Report) -> None:
    print_json({"ok": report.ok, "status": report.status, "checks": to_json(report.findings)})
