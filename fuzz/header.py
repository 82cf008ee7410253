"""Headers, compact targets, and the C arithmetic on them.

Invariant: 80 bytes are a header that codes back to them, other lengths are MalformedError; a
compact target is TargetError or codes back to itself; C and Python give the same ids, work and
targets of ASERT, which is refused of a zero and of what is out of its range, and of nothing else.
"""

from edgenode.ledger.difficulty import asert
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.header import HEADER_BYTES, Header, header_times
from edgenode.ledger.target import TargetError, compress, expand, work
from edgenode.native import _kernels

_NUMBER = 32
_SECONDS_BYTES = 6
_SECONDS_LIMIT = 1 << 46


def one_input(data: bytes) -> bool:
    """Try one input: its first byte says on what."""
    return bool(data) and PARTS[data[0] % len(PARTS)](data[1:])


def header(data: bytes) -> bool:
    """One header."""
    try:
        found = Header.decode(data)
    except MalformedError:
        assert len(data) != HEADER_BYTES
        return False
    assert found.encode() == data
    assert Header.hashed(data, found.id) == found
    assert _kernels.header_ids(data) == _kernels.sha256d_header(data) == found.id
    assert header_times(data).tolist() == [found.time]
    return _work(data, [found])


def headers(data: bytes) -> bool:
    """Headers side by side, as a run is read: their ids, times and work."""
    whole = data[: len(data) // HEADER_BYTES * HEADER_BYTES]
    found = [
        Header.decode(whole[start : start + HEADER_BYTES])
        for start in range(0, len(whole), HEADER_BYTES)
    ]
    assert b"".join(one.id for one in found) == _kernels.header_ids(whole)
    assert header_times(whole).tolist() == [one.time for one in found]
    return _work(whole, found)


def _work(data: bytes, found: list[Header]) -> bool:
    try:
        total = sum(work(_expanded(one.target)) for one in found)
    except TargetError:
        total = 1 << 256
    try:
        in_c = int.from_bytes(_kernels.total_work(data), "little")
    except ValueError:
        assert total >= 1 << 256
        return False
    assert in_c == total
    return True


def _expanded(compact: int) -> int:
    number = expand(compact)
    assert 0 < number < 1 << 256
    assert compress(number) == compact
    return number


def compact_target(data: bytes) -> bool:
    """A compact target, and any number as a target."""
    number = int.from_bytes(data[4 : 4 + _NUMBER + 1], "little")
    try:
        shown = expand(compress(number))
    except TargetError:
        assert not 0 < number < 1 << 256
    else:
        assert shown <= number < shown + max(1, shown >> 16)
    try:
        _expanded(int.from_bytes(data[:4], "little"))
    except TargetError:
        return False
    return True


def difficulty(data: bytes) -> bool:
    """ASERT in C and in Python, of any targets, moments and half-lives."""
    anchor, limit, seconds, half_life = (
        data[:_NUMBER],
        data[_NUMBER : 2 * _NUMBER],
        int.from_bytes(data[2 * _NUMBER : 2 * _NUMBER + _SECONDS_BYTES], "little", signed=True),
        int.from_bytes(data[2 * _NUMBER + _SECONDS_BYTES :][:4], "little"),
    )
    numbers = int.from_bytes(anchor, "little"), int.from_bytes(limit, "little")
    refused = (
        len(limit) < _NUMBER or 0 in numbers or abs(seconds) >= _SECONDS_LIMIT or half_life < 1
    )
    try:
        in_c = _kernels.asert(anchor, limit, seconds, half_life)
    except ValueError:
        assert refused
        return False
    assert not refused
    assert int.from_bytes(in_c, "little") == asert(*numbers, seconds, half_life)
    return True


PARTS = (header, headers, compact_target, difficulty)
