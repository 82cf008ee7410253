"""The demo's command line."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options, with the folder --out made; None reads the command line.

    Raises:
        SystemExit: An option cannot be (status 2), or help was asked for (status 0).
    """
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Four bedside boxes on one machine."
    )
    parser.add_argument(
        "--recordings",
        type=Path,
        default=Path("var/recordings.npz"),
        help="what the wearables replay (default var/recordings.npz, which `make demo` fetches)",
    )
    parser.add_argument("--blocks", type=_count, default=28, help="blocks to mine (default 28)")
    parser.add_argument(
        "--spacing", type=_count, default=6, help="seconds between blocks (default 6)"
    )
    parser.add_argument(
        "--speed",
        type=_factor,
        help="times life at which the recordings are played (default: over two thirds of the run)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document on standard output, and the progress on standard error",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("var/demo"),
        help="folder for demo.png and demo.json, which are written over (default var/demo)",
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="keep the ward's files and logs; where is printed at the end",
    )
    options = parser.parse_args(arguments)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --out: {options.out} cannot be made a folder: {error.strerror}")
    return options


def _count(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return count


def _factor(text: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not 0 < factor < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return factor
