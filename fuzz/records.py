"""Records in their one form, what puts them back, and a state that a peer gives.

Invariant: the bytes are the records, or the undo record, that code back to them, each within its
bounds, or MalformedError. A state that is taken is legible for all that read records, and its
members are those of genesis and of signed changes.
"""

from edgenode.ledger import accounts, block_share, finality, membership
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.hashes import content_id
from edgenode.ledger.joining import UnprovenError, proven_members, read_state
from edgenode.ledger.records import (
    KEY_BYTES_LIMIT,
    VALUE_BYTES_LIMIT,
    Overlay,
    PlainRecords,
    RecordKind,
    Undo,
    decode_records,
    encode_records,
    state_root,
)
from tests.ledger.builder import make_genesis

WARD = make_genesis()


def one_input(data: bytes) -> bool:
    """Try one input: its first byte says on what."""
    return bool(data) and PARTS[data[0] % len(PARTS)](data[1:])


def records(data: bytes) -> bool:
    """All records of a state."""
    try:
        found = decode_records(data)
    except MalformedError:
        return False
    assert encode_records(found.items()) == data
    _bounded(found, data)
    plain = PlainRecords(found)
    assert dict(plain.under(b"")) == found
    assert len(state_root(plain)) == 32
    return True


def undo(data: bytes) -> bool:
    """What a block changed: put back on other records, it leaves those of before."""
    try:
        found = Undo.decode(data)
    except MalformedError:
        return False
    assert found.encode() == data
    _bounded(found.before, data)
    before = PlainRecords({k: v for k, v in found.before.items() if v is not None})
    overlay = Overlay(before)
    overlay.begin()
    for key, value in found.before.items():
        overlay.set(key, b"other" if value != b"other" else None)
    back = overlay.undo()
    assert back == found
    overlay.put_back(back)
    assert dict(overlay.under(b"")) == dict(before.under(b""))
    return True


def state(data: bytes) -> bool:
    """A state for a node that joins."""
    try:
        found = read_state(data, content_id(data))
    except UnprovenError:
        return False
    plain = PlainRecords(found)
    assert finality.final(plain).height >= 0
    assert finality.highest_justified(plain) == finality.justified(plain)[-1]
    standings = dict(membership.all_standings(plain))
    assert all(len(key) == 32 for key in (*accounts.accounts(plain), *block_share.miners(plain)))
    for key, _ in plain.under(bytes([RecordKind.ENDORSED])):
        finality.endorsed_by(plain, int.from_bytes(key[1:5]))
    try:
        members = proven_members(WARD, found)
    except UnprovenError:
        return True
    assert members == {key for key, standing in standings.items() if standing.until == 0}
    return True


def _bounded(found: object, data: bytes) -> None:
    assert isinstance(found, dict)
    assert len(found) <= len(data) // 2
    assert all(0 < len(key) <= KEY_BYTES_LIMIT for key in found)
    assert all(len(value) <= VALUE_BYTES_LIMIT for value in found.values() if value is not None)


PARTS = (records, undo, state)
