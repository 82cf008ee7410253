"""docs/gossip.md says what the code does: layouts, messages, reasons, constants."""

import hashlib
import hmac
import importlib
import inspect
import re

import pytest
from Crypto.Cipher import ChaCha20_Poly1305
from Crypto.Protocol.DH import import_x25519_private_key, import_x25519_public_key, key_agreement

from edgenode.ledger.header import Header
from edgenode.ledger.keys import verify
from edgenode.protocol import catch_up, handshake_messages, relay, wire
from edgenode.protocol.beacon import Beacon
from edgenode.protocol.channel import Channel
from edgenode.protocol.drops import Drop
from edgenode.protocol.gate import Gate
from edgenode.protocol.handshake_messages import Accept, Hello, Introduction, Offer, Welcome
from edgenode.protocol.layout import Layout
from edgenode.protocol.wire import (
    Absent,
    Address,
    Addresses,
    Chunk,
    GetAddresses,
    GetChunks,
    GetHeaders,
    GetTransactions,
    Goodbye,
    Headers,
    Holding,
    Holdings,
    Message,
    NewBlock,
    NewTransaction,
    ObjectKind,
    Reason,
    Status,
    Tip,
)
from tests.docs.layouts import assert_gapless, cut, fields, fixed_length
from tests.docs.markdown import DOCS, quoted, table_under, tables
from tests.protocol.test_handshake import GENESIS, answerer_of, recorded

TEXT = (DOCS / "gossip.md").read_text(encoding="utf-8")

HEAD, OTHER = bytes(range(32)), bytes(range(100, 132))
TIP = Tip(HEAD, 0x01020304, 0x0506, 9)
HEADERS = tuple(Header(1, HEAD, OTHER, n, 0x1F00FFFF, n) for n in (7, 8))
RAW_HEADERS = b"".join(header.encode() for header in HEADERS)


def le(number: int, length: int) -> bytes:
    return number.to_bytes(length, "little")


LAYOUT = Layout(True, Address("10.0.0.7", 7071))
WHO = Introduction(OTHER, 77, 88, LAYOUT, bytes(range(64)))
HANDSHAKE = {1: Hello, 2: Welcome, 3: Offer, 4: Accept}

Part = Beacon | Message | Tip | Introduction | Welcome | Offer | Accept

CASES: dict[str, tuple[Part, int, dict[str, bytes]]] = {
    "Tip": (TIP, 0, {"head": HEAD, "height": le(0x01020304, 4), "work": le(0x0506, 32),
             "justified": le(9, 4)}),
    "Hello and Welcome": (
        Welcome(OTHER[:16], HEAD[:16]),
        0,
        {"version": le(4, 2), "nonce": OTHER[:16], "cookie": HEAD[:16]},
    ),
    "Introduction": (
        WHO,
        0,
        {"member": OTHER, "instance": le(77, 8), "index": le(88, 4), "sync": le(1, 1),
         "broadcast host": bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 7]),
         "broadcast port": le(7071, 2), "signature": bytes(range(64))},
    ),
    "Offer": (
        Offer(OTHER[:16], HEAD[:16], HEAD, WHO),
        0,
        {"nonce": OTHER[:16], "cookie": HEAD[:16], "ephemeral key": HEAD,
         "introduction": WHO.encode()},
    ),
    "Accept": (
        Accept(99, HEAD, WHO),
        0,
        {"index": le(99, 4), "ephemeral key": HEAD, "introduction": WHO.encode()},
    ),
    "Status": (
        Status(TIP, 5, 6, 7, (bytes(20), HEAD[:20])),
        1,
        {"tip": TIP.encode(), "sequence": le(5, 4), "echo": le(6, 4), "held": le(7, 4),
         "count": le(2, 1), "id": HEAD[:20]},
    ),
    "Addresses": (
        Addresses((Address("fe80::1", 1), Address("10.0.0.7", 7070))),
        1,
        {"count": le(2, 1), "address": bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 7]),
         "port": le(7070, 2)},
    ),
    "GetHeaders": (GetHeaders((HEAD, OTHER)), 1, {"count": le(2, 1), "id": OTHER}),
    "Headers": (Headers(RAW_HEADERS), 1, {"count": le(2, 1), "header": HEADERS[1].encode()}),
    "GetChunks": (
        GetChunks(ObjectKind.PAYLOAD, HEAD, 9, ((1, 2), (300, 3))),
        1,
        {"object": le(2, 1), "id": HEAD, "tag": le(9, 4), "count": le(2, 1),
         "first": le(300, 4), "chunks": le(3, 2)},
    ),
    "Chunk": (
        Chunk(9, 1, 1132, 77, b"ab"),
        0,
        {"tag": le(9, 4), "index": le(1, 4), "length": le(1132, 4), "time": le(77, 4),
         "data": b"ab"},
    ),
    "Absent": (Absent(ObjectKind.BLOCK, HEAD), 0, {"object": le(1, 1), "id": HEAD}),
    "GetTransactions": (
        GetTransactions((bytes(20), HEAD[:20])), 1, {"count": le(2, 1), "id": HEAD[:20]}
    ),
    "Discovery": (
        Beacon(bytes(range(32)), 77, Address("10.0.0.7", 7070), bytes(range(64))),
        0,
        {"number": le(5, 1), "version": le(4, 2), "member": bytes(range(32)),
         "instance": le(77, 8), "address": bytes(10) + b"\xff\xff" + bytes([10, 0, 0, 7]),
         "port": le(7070, 2), "signature": bytes(range(64))},
    ),
    "Goodbye": (Goodbye(Reason.CROWDED), 0, {"reason": le(2, 1)}),
    "NewTransaction": (NewTransaction(b"raw"), 0, {"transaction": b"raw"}),
    "NewBlock": (
        NewBlock(HEADERS[0], TIP), 0, {"header": HEADERS[0].encode(), "tip": TIP.encode()}
    ),
}  # fmt: skip


