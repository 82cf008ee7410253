"""Bitcoin's numbers through our code: headers, merkle trees, targets, work.

Where the formats agree they are taken as they are; a compact target has its exponent shifted by
one (docs/ledger.md, "Target, work and difficulty").
"""

import itertools
from dataclasses import dataclass, replace

import pytest

from edgenode.ledger.hashes import display, from_display, sha256d
from edgenode.ledger.header import Header, header_times
from edgenode.ledger.merkle import first_leaf_branch, fold, is_mutated, merkle_root
from edgenode.ledger.target import TargetError, compress, expand, meets, work
from edgenode.native import _kernels
from tests.ledger.published import DATA, bitcoin_compact, bitcoin_target, in_our_form, rows

PERIOD = 2016
"""Blocks with the same target."""


@dataclass(frozen=True)
class Published:
    """A block of Bitcoin's chain as explorers show it; without transactions only its header."""

    height: int
    shown: str
    raw: bytes
    transactions: tuple[str, ...]


def read_blocks():
    for part in (DATA / "bitcoin_blocks").read_text().split("\n\n")[1:]:
        title, header, *transactions = part.split("\n")
        height, shown = title.split()
        yield Published(
            int(height), shown, bytes.fromhex(header), tuple(filter(None, transactions))
        )


BLOCKS = list(read_blocks())
WHOLE = [block for block in BLOCKS if block.transactions]
TARGETS = [int(compact, 16) for line in rows("bitcoin_targets") for compact in line]
each_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block.height))
each_whole_block = pytest.mark.parametrize("block", WHOLE, ids=lambda block: str(block.height))


# Headers


@each_block
def test_a_header_is_read_and_written_and_has_the_id_that_explorers_show(block):
    header = Header.decode(block.raw)
    assert header.encode() == block.raw
    assert display(header.id) == block.shown
    assert display(_kernels.sha256d_header(block.raw)) == block.shown
    assert from_display(block.shown) == header.id


