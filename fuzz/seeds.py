"""Write the seeds anew, from real objects: `python -m fuzz.seeds`.

A seed whose name begins with "refused" is one that its decoder must not take; all others are
taken, as a test checks. When a layout changes, write them anew. Stratum's seeds are by hand.
"""

from collections.abc import Callable
from dataclasses import replace
from struct import pack

import numpy as np

from edgenode.learning.quantization import Quantized
from edgenode.learning.update_codec import Codec, encode
from edgenode.learning.update_codec import pack as pack_payload
from edgenode.ledger.block import Block
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Authority
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.records import Undo, encode_records
from edgenode.ledger.transaction import Coinbase, ModelState, Transaction
from edgenode.protocol import handshake_messages
from edgenode.protocol import wire as messages_of_wire
from edgenode.protocol.beacon import Beacon
from edgenode.protocol.gateway_door import Door
from edgenode.protocol.gateway_wire import (
    GATEWAY_VERSION,
    Carried,
    Frame,
    Ping,
    Refusal,
    Refused,
    encode_frame,
)
from edgenode.protocol.gateway_wire import Hello as FrameHello
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
    Socket,
    Status,
    Tip,
)
from edgenode.storage.change_file import wording
from fuzz.header_run import WARDS
from fuzz.targets import corpus
from fuzz.wire import end
from tests.ledger.builder import ALICE, BOB, CAROL, PARAMETERS, Bench, make_genesis

Seeds = dict[str, bytes]

WARD = make_genesis(
    authorities=(Authority("dora", CAROL.public.hex()),), authority_quorum=1, checkpoint_interval=2
)


def _grown() -> Bench:
    """A chain with every kind of transaction in it."""
    bench = Bench(WARD)
    bench.grow(2)
    bench.round(ALICE, BOB)
    bench.add(bench.block(bench.transfer(ALICE, BOB, 5, 0)))
    bench.endorse(ALICE, BOB)
    bench.add(bench.block(_enrolment()))
    return bench


def _enrolment() -> Enrolment:
    change = Enrolment(MemberKey(bytes([9]) * 32).public, "erin's box", 0, ())
    return replace(change, signatures=((0, change.signature_by(CAROL, WARD.id)),))


def _revocation() -> Revocation:
    change = Revocation(BOB.public, 1, ())
    return replace(change, signatures=((0, change.signature_by(CAROL, WARD.id)),))


def _transactions(bench: Bench) -> dict[str, Transaction]:
    return {
        "coinbase": bench.block().coinbase,
        "coinbase-full": Coinbase(
            128,
            bytes(8),
            ALICE.public,
            tuple((key.public, 2**40) for key in (ALICE, BOB, CAROL)),
            (ModelState(3, 2, 100, bytes(32)),),
            bytes(32),
        ),
        "update": bench.update()[0],
        "transfer": bench.transfer(ALICE, BOB, 3, 1),
        "enrolment": _enrolment(),
        "revocation": _revocation(),
        "endorsement": bench.endorsement(ALICE),
    }


def header() -> Seeds:
    """Seeds for fuzz.header."""
    raw = b"".join(block.header.encode() for block in _blocks(_grown()).values())
    limit = WARD.limit.to_bytes(32, "little")
    return {
        "header": b"\0" + raw[:80],
        "headers": b"\1" + raw[:240],
        "compact": b"\2" + pack("<I", WARD.target_limit) + limit,
        "compact-lowest": b"\2" + pack("<I", 0x04000001),
        "asert-late": b"\3" + limit + limit + (7000).to_bytes(6, "little") + pack("<I", 1920),
        "asert-early": b"\3"
        + limit
        + limit
        + (-7000).to_bytes(6, "little", signed=True)
        + pack("<I", 1920),
        "refused-short-form": b"\2" + pack("<I", 0x0500FFFF),
        "refused-limit": b"\3" + limit + bytes(32) + bytes(6) + pack("<I", 1920),
    }


def transaction() -> Seeds:
    """Seeds for fuzz.transaction."""
    return {name: one.encode() for name, one in _transactions(_grown()).items()} | {
        "refused-kind": b"\x63" + bytes(64)
    }


def block() -> Seeds:
    """Seeds for fuzz.block."""
    bench = _grown()
    whole = {name: one.encode() for name, one in _blocks(bench).items()}
    return whole | {
        "genesis": WARD.block.encode(),
        "bare": replace(WARD.block, transactions=()).encode(),
        "refused-cut": whole["update"][:-1],
        "refused-count": whole["coinbase"][:144] + b"\xff\xff",
    }


def _blocks(bench: Bench) -> dict[str, Block]:
    names = ("coinbase", "second", "update", "transfer", "endorsement", "enrolment")
    blocks = {}
    for height, name in enumerate(names, 1):
        entry = bench.chain.at(height)
        assert entry is not None
        found = bench.store.block(entry.id)
        assert found is not None
        blocks[name] = found
    return blocks


