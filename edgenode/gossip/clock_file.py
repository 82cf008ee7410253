"""What is remembered of the clock from one start of the service to the next."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path

from edgenode.api.json_record import ShapeError, from_json, to_json
from edgenode.gossip.clock import Memory, State, Vouched

log = logging.getLogger(__name__)

FORMAT = 1

_BYTES_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class _Vouched:
    state: str
    boot: str
    offset: float


@dataclass(frozen=True, slots=True)
class _Record:
    format: int
    last_seen: float
    vouched: _Vouched | None = None


def read_memory(path: Path) -> Memory:
    """What the file says; nothing where there is none, or one that cannot be used.

    A file that is lost costs the time seen last, no more: the other floors stand.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_LIMIT + 1)
        record = from_json(_Record, json.loads(raw))
        return _memory(record)
    except FileNotFoundError:
        return Memory()
    except (OSError, ShapeError, ValueError, RecursionError) as error:
        log.warning("what was known of the clock is lost", extra={"file": path, "error": error})
        return Memory()


def write_memory(path: Path, memory: Memory) -> None:
    """Put the file in place of the old one, whole or not at all.

    Nothing is flushed: a power cut may bring the old file back, whose time is minutes older, and
    whoever vouched did so for the boot that the power cut ended.

    Raises:
        OSError: It cannot be written.
    """
    vouched = None
    if memory.vouched is not None and memory.vouched.boot:  # or nobody could tell the boots apart
        vouched = _Vouched(**to_json(memory.vouched))
    record = _Record(FORMAT, memory.last_seen, vouched)
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(to_json(record)) + "\n", encoding="ascii")
    draft.replace(path)


def _memory(record: _Record) -> Memory:
    if record.format != FORMAT:
        raise ShapeError(f"it has format {record.format}, this program reads {FORMAT}")
    vouched = record.vouched
    numbers = (record.last_seen, vouched.offset if vouched else 0.0)
    if not all(map(math.isfinite, numbers)):
        raise ShapeError("a time in it is not finite")
    if vouched is None:
        return Memory(record.last_seen)
    state = State(vouched.state)
    if state not in {State.SYNCHRONISED, State.ACCEPTED} or not vouched.boot:
        raise ShapeError("vouched says neither who vouched for the clock nor in which boot")
    return Memory(record.last_seen, Vouched(state, vouched.boot, vouched.offset))