@each_block
def test_a_header_meets_its_target_with_the_exponent_shifted(block):
    header = Header.decode(block.raw)
    target = expand(in_our_form(header.target))
    assert meets(header.id, target)
    assert not meets(replace(header, nonce=header.nonce ^ 1).id, target)
    assert header.target == TARGETS[block.height // PERIOD]


@each_block
@pytest.mark.parametrize("kernel", [name for name, _, here in _kernels.kernels() if here])
def test_a_search_finds_the_nonce_that_was_published(block, kernel):
    header = Header.decode(block.raw)
    target = expand(in_our_form(header.target)).to_bytes(32, "little")
    first = max(0, header.nonce - 500)
    assert _kernels.search(block.raw, target, first, 1000, kernel) == header.nonce


def test_the_fields_of_a_header_are_those_that_explorers_show():
    (block,) = (block for block in BLOCKS if block.height == 100_000)
    assert Header.decode(block.raw) == Header(
        version=1,
        previous=from_display("000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250"),
        merkle_root=from_display(
            "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"
        ),
        time=1_293_623_863,
        target=0x1B04864C,
        nonce=274_148_111,
    )


def test_the_first_headers_follow_each_other():
    first = sorted(BLOCKS, key=lambda block: block.height)[:3]
    assert [block.height for block in first] == [0, 1, 2]
    raw = b"".join(block.raw for block in first)
    ids = _kernels.header_ids(raw)
    assert [display(ids[i : i + 32]) for i in range(0, 96, 32)] == [b.shown for b in first]
    for parent, child in itertools.pairwise(first):
        assert Header.decode(child.raw).previous == Header.decode(parent.raw).id
    assert list(header_times(raw)) == [1_231_006_505, 1_231_469_665, 1_231_469_744]


# Merkle trees

PAYMENT = (
    "0100000001c997a5e56e104102fa209c6a852dd90660a20b2d9c352423edce25857fcd3704000000004847304402"
    "204e45e16932b8af514961a1d3a1a25fdf3f4f7732e9d624c6c61548ab5fb8cd410220181522ec8eca07de4860a4"
    "acdd12909d831cc56cbbac4622082221a8768d1d0901ffffffff0200ca9a3b00000000434104ae1a62fe09c5f51b"
    "13905f07f06b99a2f7159b2225f374cd378d71302fa28414e7aab37397f554a7df5f142c21c1b7303b8a0626f1ba"
    "ded5c72a704f7e6cd84cac00286bee0000000043410411db93e1dcdb8a016b49840f8c53bc1eb68a382e97b1482e"
    "cad7b148a6909a5cb2e0eaddfb84ccf9744464f82e160bfa9b8b64f9d4c03f999b8643f656b412a3ac00000000"
)
"""The first payment in bitcoins, in block 170."""


def leaves_of(block):
    return [from_display(transaction) for transaction in block.transactions]


def test_the_counts_of_transactions_are_of_each_kind():
    counts = [len(block.transactions) for block in WHOLE]
    assert {1, 2, 4, 7, 213, 230} <= set(counts)


@each_whole_block
def test_a_blocks_transactions_have_the_root_in_its_header(block):
    leaves = leaves_of(block)
    root = Header.decode(block.raw).merkle_root
    assert merkle_root(leaves) == root
    assert not is_mutated(leaves)
    assert fold(leaves[0], first_leaf_branch(leaves)) == root
    if len(leaves) > 1:
        assert merkle_root([leaves[1], leaves[0], *leaves[2:]]) != root


@each_whole_block
def test_a_part_of_a_blocks_transactions_folds_from_the_first(block):
    leaves = leaves_of(block)
    for count in range(1, min(len(leaves), 32) + 1):
        assert fold(leaves[0], first_leaf_branch(leaves[:count])) == merkle_root(leaves[:count])


def test_a_leaf_is_the_double_hash_of_the_raw_transaction():
    (block,) = (block for block in BLOCKS if block.height == 170)
    assert display(sha256d(bytes.fromhex(PAYMENT))) == block.transactions[1]


def repeats(leaves):
    """CVE-2012-2459: every longer list with the same root, made by repeating the tail.

    As `merkle_test` in Bitcoin Core's merkle_tests.cpp does it, up to three times over.
    """
    for _ in range(3):
        size = len(leaves) & -len(leaves)
        if size == len(leaves):
            return  # the whole tree repeated is one level higher, with another root
        leaves = leaves + leaves[-size:]
        yield leaves


@pytest.mark.parametrize("count", [*range(1, 18), 213, 230])
def test_a_list_with_its_tail_repeated_has_the_same_root_and_is_told_apart(count):
    (block,) = (block for block in BLOCKS if block.height == 540_107)
    leaves = leaves_of(block)[:count]
    root = merkle_root(leaves)
    mutations = list(repeats(leaves))
    assert bool(mutations) == (count & count - 1 != 0)
    for mutation in mutations:
        assert merkle_root(mutation) == root
        assert is_mutated(mutation)


def test_a_whole_tree_repeated_has_another_root():
    (block,) = (block for block in BLOCKS if block.height == 100_000)
    leaves = leaves_of(block)
    assert merkle_root(leaves * 2) != merkle_root(leaves)
    assert is_mutated(leaves * 2)


# Targets


@pytest.mark.parametrize("compact", sorted(set(TARGETS)), ids=hex)
def test_each_target_that_the_chain_has_had_is_one_number_in_both_forms(compact):
    number = bitcoin_target(compact)
    assert bitcoin_compact(number) == compact
    assert expand(in_our_form(compact)) == number
    assert compress(number) == in_our_form(compact)


# bignum_SetCompact in Bitcoin Core's arith_uint256_tests.cpp: nBits, the number, its canonical
# nBits, and ours.
SAME_NUMBER = [
    (0x01123456, 0x12, 0x01120000, 0x04000012),
    (0x02123456, 0x1234, 0x02123400, 0x04001234),
    (0x03123456, 0x123456, 0x03123456, 0x04123456),
    (0x04123456, 0x12345600, 0x04123456, 0x05123456),
    (0x05009234, 0x92340000, 0x05009234, 0x05923400),
    (0x20123456, 0x123456 << 232, 0x20123456, 0x21123456),
    (0x02008000, 0x80, 0x02008000, 0x04000080),
]


@pytest.mark.parametrize(("bits", "number", "canonical", "ours"), SAME_NUMBER)
def test_bitcoin_cores_compact_numbers_are_ours(bits, number, canonical, ours):
    assert bitcoin_target(bits) == number
    assert bitcoin_compact(number) == canonical
    assert expand(ours) == number
    assert compress(number) == ours


# The others of bignum_SetCompact, and some of those above, with nothing but the exponent shifted.
NO_FORM = {
    "zero": [0x00000000, 0x03000000, 0x04000000],
    "zero once its lower bytes are cut off": [0x00123456, 0x01003456, 0x02000056],
    "a negative zero of less than three bytes": [0x00923456, 0x01803456, 0x02800056],
    "a negative number of one byte": [0x01FEDCBA],
    "bytes that are cut off": [0x01123456, 0x02123456],
    "a canonical one below three bytes": [0x01120000, 0x02123400, 0x02008000],
    "an empty byte for the sign": [0x05009234, 0x1D00FFFF],
    "more than 256 bits": [0x21123456, 0x22000100],
}


@pytest.mark.parametrize(
    ("why", "bits"), [(why, bits) for why, all_bits in NO_FORM.items() for bits in all_bits]
)
def test_a_second_form_of_a_number_is_refused(why, bits):
    with pytest.raises(TargetError):
        expand(bits + (1 << 24))


@pytest.mark.parametrize("bits", [0xFF123456, 0xFFFFFFFF])
def test_an_exponent_that_bitcoin_calls_an_overflow_is_refused(bits):
    with pytest.raises(TargetError):
        expand(bits)


@pytest.mark.parametrize("bits", [0x03800000, 0x04800000, 0x04923456])
def test_where_bitcoin_has_a_sign_bit_we_have_a_bit_of_the_number(bits):
    """Bitcoin reads these as negative; we have no negative numbers and no second form of these."""
    number = (bits & 0xFFFFFF) << 8 * ((bits >> 24) - 3)
    assert expand(bits + (1 << 24)) == number
    assert compress(number) == bits + (1 << 24)
    assert bitcoin_compact(number) != bits


# Work

CHAINWORK = {
    0: 0x100010001,
    1: 0x200020002,
    100_000: 0x0644CB7F5234089E,
    200_000: 0x1AC073536B8DBAE81C,
    400_000: 0x122A24B77C62CD76004CDE,
    500_000: 0xCDA532266F9147B519E933,
    700_000: 0x216DD8DC61FDFFABB624FEEB,
    800_000: 0x4FC85AB3390629E495BF13D5,
    824_000: 0x63C4EBD298DB40AF57541800,
}
"""`chainwork` of explorers by height; the last is Bitcoin Core's nMinimumChainWork in
src/kernel/chainparams.cpp, with its height beside it."""


@pytest.mark.parametrize("height", CHAINWORK)
def test_the_work_of_the_chain_is_what_explorers_show(height):
    whole, rest = divmod(height + 1, PERIOD)
    blocks = [PERIOD] * whole + [rest]
    total = sum(
        count * work(expand(in_our_form(compact)))
        for count, compact in zip(blocks, TARGETS, strict=False)
    )
    assert total == CHAINWORK[height]


def test_the_work_of_a_run_of_headers_is_what_explorers_show():
    """A period's 2016 headers at a time, with our form in the place of Bitcoin's."""
    genesis = Header.decode(BLOCKS[0].raw)
    total = 0
    for count, compact in zip([PERIOD] * 49 + [1217], TARGETS, strict=False):
        raw = replace(genesis, target=in_our_form(compact)).encode()
        total += int.from_bytes(_kernels.total_work(raw * count), "little")
    assert total == CHAINWORK[100_000]
