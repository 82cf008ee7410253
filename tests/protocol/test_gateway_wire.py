"""Frames between gateways and boxes: whole ones out of any pieces, and what is none."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.ledger.encoding import MalformedError, u16
from edgenode.protocol.gateway_wire import (
    FRAME_LIMIT,
    NODES_LIMIT,
    Carried,
    Entry,
    Frames,
    Hello,
    Ping,
    Refusal,
    Refused,
    Welcome,
    encode_frame,
)
from edgenode.protocol.wire import DATAGRAM_LIMIT, Address, Socket

HOSTS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)
ADDRESSES = st.builds(Address, HOSTS, st.integers(1, 65535)).filter(
    lambda address: not address.host.startswith("::ffff:")
)
FRAMES = st.one_of(
    st.builds(Hello, st.just(1), st.binary(min_size=32, max_size=32)),
    st.builds(
        Entry,
        *(st.binary(min_size=size, max_size=size) for size in (32, 32, 64, 32)),
    ),
    st.builds(
        Welcome,
        st.binary(min_size=32, max_size=32),
        st.integers(1, 30000),
        st.integers(30001, 65535),
        st.lists(ADDRESSES, max_size=NODES_LIMIT).map(tuple),
    ),
    st.builds(Refused, st.sampled_from(Refusal)),
    st.builds(
        Carried,
        st.sampled_from([Socket.SYNC, Socket.BROADCAST]),
        ADDRESSES,
        st.binary(min_size=1, max_size=DATAGRAM_LIMIT),
    ),
    st.just(Ping()),
)


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 6000), max_size=20))
def test_frames_come_out_of_a_stream_however_it_is_cut(frames, cuts):
    stream = b"".join(map(encode_frame, frames))
    places = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    reader = Frames()
    found = [f for a, b in itertools.pairwise(places) for f in reader.feed(stream[a:b])]
    assert found == frames


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_or_malformed(data):
    try:
        for frame in Frames().feed(data):
            assert list(Frames().feed(encode_frame(frame))) == [frame] or isinstance(frame, Hello)
    except MalformedError:
        pass


def framed(kind, body):
    return u16(1 + len(body)) + bytes([kind]) + body


ADDRESS = bytes(10) + b"\xff\xff\x0a\x00\x00\x01" + u16(7070)


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (u16(0), "a frame of 0 bytes"),
        (u16(FRAME_LIMIT + 1), "a frame of 1221 bytes"),
        (framed(7, b""), "frame kind 7"),
        (framed(6, b"x"), "after the end of the Ping"),
        (framed(5, b"\2" + ADDRESS + b"x"), "socket 2"),
        (framed(5, b"\0" + ADDRESS), "a datagram of 0 bytes"),
        (framed(5, b"\0" + ADDRESS[:16] + u16(0) + b"x"), "without a port"),
        (framed(4, b"\3"), "reason 3"),
        (framed(3, bytes(32) + u16(7) + u16(7) + b"\0"), "ports 7 and 7"),
        (framed(3, bytes(32) + u16(7) + u16(8) + b"\x09"), "9 addresses"),
        (framed(1, b"\1" + bytes(31)), "nonce needs 32 bytes"),
    ],
)
def test_what_no_gateway_and_no_box_sends_is_malformed(stream, reason):
    with pytest.raises(MalformedError, match=reason):
        list(Frames().feed(stream))


def test_another_version_says_hello_too():
    (hello,) = Frames().feed(framed(1, b"\2" + bytes(32) + b"and more"))
    assert hello.version == 2
