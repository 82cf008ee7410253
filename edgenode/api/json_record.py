"""Records to JSON and back, by the types of their fields.

JSON from the other side of a socket is checked here, once: a field that is missing or of another
type is named in the error, a field that is not known is ignored, so that either side may be newer.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Hashable, Mapping
from functools import cache
from typing import Any, TypeVar

Record = TypeVar("Record")

Json = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

_NAMES: dict[type, str] = {str: "a string", int: "an integer", float: "a number", bool: "a boolean"}


class ShapeError(ValueError):
    """JSON is not of the shape that it should have; the text names the place."""


def to_json(record: object) -> Any:  # noqa: ANN401  (JSON has no narrower type that helps a caller)
    """The JSON value of a record: dataclasses become objects, tuples become arrays."""
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {
            field.name: to_json(getattr(record, field.name)) for field in dataclasses.fields(record)
        }
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    if isinstance(record, tuple):
        return [to_json(value) for value in record]
    return record


def from_json(record: type[Record], value: object, where: str = "") -> Record:
    """Inverse of `to_json` for a dataclass.

    Its fields may be str, int, float, bool, such a dataclass, `tuple[T, ...]`, `Mapping[str, T]`
    or `T | None` of these. A field with a default may be missing.

    Args:
        record: The dataclass.
        value: What `json.loads` gave.
        where: Place of the value, for the error.

    Raises:
        ShapeError: A field is missing or of another type.
        ValueError: What the record's own checks raise.
    """
    if not isinstance(value, dict):
        raise ShapeError(f"{where or record.__name__} must be an object, not {_shown(value)}")
    arguments = {}
    for name, kind, required in _fields(typing.cast(Hashable, record)):
        place = f"{where}.{name}" if where else name
        if name in value:
            arguments[name] = _checked(kind, value[name], place)
        elif required:
            raise ShapeError(f"{place} is missing")
    return record(**arguments)


@cache  # one entry for each record of the program
def _fields(record: type) -> tuple[tuple[str, Any, bool], ...]:
    kinds = typing.get_type_hints(record)
    return tuple(
        (
            field.name,
            kinds[field.name],
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
        for field in dataclasses.fields(record)
    )


def _checked(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401
    origin, parameters = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        (kind,) = (part for part in parameters if part is not types.NoneType)
        return None if value is None else _checked(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise ShapeError(f"{where} must be an array, not {_shown(value)}")
        return tuple(_checked(parameters[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise ShapeError(f"{where} must be an object, not {_shown(value)}")
        return {key: _checked(parameters[1], v, f"{where}.{key}") for key, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return from_json(typing.cast(type, kind), value, where)
    return _plain(kind, value, where)


def _plain(kind: type, value: object, where: str) -> object:
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise ShapeError(f"{where} is too large for a number") from None
    if type(value) is not kind:  # not isinstance: true is no integer
        raise ShapeError(f"{where} must be {_NAMES[kind]}, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
