"""`edgenode chain`: the blocks."""

from __future__ import annotations

import click

from edgenode.api.block_shapes import BlockShape
from edgenode.api.json_record import to_json
from edgenode.cli.output import (
    print_fields,
    print_json,
    print_table,
    shortened,
    shown_time,
    tail_of,
)
from edgenode.cli.session import Session, pass_session


@click.group()
def chain() -> None:
    """Look at the blocks of the chain."""


@chain.command("list")
@click.option("--from", "start", type=click.IntRange(0), help="First height (default: the end).")
@click.option(
    "--count", type=click.IntRange(1, 100), default=20, show_default=True, help="Blocks to list."
)
@pass_session
def list_blocks(session: Session, start: int | None, count: int) -> None:
    """List blocks, oldest first."""
    blocks = session.client().blocks(start=start, count=count)
    if session.json:
        print_json(to_json(blocks))
        return
    print_table(
        ("height", "block", "time", "interval", "updates", "examples", "transfers", "miner"),
        [
            (
                block.height,
                tail_of(block.id),
                shown_time(block.time),
                f"{block.interval} s",
                block.updates,
                block.examples,
                block.transfers,
                shortened(block.miner),
            )
            for block in blocks
        ],
    )


@chain.command()
@click.argument("block", metavar="ID|HEIGHT")
@pass_session
def show(session: Session, block: str) -> None:
    """Show one block, decoded.

    Digits alone are a height; a block id has 64 of them.
    """
    is_height = block.isascii() and block.isdecimal() and len(block) <= 10
    is_id = len(block) == 64 and all(c in "0123456789abcdef" for c in block.lower())
    if not (is_height or is_id):
        raise click.BadParameter(
            f"{block!r} is neither a height nor a block id of 64 hexadecimal digits",
            param_hint="ID|HEIGHT",
        )
    shown = session.client().block(int(block) if is_height else block.lower())
    if session.json:
        print_json(to_json(shown))
    else:
        _print_block(shown)


def _print_block(block: BlockShape) -> None:
    print_fields(
        [
            ("block", block.id),
            ("height", block.height),
            ("previous", block.previous),
            ("time", f"{shown_time(block.time)}, {block.interval} s after its parent"),
            ("version", block.version),
            ("target", block.target),
            ("nonce", block.nonce),
            ("extranonce", block.extranonce),
            ("merkle root", block.merkle_root),
            ("miner", block.miner),
            ("signature", block.signature),
            ("reward", f"{block.reward} coins"),
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
    if block.transfers:
        click.echo()
        print_table(
            ("transfer", "sender", "recipient", "amount", "fee", "sequence"),
            [
                (t.id, shortened(t.sender), shortened(t.recipient), t.amount, t.fee, t.sequence)
                for t in block.transfers
            ],
        )
