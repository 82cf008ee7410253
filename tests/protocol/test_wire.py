import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.hashes import PIECE_BYTES
from edgenode.ledger.header import HEADER_BYTES, Header
from edgenode.protocol.replay import WINDOW, ReplayWindow
from edgenode.protocol.wire import (
    ADDRESSES_LIMIT,
    BODY_LIMIT,
    CHUNK_BYTES,
    CHUNKS_PER_PIECE,
    HEADERS_LIMIT,
    HOLDINGS_LIMIT,
    IDS_LIMIT,
    LOCATOR_LIMIT,
    PIECES_LIMIT,
    Absent,
    Address,
    Addresses,
    Chunk,
    GetAddresses,
    GetChunks,
    GetHeaders,
    GetTransactions,
    Headers,
    Holding,
    Holdings,
    NewBlock,
    NewTransaction,
    ObjectKind,
    Status,
    Tip,
    chunk_count,
    chunk_span,
    decode,
    encode,
)

u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
hashes = st.binary(min_size=32, max_size=32)
ids = st.lists(st.binary(min_size=20, max_size=20), max_size=IDS_LIMIT).map(tuple)
tips = st.builds(Tip, hashes, u32, st.integers(0, 2**256 - 1), u32)
headers = st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES).map(Header.decode)
kinds = st.sampled_from(ObjectKind)
addresses = st.builds(
    Address,
    (st.ip_addresses(v=4) | st.ip_addresses(v=6).filter(lambda a: not a.ipv4_mapped)).map(str),
    u16,
)


@st.composite
def chunks(draw):
    length = draw(st.integers(1, 100_000))
    index = draw(st.integers(0, chunk_count(length) - 1))
    start, end = chunk_span(length, index)
    data = draw(st.binary(min_size=end - start, max_size=end - start))
    return Chunk(draw(u32), index, length, draw(u32), data)


@st.composite
def holdings(draw):
    pieces = draw(st.integers(0, PIECES_LIMIT))
    return Holding(draw(kinds), draw(hashes), pieces, draw(st.integers(0, (1 << pieces) - 1)))


messages = st.one_of(
    st.builds(Status, tips, u32, u32, u32, ids),
    st.just(GetAddresses()),
    st.builds(Addresses, st.lists(addresses, max_size=ADDRESSES_LIMIT).map(tuple)),
    st.builds(GetHeaders, st.lists(hashes, max_size=LOCATOR_LIMIT).map(tuple)),
    st.builds(
        Headers,
        st.lists(headers, max_size=HEADERS_LIMIT).map(
            lambda some: b"".join(h.encode() for h in some)
        ),
    ),
    st.builds(
        GetChunks,
        kinds,
        hashes,
        u32,
        st.lists(st.tuples(u32, st.integers(1, 2)), min_size=1, max_size=16).map(tuple),
    ),
    chunks(),
    st.builds(Absent, kinds, hashes),
    st.builds(GetTransactions, ids),
    st.builds(NewTransaction, st.binary(max_size=512)),
    st.builds(NewBlock, headers, tips),
    st.builds(Holdings, st.lists(holdings(), max_size=HOLDINGS_LIMIT).map(tuple)),
)


@given(messages)
def test_every_message_survives_the_wire_and_fits_a_datagram(message):
    data = encode(message)
    assert len(data) <= 1 + BODY_LIMIT
    assert decode(data) == message


@given(messages, st.integers(0, 1200))
def test_a_cut_message_is_malformed(message, length):
    data = encode(message)
    if length >= len(data) or isinstance(message, NewTransaction):
        return
    with pytest.raises(MalformedError):
        decode(data[:length])


@settings(max_examples=500)
@given(
    st.binary(max_size=1200)
    | st.builds(lambda k, b: bytes([k]) + b, st.integers(0, 16), st.binary(max_size=1200))
)
def test_any_bytes_decode_to_the_message_that_codes_back_to_them_or_are_malformed(data):
    try:
        message = decode(data)
    except MalformedError:
        return
    assert decode(encode(message)) == message


def test_a_request_for_more_chunks_than_the_limit_is_malformed():
    request = encode(GetChunks(ObjectKind.BLOCK, bytes(32), 1, ((0, 33),)))
    with pytest.raises(MalformedError, match="limit is 32"):
        decode(request)


@pytest.mark.parametrize("ranges", [(), ((3, 0),), ((0, 1), (5, 0))])
def test_a_request_for_nothing_is_malformed(ranges):
    with pytest.raises(MalformedError, match="asks for nothing"):
        decode(encode(GetChunks(ObjectKind.BLOCK, bytes(32), 1, ranges)))


@given(st.lists(st.integers(0, 3 * WINDOW), max_size=200))
def test_the_replay_window_takes_no_number_twice(numbers):
    window, taken = ReplayWindow(), set()
    highest = -1
    for number in numbers:
        expected = number not in taken and number > highest - WINDOW
        assert window.accept(number) is expected
        taken.add(number)
        highest = max(highest, number)


def test_a_giant_counter_costs_no_memory():
    window = ReplayWindow()
    assert window.accept(2**64 - 1)
    assert not window.accept(0)


@given(st.integers(1, 10 * PIECE_BYTES))
def test_chunks_lie_side_by_side_and_none_in_two_pieces(length):
    end = 0
    for index in range(chunk_count(length)):
        start, after = chunk_span(length, index)
        assert start == end < after <= start + CHUNK_BYTES
        assert start // PIECE_BYTES == (after - 1) // PIECE_BYTES == index // CHUNKS_PER_PIECE
        end = after
    assert end == length
    start, after = chunk_span(length, chunk_count(length))
    assert start >= after


def test_holdings_beyond_the_last_piece_are_malformed():
    data = bytearray(encode(Holdings((Holding(ObjectKind.PAYLOAD, bytes(32), 11, 0),))))
    data[-1] = 0b1000
    with pytest.raises(MalformedError, match="beyond the last of 11"):
        decode(bytes(data))
    long = encode(Holdings((Holding(ObjectKind.PAYLOAD, bytes(32), 1025, 0),)))
    with pytest.raises(MalformedError, match="limit is 1024"):
        decode(long)
