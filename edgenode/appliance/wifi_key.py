"""What admits to a Wi-Fi network with a passphrase (WPA2-Personal)."""

from __future__ import annotations

import hashlib
import re

SSID_BYTES = range(1, 33)
"""IEEE 802.11, section 9.4.2.2: at most 32 bytes; none would mean any network."""

_PSK = re.compile(r"[0-9A-Fa-f]{64}")
_PASSPHRASE = re.compile(r"[ -~]{8,63}")
_ROUNDS = 4096


def pre_shared_key(passphrase: str, ssid: str) -> str:
    """The key of a network, as 64 hexadecimal digits in lower case.

    IEEE 802.11i-2004, section H.4: PBKDF2 with HMAC-SHA-1, the SSID as salt, 4096 rounds, 256
    bits. Only this network can be joined with it, so the passphrase itself is kept nowhere else.

    Args:
        passphrase: 8 to 63 printable ASCII characters, or the key itself in 64 hexadecimal digits.
        ssid: The network's name.

    Raises:
        ValueError: The passphrase is neither. The text does not repeat it.
    """
    if _PSK.fullmatch(passphrase):
        return passphrase.lower()
    if not _PASSPHRASE.fullmatch(passphrase):
        raise ValueError(
            "must be 8 to 63 characters of plain ASCII (letters, digits, signs, spaces), or the "
            f"64 hexadecimal digits of the key; it has {len(passphrase)} characters"
        )
    key = hashlib.pbkdf2_hmac("sha1", passphrase.encode("ascii"), ssid.encode(), _ROUNDS, dklen=32)
    return key.hex()
