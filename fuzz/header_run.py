"""Runs of headers in C against the rules in Python, on runs that were changed.

Invariant: the same headers are good, with the same ids, and the next one violates the same rule
first.

An input is a ward and a place in its chain, a clock, and six bytes for each header: what is done
to a valid one, and with what. So a fuzzer need not find proof of work to get deep.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from edgenode.ledger.genesis import Genesis
from edgenode.ledger.header import HEADER_VERSION, Header
from edgenode.ledger.header_run import check_run
from edgenode.ledger.headers import (
    Entry,
    HeaderTree,
    check_clock,
    expected_target,
)
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.store import MissingDataError
from edgenode.ledger.target import TargetError, expand, meets, work
from edgenode.native import _kernels
from edgenode.storage.chain import SqliteChainStore
from tests.ledger.builder import make_genesis

WARDS = (
    make_genesis(),
    make_genesis(target_limit=0x21FFFFFF, target_start=0x21FFFFFF),  # any hash will do
    make_genesis(half_life=360),
    make_genesis(spacing=1, half_life=8_640_000),
    make_genesis(target_start=0x21080000),
)

LAST = 0xFFFFFFFF
"""The largest number of a header's field."""

HEADERS_LIMIT = 24
HEIGHTS = (0, 1, 2, 9, 10, 14)
"""Genesis, whose child has a target of its own; then medians of few blocks and of eleven."""

START_BYTES = 5
STEP_BYTES = 6
HASHES = 160
"""Tried for a changed header's proof of work; where the target is harder, it stays without."""


@dataclass(frozen=True)
class Place:
    """A tree whose tip a run begins on."""

    genesis: Genesis
    tree: HeaderTree


@lru_cache
def place(ward: int, height: int) -> Place:
    """A ward with so many valid headers, 100 s apart."""
    genesis = WARDS[ward]
    tree = HeaderTree(genesis, SqliteChainStore(":memory:", genesis.id).headers)
    while tree.tip.height < height:
        parent = tree.tip
        header = _child(genesis, parent, {}, tree, 100)
        while not meets(header.id, expand(header.target)):
            header = replace(header, nonce=header.nonce + 1)
        tree.add(header)
    return Place(genesis, tree)


def one_input(data: bytes) -> bool:
    """Try one run; true if all of it is good."""
    if len(data) < START_BYTES + STEP_BYTES:
        return False
    height = HEIGHTS[data[0] // len(WARDS) % len(HEIGHTS)]
    here = place(data[0] % len(WARDS), height)
    tip = here.tree.tip
    now = max(0, tip.header.time + int.from_bytes(data[1:START_BYTES], "little", signed=True))
    run = _run(here, data[START_BYTES:])
    checked = check_run(
        here.genesis,
        tip,
        here.tree.times(tip),
        b"".join(header.encode() for header in run),
        now,
    )
    good, violated = _judged(here, run, now)
    assert (checked.good, checked.violated) == (good, violated)
    assert checked.ids == b"".join(header.id for header in run[:good])
    return good == len(run)


def _judged(here: Place, run: list[Header], now: int) -> tuple[int, Rule | None]:
    """How many of a run are good by the rules in Python, and what the next one violates."""
    tip = here.tree.tip
    try:
        for count, header in enumerate(run):
            try:
                check_clock(here.genesis, header, now)
                if header.previous != here.tree.tip.id:
                    return count, None
                here.tree.add(header)
            except Rejected as rejected:
                return count, rejected.rule
        return len(run), None
    finally:
        if here.tree.tip != tip:
            first = here.tree.at(tip.height + 1)
            assert first is not None, "the run went on from the tip"
            here.tree.cut(first)
        assert here.tree.tip == tip


def _run(here: Place, data: bytes) -> list[Header]:
    """The run that an input describes."""
    parent, beside = here.tree.tip, dict[bytes, Entry]()
    run: list[Header] = []
    for start in range(0, min(len(data), HEADERS_LIMIT * STEP_BYTES), STEP_BYTES):
        step = data[start : start + STEP_BYTES].ljust(STEP_BYTES, b"\0")
        seconds = int.from_bytes(step[1:3], "little", signed=True)
        header = _child(here.genesis, parent, beside, here.tree, seconds)
        header = _spoiled(header, step[0] & 15, step[2:], here.genesis)
        if not step[0] & 128:
            header = _worked(header)
        run.append(header)
        parent = Entry(header, parent.height + 1, parent.work + _work(header.target))
        beside[header.id] = parent
    return run


def _child(
    genesis: Genesis, parent: Entry, beside: dict[bytes, Entry], tree: HeaderTree, seconds: int
) -> Header:
    """A header on its parent that is right but for proof of work and, it may be, its time."""
    try:
        target = expected_target(genesis, parent, lambda name: beside.get(name) or tree.get(name))
    except (TargetError, MissingDataError):  # the parent was spoiled: nothing would be right
        target = parent.header.target
    return Header(
        version=HEADER_VERSION,
        previous=parent.id,
        merkle_root=bytes(32),
        time=(parent.header.time + seconds) & LAST,
        target=target,
        nonce=0,
    )


def _spoiled(header: Header, how: int, with_what: bytes, genesis: Genesis) -> Header:
    """A header with one field changed; most numbers change nothing."""
    number = int.from_bytes(with_what[:4].ljust(4, b"\0"), "little")
    beside = number % 5 - 2
    changes: dict[int, dict[str, Any]] = {
        1: {"version": number},
        2: {"previous": with_what.ljust(32, b"\0")},
        3: {"time": number},
        4: {"target": number},
        5: {"target": (header.target + beside) & LAST},
        6: {"target": (genesis.target_limit + beside) & LAST},
        7: {"merkle_root": with_what.ljust(32, b"\0")},
        8: {"time": (header.time + genesis.future_bound) & LAST},
    }
    return replace(header, **changes.get(how, {}))


def _worked(header: Header) -> Header:
    try:
        target = expand(header.target)
    except TargetError:
        return header
    nonce = _kernels.search(header.encode(), target.to_bytes(32, "little"), 0, HASHES)
    return header if nonce is None else replace(header, nonce=nonce)


def _work(compact: int) -> int:
    try:
        return work(expand(compact))
    except TargetError:
        return 0
