"""Reading hostile bytes: fixed-width little-endian fields under a cursor that checks bounds."""

import struct


class MalformedError(ValueError):
    """Bytes do not parse. The message names the field and the offset."""


class Reader:
    """A cursor over bytes that never reads past the end."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._offset

    def take(self, length: int, field: str) -> bytes:
        """The next `length` bytes.

        Raises:
            MalformedError: fewer are left.
        """
        end = self._offset + length
        if end > len(self._data):
            raise MalformedError(
                f"{field} needs {length} bytes at offset {self._offset}, {self.remaining} are left"
            )
        piece = self._data[self._offset : end]
        self._offset = end
        return bytes(piece)

    def u8(self, field: str) -> int:
        """An unsigned byte."""
        return self.take(1, field)[0]

    def u16(self, field: str) -> int:
        """An unsigned 16-bit number."""
        return int.from_bytes(self.take(2, field), "little")

    def u32(self, field: str) -> int:
        """An unsigned 32-bit number."""
        return int.from_bytes(self.take(4, field), "little")

    def u64(self, field: str) -> int:
        """An unsigned 64-bit number."""
        return int.from_bytes(self.take(8, field), "little")

    def finish(self, what: str) -> None:
        """State that everything was read.

        Raises:
            MalformedError: bytes are left over.
        """
        if self.remaining:
            raise MalformedError(f"{self.remaining} bytes after the end of the {what}")


def u8(value: int) -> bytes:
    """An unsigned byte."""
    return struct.pack("<B", value)


def u16(value: int) -> bytes:
    """An unsigned 16-bit number, little-endian."""
    return struct.pack("<H", value)


def u32(value: int) -> bytes:
    """An unsigned 32-bit number, little-endian."""
    return struct.pack("<I", value)


def u64(value: int) -> bytes:
    """An unsigned 64-bit number, little-endian."""
    return struct.pack("<Q", value)
