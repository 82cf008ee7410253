"""A look at everything in a chain's store, row by row; `ledger.verification` looks at the chain."""

import sqlite3
from collections.abc import Iterator

from edgenode.ledger.block import Block, is_signed_block
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.hashes import content_id
from edgenode.ledger.merkle import merkle_root
from edgenode.ledger.store import ChainStore
from edgenode.ledger.transaction import Transaction, Update, decode_transaction
from edgenode.storage import header_keys, headers, meta
from edgenode.storage.errors import DamagedStoreError, translated

_MOST_OF_SQLITE = 100
"""Faults that SQLite itself may find before it stops looking."""


def faults(
    store: ChainStore, database: sqlite3.Connection, path: str, genesis_id: bytes
) -> Iterator[str]:
    """What in a store is not as it was written: no page, no row is left out.

    Blocks of the chain, undo records, states and the records at the head are looked at here only as
    far as SQLite knows them; whether they are the chain's, `ledger.verification` says.
    """
    for look in (
        _structure(database),
        _numbers(database, path),
        _named(database, "payload", "id"),
        _named(database, "parameters", "root"),
        _headers(store, database),
        _blocks(store, database, genesis_id),
        _waiting(store, database),
    ):
        try:
            with translated(path, opening=True):
                yield from look
        except DamagedStoreError as error:
            yield str(error)  # nothing more of this table can be read


def _structure(database: sqlite3.Connection) -> Iterator[str]:
    for (found,) in database.execute(f"PRAGMA integrity_check({_MOST_OF_SQLITE})"):
        if found != b"ok":
            yield found.decode("ascii", errors="replace")


def _numbers(database: sqlite3.Connection, path: str) -> Iterator[str]:
    meta.check_all(database, path)
    yield from ()


def _named(database: sqlite3.Connection, table: str, column: str) -> Iterator[str]:
    rows = database.execute(f"SELECT {column}, raw FROM {table}")  # noqa: S608
    for name, raw in rows:
        if not isinstance(name, bytes) or not isinstance(raw, bytes) or content_id(raw) != name:
            yield f"{table} {_shown(name)} changed on the disk"


def _headers(store: ChainStore, database: sqlite3.Connection) -> Iterator[str]:
    for page in range(store.headers.height // headers.PAGE_HEADERS + 1):
        try:
            store.headers.raw(page * headers.PAGE_HEADERS, 1)
        except DamagedStoreError as error:
            yield str(error)
    for first, crc, keys in database.execute("SELECT first, crc, keys FROM trunk_key"):
        if not isinstance(keys, bytes) or header_keys.crc_of(first, keys) != crc:
            yield f"keys of headers from {first} on changed on the disk"
    for _ in store.headers.beside():
        pass  # each is checked as it is read


def _blocks(store: ChainStore, database: sqlite3.Connection, genesis_id: bytes) -> Iterator[str]:
    for name, height, raw in database.execute("SELECT id, height, raw FROM block"):
        try:
            block = Block.decode(raw if isinstance(raw, bytes) else b"")
        except MalformedError:
            yield f"block {_shown(name)} changed on the disk"
            continue
        if block.id != name or merkle_root(block.leaves) != block.header.merkle_root:
            yield f"block {_shown(name)} changed on the disk"
        elif not is_signed_block(block, genesis_id):
            yield f"the signature of block {_shown(name)} changed on the disk"
        else:
            placed = store.headers.find(name)
            if placed is None or placed.height != height:
                yield f"the height of block {_shown(name)} changed on the disk"
            if _users(database, name) != {update.payload for update in block.updates}:
                yield f"what block {_shown(name)} names changed on the disk"


def _waiting(store: ChainStore, database: sqlite3.Connection) -> Iterator[str]:
    for name, raw in database.execute("SELECT id, raw FROM mempool"):
        transaction = _transaction(raw)
        if transaction is None or transaction.id != name:
            yield f"waiting transaction {_shown(name)} changed on the disk"
        elif isinstance(transaction, Update):
            if not store.has_payload(transaction.payload):
                yield f"the payload of waiting update {_shown(name)} is missing"
            if _users(database, name) != {transaction.payload}:
                yield f"what waiting update {_shown(name)} names changed on the disk"


def _transaction(raw: object) -> Transaction | None:
    try:
        return decode_transaction(raw) if isinstance(raw, bytes) else None
    except MalformedError:
        return None


def _users(database: sqlite3.Connection, user: bytes) -> set[bytes]:
    rows = database.execute("SELECT payload FROM payload_user WHERE user = ?", (user,))
    return {payload for (payload,) in rows}


def _shown(name: object) -> str:
    return name.hex() if isinstance(name, bytes) else repr(name)
