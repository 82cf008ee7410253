"""`edgenode clock`: how the box's clock stands, and vouching for it by hand."""

from __future__ import annotations

import time

import click

from edgenode.api.json_record import to_json
from edgenode.api.shapes import ClockStatus
from edgenode.api.wording import shown_time
from edgenode.cli.output import print_fields, print_json
from edgenode.cli.session import Session, pass_session


@click.group()
def clock() -> None:
    """Look at the clock that the node mines and signs by, and vouch for it."""


@clock.command()
@pass_session
def show(session: Session) -> None:
    """Show the time and whether the node trusts it."""
    _show(session, session.client().clock())


@clock.command()
@pass_session
def accept(session: Session) -> None:
    """Vouch for the clock, where no time server can.

    Compare it with a watch first. This holds until the clock is set again or the box restarts.
    """
    _show(session, session.client().accept_clock())


def _show(session: Session, status: ClockStatus) -> None:
    now = time.time()
    if session.json:
        print_json({"time": int(now), **to_json(status)})
        return
    print_fields([("time", shown_time(now)), ("clock", shown_clock(status))])


def shown_clock(status: ClockStatus) -> str:
    """The clock in a line."""
    return status.reason if status.trusted else f"NOT TRUSTED, no mining: {status.reason}"
