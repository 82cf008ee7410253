def sha256d_header(header: bytes, /) -> bytes:
    """SHA-256(SHA-256(header)), 32 bytes; the header has 80. Raises ValueError."""

def search(header: bytes, target: bytes, first: int, count: int, /) -> int | None:
    """The lowest of `count` nonces from `first` on that meets the target, or None.

    The header has 80 bytes, of which the last four are ignored; the target has 32 and is
    little-endian. The interpreter lock is released while searching. Raises ValueError.
    """
