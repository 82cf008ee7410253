"""Reading numeric arrays out of somebody else's pickle without running anything of it.

A pickle is a program. This reader accepts only the instructions that build plain values, lets it
name only the four globals that a pickled numpy array needs, and puts inert stand-ins in their
place, so that no code and no C parser beyond the pickle machine itself is reached.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

# What protocol 2 and below need for containers of numbers, strings and arrays. No EXT, INST or OBJ
# (other ways to reach a class), no persistent ids, no protocol 4 framing.
_OPCODE_NAMES = """
    PROTO STOP MARK POP POP_MARK NONE NEWTRUE NEWFALSE INT LONG LONG1 BININT BININT1
    BININT2 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES
    UNICODE BINUNICODE EMPTY_LIST EMPTY_DICT EMPTY_TUPLE LIST DICT TUPLE TUPLE1 TUPLE2
    TUPLE3 APPEND APPENDS SETITEM SETITEMS PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET
    GLOBAL REDUCE BUILD
"""
_OPCODES = frozenset(_OPCODE_NAMES.split())
_MEMO_WRITES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})

# Kind letter, then bytes per item: plain numbers, never records.
_NUMBERS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"})

# An image batch has four axes; more than eight is no data set of ours.
_MAX_AXES = 8

# An array of Python objects is read as the list of its items: numpy.save wraps a dict into one.
_OBJECTS = "O8"


class UnsafePickleError(ValueError):
    """The pickle asks for something that a container of plain numbers does not need."""


def _text(value: object) -> str:
    """Names arrive as bytes from Python 2 and as text from Python 3."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    if isinstance(value, str):
        return value
    raise UnsafePickleError(f"expected a name, found {type(value).__name__}")


class _PickledDtype:
    """Stand-in for numpy.dtype: keeps the type's name and byte order, nothing else."""

    def __init__(self, name: object, *_flags: object) -> None:
        self._name = _text(name)
        if self._name not in _NUMBERS and self._name != _OBJECTS:
            raise UnsafePickleError(f"array of type {self._name!r}, which is not a plain number")
        self._order = "="

    @property
    def of_objects(self) -> bool:
        return self._name == _OBJECTS

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) < 2:
            raise UnsafePickleError("malformed state of a numpy dtype")
        order = _text(state[1])
        if order not in {"<", ">", "=", "|"}:
            raise UnsafePickleError(f"unknown byte order {order!r}")
        self._order = order

    def numpy(self) -> np.dtype[Any]:
        return np.dtype(self._order + self._name)


class _PickledArray:
    """Stand-in for numpy.ndarray: keeps the state, becomes an array when all is read."""

    def __init__(self, *_arguments: object) -> None:
        self.content: NDArray[Any] | list[object] | None = None

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise UnsafePickleError("malformed state of a numpy array")
        _version, shape, dtype, fortran_order, data = state
        if isinstance(dtype, _PickledDtype) and dtype.of_objects and isinstance(data, list):
            self.content = data
            return
        if not isinstance(dtype, _PickledDtype) or dtype.of_objects or not isinstance(data, bytes):
            raise UnsafePickleError("an array whose data are not plain bytes of a plain type")
        if (
            not isinstance(shape, tuple)
            or len(shape) > _MAX_AXES
            or not all(isinstance(n, int) and n >= 0 for n in shape)
        ):
            raise UnsafePickleError(f"impossible array shape {shape!r}")
        numbers = dtype.numpy()
        if math.prod(shape) * numbers.itemsize != len(data):
            raise UnsafePickleError(f"array of shape {shape} does not fit its {len(data)} bytes")
        flat = np.frombuffer(data, dtype=numbers)
        self.content = flat.reshape(shape, order="F" if fortran_order else "C")


def _never(*_arguments: object) -> NoReturn:
    raise UnsafePickleError("an array type is called outside of an array")


def _latin1(value: object, encoding: object) -> bytes:
    """Stand-in for _codecs.encode, by which protocol 2 writes bytes."""
    if not isinstance(value, str) or _text(encoding) != "latin1":
        raise UnsafePickleError("bytes in an encoding other than latin1")
    return value.encode("latin1")


_GLOBALS: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy.core.multiarray", "_reconstruct"): _PickledArray,
    ("numpy", "ndarray"): _never,
    ("numpy", "dtype"): _PickledDtype,
    ("_codecs", "encode"): _latin1,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise UnsafePickleError(f"the pickle names {module}.{name}") from None


def _check_instructions(data: bytes) -> None:
    try:
        for opcode, argument, _position in pickletools.genops(data):
            if opcode.name not in _OPCODES:
                raise UnsafePickleError(f"pickle instruction {opcode.name} is not accepted")
            # The C machine allocates as many memo places as the largest index written.
            if opcode.name in _MEMO_WRITES and int(str(argument)) > len(data):
                raise UnsafePickleError("memo index beyond the length of the pickle")
    except UnsafePickleError:
        raise
    except Exception as error:
        # genops raises ValueError, IndexError, UnicodeDecodeError and more on truncated input.
        raise UnsafePickleError(f"not a well-formed pickle: {error}") from error


def _plain(value: object, done: dict[int, object]) -> object:
    """Put arrays in the place of stand-ins; `done` keeps a shared part from being walked twice."""
    if id(value) in done:
        return done[id(value)]
    plain = value
    if isinstance(value, _PickledArray):
        plain = _plain(value.content, done)
    elif isinstance(value, list):
        plain = [_plain(item, done) for item in value]
    elif isinstance(value, dict):
        plain = {_text(key): _plain(item, done) for key, item in value.items()}
    done[id(value)] = plain
    return plain


def load_arrays(data: bytes) -> dict[str, object]:
    """Read a pickled dict (bare or in numpy's box) of numbers, strings, arrays and lists of them.

    Args:
        data: A pickle of protocol 2 or below. The caller bounds its length.

    Returns:
        The dict. Keys are text; byte strings of Python 2 stay bytes elsewhere. Arrays may be
        read-only.

    Raises:
        UnsafePickleError: The pickle is malformed or asks for anything else.
    """
    _check_instructions(data)
    try:
        value = _Unpickler(io.BytesIO(data), encoding="bytes").load()
        plain = _plain(value, {})
    except UnsafePickleError:
        raise
    except Exception as error:
        # A pickle machine fed with instructions in a wrong order raises nearly anything.
        raise UnsafePickleError(f"not a well-formed pickle: {error!r}") from error
    if isinstance(plain, list) and len(plain) == 1:
        plain = plain[0]
    if not isinstance(plain, dict):
        raise UnsafePickleError(f"expected a dict, found {type(plain).__name__}")
    return plain
