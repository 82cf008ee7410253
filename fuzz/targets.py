"""The targets by name, and how to give one an input without a fuzzer.

A target is a module of this folder with `one_input(data)`, which returns whether the decoder took
the bytes, and raises on a finding: any exception but the declared ones, among them the
AssertionError of a broken invariant. Its corpus is corpus/NAME, its dictionary NAME.dict if it
has one.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parent

LONGEST = {
    "header": 256,
    "transaction": 1200,
    "block": 8192,
    "records": 4096,
    "genesis": 8192,
    "merkle": 2048,
    "wire": 1400,
    "handshake": 512,
    "gateway_wire": 2600,
    "header_run": 256,
    "change_file": 4096,
    "update_codec": 1024,
    "stratum": 8192,
}
"""Bytes of the longest input that is tried, by target: above the first bound that it has, and
short enough that a second sees thousands of them."""

Trial = Callable[[bytes], bool | None]


def target(name: str) -> Trial:
    """The `one_input` of a target."""
    trial: Trial = importlib.import_module(f"fuzz.{name}").one_input
    return trial


def corpus(name: str) -> Path:
    """The folder of a target's seeds and of what was once a finding."""
    return FOLDER / "corpus" / name


def dictionary(name: str) -> Path | None:
    """The words that a target's inputs are made of, if somebody wrote them down."""
    path = FOLDER / f"{name}.dict"
    return path if path.exists() else None
