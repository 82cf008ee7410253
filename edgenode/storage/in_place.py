"""Whether the files of an open database are still where they were."""

from pathlib import Path

from edgenode.storage.errors import DamagedStoreError

COMPANIONS = ("", "-wal", "-shm")
"""Endings of a database's files in SQLite's WAL mode: itself, its log, the log's index."""


class InPlace:
    """Notices that somebody has removed or replaced a file.

    SQLite does not: it goes on with the file that it has open and nobody will find again, so what
    it commits is gone with the process.
    """

    def __init__(self, path: Path | None) -> None:
        """Remember the files of a database that is open; None for one in memory."""
        endings = () if path is None else COMPANIONS
        files = [Path(f"{path}{ending}") for ending in endings]
        self._files = {file: _identity(file) for file in files}

    def check(self) -> None:
        """Look after them again; costs some microseconds.

        Raises:
            DamagedStoreError: one is not the file that it was.
        """
        for file, identity in self._files.items():
            if _identity(file) != identity:
                raise DamagedStoreError(f"{file} was removed or replaced while it was in use")


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
