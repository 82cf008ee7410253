"""docs/gossip.md says what the code does: layouts, messages, reasons, constants."""

import hmac
import importlib
import inspect
import re

import pytest
from Crypto.Cipher import ChaCha20_Poly1305

from edgenode.ledger.header import Header
from edgenode.protocol import catch_up, links, relay, wire
from edgenode.protocol.sealing import Sealer
from edgenode.protocol.wire import (
    Absent,
    Address,
    Addresses,
    Chunk,
    Confirm,
    Envelope,
    GetAddresses,
    GetChunks,
    GetHeaders,
    GetTransactions,
    Headers,
    Hello,
    Message,
    NewBlock,
    NewTransaction,
    ObjectKind,
    Socket,
    Status,
    Tip,
    Welcome,
)
from tests.docs.layouts import assert_gapless, cut, fields, fixed_length
from tests.docs.markdown import DOCS, quoted, table_under, tables

TEXT = (DOCS / "gossip.md").read_text(encoding="utf-8")

HEAD, OTHER = bytes(range(32)), bytes(range(100, 132))
TIP = Tip(HEAD, 0x01020304, 0x0506, 9)
HEADERS = tuple(Header(1, HEAD, OTHER, n, 0x1F00FFFF, n) for n in (7, 8))
RAW_HEADERS = b"".join(header.encode() for header in HEADERS)


def le(number: int, length: int) -> bytes:
    return number.to_bytes(length, "little")


CASES: dict[str, tuple[Message | Tip, int, dict[str, bytes]]] = {
    "Tip": (TIP, 0, {"head": HEAD, "height": le(0x01020304, 4), "work": le(0x0506, 32),
             "justified": le(9, 4)}),
    "Hello and Welcome": (
        Welcome(OTHER, TIP, 7071, 77, HEAD[:16]),
        0,
        {"version": le(2, 2), "genesis": OTHER, "tip": TIP.encode(), "broadcast port": le(7071, 2),
         "nonce": le(77, 8), "cookie": HEAD[:16]},
    ),
    "Confirm": (
        Confirm(HEAD[:16], TIP, 7071),
        0,
        {"cookie": HEAD[:16], "tip": TIP.encode(), "broadcast port": le(7071, 2)},
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
        GetChunks(ObjectKind.PAYLOAD, HEAD, ((1, 2), (300, 3))),
        1,
        {"object": le(2, 1), "id": HEAD, "count": le(2, 1), "first": le(300, 4),
         "chunks": le(3, 2)},
    ),
    "Chunk": (
        Chunk(ObjectKind.BLOCK, HEAD, 1026, 1, b"ab"),
        0,
        {"object": le(1, 1), "id": HEAD, "length": le(1026, 4), "index": le(1, 4), "data": b"ab"},
    ),
    "Absent": (Absent(ObjectKind.BLOCK, HEAD), 0, {"object": le(1, 1), "id": HEAD}),
    "GetTransactions": (
        GetTransactions((bytes(20), HEAD[:20])), 1, {"count": le(2, 1), "id": HEAD[:20]}
    ),
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
    assert Welcome(OTHER, TIP, 1, 2, bytes(16)).encode() == Hello(OTHER, TIP, 1, 2).encode()
    assert fixed_length(fields(table_under(TEXT, "Hello and Welcome"))) == 132


def test_every_message_has_a_section():
    table = table_under(TEXT, "Messages")
    stated = {int(number): quoted(name)[0] for number, name, *_ in table.rows}
    assert stated == {number: kind.__name__ for number, kind in wire._KINDS.items()}
    sections = {name for heading in CASES for name in heading.split(" and ")} | {"GetAddresses"}
    assert set(stated.values()) <= sections
    assert GetAddresses().encode() == b""


def test_the_broadcast_socket_takes_what_is_stated():
    (row,) = (row for row in table_under(TEXT, "Two sockets").rows if "broadcast" in row[0])
    assert set(quoted(row[2])) == {kind.__name__ for kind in wire.BROADCAST_KINDS}


def test_envelope_and_sealing_have_the_documented_layout():
    message = NewTransaction(b"x")
    plain = Envelope(11, 22, 33, message).encode()
    layout = fields(table_under(TEXT, "Envelope"))
    assert_gapless(layout)
    assert cut(layout, plain) == {
        "kind": le(12, 1), "sender": le(11, 8), "receiver": le(22, 8), "counter": le(33, 8),
        "body": b"x",
    }  # fmt: skip
    nonce = bytes(range(24))
    datagram = Sealer(bytes(32), HEAD, lambda _: nonce).seal(Socket.SYNC, plain)
    layout = fields(table_under(TEXT, "Sealing"))
    assert_gapless(layout)
    parts = cut(layout, datagram)
    assert parts["version"] == b"\x01"
    assert parts["nonce"] == nonce
    assert len(parts["ciphertext"]) == len(plain) + 16


def test_a_datagram_opens_by_the_documented_key():
    ward_key, plain = bytes([9]) * 32, Envelope(1, 2, 3, GetAddresses()).encode()
    for socket in Socket:
        sealed = Sealer(ward_key, HEAD, bytes).seal(socket, plain)
        info = f"edgenode {socket.name.lower()}".encode()
        # RFC 5869, extract and expand; one block is long enough.
        extracted = hmac.digest(HEAD, ward_key, "sha256")
        key = hmac.digest(extracted, info + b"\x01", "sha256")
        cipher = ChaCha20_Poly1305.new(key=key, nonce=sealed[1:25])
        assert cipher.decrypt_and_verify(sealed[25:-16], sealed[-16:]) == plain


def test_every_reason_to_drop_a_datagram_is_explained():
    (table,) = (t for t in tables(TEXT) if t.columns == ("reason", "when"))
    stated = [quoted(row[0])[0] for row in table.rows]
    raised = re.findall(r'_Dropped\("(\w+)"\)', inspect.getsource(links))
    assert sorted(stated) == sorted(set(raised))


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
            "WARD_KEY_BYTES", "SEAL_VERSION", "NONCE_BYTES", "TAG_BYTES", "OVERHEAD_BYTES",
            "ENVELOPE_BYTES",
        }, f"{module} has constants that docs/gossip.md does not explain"  # fmt: skip
