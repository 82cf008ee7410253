"""Frames of a link between a gateway and a box: the first byte says how the stream is cut.

Invariant: however it is cut, the same frames come out, each of which codes back to its bytes; or
MalformedError, after the same frames.
"""

from edgenode.ledger.encoding import MalformedError
from edgenode.protocol.gateway_wire import (
    FRAME_LIMIT,
    GATEWAY_VERSION,
    NODES_LIMIT,
    Carried,
    Frame,
    Frames,
    Hello,
    Welcome,
    encode_frame,
)
from edgenode.protocol.wire import DATAGRAM_LIMIT


def one_input(data: bytes) -> bool:
    """Try one input; returns whether all of it were frames."""
    if not data:
        return False
    size, stream = 1 + data[0], data[1:]
    whole, is_taken = read(stream, len(stream) or 1)
    assert (whole, is_taken) == read(stream, size)
    coded = b"".join(map(encode_frame, whole))
    if all(not isinstance(f, Hello) or f.version == GATEWAY_VERSION for f in whole):
        assert stream.startswith(coded)
    for frame in whole:
        assert len(encode_frame(frame)) <= 2 + FRAME_LIMIT
        match frame:
            case Welcome():
                assert len(frame.nodes) <= NODES_LIMIT
            case Carried():
                assert 0 < len(frame.data) <= DATAGRAM_LIMIT
                assert str(frame.address)
            case _:
                pass
    return is_taken and coded == stream


def read(stream: bytes, size: int) -> tuple[list[Frame], bool]:
    """The frames of a stream that comes in pieces of this size, and whether they were all right."""
    frames, found = Frames(), list[Frame]()
    try:
        for start in range(0, len(stream), size):
            for frame in frames.feed(stream[start : start + size]):
                found.append(frame)
    except MalformedError:
        return found, False
    return found, True
