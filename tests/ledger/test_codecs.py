"""Every structure of the ledger survives its bytes, and no bytes surprise its decoder."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenode.ledger.block import Block
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Authority, GenesisError
from edgenode.ledger.genesis_file import format_genesis, parse_genesis
from edgenode.ledger.hashes import PIECE_BYTES, content_id, content_id_of_pieces, piece_hashes
from edgenode.ledger.header import Header
from edgenode.ledger.records import Undo, decode_records, encode_records
from edgenode.ledger.target import TargetError, compress, expand
from edgenode.ledger.transaction import (
    STATE_INTERVAL,
    TRANSACTION_BYTES_LIMIT,
    Coinbase,
    ModelState,
    Transfer,
    Update,
    decode_transaction,
    holds_state_root,
)
from tests.ledger.builder import make_genesis

u8 = st.integers(0, 255)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
u64 = st.integers(0, 2**64 - 1)


def exactly(length: int):
    return st.binary(min_size=length, max_size=length)


headers = st.builds(Header, u32, exactly(32), exactly(32), u32, u32, u32)
states = st.builds(ModelState, u32, u16, u64, exactly(32))
coinbases = st.builds(
    lambda height, extranonce, miner, payouts, models, state: Coinbase(
        height, extranonce, miner, payouts, models, state if holds_state_root(height) else b""
    ),
    u32 | st.integers(0, 2**20).map(lambda n: n * STATE_INTERVAL),
    exactly(8),
    exactly(32),
    st.lists(st.tuples(exactly(32), u64), max_size=12).map(tuple),
    st.lists(states, max_size=8).map(tuple),
    exactly(32),
)
updates = st.builds(Update, u8, exactly(32), exactly(32), u32, u32, exactly(32), exactly(64))
transfers = st.builds(Transfer, exactly(32), exactly(32), u64, u64, u64, exactly(64))
signatures = st.lists(st.tuples(u8, exactly(64)), max_size=12).map(tuple)
names = st.text(st.characters(max_codepoint=127), max_size=64)
enrolments = st.builds(Enrolment, exactly(32), names, u64, signatures)
revocations = st.builds(Revocation, exactly(32), u64, signatures)
endorsements = st.builds(Endorsement, exactly(32), u32, exactly(32), u32, exactly(32), exactly(64))
transactions = coinbases | updates | transfers | enrolments | revocations | endorsements
blocks = st.builds(Block, headers, exactly(64), st.lists(transactions, max_size=6).map(tuple))


@given(headers)
def test_a_header_survives_its_80_bytes(header):
    data = header.encode()
    assert len(data) == 80
    assert Header.decode(data) == header


@given(transactions)
def test_a_transaction_survives_its_bytes(transaction):
    assert decode_transaction(transaction.encode()) == transaction


@given(blocks)
def test_a_block_survives_its_bytes(block):
    assert Block.decode(block.encode()) == block


@given(blocks, st.data())
def test_a_cut_or_extended_block_is_malformed(block, data):
    raw = block.encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    for spoiled in (raw[:cut], raw + b"\0"):
        with pytest.raises(MalformedError):
            Block.decode(spoiled)


@settings(max_examples=500)
@given(
    st.binary(max_size=600) | st.builds(lambda k, b: bytes([k]) + b, u8, st.binary(max_size=400))
)
def test_any_bytes_are_the_transaction_that_codes_back_to_them_or_malformed(data):
    try:
        transaction = decode_transaction(data)
    except MalformedError:
        return
    assert transaction.encode() == data


@settings(max_examples=500)
@given(st.builds(lambda h, b: h + b, exactly(144), st.binary(max_size=500)))
def test_any_bytes_are_the_block_that_codes_back_to_them_or_malformed(data):
    try:
        block = Block.decode(data)
    except MalformedError:
        return
    assert block.encode() == data


def test_a_block_that_claims_a_million_bytes_costs_none():
    with pytest.raises(MalformedError, match="limit"):
        Block.decode(bytes(1_000_000))


keys = st.binary(min_size=1, max_size=40)
values = st.binary(max_size=128)


@given(st.dictionaries(keys, st.none() | values, max_size=5))
def test_an_undo_record_survives_its_bytes(before):
    assert Undo.decode(Undo(before).encode()).before == before


@given(st.dictionaries(keys, values, max_size=8))
def test_records_survive_their_bytes(records):
    assert decode_records(encode_records(sorted(records.items()))) == records


@settings(max_examples=500)
@given(st.binary(max_size=200))
def test_any_bytes_are_the_records_that_code_back_to_them_or_malformed(data):
    try:
        records = decode_records(data)
    except MalformedError:
        return
    assert encode_records(sorted(records.items())) == data


def test_an_undo_record_has_one_form():
    def record(key, value=b"v"):
        return bytes([len(key)]) + key + b"\1" + len(value).to_bytes(2, "little") + value

    def undo(*records):
        return b"\2" + len(records).to_bytes(4, "little") + b"".join(records)

    assert Undo.decode(undo(record(b"a"), record(b"b"))).before == {b"a": b"v", b"b": b"v"}
    for spoiled, message in (
        ((record(b"b"), record(b"a")), "ascend"),
        ((record(b"a"), record(b"a")), "ascend"),
        ((record(b""),), "1 to 40"),
        ((record(b"k" * 41),), "1 to 40"),
        ((record(b"a", bytes(1025)),), "limit is 1024"),
    ):
        with pytest.raises(MalformedError, match=message):
            Undo.decode(undo(*spoiled))


def test_the_longest_transactions_fit_their_limit():
    longest = [
        Coinbase(
            128,
            bytes(8),
            bytes(32),
            ((bytes(32), 1),) * 12,
            (ModelState(0, 0, 0, bytes(32)),) * 8,
            bytes(32),
        ),
        Enrolment(bytes(32), "n" * 64, 0, tuple((i, bytes(64)) for i in range(12))),
    ]
    assert [len(t.encode()) for t in longest] == [927, 887]
    assert max(len(t.encode()) for t in longest) <= TRANSACTION_BYTES_LIMIT


@given(st.integers(1, 2**256 - 1))
def test_a_target_survives_its_compact_form_but_for_what_24_bits_cannot_hold(target):
    compact = compress(target)
    expanded = expand(compact)
    assert expanded <= target < expanded + max(1, 1 << max(0, target.bit_length() - 16))
    assert compress(expanded) == compact


@given(u32)
def test_each_compact_target_is_canonical_or_refused(compact):
    try:
        target = expand(compact)
    except TargetError:
        return
    assert compress(target) == compact


@given(st.binary(max_size=3 * PIECE_BYTES))
def test_a_content_id_is_that_of_its_pieces(data):
    hashes = piece_hashes(data)
    assert len(hashes) == -(-len(data) // PIECE_BYTES)
    assert content_id_of_pieces(len(data), hashes) == content_id(data)


def test_a_genesis_survives_its_file():
    genesis = make_genesis(name='ward "7" \\ east')
    assert parse_genesis(format_genesis(genesis)) == genesis


def test_a_genesis_with_authorities_survives_its_file():
    authorities = (Authority("head nurse", make_genesis().members[0].key),)
    genesis = make_genesis(authorities=authorities, authority_quorum=1)
    assert parse_genesis(format_genesis(genesis)) == genesis


def test_a_comment_does_not_make_another_ward_but_a_constant_does():
    text = format_genesis(make_genesis())
    assert parse_genesis("# a comment\n" + text).id == make_genesis().id
    assert parse_genesis(text.replace("subsidy = 1000", "subsidy = 1001")).id != make_genesis().id


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("spacing = 90", "spacing = 0"), "spacing is 0"),
        (("spacing = 90", 'spacing = "90"'), "spacing in .* must be an integer"),
        (("spacing = 90", "spacign = 90"), "spacing is missing"),
        (("subsidy = 1000", "subsidy = 1000\nbonus = 1"), "unknown in .*bonus"),
        (("format = 2", "format = 1"), "format 1 is unknown"),
        (('rule = "fedavg"', 'rule = "median"'), "rule 'median' is unknown; there is fedavg"),
        (('codec = "int32"', 'codec = "zip"'), "codec 'zip' is unknown; there is int32, exact"),
        (("discounts = [256, 128, 64]", "discounts = [128]"), "first discount"),
        (("discounts = [256, 128, 64]", "discounts = [256, 64, 128]"), "discounts fall"),
        (("discounts = [256, 128, 64]", "discounts = [256, true]"), "integers only"),
        (("examples_cap = 500", "examples_cap = 4000000000"), "must stay below"),
        (('limit = "0x210fffff"', 'limit = "0x05000001"'), "shorter form"),
        (('limit = "0x210fffff"', 'limit = "0x1d00ffff"'), "shorter form"),
        (('start = "0x210fffff"', 'start = "0x21ffffff"'), "easier than target_limit"),
        (('name = "bob"', 'name = "alice"'), "member name alice occurs twice"),
        (('name = "bob"', 'name = "b\\u00f6b"'), "printable ASCII"),
        (("share_rest = 601", "share_rest = 600"), "share_rest is 600"),
        (("checkpoint_interval = 4", "checkpoint_interval = 1"), "checkpoint_interval is 1"),
        (("contributors_percent = 0", "contributors_percent = 101"), "between 0 and 100"),
        (("authority_quorum = 0", "authority_quorum = 1"), "authority_quorum is 1"),
        (("[clock]", "[clok]"), "clock is missing"),
        (("[clock]", "[clock"), "not TOML"),
    ],
)
def test_a_wrong_genesis_file_says_what_is_wrong(change, message):
    text = format_genesis(make_genesis())
    assert change[0] in text
    with pytest.raises(GenesisError, match=message):
        parse_genesis(text.replace(*change, 1))


def test_a_member_key_that_is_no_point_is_refused():
    text = format_genesis(make_genesis())
    key = make_genesis().members[0].key
    with pytest.raises(GenesisError, match="no Ed25519 public key"):
        parse_genesis(text.replace(key, "02" + "00" * 30 + "80"))


@given(st.text(max_size=300))
def test_any_text_is_a_genesis_file_or_an_error(text):
    with pytest.raises(GenesisError):
        parse_genesis(text)
