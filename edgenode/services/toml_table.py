"""A configuration file in TOML, read so that a mistake is reported with its place."""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

Built = TypeVar("Built")
Address = tuple[str, int]

# A node's file has some 60 lines; a larger one is not a configuration.
_FILE_BYTES_LIMIT = 1 << 20

# The integers that TOML promises; longer ones cannot always be shown or become a float.
_INTEGERS = range(-(1 << 63), 1 << 63)

# Said in place of a value that is of any length, and may hold what cannot be shown.
_CONTAINERS: dict[type, str] = {list: "an array", dict: "a table"}

_NAME = r"""(["']?)([A-Za-z0-9_-]+)\{}"""
# [table], [[table]], [table.key], key = and table.key =, with or without quotes. Spaces are
# possessive: a long row of them is tried once only.
_PLACE = re.compile(rf"\s*+(\[?)\[?\s*+{_NAME.format(2)}\s*(?:\.\s*{_NAME.format(4)}\s*)?[].=]")


class ConfigError(ValueError):
    """The configuration is unusable; the text says where, what, and what is allowed."""


class TomlFile:
    """A TOML file that consists of tables of plain values."""

    def __init__(self, path: Path) -> None:
        """Read and parse the file.

        Raises:
            ConfigError: It cannot be read or is not TOML.
        """
        self.path = path
        try:
            # O_NONBLOCK: a FIFO under this name must not hold up the start.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ConfigError(f"{path}: is no regular file")
                raw = file.read(_FILE_BYTES_LIMIT + 1)
        except FileNotFoundError:
            raise ConfigError(
                f"{path}: there is no such file; name the node's edgenode.toml with --config "
                "(docs/configuration.md says what stands in it)"
            ) from None
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        if len(raw) > _FILE_BYTES_LIMIT:
            raise ConfigError(f"{path}: more than {_FILE_BYTES_LIMIT} bytes are no configuration")
        try:
            text = raw.decode()
            self._document: dict[str, Any] = tomllib.loads(text)
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: not UTF-8 at byte {error.start}") from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{path}: not TOML: {error}") from None
        except ValueError:  # Python's own limit, which tomllib passes on
            raise ConfigError(f"{path}: an integer in it has too many digits") from None
        except RecursionError:
            raise ConfigError(f"{path}: arrays or tables in it are nested too deep") from None
        self._lines = _places(text)

    @property
    def tables(self) -> frozenset[str]:
        """Names of the tables that the file has."""
        return frozenset(self._document)

    def expect_tables(self, known: Collection[str]) -> None:
        """Check that the file holds these tables and nothing else.

        Raises:
            ConfigError: Something else stands in it.
        """
        for name, value in self._document.items():
            if isinstance(value, list) and name in known:
                raise self.error(name, None, f"write [{name}] once, not [[{name}]]")
            if not isinstance(value, dict):
                raise self.error("", name, "stands in no table; it must come below a [table] line")
            if name not in known:
                raise self.error(
                    name, None, f"there is no such table{_meant(name, known)}; there are "
                    + ", ".join(f"[{table}]" for table in known)
                )  # fmt: skip

    def table(self, name: str, keys: Collection[str]) -> Table | None:
        """A table, or None where the file has none.

        Raises:
            ConfigError: It has a key that is not one of `keys`.
        """
        if name not in self._document:
            return None
        return Table(self, name, self._document[name], keys)

    def error(self, table: str, key: str | None, text: str) -> ConfigError:
        """An error at a table or at one of its keys; `key` None means the table.

        The line is that of the table where the key has none of its own: it is missing, or it
        stands in an inline table, which is written as a key.
        """
        places = ((table, key), (table, None), ("", table))
        line = next((self._lines[place] for place in places if place in self._lines), None)
        where = f"{self.path}:{line}" if line else f"{self.path}"
        name = f"[{table}]" if table else ""
        what = " ".join(part for part in (name, key) if part)
        return ConfigError(": ".join(part for part in (where, what, text) if part))


