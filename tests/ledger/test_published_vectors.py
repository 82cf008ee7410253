"""Other people's numbers through our code: Bitcoin, aserti3-2d, RIPEMD-160, Ed25519."""

from pathlib import Path

import pytest
from Crypto.Hash import RIPEMD160

from edgenode.ledger.difficulty import asert
from edgenode.ledger.hashes import display, from_display, hash160
from edgenode.ledger.header import Header
from edgenode.ledger.keys import MemberKey, verify
from edgenode.ledger.merkle import first_leaf_branch, fold, merkle_root
from edgenode.ledger.target import compress, expand, meets
from edgenode.native import _kernels

BITCOIN_GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac7"
    "2c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)

BLOCK_100000 = [
    "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
    "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
    "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
    "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
]


def test_bitcoins_genesis_header_has_its_hash():
    header = Header.decode(BITCOIN_GENESIS)
    expected = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
    assert display(header.id) == expected
    assert display(_kernels.sha256d_header(BITCOIN_GENESIS)) == expected
    assert header.encode() == BITCOIN_GENESIS
    assert header.nonce == 2083236893


def test_bitcoins_target_is_ours_with_the_exponent_shifted_by_one():
    bitcoin, ours = 0x1B0404CB, 0x1C0404CB
    assert expand(ours) == (bitcoin & 0xFFFFFF) << 8 * ((bitcoin >> 24) - 3)
    assert compress(expand(ours)) == ours


def test_bitcoins_block_100000_has_its_merkle_root_and_hash():
    root = merkle_root([from_display(txid) for txid in BLOCK_100000])
    assert display(root) == "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"
    header = Header(
        version=1,
        previous=from_display("000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250"),
        merkle_root=root,
        time=1293623863,
        target=0x1B04864C,
        nonce=274148111,
    )
    assert display(header.id) == "000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506"
    assert meets(header.id, expand(0x1C04864C))


def test_the_first_leafs_branch_folds_to_the_same_root():
    leaves = [from_display(txid) for txid in BLOCK_100000]
    for count in range(1, 5):
        assert fold(leaves[0], first_leaf_branch(leaves[:count])) == merkle_root(leaves[:count])


def bitcoin_target(compact: int) -> int:
    mantissa, size = compact & 0x7FFFFF, compact >> 24
    return mantissa << 8 * (size - 3) if size >= 3 else mantissa >> 8 * (3 - size)


def bitcoin_compact(target: int) -> int:
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


@pytest.mark.parametrize(
    "run", sorted((Path(__file__).parent / "data").glob("run*")), ids=lambda path: path.name
)
def test_asert_gives_the_published_targets(run):
    lines = run.read_text().splitlines()
    said = dict(line[2:].strip().split(": ", 1) for line in lines if line.startswith("## "))
    anchor = bitcoin_target(int(said["anchor nBits"], 16))
    anchor_height = int(said["anchor height"])
    anchor_parent_time = int(said["anchor ancestor time"])
    rows = [line.split() for line in lines if line and line[0] != "#"]
    assert len(rows) == int(said["iterations"])
    for _, height, time, expected in rows:
        behind = int(time) - anchor_parent_time - 600 * (int(height) - anchor_height + 1)
        target = asert(anchor, bitcoin_target(0x1D00FFFF), behind, 172_800)
        assert bitcoin_compact(target) == int(expected, 16)


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
    ],
)
def test_ripemd_160_gives_its_authors_vectors(message, digest):
    assert RIPEMD160.new(message).hexdigest() == digest


def test_hash160_of_a_known_public_key_is_its_bitcoin_address_hash():
    key = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    assert hash160(key).hex() == "751e76e8199196d454941c45d1b3a323f1433bd6"


@pytest.mark.parametrize(
    ("seed", "public", "message", "signature"),
    [
        (  # RFC 8032, section 7.1, test 1
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e"
            "39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (  # test 2
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f"
            "3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ],
)
def test_ed25519_gives_the_rfc_8032_vectors(seed, public, message, signature):
    key = MemberKey(bytes.fromhex(seed))
    assert key.public.hex() == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    assert verify(key.public, bytes.fromhex(message), bytes.fromhex(signature))
    assert not verify(key.public, bytes.fromhex(message) + b"x", bytes.fromhex(signature))


def test_a_signature_with_the_group_order_added_is_refused():
    order = 2**252 + 27742317777372353535851937790883648493
    key = MemberKey(bytes(32))
    signature = key.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + order
    malleated = signature[:32] + scalar.to_bytes(32, "little")
    assert verify(key.public, b"message", signature)
    assert not verify(key.public, b"message", malleated)