def records() -> Seeds:
    """Seeds for fuzz.records."""
    bench = _grown()
    state = list(bench.chain.state.records.under(b""))
    undone = bench.store.undo(bench.chain.head.id)
    return {
        "state": b"\0" + encode_records(state),
        "one": b"\0" + encode_records(state[:1]),
        "joined": b"\2" + encode_records(state),
        "refused-layout": b"\2" + encode_records(state[:1]),
        "none": b"\0",
        "undo": b"\1" + undone.encode(),
        "undo-removed": b"\1" + Undo({b"a": None, b"b": b"", b"c": bytes(128)}).encode(),
        "refused-order": b"\0" + encode_records(state[1::-1]),
        "refused-format": b"\1\1" + bytes(4),
    }


def genesis() -> Seeds:
    """Seeds for fuzz.genesis."""
    text = format_genesis(WARD)
    return {
        "authority": text.encode(),
        "plain": format_genesis(make_genesis()).encode(),
        "quoted": format_genesis(make_genesis(name='a "b" \\c')).encode(),
        "refused-missing": text.replace("spacing", "pacing", 1).encode(),
        "refused-deep": b"a = " + b"[" * 1500,
        "refused-digits": b"format = " + b"1" * 4400,
        "refused-date": b"format = 2024-02-30",
    }


def merkle() -> Seeds:
    """Seeds for fuzz.merkle: a byte is a leaf."""
    return {
        "one": b"a",
        "three": b"abc",
        "six": b"abcdef",
        "eleven": b"abcdefghijk",
        "mutated": b"abcc",
        "mutated-deep": b"abcdefef",
        "refused-none": b"",
    }


def wire() -> Seeds:
    """Seeds for fuzz.wire: every message."""
    bench = _grown()
    tip = Tip(bench.chain.head.id, bench.chain.head.height, bench.chain.head.work, 2)
    name = bytes(range(32))
    messages: tuple[Message, ...] = (
        Status(tip, 3, 2, 1000, (name[:20], name[12:])),
        GetAddresses(),
        Addresses((Address("192.0.2.1", 7000), Address("2001:db8::1", 7000))),
        GetHeaders((name, WARD.id)),
        Headers(bench.store.headers.raw(1, 3)),
        GetChunks(ObjectKind.BLOCK, name, 9, ((0, 4), (7, 1))),
        Chunk(9, 1, 1136, 77, b"sixsix"),
        Absent(ObjectKind.BLOCK, name),
        GetTransactions((name[:20],)),
        NewTransaction(bench.transfer(ALICE, BOB, 3, 1).encode()),
        Goodbye(Reason.CROWDED),
        NewBlock(bench.chain.head.header, tip),
        Holdings(
            (Holding(ObjectKind.PAYLOAD, name, 11, 1025), Holding(ObjectKind.STATE, name, 8, 255))
        ),
    )
    coded = {type(m).__name__.lower(): messages_of_wire.encode(m) for m in messages}
    sealed = end(1, 5, 6).seal(coded["status"])
    return {what: b"\0" + data for what, data in coded.items()} | {
        "datagram": b"\1" + sealed,
        "refused-kind": b"\0" + bytes([99]) + bytes(24),
        "refused-tag": b"\1" + sealed[:-1] + b"?",
        "refused-other": b"\1" + end(2, 6, 5).seal(coded["status"]),
    }


def gateway_wire() -> Seeds:
    """Seeds for fuzz.gateway_wire: every frame, and a link's beginning."""
    door, nonce = Door(bytes(32), WARD.id), bytes(range(32))
    hello = FrameHello(GATEWAY_VERSION, nonce)
    entry = door.enter(hello, ALICE, nonce)
    nodes = Address("192.0.2.1", 7070), Address("2001:db8::1", 7070)
    frames: tuple[Frame, ...] = (
        hello,
        entry,
        door.welcome(hello, entry, (7080, 7081), nodes),
        Refused(Refusal.FULL),
        Carried(Socket.BROADCAST, nodes[0], b"\3" + bytes(30)),
        Ping(),
    )
    coded = {type(frame).__name__.lower(): encode_frame(frame) for frame in frames}
    coded["refusal"] = coded.pop("refused")  # which is taken
    return {what: b"\6" + data for what, data in coded.items()} | {
        "link": b"\x20" + b"".join(coded.values()),
        "refused-length": b"\0\0\0",
        "refused-kind": b"\7\1\0\x63",
        "refused-socket": b"\7" + coded["carried"][:3] + b"\2" + coded["carried"][4:],
    }


