"""Lines of Stratum are read strictly: they are messages that code back, or no Stratum at all."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgenode.mining.stratum_wire import (
    ANSWER_BYTES,
    DEPTH_LIMIT,
    REQUEST_BYTES,
    Fault,
    LineReader,
    Reply,
    Request,
    StratumError,
    decode,
)

numbers = st.integers(-(1 << 63), (1 << 63) - 1)
scalars = (
    st.none() | st.booleans() | numbers | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
).filter(lambda value: depth(value) < DEPTH_LIMIT - 1)
ids = numbers | st.text(max_size=64)
requests = st.builds(
    Request,
    st.none() | ids,
    st.text(min_size=1, max_size=64),
    st.lists(values, max_size=4).map(tuple),
)
replies = st.builds(Reply, ids, values) | st.builds(
    lambda identity, code, text: Reply(identity, None, Fault(code, text)),
    ids,
    numbers,
    st.text(max_size=40),
)


def depth(value):
    if isinstance(value, tuple | dict):
        inner = value.values() if isinstance(value, dict) else value
        return 1 + max(map(depth, inner), default=0)
    return 0


@given(requests | replies)
def test_a_message_comes_back_from_its_line(message):
    line = message.encode()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line[:-1]) == message


@given(
    st.binary(max_size=60)
    | st.text(max_size=60).map(str.encode)
    | st.dictionaries(st.sampled_from(["id", "method", "params", "result", "error"]), values).map(
        lambda value: json.dumps(value).encode()
    )
)
@example(b'{"id":1e999,"method":"a"}')
@example(b'{"id":1,"method":"\\ud800"}')
@example(b'{"id":-0,"method":"a","params":[-0.0]}')
def test_any_line_is_a_message_that_codes_back_to_itself_or_no_stratum(line):
    try:
        message = decode(line)
    except StratumError:
        return
    assert decode(message.encode()[:-1]) == message


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"", "no JSON"),
        (b"GET / HTTP/1.1", "no JSON"),
        (b"\xff{}", "no JSON"),
        (b"[1,2]", "an object"),
        (b'{"id":1}', "a method, a result or an error"),
        (b'{"result":true}', "the id of what it answers"),
        (b'{"id":true,"method":"a"}', "an id"),
        (b'{"id":1.5,"method":"a"}', "an id"),
        (b'{"id":"' + b"a" * 65 + b'","method":"a"}', "an id"),
        (b'{"id":1,"method":7}', "a method"),
        (b'{"id":1,"method":""}', "a method"),
        (b'{"id":1,"method":"' + b"a" * 65 + b'"}', "a method"),
        (b'{"id":1,"method":"a","params":{}}', "params"),
        (b'{"id":1,"method":"a","params":[NaN]}', "NaN"),
        (b'{"id":1,"method":"a","params":[1e999]}', "not finite"),
        (b'{"id":1,"method":"a","params":[9223372036854775808]}', "64 bits"),
        (b'{"id":1,"method":"a","params":[' + b"9" * 5000 + b"]}", "no JSON"),
        (b'{"id":1,"method":"a","params":[[[[1]]]]}', "nested deeper"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"id":1,"error":[1]}', "an error"),
        (b'{"id":1,"error":"bad"}', "an error"),
    ],
)
def test_what_is_wrong_is_said(line, what):
    with pytest.raises(StratumError, match=what):
        decode(line)


def test_what_other_implementations_add_or_leave_out_is_taken():
    line = b'{"jsonrpc":"2.0","id":4,"method":"mining.submit","params":["a"],"worker":"a"}'
    assert decode(line) == Request(4, "mining.submit", ("a",))
    assert decode(b'{"id":7,"method":"mining.ping"}') == Request(7, "mining.ping")
    assert decode(b'{"id":3,"result":null,"error":{"code":21,"message":"stale"}}') == Reply(
        3, None, Fault(21, "stale")
    )
    assert decode(b'{"id":3,"result":true,"error":null}') == Reply(3, True)


@given(st.lists(st.binary(max_size=30).filter(lambda b: b"\n" not in b), max_size=8), st.data())
def test_lines_come_whole_however_the_stream_is_cut(lines, data):
    stream = b"".join(line + b"\n" for line in lines)
    reader, got = LineReader(30), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        got += reader.feed(stream[:cut])
        stream = stream[cut:]
    assert got == [line.removesuffix(b"\r") for line in lines]
    assert reader.unfinished == 0


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=20))
def test_no_stream_makes_a_reader_hold_more_than_a_line(pieces):
    reader = LineReader(30)
    for piece in pieces:
        try:
            assert all(len(line) <= 30 for line in reader.feed(piece))
        except StratumError:
            break
        assert reader.unfinished <= 30


@pytest.mark.parametrize("limit", [REQUEST_BYTES, ANSWER_BYTES])
def test_a_line_may_be_as_long_as_the_limit_and_no_longer(limit):
    assert list(LineReader(limit).feed(b"a" * limit + b"\n")) == [b"a" * limit]
    with pytest.raises(StratumError, match=f"more than {limit} bytes"):
        list(LineReader(limit).feed(b"a" * (limit + 1)))
