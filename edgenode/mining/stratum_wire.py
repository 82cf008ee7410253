"""Stratum V1 on the wire: one JSON object a line, read strictly and within bounds. No I/O.

There is no standard; this is what pooler's cpuminer, cpuminer-opt and the large pools agree on
(https://en.bitcoin.it/wiki/Stratum_mining_protocol). docs/stratum.md lists what is spoken here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

Json = dict[str, "Json"] | tuple["Json", ...] | str | int | float | bool | None
"""A JSON value, read; arrays are tuples, so that a message cannot change once it was checked."""

REQUEST_BYTES = 2048
"""A line from a miner; the longest honest one, an authorisation, has some 300 bytes. Against
lines that never end, which would grow the buffer of every connection."""

ANSWER_BYTES = 16384
"""A line from a pool: two halves of a coinbase of 4 kB in hexadecimal and a merkle branch of 16
hashes. Against a pool that fills its miners' memory."""

DEPTH_LIMIT = 4
"""Arrays and objects within each other: the answer to mining.subscribe has three. Against text
that is nothing but brackets, for which the reader and whoever walks its result recurse."""

_INTEGERS = range(-(1 << 63), 1 << 63)
"""Against numbers of thousands of digits: writing one costs the square of its length."""

_NAME_CHARACTERS = 64
"""A method's name, and an id that is a text: both come back in answers and logs. Against answers
that are longer than what was asked."""


class StratumError(ValueError):
    """Bytes are no Stratum: who sends such is no miner. The text says what is wrong."""


class LineReader:
    """Cuts a stream into lines and holds no more than one unfinished line."""

    def __init__(self, limit: int) -> None:
        """Begin with nothing; a line has at most `limit` bytes without its end."""
        self._limit = limit
        self._rest = b""

    @property
    def unfinished(self) -> int:
        """Bytes of a line whose end has not come."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes; take all of them, or drop the reader.

        Raises:
            StratumError: A line is too long.
        """
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._bound(end - start)
            line = self._rest + data[start:end]
            self._rest = b""
            start = end + 1
            yield line.removesuffix(b"\r")
        self._bound(len(data) - start)
        self._rest += data[start:]

    def _bound(self, more: int) -> None:
        if len(self._rest) + more > self._limit:
            raise StratumError(f"a line has more than {self._limit} bytes")


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a method.

    Attributes:
        id: What the answer repeats; None asks for no answer.
        method: Name of the method.
        params: Its arguments in order.
    """

    id: int | str | None
    method: str
    params: tuple[Json, ...] = ()

    def encode(self) -> bytes:
        """The line, with its end."""
        return _line({"id": self.id, "method": self.method, "params": self.params})


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call was refused: a number that miners know, and a text."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to a call; `result` is None where there is a fault."""

    id: int | str
    result: Json = None
    fault: Fault | None = None

    def encode(self) -> bytes:
        """The line, with its end."""
        error = None if self.fault is None else (self.fault.code, self.fault.text, None)
        return _line({"id": self.id, "result": self.result, "error": error})


def decode(line: bytes) -> Request | Reply:
    """A message; keys beside those of the protocol are skipped, as all who speak it do.

    Raises:
        StratumError: It is none.
    """
    value = _parsed(line)
    if not isinstance(value, dict):
        raise StratumError("a message is an object")
    identity = _id(value.get("id"))
    if "method" in value:
        method, params = value["method"], value.get("params", ())
        if not isinstance(method, str) or not 0 < len(method) <= _NAME_CHARACTERS:
            raise StratumError("a method is a short text")
        if not isinstance(params, tuple):
            raise StratumError("params is an array")
        return Request(identity, method, params)
    if identity is None:
        raise StratumError("a message has a method, or the id of what it answers")
    if "result" not in value and "error" not in value:
        raise StratumError("a message has a method, a result or an error")
    fault = _fault(value.get("error"))
    return Reply(identity, value.get("result") if fault is None else None, fault)


def _parsed(line: bytes) -> Json:
    try:
        text = line.decode("utf-8")
        value = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise StratumError("a line is nested too deep") from None
    except ValueError as error:  # no UTF-8, no JSON, or an integer of too many digits
        raise StratumError(f"a line is no JSON: {error}") from None
    return _checked(value, DEPTH_LIMIT)


def _checked(value: object, depth: int) -> Json:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if value not in _INTEGERS:
            raise StratumError("an integer has more than 64 bits")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):  # 1e999
            raise StratumError("a number is not finite")
        return value
    if depth == 0:
        raise StratumError(f"a line is nested deeper than {DEPTH_LIMIT}")
    if isinstance(value, list):
        return tuple(_checked(item, depth - 1) for item in value)
    assert isinstance(value, dict)
    return {str(key): _checked(item, depth - 1) for key, item in value.items()}


def _id(value: Json) -> int | str | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and len(value) <= _NAME_CHARACTERS:
        return value
    raise StratumError("an id is an integer or a short text")


def _fault(value: Json) -> Fault | None:
    """An error as the different pools write it."""
    if value is None or value is False:
        return None
    if isinstance(value, dict):
        value = (value.get("code"), value.get("message"))
    if isinstance(value, tuple) and len(value) >= 2:
        code, text = value[0], value[1]
        if isinstance(code, int) and not isinstance(code, bool) and isinstance(text, str):
            return Fault(code, text)
    raise StratumError("an error has a number and a text")


def _no_constant(name: str) -> NoReturn:
    raise StratumError(f"{name} is no JSON")


def _line(message: dict[str, Json]) -> bytes:
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
