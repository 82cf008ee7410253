"""Payloads: what each codec keeps of an update, and what is no payload."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.learning.quantization import Quantized, largest, quantize
from edgenode.learning.update_codec import (
    Codec,
    CodingError,
    decode,
    encode,
    pack,
    payload_lengths,
    unpack,
)

CODED = [codec for codec in Codec if codec is not Codec.INT32]
LOSSY = [codec for codec in Codec if codec.is_lossy]
ANY_DIFFERENCE = st.integers(-(2**31), 2**31 - 1)


def trained(count=20_000, seed=0):
    """Differences as training makes them: many small ones, layers of different spread."""
    rng = np.random.default_rng(seed)
    spread = np.repeat([300, 4000, 50], [count // 2, count // 4, count - count // 2 - count // 4])
    return (rng.laplace(0, 1, count) * spread).astype(np.int32)


def distance(codec, delta):
    return np.linalg.norm(decode(encode(delta, codec), len(delta), codec) - delta.astype(float))


@given(st.lists(ANY_DIFFERENCE, max_size=50), st.sampled_from(Codec))
def test_every_update_has_a_payload_of_an_allowed_length(values, codec):
    delta = np.array(values, np.int32)
    payload = encode(delta, codec)
    assert len(payload) in payload_lengths(len(delta), codec)
    assert decode(payload, len(delta), codec).shape == delta.shape


@pytest.mark.parametrize("codec", [Codec.INT32, Codec.EXACT])
def test_an_exact_codec_loses_nothing(codec):
    delta = trained()
    assert np.array_equal(decode(encode(delta, codec), len(delta), codec), delta)


def test_an_exact_codec_says_all_or_nothing():
    """Full 32 bits at random take more bytes than it may have; training makes nothing like it."""
    rng = np.random.default_rng(1)
    random = rng.integers(-(2**31), 2**31, 1000).astype(np.int32)
    for lowest in (random[0], -(2**31)):
        random[0] = lowest
        with pytest.raises(CodingError, match="no payload of EXACT with 6 to 4016 bytes"):
            encode(random, Codec.EXACT)


@pytest.mark.parametrize(
    ("count", "most", "kept"),
    [
        (1, (5, 20, 17, 17, 17, 17, 17), (1, 1, 1)),
        (7, (29, 44, 23, 18, 18, 18, 17), (1, 1, 1)),
        (101, (405, 420, 117, 42, 42, 42, 29), (11, 6, 2)),
        (150, (601, 616, 166, 54, 54, 54, 35), (15, 8, 2)),
    ],
)
def test_how_long_a_payload_may_be_and_how_many_differences_it_has(count, most, kept):
    assert tuple(payload_lengths(count, codec).most for codec in Codec) == most
    for codec, allowed in zip((Codec.TOP10, Codec.TOP5, Codec.TOP1), kept, strict=True):
        numbers = np.zeros(count, np.int32)
        numbers[:allowed] = 1
        assert decode(pack(Quantized(numbers, 0), codec), count, codec).sum() == allowed
        if allowed < count:
            numbers[allowed] = 1
            with pytest.raises(CodingError, match="other than 0"):
                decode(pack(Quantized(numbers, 0), codec), count, codec)


def test_the_lowest_difference_is_one_more_where_it_is_coded():
    """-2^31 has no counterpart; a difference that was saturated there was further off anyway."""
    lowest = np.array([-(2**31)], np.int32)
    assert decode(encode(lowest, Codec.INT32), 1, Codec.INT32)[0] == -(2**31)
    assert decode(encode(lowest, Codec.EXACT), 1, Codec.EXACT)[0] == -(2**31) + 1


def test_each_codec_is_shorter_than_the_one_before_and_says_less():
    delta = trained()
    lengths = [len(encode(delta, codec)) for codec in Codec]
    assert lengths == sorted(lengths, reverse=True)
    losses = [distance(codec, delta) for codec in (Codec.EXACT, Codec.INT8, Codec.INT4)]
    assert losses == sorted(losses)
    losses = [distance(codec, delta) for codec in (Codec.TOP10, Codec.TOP5, Codec.TOP1)]
    assert losses == sorted(losses)
    assert losses[-1] < np.linalg.norm(delta)


@pytest.mark.parametrize(("codec", "bits"), [(Codec.INT8, 8), (Codec.INT4, 4)])
def test_a_difference_is_off_by_half_a_step_or_cut_off(codec, bits):
    delta = trained()
    quantized = unpack(encode(delta, codec), len(delta), codec)
    step, longest = 2**quantized.shift, 2 ** (bits - 1) - 1
    error = np.abs(quantized.numbers.astype(np.int64) * step - delta)
    within = np.abs(delta) <= longest * step
    assert error[within].max() <= step // 2
    assert (np.abs(quantized.numbers[~within]) == longest).all(), "the furthest are cut off"


@pytest.mark.parametrize("codec", LOSSY)
def test_no_other_shift_of_an_allowed_length_comes_nearer(codec):
    delta = trained()
    kept = {Codec.TOP10: 2000, Codec.TOP5: 1000, Codec.TOP1: 200}.get(codec, len(delta))
    wanted = largest(delta.astype(np.int64), kept)
    chosen = unpack(encode(delta, codec), len(delta), codec)
    for shift in range(31):
        other = quantize(wanted, shift, 4 if codec is Codec.INT4 else 8)
        try:
            pack(other, codec)
        except CodingError:
            continue
        assert chosen.distance(wanted) <= other.distance(wanted)


def test_rounding_is_half_to_even():
    delta = np.array([8, 24, -8, -24, 9, 7 * 16], np.int32)  # with shift 4: ±0.5, ±1.5, 0.56, 7
    quantized = unpack(encode(delta, Codec.INT4), len(delta), Codec.INT4)
    assert quantized.shift == 4
    assert quantized.numbers.tolist() == [0, 2, 0, -2, 1, 7]


@pytest.mark.parametrize(
    ("codec", "one_in"), [(Codec.TOP10, 10), (Codec.TOP5, 20), (Codec.TOP1, 100)]
)
def test_only_the_furthest_are_kept(codec, one_in):
    delta = trained()
    kept = np.flatnonzero(decode(encode(delta, codec), len(delta), codec))
    assert len(kept) <= len(delta) // one_in
    assert np.abs(delta[kept]).min() >= np.sort(np.abs(delta))[-len(delta) // one_in]


@pytest.mark.parametrize("codec", CODED)
def test_more_differences_than_a_codec_allows_are_no_payload(codec):
    count = 1000
    allowed = {Codec.TOP10: 100, Codec.TOP5: 50, Codec.TOP1: 10}.get(codec, count)
    numbers = np.zeros(count, np.int32)
    numbers[:allowed] = 1
    payload = pack(Quantized(numbers, 0), codec)
    assert np.count_nonzero(decode(payload, count, codec)) == allowed
    if allowed < count:
        numbers[allowed] = 1
        with pytest.raises(CodingError, match=f"{allowed + 1} numbers other than 0"):
            decode(pack(Quantized(numbers, 0), codec), count, codec)


@pytest.mark.parametrize("codec", CODED)
def test_a_shift_that_leaves_32_bits_is_no_payload(codec):
    bits = {Codec.EXACT: 32, Codec.INT4: 4}.get(codec, 8)
    furthest = np.array([-(2 ** (bits - 1) - 1)], np.int32)
    payload = pack(Quantized(furthest, 32 - bits), codec)
    assert decode(payload, 1, codec)[0] == furthest[0] * 2 ** (32 - bits)
    with pytest.raises(CodingError, match=f"shift {33 - bits} leaves 32 bits"):
        decode(pack(Quantized(furthest, 33 - bits), codec), 1, codec)
    one = np.array([1], np.int32)
    assert decode(pack(Quantized(one, 30), codec), 1, codec)[0] == 2**30
    with pytest.raises(CodingError, match="shift of 31"):
        decode(pack(Quantized(one, 31), codec), 1, codec)
    for two in (2, -2):  # the lowest that int32 holds is among them
        with pytest.raises(CodingError, match="shift 30 leaves 32 bits"):
            decode(pack(Quantized(np.array([two], np.int32), 30), codec), 1, codec)


@pytest.mark.parametrize("codec", Codec)
def test_bytes_of_another_length_codec_or_model_are_no_payload(codec):
    delta = trained(400)
    payload = encode(delta, codec)
    for other in (payload[:-1], payload + b"\0", payload[:4], b""):
        with pytest.raises(CodingError):
            decode(other, len(delta), codec)
    for other in Codec:
        if other is not codec:
            with pytest.raises(CodingError):
                decode(payload, len(delta), other)
    for count in (len(delta) // 2, len(delta) * 2):  # a number more may take less than a byte
        with pytest.raises(CodingError):
            decode(payload, count, codec)


def test_what_would_take_too_many_bytes_is_not_coded():
    """One in twenty, evenly spread and each as unusual as can be, is more than training makes."""
    rng = np.random.default_rng(1)
    dense = Quantized(rng.integers(-127, 128, 5000).astype(np.int32), 0)
    with pytest.raises(CodingError, match=r"no payload of TOP1 with 6 to 641 bytes"):
        pack(dense, Codec.TOP1)


@pytest.mark.parametrize("codec", LOSSY)
@pytest.mark.parametrize("seed", range(20))
def test_no_update_however_strange_is_too_long(codec, seed):
    """Uniform, alternating, bursts and outliers, far from what the coder is made for."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 3000))
    shapes = [
        rng.integers(-(2**31), 2**31, count),
        np.resize([0, 127, -1, 64, 0, -127, 3, 15], count) << int(rng.integers(0, 20)),
        np.where(np.arange(count) // 50 % 2, rng.integers(-(2**20), 2**20, count), 0),
        np.where(rng.random(count) < 0.01, 2**31 - 1, rng.integers(-9, 9, count)),
    ]
    for delta in shapes:
        payload = encode(delta.astype(np.int32), codec)
        assert len(payload) in payload_lengths(count, codec)
