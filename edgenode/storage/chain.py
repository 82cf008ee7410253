"""The chain in SQLite: blocks, payloads, recent parameters, accounts and the mempool.

Everything that a ward agrees on is content-addressed or recomputable, so the database holds
nothing that could not be checked again; it is written so that no power cut makes that needed.
"""

import logging
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from edgenode.ledger.accounts import EMPTY, Account, AccountsUndo
from edgenode.ledger.block import Block
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.header import HEADER_BYTES, Header
from edgenode.ledger.merkle import merkle_root
from edgenode.ledger.store import (
    PARAMETERS_KEPT,
    SNAPSHOT_INTERVAL,
    SNAPSHOTS_KEPT,
    AlteredError,
    Connected,
    Switch,
)
from edgenode.ledger.transaction import Transaction, Update, decode_transaction

log = logging.getLogger(__name__)

Decoded = TypeVar("Decoded")

STORE_FORMAT = 2

# STRICT: quick_check then also finds a value whose type the disk has altered.
_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID, STRICT;
-- Every stored block. Its height orders parents before children. on_chain is the block's height
-- while it belongs to the chain, NULL beside it.
CREATE TABLE block (
    id BLOB PRIMARY KEY,
    height INTEGER NOT NULL,
    raw BLOB NOT NULL,
    on_chain INTEGER UNIQUE,
    undo BLOB
) STRICT;
CREATE INDEX block_height ON block (height);
CREATE TABLE payload (id BLOB PRIMARY KEY, raw BLOB NOT NULL) STRICT;
-- Which stored block or waiting update names a payload.
CREATE TABLE payload_user (
    payload BLOB NOT NULL, user BLOB NOT NULL, PRIMARY KEY (payload, user)
) WITHOUT ROWID, STRICT;
CREATE INDEX payload_of_user ON payload_user (user);
-- height is that of the last block with this root, snapshot that of the last one that keeps it.
CREATE TABLE parameters (
    root BLOB PRIMARY KEY, height INTEGER NOT NULL, snapshot INTEGER, raw BLOB NOT NULL
) STRICT;
CREATE TABLE account (
    key BLOB PRIMARY KEY, balance BLOB NOT NULL, sequence BLOB NOT NULL, crc INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
CREATE TABLE mempool (
    id BLOB PRIMARY KEY, arrival INTEGER NOT NULL, raw BLOB NOT NULL
) STRICT;
"""


class StoreError(Exception):
    """The database cannot be used as it is; the message says why and what to do."""


class DamagedStoreError(StoreError):
    """The database file is damaged; `edgenode.storage.salvage` can read what is left."""


class AlteredRecordError(DamagedStoreError, AlteredError):
    """The database is sound, but a record in it is not what was written."""


class ForeignStoreError(StoreError):
    """The database belongs to another ward, or a newer program wrote it."""


class StoreFullError(StoreError):
    """The disk is full: nothing was written, everything written before is intact."""


_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}


@contextmanager
def _translated(path: str) -> Iterator[None]:
    """SQLite's errors in the store's words; a mistake of ours stays what it is."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        extended = getattr(error, "sqlite_errorcode", 0)
        code = extended & 0xFF
        # No room for the log's index is no damage: it is how opening meets a full disk.
        if code == sqlite3.SQLITE_FULL or extended == sqlite3.SQLITE_IOERR_SHMSIZE:
            raise StoreFullError(f"no room left on the disk of {path}") from error
        if code in _DAMAGE:
            raise DamagedStoreError(f"{path}: {error}") from error
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(f"{path}: {error}") from error
        raise


class SqliteChainStore:
    """A `ledger.store.ChainStore` in one database file; ":memory:" for a simulation."""

    def __init__(self, path: Path | str, genesis_id: bytes) -> None:
        """Open or create the database of one ward.

        Raises:
            DamagedStoreError: the file is no intact database.
            ForeignStoreError: it belongs to another ward or was written by a newer program.
        """
        self.path = str(path)
        with _translated(self.path):
            self._db = sqlite3.connect(self.path, isolation_level=None)
            try:
                self._db.execute("PRAGMA journal_mode = WAL")
                # FULL: a commit that returned is on the disk, also when power fails next.
                self._db.execute("PRAGMA synchronous = FULL")
                self._check_intact()
                self._open_format(genesis_id)
            except BaseException:
                # Nobody else could close the database; the error itself goes on.
                self._db.close()
                raise

    def settle(self) -> None:
        """Bring all that was written into the database file itself.

        Raises:
            StoreFullError: there is no room for it; the write-ahead log still holds it.
        """
        with _translated(self.path):
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreFullError(f"no room left on the disk of {self.path}")

    def close(self) -> None:
        """Close the database; what was written stays written without it."""
        self._db.close()

    def note_damage(self, damage: str) -> None:
        """Have the next start treat this store as damaged, though SQLite finds nothing wrong."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('damage', ?)", (damage,))

    def _check_intact(self) -> None:
        (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedStoreError(f"{self.path}: {verdict}")

    def _open_format(self, genesis_id: bytes) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            with self._transaction():
                for statement in _SCHEMA.split(";"):
                    self._db.execute(statement)
                self._db.executemany(
                    "INSERT INTO meta VALUES (?, ?)",
                    [("format", STORE_FORMAT), ("genesis", genesis_id)],
                )
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        if meta.get("format") != STORE_FORMAT:
            raise ForeignStoreError(
                f"{self.path} has format {meta.get('format')}, this program reads {STORE_FORMAT}; "
                "run the program that wrote it"
            )
        if meta.get("genesis") != genesis_id:
            raise ForeignStoreError(
                f"{self.path} belongs to another ward; give this node another state directory "
                "or the genesis file that it was started with"
            )
        if "damage" in meta:
            raise DamagedStoreError(str(meta["damage"]))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # Also at Ctrl-C: a transaction left open would take in what comes next.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _one(self, query: str, *values: object) -> tuple[bytes] | None:
        with _translated(self.path):
            row: tuple[bytes] | None = self._db.execute(query, values).fetchone()
        return row

    # Blocks

    def headers(self) -> Iterator[Header]:
        """See ChainStore."""
        with _translated(self.path):
            rows = self._db.execute(
                "SELECT id, substr(raw, 1, ?) FROM block ORDER BY height", (HEADER_BYTES,)
            )
            for block_id, raw in rows:
                header = self._unaltered(partial(Header.decode, raw), "header", block_id)
                if header.id != block_id:
                    raise self._altered("header", block_id)
                yield header

    def active(self) -> Sequence[bytes]:
        """See ChainStore."""
        with _translated(self.path):
            rows = self._db.execute(
                "SELECT id FROM block WHERE on_chain IS NOT NULL ORDER BY on_chain"
            )
            return [block_id for (block_id,) in rows]

    def block(self, block_id: bytes) -> Block | None:
        """See ChainStore."""
        row = self._one("SELECT raw FROM block WHERE id = ?", block_id)
        if row is None:
            return None
        block = self._unaltered(partial(Block.decode, row[0]), "block", block_id)
        if block.id != block_id or merkle_root(block.leaves) != block.header.merkle_root:
            raise self._altered("block", block_id)
        return block

    def _unaltered(self, decode: Callable[[], Decoded], what: str, name: bytes) -> Decoded:
        try:
            return decode()
        except MalformedError:
            raise self._altered(what, name) from None

    def _altered(self, what: str, name: bytes) -> AlteredRecordError:
        return AlteredRecordError(f"{self.path}: {what} {name.hex()} changed on the disk")

    def has_block(self, block_id: bytes) -> bool:
        """Whether a block is stored."""
        return self._one("SELECT 1 FROM block WHERE id = ?", block_id) is not None

    def undo(self, block_id: bytes) -> AccountsUndo:
        """See ChainStore."""
        row = self._one("SELECT undo FROM block WHERE id = ? AND on_chain IS NOT NULL", block_id)
        if row is None:
            raise KeyError(block_id.hex())
        raw, crc = row[0][:-4], int.from_bytes(row[0][-4:])
        if zlib.crc32(raw) != crc:
            raise self._altered("undo record", block_id)
        return AccountsUndo.decode(raw)

    def add_block(self, block: Block, height: int) -> None:
        """See ChainStore."""
        with self._transaction():
            self._insert_block(block, height)

    def _insert_block(self, block: Block, height: int) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO block (id, height, raw) VALUES (?, ?, ?)",
            (block.id, height, block.encode()),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO payload_user VALUES (?, ?)",
            [(update.payload, block.id) for update in block.updates],
        )

    def drop_block(self, block_id: bytes) -> None:
        """See ChainStore."""
        with self._transaction():
            self._db.execute("DELETE FROM block WHERE id = ?", (block_id,))
            self._release_payloads(block_id)

    def _release_payloads(self, user: bytes) -> None:
        """Forget that `user` names payloads, and those that nobody else names."""
        named = self._db.execute(
            "SELECT payload FROM payload_user WHERE user = ?", (user,)
        ).fetchall()
        self._db.execute("DELETE FROM payload_user WHERE user = ?", (user,))
        self._db.executemany(
            "DELETE FROM payload WHERE id = ? AND NOT EXISTS "
            "(SELECT 1 FROM payload_user WHERE payload = payload.id)",
            named,
        )

    # Payloads and parameters

    def payload(self, content_id: bytes) -> bytes | None:
        """See ChainStore."""
        row = self._one("SELECT raw FROM payload WHERE id = ?", content_id)
        return row and row[0]

    def has_payload(self, content_id: bytes) -> bool:
        """See ChainStore."""
        return self._one("SELECT 1 FROM payload WHERE id = ?", content_id) is not None

    def add_payload(self, content_id: bytes, payload: bytes) -> None:
        """See ChainStore."""
        with self._transaction():
            self._insert_payload(content_id, payload)

    def drop_payload(self, content_id: bytes) -> None:
        """See ChainStore."""
        with self._transaction():
            self._db.execute("DELETE FROM payload WHERE id = ?", (content_id,))

    def _insert_payload(self, content_id: bytes, payload: bytes) -> None:
        self._db.execute("INSERT OR REPLACE INTO payload VALUES (?, ?)", (content_id, payload))

    def parameters(self, root: bytes) -> bytes | None:
        """See ChainStore."""
        row = self._one("SELECT raw FROM parameters WHERE root = ?", root)
        return row and row[0]

    # The head

    def accounts(self) -> dict[bytes, Account]:
        """See ChainStore."""
        with _translated(self.path):
            rows = self._db.execute("SELECT key, balance, sequence, crc FROM account")
            accounts = {}
            for key, balance, sequence, crc in rows:
                if zlib.crc32(key + balance + sequence) != crc:
                    raise self._altered("account", key)
                accounts[key] = Account(int.from_bytes(balance), int.from_bytes(sequence))
            return accounts

    def switch(self, change: Switch) -> None:
        """See ChainStore."""
        with self._transaction():
            self._db.executemany(
                "UPDATE block SET on_chain = NULL, undo = NULL WHERE id = ?",
                [(block_id,) for block_id in change.disconnected],
            )
            height = change.height
            for joined in change.connected:
                height += 1
                undo = joined.undo.encode()
                self._insert_block(joined.block, height)
                self._db.execute(
                    "UPDATE block SET on_chain = ?, undo = ? WHERE id = ?",
                    (height, undo + zlib.crc32(undo).to_bytes(4), joined.block.id),
                )
                self._keep_parameters(joined, height)
            self._write_accounts(change.accounts)
            self._drop_old_parameters(height)

    def _write_accounts(self, accounts: dict[bytes, Account]) -> None:
        # SQLite's integers are signed; balances are unsigned 64-bit numbers, kept as bytes.
        for key, account in accounts.items():
            if account == EMPTY:
                self._db.execute("DELETE FROM account WHERE key = ?", (key,))
            else:
                balance, sequence = account.balance.to_bytes(8), account.sequence.to_bytes(8)
                self._db.execute(
                    "INSERT OR REPLACE INTO account VALUES (?, ?, ?, ?)",
                    (key, balance, sequence, zlib.crc32(key + balance + sequence)),
                )

    def _keep_parameters(self, joined: Connected, height: int) -> None:
        """Keep what a block brings, and note that it still has what others brought."""
        self._db.executemany(
            "INSERT INTO parameters VALUES (?, ?, NULL, ?) "
            "ON CONFLICT (root) DO UPDATE SET raw = excluded.raw",
            [(root, height, raw) for root, raw in joined.parameters],
        )
        roots = [(height, model.root) for model in joined.block.coinbase.models]
        self._db.executemany("UPDATE parameters SET height = ? WHERE root = ?", roots)
        if height % SNAPSHOT_INTERVAL == 0:
            self._db.executemany("UPDATE parameters SET snapshot = ? WHERE root = ?", roots)

    def _drop_old_parameters(self, height: int) -> None:
        """Drop parameters far below the head that no snapshot keeps."""
        self._db.execute(
            "DELETE FROM parameters WHERE height < ? AND (snapshot IS NULL OR snapshot < ?)",
            (height - PARAMETERS_KEPT, height - SNAPSHOTS_KEPT * SNAPSHOT_INTERVAL),
        )

    # The mempool

    def add_waiting(self, transaction: Transaction, payload: bytes | None) -> None:
        """Keep a transaction that waits for a block, with its update's payload."""
        raw = transaction.encode()
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO mempool VALUES "
                "(?, (SELECT coalesce(max(arrival), 0) + 1 FROM mempool), ?)",
                (transaction.id, raw),
            )
            if payload is not None:
                assert isinstance(transaction, Update), "only updates have payloads"
                self._insert_payload(transaction.payload, payload)
                self._db.execute(
                    "INSERT OR IGNORE INTO payload_user VALUES (?, ?)",
                    (transaction.payload, transaction.id),
                )

    def drop_waiting(self, transaction_ids: Sequence[bytes]) -> None:
        """Forget transactions that wait no longer, and payloads that no block names."""
        if not transaction_ids:
            return
        with self._transaction():
            for transaction_id in transaction_ids:
                self._db.execute("DELETE FROM mempool WHERE id = ?", (transaction_id,))
                self._release_payloads(transaction_id)

    def waiting(self) -> list[Transaction]:
        """The transactions that waited when the node stopped, in order of arrival."""
        with _translated(self.path):
            rows = self._db.execute("SELECT id, raw FROM mempool ORDER BY arrival").fetchall()
        waiting = []
        for name, raw in rows:
            transaction = self._unaltered(partial(decode_transaction, raw), "transaction", name)
            if transaction.id != name:
                raise self._altered("transaction", name)
            waiting.append(transaction)
        return waiting
