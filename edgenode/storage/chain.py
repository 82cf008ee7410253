"""The chain in SQLite: headers, blocks, payloads, parameters, records, states and the mempool.

Everything that a ward agrees on is content-addressed or recomputable, so the database holds but
for this member's vow nothing that could not be checked again; it is written so that no power cut
makes that needed.
"""

import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from edgenode.ledger.block import Block
from edgenode.ledger.encoding import MalformedError, Reader, u32
from edgenode.ledger.finality import Checkpoint
from edgenode.ledger.merkle import merkle_root
from edgenode.ledger.records import KEY_BYTES_LIMIT, Records, Undo
from edgenode.ledger.store import (
    PARAMETERS_KEPT,
    SNAPSHOTS_KEPT,
    Connected,
    Joined,
    KeptState,
    MissingDataError,
    Switch,
)
from edgenode.ledger.transaction import (
    STATE_INTERVAL,
    Transaction,
    Update,
    decode_transaction,
    holds_state_root,
)
from edgenode.ledger.vows import Vow
from edgenode.storage import examination, meta
from edgenode.storage.chain_file import checked_record, condemn, open_chain_file
from edgenode.storage.errors import (
    AlteredRecordError,
    DamagedStoreError,
    ForeignStoreError,
    StoreError,
    StoreFullError,
    translated,
)
from edgenode.storage.headers import SqliteHeaders
from edgenode.storage.in_place import InPlace

__all__ = [
    "AlteredRecordError",
    "DamagedStoreError",
    "ForeignStoreError",
    "SqliteChainStore",
    "StoreError",
    "StoreFullError",
]

log = logging.getLogger(__name__)

Decoded = TypeVar("Decoded")


