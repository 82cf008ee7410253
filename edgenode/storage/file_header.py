"""What must stand in the first bytes of a chain's file, https://sqlite.org/fileformat.html.

SQLite believes them: with one bit of them flipped it reads nothing of a file that is whole, or
writes where something else is.
"""

import logging
from pathlib import Path

from edgenode.storage.errors import DamagedStoreError

log = logging.getLogger(__name__)

_PAGE_BYTES = 4096
_HEADER_BYTES = 100

_FROM_THE_START = {
    0: b"SQLite format 3\0",
    16: _PAGE_BYTES.to_bytes(2),
    18: bytes([2, 2, 0, 64, 32, 32]),  # write-ahead log, nothing reserved, shares of a page
    52: bytes(4),  # no auto-vacuum
    64: bytes(4),  # nor an incremental one
}
_WITH_TABLES = {
    44: (4).to_bytes(4),  # format of the schema
    56: (1).to_bytes(4),  # UTF-8
}
_LENGTH_OFFSET = 28


def check_header(path: Path) -> None:
    """See that the file of an open database begins as it must.

    Raises:
        DamagedStoreError: it does not.
    """
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    for offset, true in _FROM_THE_START.items():
        if header[offset : offset + len(true)] != true:
            raise DamagedStoreError(f"{path}: its first bytes changed on the disk")


def mend_header(path: Path) -> None:
    """Put right what is known of the first bytes of a damaged file, so that it can be read.

    Nothing is lost by it: what was there is in the log.
    """
    pages = path.stat().st_size // _PAGE_BYTES
    if not pages:
        return
    length = {_LENGTH_OFFSET: pages.to_bytes(4)}
    with path.open("r+b") as file:
        before = file.read(_HEADER_BYTES)
        header = bytearray(before)
        for offset, true in (_FROM_THE_START | _WITH_TABLES | length).items():
            header[offset : offset + len(true)] = true
        if header != before:
            log.warning("the file's header is put right", extra={"file": path, "was": before.hex()})
            file.seek(0)
            file.write(header)
