"""The bytes of the IMU service."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgenode.collector.imu_service import (
    MAX_SAMPLES,
    AnnotationMark,
    Description,
    MalformedValueError,
    Samples,
    decode_annotation,
    decode_description,
    decode_samples,
    encode_annotation,
    encode_description,
    encode_samples,
    samples_per_notification,
)

indices = st.integers(0, 2**32 - 1)
values = st.integers(1, MAX_SAMPLES).flatmap(lambda k: hnp.arrays(np.int16, (k, 6)))
any_value = st.binary(max_size=512)


@given(indices, values)
def test_samples_survive_encoding_and_decoding(first, counts):
    encoded = encode_samples(Samples(first, counts))
    decoded = decode_samples(encoded)
    assert decoded.first == first
    assert decoded.values.dtype == np.int16
    np.testing.assert_array_equal(decoded.values, counts)
    assert len(encoded) <= 512


@given(indices, st.integers(0, 7))
def test_annotations_survive_encoding_and_decoding(first, code):
    mark = AnnotationMark(first, code)
    assert decode_annotation(encode_annotation(mark)) == mark


@given(st.integers(1_000, 10_000_000), st.integers(1, 65535), st.integers(1, 65535))
def test_descriptions_survive_encoding_and_decoding(rate, per_g, per_radian):
    description = Description(rate, per_g, per_radian)
    assert decode_description(encode_description(description)) == description


def test_the_bytes_are_those_of_the_documentation():
    values = np.array([[1, -1, 256, 0, 0, -32768]], np.int16)
    assert encode_samples(Samples(0x01020304, values)).hex() == "0403020101" + (
        "0100ffff0001000000000080"
    )
    assert encode_annotation(AnnotationMark(0x01020304, 7)).hex() == "0403020107"
    assert encode_description(Description(50_000, 4096, 1024)).hex() == "010650c3000000100004"


@given(any_value)
@example(b"")
@example(bytes(512))
def test_any_bytes_are_samples_or_a_malformed_value(value):
    try:
        decoded = decode_samples(value)
    except MalformedValueError:
        return
    assert encode_samples(decoded) == value


@given(st.binary(max_size=8) | any_value)
def test_any_bytes_are_an_annotation_or_a_malformed_value(value):
    try:
        decoded = decode_annotation(value)
    except MalformedValueError:
        return
    assert encode_annotation(decoded) == value


@given(st.binary(max_size=9).map(lambda tail: b"\x01" + tail) | any_value)
def test_any_bytes_are_a_description_or_a_malformed_value(value):
    try:
        decoded = decode_description(value)
    except MalformedValueError:
        return
    assert encode_description(decoded) == value


@given(indices, values, st.data())
def test_a_truncated_or_extended_notification_is_malformed(first, counts, data):
    encoded = encode_samples(Samples(first, counts))
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(MalformedValueError):
        decode_samples(encoded[:cut])
    with pytest.raises(MalformedValueError):
        decode_samples(encoded + b"\0")


@pytest.mark.parametrize(
    "samples",
    [
        Samples(-1, np.zeros((1, 6), np.int16)),
        Samples(2**32, np.zeros((1, 6), np.int16)),
        Samples(0, np.zeros((0, 6), np.int16)),
        Samples(0, np.zeros((MAX_SAMPLES + 1, 6), np.int16)),
        Samples(0, np.zeros((1, 5), np.int16)),
        Samples(0, np.zeros((1, 6), np.int32)),
    ],
)
def test_samples_out_of_bounds_are_not_encoded(samples):
    with pytest.raises(ValueError, match=r"index|values|samples"):
        encode_samples(samples)


@pytest.mark.parametrize(
    "description", [Description(999, 1, 1), Description(50_000, 0, 1), Description(1 << 32, 1, 1)]
)
def test_descriptions_out_of_bounds_are_not_encoded(description):
    with pytest.raises(ValueError, match=r"description|Description"):
        encode_description(description)


@pytest.mark.parametrize("mark", [AnnotationMark(-1, 0), AnnotationMark(0, 8)])
def test_annotations_out_of_bounds_are_not_encoded(mark):
    with pytest.raises(ValueError, match="out of bounds"):
        encode_annotation(mark)


@pytest.mark.parametrize(("mtu", "samples"), [(23, 1), (185, 14), (247, 19), (517, 42), (4000, 42)])
def test_a_notification_holds_what_the_mtu_allows(mtu, samples):
    assert samples_per_notification(mtu) == samples
    encoded = encode_samples(Samples(0, np.zeros((samples, 6), np.int16)))
    assert len(encoded) <= mtu - 3


def test_an_mtu_below_the_standard_minimum_is_refused():
    with pytest.raises(ValueError, match="does not carry"):
        samples_per_notification(19)
