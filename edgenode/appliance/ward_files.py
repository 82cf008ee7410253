"""The ward's key and its genesis: in the box's file, or in files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from edgenode.appliance.box_file import FoundTable
from edgenode.appliance.box_tables import BOX_TABLES, secret_in
from edgenode.appliance.card_file import CardFileError, as_text, read_card_file
from edgenode.appliance.mistake import Mistake, mistake_in
from edgenode.ledger.genesis import GenesisError
from edgenode.ledger.genesis_file import parse_genesis
from edgenode.services.toml_table import ConfigError, Table
from edgenode.storage.keyfile import KEY_BYTES, KeyFileError, read_key

_KEY = re.compile(rf"[0-9A-Fa-f]{{{2 * KEY_BYTES}}}")
# A key, a comment and some blank lines.
_KEY_BYTES_LIMIT = 4096
# 320 members and 8 models make some 40 kB.
_GENESIS_BYTES_LIMIT = 1 << 20
_FILE_NAME = re.compile(r"[\w-][\w. -]*")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class WardFiles:
    """What admits to a ward.

    Attributes:
        key: The ward's key, 32 secret bytes; None where the card has none that is right.
        genesis: Text of the ward's genesis file; None likewise.
        mistakes: What is wrong.
    """

    key: bytes | None = None
    genesis: str | None = None
    mistakes: tuple[Mistake, ...] = ()


@dataclass(frozen=True, slots=True)
class _Source(Generic[Found]):
    """Where a thing may stand; parsing raises CardFileError or GenesisError."""

    inline: str
    named: str
    default: str
    bytes_limit: int
    parse_inline: Callable[[str], Found]
    parse_file: Callable[[str], Found]


def read_ward(path: Path, found: FoundTable | None, scratch: Path) -> WardFiles:
    """Read the key and the genesis; a mistake in one leaves the other.

    `ward.key` and `genesis.toml` beside the box's file are read also where no table names them.

    Args:
        path: The box's file.
        found: Its table [ward], or None where there is none.
        scratch: A directory for copies, whose name is not shown to anybody.
    """
    mistakes: list[Mistake] = []
    table: Table | None = None
    if found is not None:
        try:
            table = found.file.table("ward", BOX_TABLES["ward"])
        except ConfigError as error:
            return WardFiles(mistakes=(mistake_in(found.file.path, error),))

    def find(source: _Source[Found]) -> Found | None:
        name = source.default
        try:
            if table is not None:
                inline = table.build(lambda: _inline(table, source))
                if inline is not None:
                    return inline
                name = table.build(lambda: _file_name(table, source, path.parent))
            return _from_file(path.parent / name, source)
        except ConfigError as error:
            assert found is not None
            mistakes.append(mistake_in(found.file.path, error))
        except (CardFileError, GenesisError) as error:
            mistakes.append(mistake_in(path.parent / name, error))
        return None

    key = find(_Source("key", "key_file", "ward.key", _KEY_BYTES_LIMIT, _key, _key_reader(scratch)))
    genesis = find(
        _Source("genesis", "genesis_file", "genesis.toml", _GENESIS_BYTES_LIMIT, _text, _text)
    )
    return WardFiles(key, genesis, tuple(mistakes))


def _inline(table: Table, source: _Source[Found]) -> Found | None:
    text = secret_in(table, source.inline)
    if not text:
        return None
    if table.text(source.named, ""):
        raise ValueError(f"{source.named}: stands beside {source.inline}; leave one of them out")
    try:
        return source.parse_inline(text)
    except (CardFileError, GenesisError) as error:
        raise ValueError(f"{source.inline}: {error}") from None


def _file_name(table: Table, source: _Source[Found], folder: Path) -> str:
    name = table.text(source.named, "")
    if not name:
        return source.default
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(
            f"{source.named}: {name!r} is no name of a file; the file lies beside this one and "
            f'is named without a directory, such as "{source.default}"'
        )
    if not (folder / name).exists():
        raise ValueError(f"{source.named}: there is no file {name} beside this one")
    return name


def _from_file(path: Path, source: _Source[Found]) -> Found | None:
    try:
        text = as_text(read_card_file(path, source.bytes_limit))
    except FileNotFoundError:
        return None
    return source.parse_file(text)


def _key(text: str) -> bytes:
    if not _KEY.fullmatch(text):
        raise CardFileError(
            f"must be {2 * KEY_BYTES} hexadecimal digits; it has {len(text)} characters"
        )
    return bytes.fromhex(text)


def _key_reader(scratch: Path) -> Callable[[str], bytes]:
    def read(text: str) -> bytes:
        # FAT knows no modes, and a PC may show any: only what is in the file is judged.
        copy = scratch / "copy.key"
        copy.touch(mode=0o600)
        copy.write_text(text, encoding="utf-8")
        try:
            return read_key(copy, "ward")
        except KeyFileError as error:
            raise CardFileError(str(error).removeprefix(f"{copy}: ")) from None
        finally:
            copy.unlink()

    return read


def _text(text: str) -> str:
    parse_genesis(text)
    return text