@pytest.mark.parametrize("heading", CASES)
def test_a_message_has_the_documented_layout(heading):
    message, index, expected = CASES[heading]
    layout = fields(table_under(TEXT, heading))
    assert_gapless(layout)
    assert {field.name for field in layout} == set(expected)
    assert cut(layout, message.encode(), index) == expected


def test_a_welcome_has_the_bytes_of_a_hello():
    assert Welcome(HEAD[:16], bytes(16)).encode() == Hello(HEAD[:16]).encode()
    assert fixed_length(fields(table_under(TEXT, "Hello and Welcome"))) == 34


def test_every_message_has_a_section():
    table = table_under(TEXT, "Messages")
    stated = {int(number): quoted(name)[0] for number, name, *_ in table.rows}
    assert stated == {number: kind.__name__ for number, kind in wire._KINDS.items()}
    sections = {name for heading in CASES for name in heading.split(" and ")}
    sections |= {"GetAddresses", "Holdings"}
    assert set(stated.values()) <= sections
    assert GetAddresses().encode() == b""


def test_holdings_have_the_documented_layout():
    whole, each = (t for t in tables(TEXT[TEXT.index("### Holdings") :])[:2])
    assert [row[2] for row in whole.rows] == ["count"]
    layout = fields(each)
    assert_gapless(layout)
    holding = Holding(ObjectKind.PAYLOAD, HEAD, 11, 0b101_0000_0001)
    data = Holdings((holding,)).encode()
    assert data[:1] == b"\x01"
    assert cut(layout, data[1:]) == {
        "object": le(2, 1), "id": HEAD, "pieces": le(11, 2), "held": bytes([0b1, 0b101]),
    }  # fmt: skip


def test_the_broadcast_socket_takes_what_is_stated():
    (row,) = (row for row in table_under(TEXT, "Two sockets").rows if "broadcast" in row[0])
    assert set(quoted(row[2])) == {kind.__name__ for kind in wire.BROADCAST_KINDS}


