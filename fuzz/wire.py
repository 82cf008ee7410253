"""Messages of the gossip wire in their envelopes, and the seal around them.

Invariant: the bytes are the envelope that codes back to them, within a datagram, or
MalformedError; what was not sealed does not open (UnsealError), what was opens to what it was.
"""

from edgenode.ledger.encoding import MalformedError
from edgenode.protocol.sealing import DATAGRAM_LIMIT, ENVELOPE_BYTES, Sealer, UnsealError
from edgenode.protocol.wire import (
    ADDRESSES_LIMIT,
    BODY_LIMIT,
    CHUNK_BYTES,
    CHUNKS_LIMIT,
    IDS_LIMIT,
    LOCATOR_LIMIT,
    RANGES_LIMIT,
    Addresses,
    Chunk,
    Envelope,
    GetChunks,
    GetHeaders,
    GetTransactions,
    Message,
    Socket,
    Status,
)

SEALER = Sealer(bytes(32), bytes(32), bytes)
"""A nonce of zeros is as good as any here, and an input says the same each time."""


def one_input(data: bytes) -> bool:
    """Try one input: its first byte says on what."""
    return bool(data) and PARTS[data[0] % len(PARTS)](data[1:])


def envelope(data: bytes) -> bool:
    """A message in its envelope."""
    try:
        found = Envelope.decode(data)
    except MalformedError:
        return False
    assert found.encode() == data
    assert len(data) <= ENVELOPE_BYTES + BODY_LIMIT
    _bounded(found.message)
    datagram = SEALER.seal(Socket.SYNC, data)
    assert len(datagram) <= DATAGRAM_LIMIT
    assert SEALER.open(Socket.SYNC, datagram) == data
    return True


def _bounded(message: Message) -> None:
    match message:
        case Addresses():
            assert len(message.addresses) <= ADDRESSES_LIMIT
            assert all(str(address) for address in message.addresses)
        case Status():
            assert len(message.waiting) <= IDS_LIMIT
        case GetTransactions():
            assert len(message.ids) <= IDS_LIMIT
        case GetHeaders():
            assert len(message.locator) <= LOCATOR_LIMIT
        case GetChunks():
            assert len(message.ranges) <= RANGES_LIMIT
            assert sum(count for _, count in message.ranges) <= CHUNKS_LIMIT
        case Chunk():
            assert 1 <= len(message.data) <= CHUNK_BYTES
            assert message.index * CHUNK_BYTES + len(message.data) <= message.length
        case _:
            pass  # of a fixed length, or as long as the body


def datagram(data: bytes) -> bool:
    """A datagram as it comes from a socket; a fuzzer does not find the tag of one."""
    for socket in Socket:
        try:
            plain = SEALER.open(socket, data)
        except UnsealError:
            continue
        assert len(plain) <= ENVELOPE_BYTES + BODY_LIMIT
        return envelope(plain)
    return False


PARTS = (envelope, datagram)
