"""Messages of the gossip wire, and the channel around them.

Invariant: the bytes are the message that codes back to them, within a datagram, or
MalformedError; what the other end did not seal is dropped, what it did opens to what it was.
"""

from edgenode.ledger.encoding import MalformedError
from edgenode.protocol.channel import CHANNEL_BYTES, Channel, index_of
from edgenode.protocol.drops import Dropped
from edgenode.protocol.wire import (
    ADDRESSES_LIMIT,
    BODY_LIMIT,
    CHUNK_BYTES,
    CHUNKS_LIMIT,
    DATAGRAM_LIMIT,
    HOLDINGS_LIMIT,
    IDS_LIMIT,
    LOCATOR_LIMIT,
    PIECES_LIMIT,
    RANGES_LIMIT,
    Addresses,
    Chunk,
    GetChunks,
    GetHeaders,
    GetTransactions,
    Holdings,
    Message,
    Status,
    chunk_span,
    decode,
    encode,
)


def end(local: int, sending: int, receiving: int) -> Channel:
    """One end of a channel; the other one has the numbers of the keys the other way round."""
    keys = {"sending": bytes([sending]) * 32, "receiving": bytes([receiving]) * 32}
    return Channel(local=local, remote=3 - local, made=0.0, asked=True, **keys)


def one_input(data: bytes) -> bool:
    """Try one input: its first byte says on what."""
    return bool(data) and PARTS[data[0] % len(PARTS)](data[1:])


def message(data: bytes) -> bool:
    """A message as a channel brings it."""
    try:
        found = decode(data)
    except MalformedError:
        return False
    assert encode(found) == data
    assert len(data) <= 1 + BODY_LIMIT
    _bounded(found)
    sealed = end(1, 5, 6).seal(data)
    assert len(sealed) == CHANNEL_BYTES + len(data) <= DATAGRAM_LIMIT
    assert end(2, 6, 5).open(sealed, 0.0) == data
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
            start, end = chunk_span(message.length, message.index)
            assert 1 <= len(message.data) == end - start <= CHUNK_BYTES
            assert end <= message.length
        case Holdings():
            assert len(message.holdings) <= HOLDINGS_LIMIT
            assert all(h.pieces <= PIECES_LIMIT for h in message.holdings)
            assert all(h.held < 1 << h.pieces for h in message.holdings)
        case _:
            pass  # of a fixed length, or as long as the body


def datagram(data: bytes) -> bool:
    """A datagram as it comes from a socket; a fuzzer does not find the tag of one."""
    try:
        assert 0 <= index_of(data) < 1 << 32
        return message(end(2, 6, 5).open(data, 0.0))
    except Dropped:
        return False


PARTS = (message, datagram)
