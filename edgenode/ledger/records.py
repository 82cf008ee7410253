"""Records: all of the state but the parameters, as one map from keys to values.

A key's first byte is its `RecordKind`; docs/ledger.md gives the layouts. One map makes three things
simple that power cuts and adversaries test: what a block changes is undone by
putting values back, the whole state has one hash, and a node that joins takes it over as it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16, u32
from edgenode.ledger.hashes import content_id

KEY_BYTES_LIMIT = 40
VALUE_BYTES_LIMIT = 1024
UNDO_FORMAT = 2


class RecordKind(IntEnum):
    """The first byte of a record's key."""

    ACCOUNT = 1
    MEMBER = 2
    CHANGES = 3
    COUNTED = 4
    MINED = 5
    JUSTIFIED = 6
    FINAL = 7
    ENDORSED = 8
    CHANGE = 9


class Records(Protocol):
    """Records as they stand after some block."""

    def get(self, key: bytes) -> bytes | None:
        """The value under a key, if there is one."""

    def under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All keys that begin so, with their values, in ascending order."""


class Overlay:
    """Changes on top of records that stay as they are.

    Between `begin` and `undo` or `roll_back` it remembers what a key held before.
    """

    def __init__(self, below: Records) -> None:
        self._below = below
        self.changes: dict[bytes, bytes | None] = {}
        """The value of each key that was set; None for one that was removed."""
        self._before: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        """See Records."""
        return self.changes[key] if key in self.changes else self._below.get(key)

    def under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See Records."""
        # Merged as they come: a state may be larger than what one likes to hold in memory.
        changes = sorted(item for item in self.changes.items() if item[0].startswith(prefix))
        at = 0
        for key, value in self._below.under(prefix):
            while at < len(changes) and changes[at][0] < key:
                yield from _there(changes[at])
                at += 1
            if at < len(changes) and changes[at][0] == key:
                yield from _there(changes[at])
                at += 1
            else:
                yield key, value
        for change in changes[at:]:
            yield from _there(change)

    def set(self, key: bytes, value: bytes | None) -> None:
        """Put a value under a key, or remove it (None)."""
        self._before.setdefault(key, self.get(key))
        self.changes[key] = value

    def begin(self) -> None:
        """From here on remember what keys held before."""
        self._before = {}

    def undo(self) -> "Undo":
        """What puts back the values as they were at `begin`."""
        return Undo({k: v for k, v in self._before.items() if v != self.get(k)})

    def roll_back(self) -> None:
        """Be as at `begin` again."""
        self.changes.update(self._before)
        self._before = {}

    def put_back(self, undo: "Undo") -> None:
        """Leave a block."""
        self.changes.update(undo.before)


def _there(change: tuple[bytes, bytes | None]) -> Iterator[tuple[bytes, bytes]]:
    key, value = change
    if value is not None:
        yield key, value


@dataclass(frozen=True, slots=True)
class Undo:
    """Records as they stood before a block, for the keys that it changed; None where none was."""

    before: Mapping[bytes, bytes | None]

    def encode(self) -> bytes:
        """Bytes for the store."""
        return u8(UNDO_FORMAT) + b"".join(
            (
                u32(len(self.before)),
                *(
                    _counted(key) + (u8(0) if value is None else u8(1) + _value(value))
                    for key, value in sorted(self.before.items())
                ),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> "Undo":
        """Inverse of `encode`.

        Raises:
            MalformedError: it does not parse, a length is out of bounds, or keys do not ascend.
        """
        reader = Reader(data)
        if (found := reader.u8("undo format")) != UNDO_FORMAT:
            raise MalformedError(f"undo record of format {found}, not {UNDO_FORMAT}")
        before: dict[bytes, bytes | None] = {}
        last = b""
        for _ in range(reader.u32("number of records")):
            last = _read_key(reader, last)
            match reader.u8("presence"):
                case 0:
                    before[last] = None
                case 1:
                    before[last] = _read_value(reader)
                case other:
                    raise MalformedError(f"a record is there (1) or not (0), not {other}")
        reader.finish("undo record")
        return cls(before)


def _counted(key: bytes) -> bytes:
    return u8(len(key)) + key


def _value(value: bytes) -> bytes:
    return u16(len(value)) + value


def _read_key(reader: Reader, last: bytes) -> bytes:
    """A key, which must come after the one before it."""
    length = reader.u8("key length")
    if not 1 <= length <= KEY_BYTES_LIMIT:
        raise MalformedError(f"a key of {length} bytes; 1 to {KEY_BYTES_LIMIT} are possible")
    key = reader.take(length, "key")
    if key <= last:
        raise MalformedError("the keys of records do not ascend")
    return key


def _read_value(reader: Reader) -> bytes:
    length = reader.u16("value length")
    if length > VALUE_BYTES_LIMIT:
        raise MalformedError(f"a value of {length} bytes; the limit is {VALUE_BYTES_LIMIT}")
    return reader.take(length, "value")


def encode_records(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The state in its one form: each record's key and value with their lengths, keys ascending."""
    encoded = bytearray()
    for key, value in records:
        encoded += _counted(key) + _value(value)
    return bytes(encoded)


def decode_records(data: bytes) -> dict[bytes, bytes]:
    """Inverse of `encode_records`.

    Raises:
        MalformedError: it does not parse, a length is above its bound, or keys do not ascend.
    """
    reader = Reader(data)
    records: dict[bytes, bytes] = {}
    last = b""
    while reader.remaining:
        last = _read_key(reader, last)
        records[last] = _read_value(reader)
    return records


def state_root(records: Records) -> bytes:
    """The content id of all records in their one form, 32 bytes."""
    return content_id(encode_records(records.under(b"")))


class PlainRecords:
    """Records in memory, by kind: those of a kind are looked through without the others."""

    def __init__(self, records: Mapping[bytes, bytes]) -> None:
        self._kinds: dict[bytes, dict[bytes, bytes]] = {}
        self.change(records)

    def get(self, key: bytes) -> bytes | None:
        """See Records."""
        return self._kinds.get(key[:1], {}).get(key)

    def under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See Records."""
        for kind in sorted(self._kinds):
            if kind.startswith(prefix[:1]):
                of_kind = self._kinds[kind]
                yield from ((k, of_kind[k]) for k in sorted(of_kind) if k.startswith(prefix))

    def change(self, changes: Mapping[bytes, bytes] | Mapping[bytes, bytes | None]) -> None:
        """Put values under keys, or remove them (None)."""
        for key, value in changes.items():
            of_kind = self._kinds.setdefault(key[:1], {})
            if value is None:
                of_kind.pop(key, None)
            else:
                of_kind[key] = value
