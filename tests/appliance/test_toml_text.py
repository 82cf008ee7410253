"""What is written as TOML is read back as it was."""

import tomllib
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.toml_text import document_text, value_text

texts = st.text(st.characters(codec="utf-8"), max_size=20)
# TOML knows the offset of a time in minutes, and no name of a zone.
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
plain = (
    texts
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.dates()
    | st.times()
    | st.datetimes(timezones=st.none() | offsets)
)
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(texts, st.dictionaries(texts, values, max_size=3), max_size=3))
def test_every_document_reads_back(tables):
    assert tomllib.loads(document_text(tables)) == tables


@given(texts)
def test_a_text_stays_on_one_line_of_toml(text):
    assert "\n" not in value_text(text)


def test_an_integer_that_python_will_not_print_is_written_all_the_same():
    number = int("f" * 5000, 16)
    assert tomllib.loads(f"a = {value_text(number)}") == {"a": number}


def test_what_toml_has_no_type_for_is_refused():
    with pytest.raises(TypeError, match="bytes is no type of TOML"):
        value_text(b"x")
