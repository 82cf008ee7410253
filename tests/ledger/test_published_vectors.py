"""Other people's numbers through our code: aserti3-2d, RIPEMD-160, SHA-256.

Bitcoin's are in test_bitcoin_vectors.py, those of Ed25519 in test_signature_vectors.py.
"""

import pytest
from Crypto.Hash import RIPEMD160

from edgenode.ledger.difficulty import asert
from edgenode.ledger.hashes import hash160, sha256d
from edgenode.native import _kernels
from tests.ledger.published import DATA, bitcoin_compact, bitcoin_target


def native_asert(anchor: int, limit: int, seconds: int, half_life: int) -> int:
    found = _kernels.asert(
        anchor.to_bytes(32, "little"), limit.to_bytes(32, "little"), seconds, half_life
    )
    return int.from_bytes(found, "little")


@pytest.mark.parametrize("compute", [asert, native_asert])
@pytest.mark.parametrize("run", sorted(DATA.glob("run*")), ids=lambda path: path.name)
def test_asert_gives_the_published_targets(run, compute):
    lines = run.read_text().splitlines()
    said = dict(line[2:].strip().split(": ", 1) for line in lines if line.startswith("## "))
    anchor = bitcoin_target(int(said["anchor nBits"], 16))
    anchor_height = int(said["anchor height"])
    anchor_parent_time = int(said["anchor ancestor time"])
    rows = [line.split() for line in lines if line and line[0] != "#"]
    assert len(rows) == int(said["iterations"])
    for _, height, time, expected in rows:
        behind = int(time) - anchor_parent_time - 600 * (int(height) - anchor_height + 1)
        target = compute(anchor, bitcoin_target(0x1D00FFFF), behind, 172_800)
        assert bitcoin_compact(target) == int(expected, 16)


CAPITALS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = b"0123456789"


@pytest.mark.parametrize(
    ("message", "digest"),
    [  # Dobbertin, Bosselaers, Preneel: homes.esat.kuleuven.be/~bosselae/ripemd160.html
        (b"", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
        (b"a", "0bdc9d2d256b3ee9daae347be6f4dc835a467ffe"),
        (b"abc", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
        (b"message digest", "5d0689ef49d2fae572b881b123a85ffa21595f36"),
        (CAPITALS.lower(), "f71c27109c692c1b56bbdceb5b9d2865b3708dbc"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "12a053384a9c0c88e405a06c27dcf49ada62eb2b",
        ),
        (CAPITALS + CAPITALS.lower() + DIGITS, "b0e20b6e3116640286ed3a87a5713079b21f5189"),
        (b"1234567890" * 8, "9b752e45573d4b39f4dbd3323cab82bf63326bfb"),
        (b"a" * 1_000_000, "52783243c1697bdbe16d37f97f68f08325dc1528"),
    ],
    ids=range(9),
)
def test_ripemd_160_gives_its_authors_vectors(message, digest):
    assert RIPEMD160.new(message).hexdigest() == digest


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (  # the generator of secp256k1, whose address is 1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH
            "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        (  # BIP 143, native P2WPKH
            "025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357",
            "1d0f172a0ecb48aee1be1f2687d2963ae33f71a1",
        ),
    ],
)
def test_hash160_of_a_known_public_key_is_its_bitcoin_address_hash(key, digest):
    assert hash160(bytes.fromhex(key)).hex() == digest


@pytest.mark.parametrize(
    ("message", "digest"),
    [
        (b"", "5df6e0e2761359d30a8275058e299fcc0381534545f55cf43e41983f5d4c9456"),
        (b"hello", "9595c9df90075148eb06860365df33584b75bff782a510c6cd4883a419833d50"),
        (b"abc", "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"),
    ],
)
def test_sha256d_gives_the_digests_that_are_known(message, digest):
    assert sha256d(message).hex() == digest
