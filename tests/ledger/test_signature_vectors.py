"""Published Ed25519 vectors, and the edge cases that docs/ledger.md decides."""

import hashlib

import pytest

from edgenode.ledger.keys import MemberKey, is_public_key, verify
from tests.ledger.published import rows

PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493

SMALL = [
    # The eight points of small order in their one encoding: of order 1, 2, 4 (two), 8 (four).
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


def test_ed25519_gives_the_rfc_8032_vectors():
    vectors = rows("ed25519_rfc8032")
    assert [len(message) // 2 for _, _, message, _ in vectors] == [0, 1, 2, 1023, 64]
    for seed, public, message, signature in vectors:
        key, signed = MemberKey(bytes.fromhex(seed)), bytes.fromhex(message.strip("-"))
        assert key.public.hex() == public
        assert key.sign(signed).hex() == signature
        assert verify(key.public, signed, bytes.fromhex(signature))
        assert not verify(key.public, signed + b"x", bytes.fromhex(signature))


@pytest.mark.parametrize("bit", [0, 100, 255, 256, 400, 511])
def test_a_signature_with_one_bit_changed_is_refused(bit):
    key = MemberKey(bytes(32))
    signature = bytearray(key.sign(b"message"))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(key.public, b"message", bytes(signature))


# "Taming the many EdDSAs", table 6: A is the key, "mixed" is of large order with a small part.
SPECCHECK = {
    0: (False, "A is of small order: anybody could sign for it"),
    1: (False, "A is of small order"),
    2: (True, "only R is of small order, which is accepted"),
    3: (True, "A and R are mixed, and the equation holds with the cofactor and without"),
    4: (True, "it holds with the cofactor only"),
    5: (True, "it holds with the cofactor only, k reduced before it is multiplied by 8 or not"),
    6: (False, "S is above L"),
    7: (False, "S is far above L"),
    8: (False, "R is no encoding: x is 0 and its sign is set"),
    9: (False, "R is no encoding: x is 0 and its sign is set"),
    10: (False, "A is no encoding: x is 0 and its sign is set"),
    11: (False, "A is no encoding: x is 0 and its sign is set"),
}


@pytest.mark.parametrize("number", SPECCHECK)
def test_the_vectors_that_tell_verifiers_apart_are_judged_as_the_ledger_says(number):
    public, message, signature = map(bytes.fromhex, rows("ed25519_speccheck")[number])
    accepted, why = SPECCHECK[number]
    assert verify(public, message, signature) == accepted, why
    assert is_public_key(public) == (number not in {0, 1, 10, 11}), why


@pytest.mark.parametrize("vector", [6, 7])
def test_the_vectors_with_too_large_an_s_are_good_but_for_it(vector):
    """With S reduced they verify: it is the bound that refuses them."""
    public, message, signature = map(bytes.fromhex, rows("ed25519_speccheck")[vector])
    scalar = int.from_bytes(signature[32:], "little")
    assert scalar >= ORDER
    assert verify(public, message, with_scalar(signature[:32], scalar % ORDER))


def with_scalar(point, scalar):
    return point + scalar.to_bytes(32, "little")


@pytest.mark.parametrize("times", [1, 2, 7])
def test_a_signature_with_the_group_order_added_is_refused(times):
    key = MemberKey(bytes(32))
    signature = key.sign(b"message")
    scalar = int.from_bytes(signature[32:], "little")
    assert verify(key.public, b"message", signature)
    assert not verify(key.public, b"message", with_scalar(signature[:32], scalar + times * ORDER))


@pytest.mark.parametrize("encoding", SMALL)
def test_a_key_of_small_order_is_refused(encoding):
    point = bytes.fromhex(encoding)
    assert not is_public_key(point)
    # With S = 0 and R of small order the equation with the cofactor holds for every message.
    assert not verify(point, b"message", with_scalar(bytes.fromhex(SMALL[0]), 0))


def secret_scalar(seed):
    """RFC 8032, section 5.1.5, steps 1 to 3."""
    half = bytearray(hashlib.sha512(seed).digest()[:32])
    half[0] &= 248
    half[31] = half[31] & 63 | 64
    return int.from_bytes(half, "little")


def signed_with(point, key, message):
    """What the cofactored equation accepts for an R of small order: S = k·a."""
    k = int.from_bytes(hashlib.sha512(point + key.public + message).digest(), "little")
    return with_scalar(point, k * secret_scalar(key.seed) % ORDER)


@pytest.mark.parametrize("encoding", SMALL)
def test_an_r_of_small_order_is_accepted(encoding):
    key = MemberKey(bytes(32))
    assert verify(key.public, b"message", signed_with(bytes.fromhex(encoding), key, b"message"))


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", [0, 1])
def test_an_r_whose_y_is_not_reduced_is_refused(y, sign):
    """Its signature holds, with the hash over the bytes as they are and R of small order."""
    key = MemberKey(bytes(32))
    reduced, unreduced = (
        (number | sign << 255).to_bytes(32, "little") for number in (y, y + PRIME)
    )
    assert verify(key.public, b"message", signed_with(reduced, key, b"message")) == (
        (y, sign) != (1, 1)  # x is 0 there, and has no sign
    )
    assert not verify(key.public, b"message", signed_with(unreduced, key, b"message"))


def test_a_key_whose_y_is_not_reduced_is_refused():
    """All that there are: y from the field's prime to the end of 255 bits, of either sign."""
    accepted = 0
    for y in range(19):
        for sign in (0, 1):
            reduced, unreduced = (
                (number | sign << 255).to_bytes(32, "little") for number in (y, y + PRIME)
            )
            accepted += is_public_key(reduced)
            assert not is_public_key(unreduced)
    assert accepted, "some of these are points, but for the encoding"


@pytest.mark.parametrize("encoding", [(1 | 1 << 255), (PRIME - 1 | 1 << 255)])
def test_a_key_whose_x_is_zero_has_no_sign(encoding):
    assert not is_public_key(encoding.to_bytes(32, "little"))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length):
    assert not is_public_key(bytes(length))
    assert not verify(bytes(length), b"message", bytes(64))


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(length):
    key = MemberKey(bytes(32))
    assert not verify(key.public, b"message", (key.sign(b"message") + b"\0")[:length])