def test_every_handshake_message_has_its_number():
    assert handshake_messages._KINDS == HANDSHAKE
    section = TEXT[TEXT.index("Each message begins with its number") :].split("\n\n")[0]
    for number, kind in HANDSHAKE.items():
        assert f"`{kind.__name__}` {number}" in section
    assert fixed_length(fields(table_under(TEXT, "Offer"))) == 191
    assert fixed_length(fields(table_under(TEXT, "Accept"))) == 163


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int = 32) -> bytes:
    """RFC 5869, extract and expand."""
    extracted = hmac.digest(salt, secret, "sha256")
    out, block = b"", b""
    for number in range(1, length // 32 + 1):
        block = hmac.digest(extracted, block + info + bytes([number]), "sha256")
        out += block
    return out


WARD_KEY = bytes([9]) * 32


def test_a_datagram_of_the_gate_opens_by_the_documented_key_and_layout():
    nonce = bytes(range(24))
    gate = Gate(WARD_KEY, HEAD, lambda _: nonce)
    datagram = gate.seal(b"what is said")
    layout = fields(table_under(TEXT, "Gate"))
    assert_gapless(layout)
    parts = cut(layout, datagram)
    assert (parts["form"], parts["nonce"]) == (b"\x02", nonce)
    key = hmac.digest(hkdf(WARD_KEY, HEAD, b"edgenode gate"), nonce, "sha256")
    cipher = ChaCha20_Poly1305.new(key=key, nonce=bytes(12))
    sealed = parts["ciphertext"]
    assert cipher.decrypt_and_verify(sealed[:-16], sealed[-16:]) == b"what is said"
    assert gate.secret == hkdf(WARD_KEY, HEAD, b"edgenode ward")


def test_a_datagram_of_a_channel_has_the_documented_layout():
    channel = Channel(
        local=1, remote=0x01020304, sending=HEAD, receiving=OTHER, made=0.0, asked=True
    )
    channel.seal(b"")
    datagram = channel.seal(b"\x02")
    layout = fields(table_under(TEXT, "Channel"))
    assert_gapless(layout)
    parts = cut(layout, datagram)
    assert (parts["form"], parts["index"], parts["counter"]) == (
        b"\x03", le(0x01020304, 4), le(1, 8),
    )  # fmt: skip
    cipher = ChaCha20_Poly1305.new(key=HEAD, nonce=bytes(4) + parts["counter"])
    cipher.update(datagram[:13])
    sealed = parts["ciphertext"]
    assert cipher.decrypt_and_verify(sealed[:-16], sealed[-16:]) == b"\x02"


def test_the_keys_of_a_channel_are_those_that_the_document_derives():
    """By the document alone, from what was said and the ephemeral keys, in another library."""
    record = recorded()
    a, b = record.a, record.b
    offer, accept = a.says(record.offer), a.says(record.acceptance)
    version = le(4, 2)
    for message, context in (
        (offer, b"edgenode offer" + version + GENESIS + offer.encode()[:64]),
        (accept, b"edgenode accept" + version + GENESIS + offer.encode() + accept.ephemeral),
    ):
        who = message.introduction.encode()
        assert verify(who[:32], context + who[:63], who[63:])
    ward = hkdf(bytes(32), GENESIS, b"edgenode ward")
    said = hashlib.sha256(offer.encode() + accept.encode()).digest()
    shared = key_agreement(
        eph_priv=import_x25519_private_key(record.ephemeral_of_a),
        eph_pub=import_x25519_public_key(accept.ephemeral),
        kdf=lambda secret: secret,
    )
    keys = hkdf(shared + ward, said, b"edgenode session", 64)
    for channel, key in (
        (a.made[0].channel, keys[:32]),
        (answerer_of(record).channel, keys[32:]),
    ):
        datagram = channel.seal(b"said")
        cipher = ChaCha20_Poly1305.new(key=key, nonce=bytes(4) + datagram[5:13])
        cipher.update(datagram[:13])
        assert cipher.decrypt_and_verify(datagram[13:-16], datagram[-16:]) == b"said"
    cookie = hmac.digest(b.handshakes._secrets[0], offer.nonce + b"10.0.0.1:7070", "sha256")
    assert offer.cookie == cookie[:16]


def test_every_reason_to_drop_a_datagram_is_explained():
    (table,) = (t for t in tables(TEXT) if t.columns == ("reason", "when"))
    stated = [quoted(row[0])[0] for row in table.rows]
    assert sorted(stated) == sorted(drop.value for drop in Drop)


def test_the_rules_that_blame_nobody_are_as_stated():
    (table,) = (t for t in tables(TEXT) if t.columns == ("fault", "blamed"))
    cells = {fault: set(quoted(blamed)) for fault, blamed in table.rows}
    assert cells["a transaction that violates a rule"] == {
        rule.value for rule in relay.NOT_THE_PEERS_FAULT
    }
    assert cells["a header that violates a rule"] == {
        rule.value for rule in catch_up.NOT_THE_PEERS_FAULT
    }
    later = TEXT[TEXT.index("unless they may become valid") :].split("\n\n")[0]
    assert set(quoted(later)) == {rule.value for rule in relay.PERHAPS_LATER}


def test_the_constants_are_those_of_the_code():
    table = table_under(TEXT, "Timers and bounds")
    stated = set()
    for dotted, value, _ in table.rows:
        module, _, name = dotted.strip("`").rpartition(".")
        assert getattr(importlib.import_module(f"edgenode.{module}"), name) == float(value), dotted
        stated.add((module, name))
    for module in {module for module, _ in stated if module.startswith("protocol.")}:
        source = importlib.import_module(f"edgenode.{module}")
        numbers = {
            name
            for name, value in vars(source).items()
            if name.isupper()
            and not name.startswith("_")
            and isinstance(value, int | float)
            and re.search(rf"^{name} =", inspect.getsource(source), re.MULTILINE)
        }
        left_out = {(module, name) for name in numbers} - stated
        assert {name for _, name in left_out} <= {
            "WARD_KEY_BYTES", "GATE_FORM", "NONCE_BYTES", "TAG_BYTES", "GATE_BYTES", "CHANNEL_FORM",
            "HEAD_BYTES", "CHANNEL_BYTES",
        }, f"{module} has constants that docs/gossip.md does not explain"  # fmt: skip
