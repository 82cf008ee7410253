"""Payloads of client updates.

Invariant: the bytes are the vector that codes back to them, or CodingError; no other vector of
the model does, and the difference that it codes survives being taken again.
"""

import numpy as np

from edgenode.learning.update_codec import (
    Codec,
    CodingError,
    decode,
    difference,
    encode,
    encoded_length,
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
            assert len(payload) != encoded_length(count, codec) or payload[0] != codec
            continue
        assert delta.dtype == np.int32
        assert delta.shape == (count,)
        assert not delta.flags.writeable, "it is the payload's memory, which nobody may change"
        assert encode(delta, codec) == payload
        assert np.array_equal(difference(delta, np.zeros(count, np.int32)), delta)
        return True
    return False
