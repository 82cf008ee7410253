"""`edgenode chain`: the blocks."""

from __future__ import annotations

from collections.abc import Sequence

import click

from edgenode.api.block_shapes import BlockShape, PayoutShape
from edgenode.api.json_record import to_json
from edgenode.api.wording import shown_time
from edgenode.cli.output import (
    print_fields,
    print_json,
    print_table,
    shortened,
    shown_interval,
    tail_of,
)
from edgenode.cli.parameter_types import BLOCK_METAVAR, block_named
from edgenode.cli.session import Session, pass_session
from edgenode.cli.store_commands import repair, verify


@click.group()
def chain() -> None:
    """Look at the blocks of the chain."""


@chain.command("list")
@click.option(
    "--from",
    "start",
    type=block_named,
    metavar=BLOCK_METAVAR,
    help="First block (default: the end).",
)
@click.option(
    "--count", type=click.IntRange(1, 100), default=20, show_default=True, help="Blocks to list."
)
@pass_session
def list_blocks(session: Session, start: str | int | None, count: int) -> None:
    """List blocks, oldest first."""
    client = session.client()
    if isinstance(start, str):
        start = client.block(start).height
    blocks = client.blocks(start=start, count=count)
    if session.json:
        print_json(to_json(blocks))
        return
    print_table(
        # A line fits a terminal of 80 columns; transfers are told by --json and `chain show`.
        ("height", "block", "time", "interval", "updates", "examples", "miner"),
        [
            (
                block.height,
                tail_of(block.id),
                shown_time(block.time),
                f"{block.interval} s" if block.height else "genesis",
                block.updates,
                block.examples,
                shortened(block.miner),
            )
            for block in blocks
        ],
    )


@chain.command()
@click.argument("block", type=block_named, metavar=BLOCK_METAVAR)
@pass_session
def show(session: Session, block: str | int) -> None:
    """Show one block, decoded.

    Digits alone are a height; a block id has 64 of them.
    """
    shown = session.client().block(block)
    if session.json:
        print_json(to_json(shown))
    else:
        _print_block(shown)


chain.add_command(verify)
chain.add_command(repair)


def _print_block(block: BlockShape) -> None:
    print_fields(
        [
            ("block", block.id),
            ("height", block.height),
            ("previous", block.previous),
            ("time", f"{shown_time(block.time)}, {shown_interval(block.height, block.interval)}"),
            ("version", block.version),
            ("target", block.target),
            ("nonce", block.nonce),
            ("extranonce", block.extranonce),
            ("merkle root", block.merkle_root),
            ("miner", block.miner),
            ("signature", block.signature),
            ("reward", _paid(block.payouts)),
            ("contributions", _paid(block.contributions)),
            *([("state", block.state)] if block.state else []),
            ("size", f"{block.size} bytes"),
        ]
    )
    click.echo()
    print_table(
        ("model", "round", "updates", "examples", "root"),
        [(m.name, m.round, m.updates, m.examples, m.root) for m in block.models],
    )
    if block.updates:
        click.echo()
        print_table(
            ("update", "model", "member", "base", "examples", "bytes"),
            [
                (u.id, u.model, shortened(u.member), tail_of(u.base), u.examples, u.payload_length)
                for u in block.updates
            ],
        )
    if block.changes:
        click.echo()
        print_table(
            ("change", "what", "member", "sequence", "authorities"),
            [
                (
                    c.id,
                    "revoked" if c.name is None else f"enrolled as {c.name}",
                    shortened(c.member),
                    c.sequence,
                    ", ".join(c.authorities),
                )
                for c in block.changes
            ],
        )
    if block.endorsements:
        click.echo()
        print_table(
            ("endorsement", "member", "from height", "checkpoint", "block"),
            [
                (e.id, shortened(e.member), e.source_height, e.target_height, tail_of(e.target))
                for e in block.endorsements
            ],
        )
    if block.transfers:
        click.echo()
        print_table(
            ("transfer", "sender", "recipient", "amount", "fee", "sequence"),
            [
                (t.id, shortened(t.sender), shortened(t.recipient), t.amount, t.fee, t.sequence)
                for t in block.transfers
            ],
        )


def _paid(payouts: Sequence[PayoutShape]) -> str:
    """Who gets how much."""
    shares = ", ".join(f"{payout.amount} to {shortened(payout.key)}" for payout in payouts)
    total = sum(payout.amount for payout in payouts)
    return f"{total} coins: {shares}" if payouts else "none"
