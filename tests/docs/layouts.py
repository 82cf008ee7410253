"""Byte layouts as the documents' tables state them, to be held against real bytes."""

import re
from collections import Counter
from dataclasses import dataclass

from tests.docs.markdown import Table

_TERM = re.compile(r"(\d+)(?: ([a-z]))?|([a-z])")

Size = Counter[str]
"""A sum such as 46 + 40 p: how often each letter is in it; the empty one stands for a byte."""


def _size(text: str) -> Size:
    size: Size = Counter()
    for term in text.split(" + "):
        match = _TERM.fullmatch(term)
        assert match, text
        size[match[2] or match[3] or ""] += int(match[1] or 1)
    return size


def _bytes(size: Size, letters: dict[str, int]) -> int:
    return sum(times * (letters[letter] if letter else 1) for letter, times in size.items())


@dataclass(frozen=True)
class Field:
    """One row: where a field lies, how long it is (None: to the end), what it is called.

    It repeats every `stride` bytes, unless that is 0.
    """

    offset: Size
    stride: int
    length: Size | None
    name: str


def fields(table: Table) -> list[Field]:
    """The rows of a table whose columns begin with offset, bytes, field."""
    assert table.columns[:3] == ("offset", "bytes", "field"), table
    found = []
    for text, length, name, *_ in table.rows:
        offset = _size(text)
        stride = offset.pop("i", 0)
        found.append(Field(+offset, stride, _size(length) if length else None, name))
    return found


def assert_gapless(layout: list[Field]) -> None:
    """Each field begins where the one before ends; repeated fields fill their stride."""
    end: Size = Counter()
    group: list[Field] = []
    for field in layout:
        if group and field.stride != group[0].stride:
            _assert_full(group)
            between = +(field.offset - group[0].offset)
            assert list(between.values()) == [group[0].stride], field
            assert "" not in between, "repeated as often as a letter says"
            end, group = field.offset, []
        assert +field.offset == +end, field
        if field.stride:
            group.append(field)
        if field.length is None:
            assert field is layout[-1], field
            return
        end = end + field.length
    if group:
        _assert_full(group)


def _assert_full(group: list[Field]) -> None:
    assert sum(_bytes(f.length or Counter(), {}) for f in group) == group[0].stride, group


def fixed_length(layout: list[Field]) -> int:
    """Bytes of the part that does not repeat."""
    return sum(_bytes(f.length, {}) for f in layout if f.length and not f.stride)


def cut(layout: list[Field], data: bytes, index: int = 0, **letters: int) -> dict[str, bytes]:
    """The bytes of each field, by name; of repeated ones those number `index`."""
    pieces = {}
    for field in layout:
        start = _bytes(field.offset, letters) + field.stride * index
        end = None if field.length is None else start + _bytes(field.length, letters)
        pieces[field.name] = data[start:end]
    return pieces
