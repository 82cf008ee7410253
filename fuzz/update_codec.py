"""Payloads of client updates.

Invariant: the bytes are what their numbers and shift, or their vector, code back to, or
CodingError; and the difference that they code survives being taken again.
"""

import numpy as np

from edgenode.learning.update_codec import (
    Codec,
    CodingError,
    decode,
    difference,
    encode,
    pack,
    payload_lengths,
    unpack,
)


def one_input(data: bytes) -> bool:
    """Try a payload (from the second byte on) for a model of so many parameters (the first)."""
    if not data:
        return False
    count, payload = data[0], data[1:]
    for codec in Codec:
        try:
            delta = decode(payload, count, codec)
        except CodingError:
            if codec is Codec.INT32:
                lengths = payload_lengths(count, codec)
                assert len(payload) not in lengths or payload[0] != codec
            continue
        assert delta.dtype == np.int32
        assert delta.shape == (count,)
        if codec is Codec.INT32:
            assert not delta.flags.writeable, "it is the payload's memory, which nobody may change"
            assert encode(delta, codec) == payload
        else:
            assert pack(unpack(payload, count, codec), codec) == payload
        assert np.array_equal(difference(delta, np.zeros(count, np.int32)), delta)
        return True
    return False
