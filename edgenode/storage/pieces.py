"""Pieces of large objects that are being pulled, so that a restart does not begin again.

A file for each object: the list of its pieces' hashes, then each piece at its place. Nothing is
synced and nothing is marked as there: whoever reads it checks each piece against its hash, so what
a power cut took or spoilt is pulled once more, and that is all.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from edgenode.ledger.hashes import PIECE_BYTES
from edgenode.protocol.wire import ObjectKind

log = logging.getLogger(__name__)

FILES_LIMIT = 8
"""Objects of which something is kept: a state, and the parameters of its models."""

BYTES_LIMIT = 64 << 20
"""Bytes of all files: two of the longest objects. Those that were written longest ago go first."""

KEPT_SECONDS = 86_400.0
"""Age of a file of which nothing came any more; what it is of has been pulled, or given up."""


class PieceFiles:
    """The files of one directory. What goes wrong with them is logged, and costs a pull."""

    def __init__(self, directory: Path) -> None:
        """`directory` is this store's own; it is made when there is something to keep."""
        self._directory = directory
        self._failed = False
        self._tidy(FILES_LIMIT, BYTES_LIMIT)

    def recall(self, kind: ObjectKind, name: bytes, hashes_bytes: int) -> tuple[bytes, list[bytes]]:
        """The list of hashes and the pieces as they lie there: nothing of it is checked.

        `hashes_bytes` is the most that the list may have.
        """
        try:
            data = self._path(kind, name).read_bytes()
        except FileNotFoundError:
            return b"", []
        except OSError as error:
            self._complain(error)
            return b"", []
        length = int.from_bytes(data[:4], "little")
        size = 4 + 32 * -(-length // PIECE_BYTES)
        if size > hashes_bytes:
            return b"", []
        whole = data[size : size + length]
        return data[:size], [whole[n : n + PIECE_BYTES] for n in range(0, len(whole), PIECE_BYTES)]

    def keep(self, kind: ObjectKind, name: bytes, place: int, data: bytes, hashes: bytes) -> None:
        """Keep a piece, whose object has this list of hashes."""
        path = self._path(kind, name)
        try:
            if not path.exists():
                self._directory.mkdir(mode=0o700, exist_ok=True)
                size = len(hashes) + int.from_bytes(hashes[:4], "little")
                self._tidy(FILES_LIMIT - 1, max(0, BYTES_LIMIT - size))
                path.write_bytes(hashes)
            with path.open("r+b") as file:
                os.pwrite(file.fileno(), data, len(hashes) + place * PIECE_BYTES)
        except OSError as error:
            self._complain(error)

    def _path(self, kind: ObjectKind, name: bytes) -> Path:
        return self._directory / f"{kind.name.lower()}-{name.hex()}"

    def _tidy(self, files: int, octets: int) -> None:
        """Let go of what is old, and of what is beyond so many files and bytes."""
        try:
            found = [(path.stat(), path) for path in self._directory.iterdir()]
        except FileNotFoundError:
            return
        except OSError as error:
            self._complain(error)
            return
        for stat, path in sorted(found, key=lambda each: -each[0].st_mtime):
            files -= 1
            octets -= stat.st_size
            if files < 0 or octets < 0 or time.time() - stat.st_mtime > KEPT_SECONDS:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._failed:
            self._failed = True
            log.warning("what is pulled would not outlast a restart", extra={"error": error})
