"""The key of a Wi-Fi network is that of the standard."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.wifi_key import pre_shared_key
from tests.conftest import require_tool


@pytest.mark.parametrize(
    ("passphrase", "ssid", "psk"),
    [
        ("password", "IEEE", "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"),
        (
            "ThisIsAPassword",
            "ThisIsASSID",
            "0dc0d6eb90555ed6419756b9a15ec3e3209b63df707dd508d14581f8982721af",
        ),
        (
            "a" * 32,
            "Z" * 32,
            "becb93866bb8c3832cb777c2f559807c8c59afcb6eae734885001300a981cc62",
        ),
    ],
)
def test_the_vectors_of_ieee_802_11i_hold(passphrase, ssid, psk):
    assert pre_shared_key(passphrase, ssid) == psk


def test_wpa_passphrase_computes_the_same_key():
    tool = require_tool("wpa_passphrase", "wpasupplicant")
    for passphrase, ssid in (('q"u\\o te#', 'a "b" #c'), ("~" * 63, "Stationszimmer ü")):
        out = subprocess.run([tool, ssid, passphrase], capture_output=True, text=True, check=True)
        assert f"\tpsk={pre_shared_key(passphrase, ssid)}\n" in out.stdout


def test_a_key_in_hexadecimal_is_taken_as_it_is():
    assert pre_shared_key("0A" * 32, "any") == "0a" * 32


@given(st.text().filter(lambda t: not (t.isascii() and t.isprintable() and 8 <= len(t) <= 63)))
def test_anything_else_is_refused_and_not_repeated(passphrase):
    with pytest.raises(ValueError, match="8 to 63 characters") as caught:
        pre_shared_key(passphrase, "ssid")
    assert len(passphrase) < 4 or passphrase not in str(caught.value)
