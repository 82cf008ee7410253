"""docs/gateway.md says what the code does: frames, proofs, reasons, constants."""

import hmac
import importlib

from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

from edgenode.ledger.keys import MemberKey, verify
from edgenode.protocol.gateway_door import Door
from edgenode.protocol.gateway_wire import (
    FRAME_LIMIT,
    Carried,
    Entry,
    Hello,
    Ping,
    Refusal,
    Refused,
    Welcome,
    encode_frame,
)
from edgenode.protocol.mappings import NotCarried
from edgenode.protocol.wire import Address, Socket
from tests.docs.markdown import DOCS, quoted, table_under, tables

TEXT = (DOCS / "gateway.md").read_text(encoding="utf-8")
WARD_KEY, GENESIS, KEY = b"w" * 32, b"g" * 32, MemberKey(b"k" * 32)
HELLO, NONCE = Hello(1, b"n" * 32), b"m" * 32
NODES = (Address("10.0.0.1", 7070), Address("fd00::1", 7070))


def test_the_constants_are_those_of_the_code():
    for dotted, value, _ in table_under(TEXT, "Bounds").rows:
        module, _, name = dotted.strip("`").rpartition(".")
        stated = float(value.removesuffix(" s"))
        assert getattr(importlib.import_module(f"edgenode.{module}"), name) == stated, dotted


def test_every_reason_not_to_carry_a_datagram_is_explained():
    (table,) = (t for t in tables(TEXT) if t.columns == ("reason", ""))
    assert [quoted(row[0])[0] for row in table.rows] == [reason.value for reason in NotCarried]


def test_the_frames_have_the_lengths_of_the_table():
    entry = Door(WARD_KEY, GENESIS).enter(HELLO, KEY, NONCE)
    bodies = {
        HELLO: 1 + 32,
        entry: 32 + 32 + 64 + 32,
        Welcome(bytes(32), 1, 2, NODES): 32 + 2 + 2 + 1 + 2 * 18,
        Refused(Refusal.FULL): 1,
        Carried(Socket.SYNC, NODES[0], b"datagram"): 1 + 18 + 8,
        Ping(): 0,
    }
    for number, (frame, length) in enumerate(bodies.items(), 1):
        assert encode_frame(frame)[:3] == (1 + length).to_bytes(2, "little") + bytes([number])
        assert TEXT.count(f"| {number} | ") == 1
    assert f"at most {FRAME_LIMIT}." in TEXT


def test_the_proofs_are_those_of_the_document():
    key = HKDF(WARD_KEY, 32, GENESIS, SHA256, context=b"edgenode gateway")
    door = Door(WARD_KEY, GENESIS)
    entry = door.enter(HELLO, KEY, NONCE)
    assert isinstance(entry, Entry)
    signed = b"edgenode gateway\1" + GENESIS + HELLO.nonce + NONCE
    assert verify(KEY.public, signed, entry.signature)
    said = b"box" + HELLO.nonce + NONCE + KEY.public
    assert entry.proof == hmac.digest(key, said, "sha256")
    welcome = door.welcome(HELLO, entry, (7080, 7081), NODES)
    after = encode_frame(welcome)[3 + 32 :]
    said = b"gateway" + HELLO.nonce + NONCE + KEY.public + after
    assert welcome.proof == hmac.digest(key, said, "sha256")
