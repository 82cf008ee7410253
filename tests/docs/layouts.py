"""Byte layouts as the documents' tables state them, to be held against real bytes."""

import re
from dataclasses import dataclass

from tests.docs.markdown import Table

_OFFSET = re.compile(r"(\d+)(?: \+ (\d+) i)?")


@dataclass(frozen=True)
class Field:
    """One row: where a field lies, how long it is (None: to the end), what it is called."""

    offset: int
    stride: int
    length: int | None
    name: str


def fields(table: Table) -> list[Field]:
    """The rows of a table whose columns begin with offset, bytes, field."""
    assert table.columns[:3] == ("offset", "bytes", "field"), table
    found = []
    for offset, length, name, *_ in table.rows:
        match = _OFFSET.fullmatch(offset)
        assert match, offset
        found.append(
            Field(int(match[1]), int(match[2] or 0), int(length) if length else None, name)
        )
    return found


def assert_gapless(layout: list[Field]) -> None:
    """Each field begins where the one before ends; repeated fields fill their stride."""
    end = 0
    for field in layout:
        assert field.offset == end, field
        if field.length is None:
            assert field is layout[-1], field
            return
        end += field.length
    repeated = [field for field in layout if field.stride]
    assert sum(field.length or 0 for field in repeated) == (repeated[0].stride if repeated else 0)


def fixed_length(layout: list[Field]) -> int:
    """Bytes of the part that does not repeat."""
    return sum(field.length or 0 for field in layout if not field.stride)


def cut(layout: list[Field], data: bytes, index: int = 0) -> dict[str, bytes]:
    """The bytes of each field, by name; of repeated ones those number `index`."""
    pieces = {}
    for field in layout:
        start = field.offset + field.stride * index
        pieces[field.name] = data[start:] if field.length is None else data[start:][: field.length]
    return pieces
