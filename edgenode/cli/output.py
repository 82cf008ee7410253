"""What the command prints: one JSON document, a table on a terminal, or plain aligned lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click


def print_json(document: object) -> None:
    """Print one JSON document."""
    # In ASCII it means the same in every encoding that a terminal may have.
    click.echo(json.dumps(document, indent=2, ensure_ascii=True))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows; numbers to the right. In a pipe nothing is cut, whatever the width."""
    texts = [[_cell(value) for value in row] for row in rows]
    right = [
        bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        for i in range(len(columns))
    ]
    if sys.stdout.isatty():
        _print_rich(columns, texts, right)
        return
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for line in (columns, *texts):
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(line, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def print_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Print a name and a value on each line."""
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        click.echo(f"{name.ljust(width)}  {_cell(value)}".rstrip())


def shown_interval(height: int, seconds: int) -> str:
    """How long after its parent a block was made; genesis has none."""
    return f"{seconds} s after its parent" if height else "genesis"


def shown_hash_rate(hashes_per_second: float) -> str:
    """A hash rate with three digits and the unit that suits it."""
    rate = hashes_per_second
    for unit in ("H/s", "kH/s", "MH/s"):
        if rate < 999.5:  # what is more is shown as 1000
            return f"{rate:.3g} {unit}"
        rate /= 1000
    return f"{rate:,.3f} GH/s"


def shown_energy(joules: float) -> str:
    """An amount of energy with three digits and the unit that suits it."""
    for unit in ("J", "kJ", "MJ"):
        if joules < 999.5:
            return f"{joules:.3g} {unit}"
        joules /= 1000
    return f"{joules:,.1f} GJ"


def shortened(identifier: str) -> str:
    """Enough of a key, an id or a root to tell it from others in a table."""
    return identifier if len(identifier) <= 9 else f"{identifier[:8]}…"


def tail_of(identifier: str) -> str:
    """Its end is enough of a block id, which begins with zeros, or of a root."""
    return f"…{identifier[-8:]}"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    # Nothing from the network may move the cursor of who looks at it.
    return "".join(c if c.isprintable() else "?" for c in str(value))


def _print_rich(
    columns: Sequence[str], texts: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    from rich.console import Console  # noqa: PLC0415  (0.1 s that a pipe need not wait for)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for column, to_right in zip(columns, right, strict=True):
        table.add_column(column, justify="right" if to_right else "left", overflow="fold")
    for row in texts:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