class SqliteChainStore:
    """A `ledger.store.ChainStore` in one database file; ":memory:" for a simulation."""

    def __init__(self, path: Path | str, genesis_id: bytes, *, still: bool = False) -> None:
        """Open or create the database of one ward; checks what a start needs of it.

        With `still` it is only read, as it stands now, whatever another process writes meanwhile.

        Raises:
            DamagedStoreError: the file is no intact database, or damage was met in it before.
            ForeignStoreError: it belongs to another ward or was written by a newer program.
        """
        self.path = str(path)
        self._file = path if isinstance(path, Path) else None
        self._db = open_chain_file(path, genesis_id)
        if still:
            self._db.execute("BEGIN")  # what follows reads of one moment, the next statement's
        self.headers = SqliteHeaders(self._db, self.path, self._transaction)
        self._genesis_id = genesis_id
        with translated(self.path):
            self._floor = meta.read_number(self._db, self.path, "floor") or 0
        self._in_place = InPlace(self._file)  # once a row was read, all files are there

    def settle(self) -> None:
        """Bring all that was written into the database file itself.

        Raises:
            StoreFullError: there is no room for it; the write-ahead log still holds it.
        """
        with translated(self.path):
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreFullError(f"no room left on the disk of {self.path}")

    def close(self) -> None:
        """Keep the headers that wait to be written, and close the database.

        Should the disk have no room for them, the peers still have them.
        """
        try:
            self.headers.keep()
        except StoreError as error:
            log.warning("the last headers are not kept", extra={"error": error})
        finally:
            self._db.close()

    def note_damage(self, damage: str) -> None:
        """Have the next start treat this store as damaged, though it finds nothing wrong.

        In a file of its own: the database may take no more writes.

        Raises:
            OSError: the file cannot be written.
        """
        if self._file is not None:
            condemn(self._file, damage)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._in_place.check()
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                # First those that wait: what this transaction writes may build on them.
                self.headers.write()
                yield
                self._db.execute("COMMIT")
            except BaseException:
                # Also at Ctrl-C: a transaction left open would take in what comes next.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self.headers.written()

    def _one(self, query: str, *values: object) -> bytes | None:
        """The bytes that a query finds; none where the disk has made something else of them."""
        row = self._row(query, *values)
        if row is None:
            return None
        # What no bytes are the name or the checksum of is found out as other altered bytes are.
        return row[0] if isinstance(row[0], bytes) else b""

    def _meta(self, key: str) -> bytes | None:
        with translated(self.path):
            return meta.read(self._db, self.path, key)

    def _row(self, query: str, *values: object) -> Any:  # noqa: ANN401  (of any columns)
        with translated(self.path):
            return self._db.execute(query, values).fetchone()

    # Blocks

    def head(self) -> bytes:
        """See ChainStore."""
        head = self._meta("head")
        if head is None:
            raise DamagedStoreError(f"{self.path}: it does not say where the chain ends")
        return head

    def block(self, block_id: bytes) -> Block | None:
        """See ChainStore."""
        raw = self._one("SELECT raw FROM block WHERE id = ?", block_id)
        if raw is None:
            return None
        block = self._unaltered(partial(Block.decode, raw), "block", block_id)
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
        """See ChainStore."""
        return self._row("SELECT 1 FROM block WHERE id = ?", block_id) is not None

    def beside(self, height: int) -> list[bytes]:
        """See ChainStore."""
        with translated(self.path):
            rows = self._db.execute(
                "SELECT id FROM block WHERE undo IS NULL AND height >= ? ORDER BY height", (height,)
            )
            return [block_id for (block_id,) in rows]

    def lacking(self) -> list[tuple[bytes, bytes]]:
        """See ChainStore."""
        with translated(self.path):
            return self._db.execute(
                "SELECT block.id, payload_user.payload FROM block "
                "JOIN payload_user ON payload_user.user = block.id "
                "WHERE block.undo IS NULL AND NOT EXISTS "
                "(SELECT 1 FROM payload WHERE payload.id = payload_user.payload)"
            ).fetchall()

    def undo(self, block_id: bytes) -> Undo:
        """See ChainStore."""
        found = self._one("SELECT undo FROM block WHERE id = ? AND undo IS NOT NULL", block_id)
        if found is None:
            raise MissingDataError(f"the undo record of block {block_id.hex()} is not in the store")
        raw, crc = found[:-4], int.from_bytes(found[-4:])
        if zlib.crc32(raw) != crc:
            raise self._altered("undo record", block_id)
        return self._unaltered(partial(Undo.decode, raw), "undo record", block_id)

    def add_block(self, block: Block, height: int) -> None:
        """See ChainStore."""
        with self._transaction():
            self._insert_block(block, height)
            # One that the disk has altered; SQLite writes nothing where the bytes are the same.
            raw = block.encode()
            self._db.execute(
                "UPDATE block SET raw = ? WHERE id = ? AND raw IS NOT ?", (raw, block.id, raw)
            )

    def _insert_block(self, block: Block, height: int) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO block (id, height, raw) VALUES (?, ?, ?)",
            (block.id, height, block.encode()),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO payload_user VALUES (?, ?)",
            [(update.payload, block.id) for update in block.updates],
        )
        self._check_found("block", block.id)

    def _check_found(self, table: str, name: bytes) -> None:
        """See that an altered index does not hide what was written: it would be pulled for ever."""
        if self._row(f"SELECT 1 FROM {table} WHERE id = ?", name) is None:  # noqa: S608
            raise AlteredRecordError(f"{self.path}: the index of {table}s changed on the disk")

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
        return self._one("SELECT raw FROM payload WHERE id = ?", content_id)

    def has_payload(self, content_id: bytes) -> bool:
        """See ChainStore."""
        return self._row("SELECT 1 FROM payload WHERE id = ?", content_id) is not None

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
        self._check_found("payload", content_id)

    def parameters(self, root: bytes) -> bytes | None:
        """See ChainStore."""
        return self._one("SELECT raw FROM parameters WHERE root = ?", root)

    # The head

    def final(self) -> Checkpoint | None:
        """See ChainStore."""
        raw = self._meta("final")
        if raw is None:
            return None
        reader = Reader(raw)
        return Checkpoint(reader.u32("height"), reader.take(32, "block id"))

    @property
    def records(self) -> Records:
        """See ChainStore."""
        return self

    def found(self, records: Mapping[bytes, bytes]) -> None:
        """See ChainStore."""
        with self._transaction():
            self._write_records(records)

    def get(self, key: bytes) -> bytes | None:
        """See Records; raises DamagedStoreError."""
        row = self._row("SELECT value, crc FROM record WHERE key = ?", key)
        return None if row is None else checked_record(self.path, key, *row)

    def under(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """See Records; raises DamagedStoreError."""
        with translated(self.path):
            rows = self._db.execute(
                "SELECT key, value, crc FROM record WHERE key >= ? AND key < ? ORDER BY key",
                (prefix, prefix + b"\xff" * KEY_BYTES_LIMIT),
            ).fetchall()
        for key, value, crc in rows:
            yield key, checked_record(self.path, key, value, crc)

    def switch(self, change: Switch) -> None:
        """See ChainStore."""
        with self._transaction():
            self._db.executemany(
                "UPDATE block SET undo = NULL WHERE id = ?",
                [(block_id,) for block_id in change.disconnected],
            )
            height = change.height
            for joined in change.connected:
                height += 1
                self._insert_block(joined.block, height)
                self._db.execute(
                    "UPDATE block SET undo = ? WHERE id = ?",
                    (_with_crc(joined.undo), joined.block.id),
                )
                self._keep_parameters(joined, height)
            if change.connected:
                meta.write(self._db, "head", change.connected[-1].block.id)
            if change.final is not None:
                meta.write(self._db, "final", u32(change.final.height) + change.final.id)
            self._write_records(change.records)
            self._db.execute("DELETE FROM state WHERE height > ?", (change.height,))
            self._keep_states(change.states)
            self._drop_old_parameters(height)

    def _keep_states(self, states: Sequence[KeptState]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
            [(state.root, state.height, state.raw) for state in states],
        )

    def _write_records(self, records: Mapping[bytes, bytes] | Mapping[bytes, bytes | None]) -> None:
        for key, value in records.items():
            if value is None:
                self._db.execute("DELETE FROM record WHERE key = ?", (key,))
            else:
                self._db.execute(
                    "INSERT OR REPLACE INTO record VALUES (?, ?, ?)",
                    (key, value, zlib.crc32(key + value)),
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
        if holds_state_root(height + 1):
            self._db.executemany("UPDATE parameters SET snapshot = ? WHERE root = ?", roots)

    def _drop_old_parameters(self, height: int) -> None:
        """Drop parameters far below the head that no snapshot keeps."""
        # Those from the floor on stay, and from what may become the floor: what is kept can be
        # checked again, and joined at.
        snapshots = height - SNAPSHOTS_KEPT * STATE_INTERVAL
        oldest = self._floor or min([snapshots, *self.states()[:1]])
        self._db.execute(
            "DELETE FROM parameters WHERE height < ? AND (snapshot IS NULL OR snapshot < ?)",
            (height - PARAMETERS_KEPT, oldest),
        )

    # What is not kept for ever

    def floor(self) -> int:
        """See ChainStore."""
        return self._floor

    def states(self) -> list[int]:
        """See ChainStore."""
        with translated(self.path):
            rows = self._db.execute("SELECT height FROM state ORDER BY height").fetchall()
        return [height for (height,) in rows if isinstance(height, int)]

    def state(self, root: bytes) -> bytes | None:
        """See ChainStore."""
        return self._one("SELECT raw FROM state WHERE root = ?", root)

    def state_at(self, height: int) -> bytes | None:
        """See ChainStore."""
        return self._one("SELECT raw FROM state WHERE height = ?", height)

    def join(self, joined: Joined) -> None:
        """See ChainStore."""
        height, block = joined.state.height, joined.block
        with self._transaction():
            self._db.execute("DELETE FROM record")
            self._write_records(joined.records)
            self._db.execute("DELETE FROM state")
            self._keep_states([joined.state])
            self._db.execute("UPDATE block SET undo = NULL WHERE height >= ?", (height,))
            self._insert_block(block, height)
            self._db.execute(
                "UPDATE block SET undo = ? WHERE id = ?", (_with_crc(Undo({})), block.id)
            )
            self._db.executemany(
                "INSERT INTO parameters VALUES (?, ?, ?, ?) ON CONFLICT (root) DO UPDATE "
                "SET raw = excluded.raw, height = excluded.height, snapshot = excluded.snapshot",
                [(root, height, height, raw) for root, raw in joined.parameters],
            )
            meta.write(self._db, "head", block.id)
            meta.write(self._db, "floor", height)
        self._floor = height

    def raise_floor(self, height: int) -> None:
        """See ChainStore."""
        with self._transaction():
            meta.write(self._db, "floor", height)
            self._db.execute("DELETE FROM state WHERE height < ?", (height,))
        self._floor = height

    def forget_states(self, below: int) -> None:
        """See ChainStore."""
        old = [height for height in self.states() if height < below and height != self._floor]
        if old:
            with self._transaction():
                self._db.executemany("DELETE FROM state WHERE height = ?", [(h,) for h in old])

    def drop_below_floor(self, limit: int) -> bool:
        """See ChainStore."""
        with translated(self.path):
            doomed = self._db.execute(
                "SELECT id FROM block WHERE height < ? LIMIT ?", (self._floor, limit)
            ).fetchall()
        if doomed:
            with self._transaction():
                for (block_id,) in doomed:
                    self._db.execute("DELETE FROM block WHERE id = ?", (block_id,))
                    self._release_payloads(block_id)
        return bool(doomed)

    def used_bytes(self) -> int:
        """See ChainStore."""
        pages, free, size = (
            self._row(f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def faults(self) -> Iterator[str]:
        """See ChainStore."""
        return examination.faults(self, self._db, self.path, self._genesis_id)

    # The member's vow

    def vow(self) -> Vow | None:
        """See VowStore; raises AlteredRecordError rather than give a lower one."""
        raw = self._meta("vow")
        if raw is None:
            return None
        reader = Reader(raw)
        return Vow(reader.u32("source"), reader.u32("target"))

    def keep_vow(self, vow: Vow) -> None:
        """See VowStore."""
        with self._transaction():
            meta.write(self._db, "vow", u32(vow.source) + u32(vow.target))

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
        with translated(self.path):
            rows = self._db.execute("SELECT id, raw FROM mempool ORDER BY arrival").fetchall()
        waiting = []
        for name, raw in rows:
            transaction = self._unaltered(partial(decode_transaction, raw), "transaction", name)
            if transaction.id != name:
                raise self._altered("transaction", name)
            waiting.append(transaction)
        return waiting


def _with_crc(undo: Undo) -> bytes:
    raw = undo.encode()
    return raw + zlib.crc32(raw).to_bytes(4)