def handshake() -> Seeds:
    """Seeds for fuzz.handshake: every message, and scripts."""
    nonce, cookie, ephemeral = bytes(range(16)), bytes(range(16, 32)), bytes(range(32))
    layout = Layout(broadcast=Address("10.0.0.9", 7071))
    who = Introduction(ALICE.public, 7, 8, layout, bytes(range(64)))
    messages = (
        Hello(nonce),
        Welcome(nonce, cookie),
        Offer(nonce, cookie, ephemeral, who),
        Accept(9, ephemeral, who),
    )

    def step(node: int, what: int, *more: int) -> bytes:
        return bytes([node | what << 1, *more])

    knock, hear, wait, change, made_up, sign = 0, 1, 4, 5, 6, 7
    hears = [step(n, hear) for n in (1, 0, 1, 0)]
    whole = step(0, knock) + b"".join(hears)
    first = step(0, knock) + hears[0] + hears[1]  # three messages are recorded, the last an offer
    coded = {type(m).__name__.lower(): handshake_messages.encode(m) for m in messages}
    coded["beacon"] = Beacon(ALICE.public, 7, Address("fe80::1", 7070), bytes(range(64))).encode()
    hello = coded["hello"]
    scripts = {
        "whole": whole,
        "both": step(1, knock) + whole + whole,
        "late": first + step(0, wait, 9) + hears[2] + hears[3],
        "changed": first + step(1, change, 2, 40, 1, 0) + hears[2] + hears[3],
        "signed": first + step(1, sign, 2, 0) + hears[2] + hears[3] + hears[3],
        "answered-for": first + hears[2] + step(0, sign, 3, 0, 1) + hears[3],
        "made-up": step(1, made_up, len(hello)) + hello + step(0, 0) + step(0, hear) + whole,
        "again": whole + step(1, wait, 40) + step(1, change, 2, 0, 0, 0),
        "refused-unanswered": step(0, knock) + hears[0],
    }
    return {what: b"\0" + data for what, data in coded.items()} | {
        "refused-number": b"\0\5" + hello[1:],
        "refused-padding": b"\0" + hello[:-1] + b"?",
        **{what: b"\1" + script for what, script in scripts.items()},
    }


def header_run() -> Seeds:
    """Seeds for fuzz.header_run: a ward and height, a clock, and six bytes for each header."""

    def run(place: int, *steps: tuple[int, int, int], clock: int = 100_000) -> bytes:
        coded = (pack("<BhHB", how, seconds, number, 0) for how, seconds, number in steps)
        return pack("<Bi", place, clock) + b"".join(coded)

    good = [(0, seconds, 0) for seconds in (90, 200, 1, 3000, -40, 90)]
    height = 5 * len(WARDS)  # the last of its heights
    return (
        {f"good-{ward}": run(ward + height, *good) for ward in range(len(WARDS))}
        | {
            "good-from-genesis": run(0, *good),
            "refused-clock": run(height, *good, clock=-1000),
            "refused-target": run(height + 4, *good, (5, 90, 3), *good),
            "refused-no-work": run(height + 4, *good, (128, 90, 0), (128, 90, 0), (128, 90, 0)),
        }
        | {f"refused-how-{how}": run(height, *good, (how, 90, 9)) for how in (1, 2, 3, 4, 6)}
    )


def change_file() -> Seeds:
    """Seeds for fuzz.change_file."""
    enrol, revoke = _enrolment(), _revocation()
    line = enrol.encode().hex().encode()
    return {
        "enrolment": f"# edgenode: {wording(enrol)}\n{enrol.encode().hex()}\n".encode(),
        "revocation": f"# edgenode: {wording(revoke)}\n{revoke.encode().hex()}\n".encode(),
        "spaced": b"\r\n  " + line.upper() + b"  \r\n# \xff",
        "refused-two": line + b"\n" + line,
        "refused-other": _grown().transfer(ALICE, BOB, 3, 1).encode().hex().encode(),
    }


def update_codec() -> Seeds:
    """Seeds for fuzz.update_codec: the number of parameters, then a payload."""
    delta = np.arange(PARAMETERS, dtype=np.int32) * -1000
    many = np.round(np.sin(np.arange(250.0)) ** 9 * 3e6).astype(np.int32)
    dense = pack_payload(Quantized(np.ones(40, np.int32), 0), Codec.TOP5)
    return {
        **{f"many-{codec.name.lower()}": bytes([250]) + encode(many, codec) for codec in Codec},
        "refused-dense": bytes([40]) + dense,
        "refused-shift": bytes([PARAMETERS])
        + pack_payload(Quantized(delta // 1000, 29), Codec.INT8),
        "refused-byte": bytes([250]) + encode(many, Codec.INT4) + b"\0",
        "twelve": bytes([PARAMETERS]) + encode(delta, Codec.INT32),
        "extremes": b"\2" + encode(np.array([-(2**31), 2**31 - 1], np.int32), Codec.INT32),
        "none": b"\0\1",
        "refused-length": bytes([PARAMETERS]) + encode(delta, Codec.INT32)[:-1],
        "refused-codec": b"\1\x09" + bytes(4),
    }


MADE: dict[str, Callable[[], Seeds]] = {
    make.__name__: make
    for make in (
        header, transaction, block, records, genesis, merkle, wire, handshake, gateway_wire,
        header_run, change_file, update_codec,
    )
}  # fmt: skip


def main() -> None:
    """Write them all; what was once a finding stays."""
    for name, make in MADE.items():
        folder = corpus(name)
        folder.mkdir(parents=True, exist_ok=True)
        for seed, data in make().items():
            (folder / seed).write_bytes(data)


if __name__ == "__main__":
    main()
