"""Captures, read by Wireshark's own program."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor, wait

import pytest

from edgenode.api.client import ApiError
from edgenode.gossip.capture import BYTES_LIMIT, Capture
from edgenode.protocol.links import Links
from edgenode.protocol.wire import (
    Absent,
    Address,
    Addresses,
    Chunk,
    GetChunks,
    GetHeaders,
    GetTransactions,
    Goodbye,
    Headers,
    Holding,
    Holdings,
    NewBlock,
    NewTransaction,
    ObjectKind,
    Reason,
    Socket,
)
from tests.conftest import require_tool
from tests.docs.markdown import DOCS
from tests.docs.test_gossip_document import HEADERS, RAW_HEADERS, TIP
from tests.gossip.node import live_node
from tests.ledger.builder import make_genesis
from tests.protocol.meeting import A, B, at, exchange, links, only

OWN = {Socket.SYNC: A, Socket.BROADCAST: Address(A.host, 7071)}
NAME = bytes(range(32))
SAID = (
    Addresses((Address("10.0.0.7", 7070), Address("2001:db8::1", 7070))),
    GetHeaders((NAME,)),
    Headers(RAW_HEADERS),
    GetChunks(ObjectKind.PAYLOAD, NAME, 9, ((1, 2), (300, 3))),
    Chunk(9, 1, 1132, 77, b"ab"),
    Absent(ObjectKind.BLOCK, NAME),
    GetTransactions((NAME[:20],)),
    NewTransaction(b"raw"),
    NewBlock(HEADERS[0], TIP),
    Holdings((Holding(ObjectKind.PAYLOAD, NAME, 11, 1025),)),
    Goodbye(Reason.CROWDED),
)


@pytest.fixture
def read(tmp_path):
    """The fields of each packet of a capture, as tshark shows them."""
    tshark = require_tool("tshark", "tshark")

    def read(capture, *fields):
        path = tmp_path / "capture.pcapng"
        path.write_bytes(capture.file())
        options = [option for field in fields for option in ("-e", field)]
        done = subprocess.run(
            [tshark, "-n", "-r", path, "-X", f"lua_script:{DOCS / 'edgenode.lua'}", "-T", "fields",
             *options],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert "rror" not in done.stderr, done.stderr
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    return read


def met(capture) -> tuple[Links, Links]:
    """Two nodes with a session, the first of them tapped."""
    a, b = links(1, seeds=[B]), links(2)
    a.tap = capture.take
    a.tick(at(0))
    exchange(a, b, at(0.1))
    return a, b


def test_wireshark_reads_each_message_and_where_it_went(read):
    capture = Capture(OWN)
    a, _ = met(capture)
    for message in SAID:
        a.send(only(a), message)
    shown = read(capture, "edgenode.kind", "ip.src", "udp.srcport", "ip.dst", "udp.dstport")
    kinds = [kind for kind, *_ in shown]
    assert kinds[:6] == ["hello", "welcome", "offer", "accept", "status", "get_addresses"]
    assert kinds[-len(SAID) :] == [
        "addresses", "get_headers", "headers", "get_chunks", "chunk", "absent", "get_transactions",
        "new_transaction", "new_block", "holdings", "goodbye",
    ]  # fmt: skip
    assert shown[0][1:] == (A.host, "7070", B.host, "7070")
    assert shown[1][1:] == (B.host, "7070", A.host, "7070")


@pytest.mark.parametrize(
    ("message", "field", "value"),
    [
        (SAID[0], "edgenode.host", "::ffff:10.0.0.7,2001:db8::1"),
        (SAID[3], "edgenode.first", "1,300"),
        (SAID[3], "edgenode.object", "2"),
        (SAID[4], "edgenode.length", "1132"),
        (SAID[4], "edgenode.data", "6162"),
        (SAID[8], "edgenode.height", str(TIP.height)),
        (SAID[9], "edgenode.have", "0104"),
        (SAID[10], "edgenode.reason", "2"),
    ],
)
def test_the_fields_are_those_that_were_said(read, message, field, value):
    capture = Capture(OWN)
    a, _ = met(capture)
    a.send(only(a), message)
    assert read(capture, field)[-1] == (value,)


def test_what_was_dropped_says_why_and_what_does_not_open_stays_sealed(read):
    capture = Capture(OWN)
    a, b = met(capture)
    b.send(only(b), NewTransaction(b"x"))
    datagram = b.outbox.pop().data
    for data in (datagram, datagram, b"\3" + bytes(99)):
        a.receive(Socket.SYNC, B, data, at(1))
    direction = "frame.packet_flags_direction"
    shown = read(capture, "edgenode.kind", "edgenode.form", "frame.comment", direction)
    assert [(kind, form, why, int(way, 16)) for kind, form, why, way in shown[-3:]] == [
        ("new_transaction", "0x83", "", 1),
        ("", "0x03", "dropped: replayed", 1),
        ("", "0x03", "dropped: no_session", 1),
    ]


def test_ipv6_and_the_socket_are_shown(read):
    capture = Capture({Socket.SYNC: Address("::", 7070), Socket.DISCOVERY: Address("::", 7072)})
    a = links(1)
    a.tap = capture.take
    beacon = links(2).beacons.seal(Address("fe80::2", 7070))
    a.receive(Socket.DISCOVERY, Address("fe80::2%eth0", 40_000), beacon, at(0))
    shown = read(capture, "edgenode.kind", "ipv6.src", "udp.dstport", "frame.interface_name")
    assert shown == [("beacon", "fe80::2", "7072", "discovery")]


def test_a_long_capture_is_cut_and_says_how_much_is_left_out():
    capture = Capture(OWN, limit=4096)
    a, _ = met(capture)
    for _ in range(100):
        a.send(only(a), NewTransaction(bytes(1000)))
    assert capture.packets < 20
    assert capture.left_out > 80
    assert len(capture.file()) < 4096 + 2000
    assert BYTES_LIMIT < 16 << 20


def test_a_node_makes_one_capture_at_a_time(tmp_path):
    genesis = make_genesis(time=int(time.time()) - 1000)
    with live_node(tmp_path, genesis) as node, ThreadPoolExecutor() as pool:
        both = [pool.submit(node.client.capture, 3) for _ in range(2)]
        wait(both)
        (refused,) = (each.exception() for each in both if each.exception() is not None)
        (made,) = (each.result() for each in both if each.exception() is None)
        assert (refused.status, refused.name) == (409, "capture_runs")
        assert made[:4] == b"\n\r\r\n"
        for seconds in (0, 61):
            with pytest.raises(ApiError, match="bad_request"):
                node.client.capture(seconds)