class Table:
    """One table, whose values are asked for by key and type."""

    def __init__(
        self, file: TomlFile, name: str, values: dict[str, Any], keys: Collection[str]
    ) -> None:
        self._file = file
        self._name = name
        self._values = values
        for key, value in values.items():
            if key not in keys:
                raise self._error(
                    key, f"there is no such key{_meant(key, keys)}; there are: {', '.join(keys)}"
                )
            if type(value) is int and value not in _INTEGERS:
                raise self._error(key, "the number has more than 64 bits")

    def text(self, key: str, default: str | None = None) -> str:
        """A string; without a default it must be there. So for all that follow."""
        value: str = self._value(key, str, 'a string, such as "text"', default)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """An array of strings, empty where it is missing."""
        values = self._value(key, list, 'an array of strings, such as ["one", "two"]', [])
        if any(type(value) is not str for value in values):
            raise self._error(key, "must hold strings only")
        return tuple(values)

    def optional_text(self, key: str) -> str | None:
        """A string, or None where it is missing."""
        return self.text(key) if key in self._values else None

    def integer(self, key: str, default: int) -> int:
        """An integer."""
        value: int = self._value(key, int, "an integer", default)
        return value

    def optional_integer(self, key: str) -> int | None:
        """An integer, or None where it is missing."""
        return self.integer(key, 0) if key in self._values else None

    def number(self, key: str, default: float) -> float:
        """A number, with or without a decimal point."""
        if type(self._values.get(key)) is int:
            return float(self._values[key])
        value: float = self._value(key, float, "a number", default)
        return value

    def optional_number(self, key: str) -> float | None:
        """A number, or None where it is missing."""
        return self.number(key, 0.0) if key in self._values else None

    def boolean(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value: bool = self._value(key, bool, "true or false", default)
        return value

    def path(self, key: str, default: str) -> Path:
        """A path; a relative one begins at the file's directory."""
        text = self.text(key, default)
        if not text or "\0" in text:
            raise self._error(key, f"{text!r} is no path")
        return self._file.path.absolute().parent / text

    def address(self, key: str, default: Address) -> Address:
        """Host and port, written "host:port" or "[IPv6 address]:port"."""
        return self._address(key, self.text(key)) if key in self._values else default

    def optional_address(self, key: str) -> Address | None:
        """The same, or None where it is missing."""
        return self._address(key, self.text(key)) if key in self._values else None

    def address_or_off(self, key: str, default: Address | None) -> Address | None:
        """The same, or None where it is "off"."""
        if self._values.get(key) == "off":
            return None
        return self.optional_address(key) or default

    def addresses(self, key: str) -> tuple[Address, ...]:
        """An array of them, empty where it is missing."""
        return tuple(self._address(key, text) for text in self.texts(key))

    def build(self, make: Callable[[], Built]) -> Built:
        """Make settings whose own checks raise ValueError with "key: what is wrong".

        Raises:
            ConfigError: The same, with the place.
        """
        try:
            return make()
        except ConfigError:
            raise
        except ValueError as error:
            key, separator, text = str(error).partition(": ")
            if not separator:
                raise self._error(None, str(error)) from None
            raise self._error(key, text) from None

    def _value(self, key: str, kind: type, what: str, default: Any) -> Any:  # noqa: ANN401
        if key not in self._values:
            if default is None:
                raise self._error(None, f"{key} is missing; write it as {what}")
            return default
        value = self._values[key]
        if type(value) is not kind:  # not isinstance: true is no integer
            shown = _CONTAINERS.get(type(value)) or repr(value)
            raise self._error(key, f"must be {what}, not {shown}")
        return value

    def _address(self, key: str, text: str) -> Address:
        host, separator, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            host = ""  # an IPv6 address without brackets
        # Seven digits are more than any port; int() of a longer text would take its time.
        if not (host and host.isprintable() and " " not in host and separator) or not (
            port.isascii() and port.isdecimal() and len(port) < 7
        ):
            raise self._error(
                key, f'{text!r} is no address; write "host:port", such as "10.0.0.7:7070"'
            )
        return host, int(port)

    def _error(self, key: str | None, text: str) -> ConfigError:
        return self._file.error(self._name, key, text)


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def _places(text: str) -> dict[tuple[str, str | None], int]:
    """Line numbers of tables and keys, which tomllib does not tell.

    A line that only looks like a key, inside a string of several lines, can add an entry that
    nobody asks for or hide none: the first one wins.
    """
    places: dict[tuple[str, str | None], int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not (match := _PLACE.match(line)):
            continue
        is_header, _, first, _, second = match.groups()
        if not is_header:
            places.setdefault((table, first), number)
            if not table and second:
                places.setdefault((first, second), number)
            continue
        table = f"{first}.{second}" if second else first
        places.setdefault((first, second), number)
    return places
