"""Public keys of people who may log in, one line each as ssh-keygen writes them (sshd(8))."""

from __future__ import annotations

import base64
import binascii
import re

_ECDSA_POINT_BYTES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
# RFC 8709: a point of Curve25519.
_ED25519_BYTES = 32
# What sshd of Debian 12 accepts at least is 1024; NIST SP 800-131A asks for 2048.
_RSA_BITS = 2048
# An RSA key of 16384 bits, sshd's limit, is 3 kB.
_LINE_LIMIT = 8192

TYPES = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)
"""Types of key that may log in; DSA is no longer among them."""

_EXAMPLE = "write the line of a .pub file, such as ssh-ed25519 AAAA… anna@pc"
_CONTROL = re.compile(r"[^ -~\x80-\U0010ffff]|[\x80-\x9f\u2028\u2029]")


def public_key_line(text: str) -> str:
    """A line for authorized_keys: type, key, comment, with one space between them.

    Raises:
        ValueError: It is no public key of a known type. The text does not repeat what was
            given, which may be a private key.
    """
    if "PRIVATE KEY" in text:
        raise ValueError(
            "is a private key, which must never leave its owner's computer; take the file that "
            "ends in .pub, and make a new pair if this one was on the card"
        )
    if len(text) > _LINE_LIMIT:
        raise ValueError(f"has {len(text)} characters, more than any key; {_EXAMPLE}")
    if _CONTROL.search(text.strip()):
        raise ValueError(f"has a line break or another control character in it; {_EXAMPLE}")
    kind, _, rest = text.strip().partition(" ")
    if kind not in TYPES:
        raise ValueError(f"begins with no known type of key ({', '.join(TYPES)}); {_EXAMPLE}")
    encoded, _, comment = rest.strip().partition(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            f"has a second word that is not base64: is it cut off? {_EXAMPLE}"
        ) from None
    if not _is_key(kind, blob):
        raise ValueError(
            f"has a second word that is no whole key of type {kind}: is it cut off? {_EXAMPLE}"
        )
    return " ".join(part for part in (kind, encoded, comment.strip()) if part)


def _is_key(kind: str, blob: bytes) -> bool:
    """Whether the fields of the key's wire form (RFC 4253, section 6.6) are those of its type."""
    fields = _fields(blob)
    if not fields or fields[0] != kind.encode():
        return False
    values = fields[1:]
    name, _, _ = kind.removeprefix("sk-").partition("@")
    if kind.startswith("sk-"):  # PROTOCOL.u2f of OpenSSH: the last field is the application
        if not values or not values[-1]:
            return False
        values = values[:-1]
    if name == "ssh-rsa":
        return len(values) == 2 and _is_positive(values[0]) and _is_modulus(values[1])
    if name == "ssh-ed25519":
        return len(values) == 1 and len(values[0]) == _ED25519_BYTES
    curve = name.removeprefix("ecdsa-sha2-")
    return (
        len(values) == 2
        and values[0] == curve.encode()
        and len(values[1]) == _ECDSA_POINT_BYTES[curve]
        and values[1][0] == 4  # RFC 5656: an uncompressed point
    )


def _fields(blob: bytes) -> list[bytes]:
    """The length-prefixed fields; none where they do not fill the bytes exactly."""
    fields = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        if len(blob) < 4 or len(blob) < end:
            return []
        fields.append(blob[4:end])
        blob = blob[end:]
    return fields


def _is_positive(number: bytes) -> bool:
    return bool(number) and not number[0] & 0x80 and any(number)


def _is_modulus(number: bytes) -> bool:
    return _is_positive(number) and int.from_bytes(number, "big").bit_length() >= _RSA_BITS
