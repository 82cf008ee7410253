"""docs/ledger.md says what the code does.

The example is decoded with the document's own tables and Python's hashlib alone, as somebody would
who writes a second implementation from it.
"""

import hashlib
import importlib
import json
import re

import numpy as np
import pytest
from Crypto.Hash import RIPEMD160
from Crypto.Signature import eddsa

from edgenode.cli import new_genesis
from edgenode.learning.aggregation import WeightedUpdate, fedavg
from edgenode.ledger import hashes
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Member
from edgenode.ledger.rules import Rule
from edgenode.ledger.transaction import decode_transaction
from edgenode.ledger.transaction_kind import Kind
from tests.docs.layouts import assert_gapless, cut, fields, fixed_length
from tests.docs.ledger_example import make_example, render
from tests.docs.markdown import DOCS, code_blocks, quoted, table_under, tables

TEXT = (DOCS / "ledger.md").read_text(encoding="utf-8")
STRUCTURES = (
    "Header",
    "Block",
    "Coinbase",
    "Update",
    "Transfer",
    "Enrolment",
    "Revocation",
    "Endorsement",
    "Payload",
    "Coded payload",
)
LAYOUTS = {name: fields(table_under(TEXT, name)) for name in STRUCTURES}


@pytest.fixture(scope="module")
def example() -> dict[str, str]:
    """The example's values, read back from the document."""
    (text,) = code_blocks(TEXT, "text")
    values: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("    "):
            values[name] += line[4:]
        else:
            name = line.removesuffix(":")
            values[name] = ""
    return values


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def sha256d(data: bytes) -> bytes:
    return sha256(sha256(data))


def content_id(data: bytes) -> bytes:
    pieces = [data[i : i + 32768] for i in range(0, len(data), 32768)]
    return sha256(len(data).to_bytes(4, "little") + b"".join(map(sha256, pieces)))


def raw(example: dict[str, str], name: str) -> bytes:
    return bytes.fromhex(example[name])


def number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def test_the_example_is_what_the_code_makes(example):
    (text,) = code_blocks(TEXT, "text")
    assert text == render(make_example())


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_layout_has_neither_gap_nor_overlap(name):
    assert_gapless(LAYOUTS[name])


def test_lengths_are_those_of_the_layouts(example):
    assert fixed_length(LAYOUTS["Header"]) == len(raw(example, "header")) == 80
    assert fixed_length(LAYOUTS["Update"]) == len(raw(example, "update")) == 170
    assert fixed_length(LAYOUTS["Transfer"]) == 153
    assert fixed_length(LAYOUTS["Endorsement"]) == 169
    assert len(raw(example, "coinbase")) == 47 + 40 + 46
    transfer = bytes([Kind.TRANSFER]) + bytes(152)
    assert decode_transaction(transfer).encode() == transfer


def test_a_change_of_members_lies_as_stated():
    enrolment = Enrolment(b"m" * 32, "box", 7, ((1, b"a" * 64), (4, b"b" * 64)))
    parts = cut(LAYOUTS["Enrolment"], enrolment.encode(), 1, n=3)
    assert (parts["name"], number(parts["sequence"]), parts["authority"]) == (b"box", 7, b"\x04")
    assert parts["signature"] == b"b" * 64
    revocation = Revocation(b"m" * 32, 7, ((1, b"a" * 64), (4, b"b" * 64)))
    parts = cut(LAYOUTS["Revocation"], revocation.encode(), 1)
    assert (parts["member"], number(parts["sequence"])) == (b"m" * 32, 7)
    assert (parts["authority"], parts["signature"]) == (b"\x04", b"b" * 64)


def test_an_endorsement_lies_as_stated():
    endorsement = Endorsement(b"m" * 32, 8, b"s" * 32, 16, b"t" * 32, b"x" * 64)
    parts = cut(LAYOUTS["Endorsement"], endorsement.encode())
    assert (number(parts["source height"]), number(parts["target height"])) == (8, 16)
    assert (parts["source"], parts["target"], parts["signature"]) == (
        b"s" * 32,
        b"t" * 32,
        b"x" * 64,
    )


def test_the_genesis_block_follows_from_the_canonical_constants(example):
    constants = json.loads(example["canonical genesis"])
    keys = {key for row in table_under(TEXT, "Genesis").rows for key in quoted(row[0])}
    assert keys == set(constants)
    header = cut(LAYOUTS["Header"], raw(example, "genesis header"))
    coinbase = raw(example, "genesis coinbase")
    assert header["previous"] == sha256(example["canonical genesis"].encode())
    assert header["merkle root"] == sha256d(coinbase)
    assert number(header["time"]) == constants["time"]
    assert number(header["target"]) == constants["target_start"]
    parts = cut(LAYOUTS["Coinbase"], coinbase, p=0, m=1)
    assert parts["miner"] == bytes(32)
    assert parts["root"].hex() == constants["models"][0]["root"] == example["root before"]
    assert content_id(raw(example, "parameters before")) == parts["root"]
    assert sha256d(raw(example, "genesis header")) == raw(example, "genesis id")
    assert raw(example, "genesis id")[::-1].hex() == example["genesis id, shown"]


def test_the_blocks_parts_are_where_the_tables_say(example):
    block = raw(example, "block")
    parts = cut(LAYOUTS["Block"], block)
    assert parts["header"] == raw(example, "header")
    assert parts["signature"] == raw(example, "block signature")
    assert number(parts["count"]) == 2
    rest, transactions = parts["transactions"], []
    while rest:
        length = number(rest[:2])
        transactions.append(rest[2 : 2 + length])
        rest = rest[2 + length :]
    assert transactions == [raw(example, "coinbase"), raw(example, "update")]


def test_the_header_commits_to_the_transactions_and_meets_its_target(example):
    header = cut(LAYOUTS["Header"], raw(example, "header"))
    leaves = [sha256d(raw(example, "coinbase")), sha256d(raw(example, "update"))]
    assert leaves == [raw(example, "leaf of the coinbase"), raw(example, "leaf of the update")]
    assert header["merkle root"] == sha256d(leaves[0] + leaves[1])
    assert header["previous"] == raw(example, "genesis id")
    compact = number(header["target"])
    target = (compact & 0xFFFFFF) << 8 * ((compact >> 24) - 4)
    block_id = sha256d(raw(example, "header"))
    assert block_id == raw(example, "block id")
    assert number(block_id) <= target
    assert block_id[::-1].hex() == example["block id, shown"]


def test_the_ids_of_transactions(example):
    for name in ("update", "coinbase"):
        digest = RIPEMD160.new(sha256(raw(example, name))).digest()
        assert digest == raw(example, f"id of the {name}")


def test_the_signatures_are_on_the_stated_bytes(example):
    key = eddsa.new(eddsa.import_public_key(raw(example, "alice's public key")), "rfc8032")
    ward = raw(example, "genesis id")
    update = cut(LAYOUTS["Update"], raw(example, "update"))
    unsigned = raw(example, "update").removesuffix(update["signature"])
    key.verify(b"edgenode update" + ward + unsigned, update["signature"])
    key.verify(b"edgenode block" + ward + raw(example, "block id"), raw(example, "block signature"))
    with pytest.raises(ValueError, match="not authentic"):
        key.verify(b"edgenode update" + bytes(32) + unsigned, update["signature"])


def test_the_update_names_payload_base_and_member(example):
    update = cut(LAYOUTS["Update"], raw(example, "update"))
    payload = raw(example, "payload")
    assert update["payload"] == content_id(payload) == raw(example, "content id of the payload")
    assert number(update["payload length"]) == len(payload) == 1 + 4 * 3
    assert update["base"] == raw(example, "genesis id")
    assert update["member"] == raw(example, "alice's public key")


def test_the_coinbase_commits_to_the_aggregate(example):
    payload, before = raw(example, "payload"), raw(example, "parameters before")
    assert payload[0] == 1
    deltas = [cut(LAYOUTS["Payload"], payload, i)["difference"] for i in range(3)]
    olds = [before[4 * i : 4 * i + 4] for i in range(3)]
    after = b"".join(
        (int.from_bytes(old, "little", signed=True) + int.from_bytes(d, "little", signed=True))
        .to_bytes(4, "little", signed=True)
        for old, d in zip(olds, deltas, strict=True)
    )  # fmt: skip
    assert after == raw(example, "parameters after")
    coinbase = cut(LAYOUTS["Coinbase"], raw(example, "coinbase"), p=1, m=1)
    assert coinbase["root"] == content_id(after) == raw(example, "root after")
    assert [number(coinbase[n]) for n in ("kind", "height", "payout", "models")] == [0, 1, 500, 1]
    assert coinbase["payee"] == coinbase["miner"] == raw(example, "alice's public key")
    assert [number(coinbase[n]) for n in ("round", "updates", "examples")] == [1, 1, 10]


def test_content_ids_of_long_data_are_made_of_pieces():
    for length in (0, 1, 32768, 32769, 100_000):
        data = bytes(i % 251 for i in range(length))
        assert hashes.content_id(data) == content_id(data)


def test_the_worked_average():
    text = TEXT[TEXT.index("For example, with discounts (256, 128)") :]
    assert "new = (104, 96, 100)" in text.split("\n\n")[0]
    current = np.array([100, 100, 100], np.int32)
    updates = [
        WeightedUpdate(np.array([5, -5, 1], np.int32), 30 * 256),
        WeightedUpdate(np.array([2, -2, 0], np.int32), 60 * 128),
    ]
    assert fedavg(current, updates).tolist() == [104, 96, 100]


def test_every_rule_is_explained_once():
    named = [
        row[0].strip("`")
        for table in tables(TEXT)
        if table.columns[0] == "rule"
        for row in table.rows
    ]
    assert sorted(named) == sorted(rule.value for rule in Rule)


def test_the_constants_are_those_of_the_code():
    (table,) = (t for t in tables(TEXT) if t.columns == ("constant", "value", "reason"))
    assert len(table.rows) > 15
    for dotted, value, _ in table.rows:
        module, _, name = dotted.strip("`").rpartition(".")
        assert getattr(importlib.import_module(f"edgenode.{module}"), name) == int(value), dotted


def test_the_defaults_of_a_new_ward_are_as_stated():
    key = make_example().key.public.hex()
    made = new_genesis.new_genesis(
        name="w", time=0, members=[Member("a", key)], models=["activity"]
    )
    (table,) = (t for t in tables(TEXT) if t.columns == ("constant", "reason"))
    stated = {quoted(cell)[0]: cell for cell, _ in table.rows}
    for name in ("spacing", "half_life", "min_spacing", "share_window", "share_rest",
                 "future_bound", "subsidy", "contributors_percent", "updates_per_block",
                 "transfers_per_block", "examples_cap", "checkpoint_interval",
                 "endorsements_per_block"):  # fmt: skip
        match = re.search(r"\((\d+)", stated[name])
        assert match, name
        assert int(match[1]) == getattr(made, name), name
    assert f"({', '.join(map(str, made.discounts))})" in stated["discounts"]
    assert str(new_genesis.LIMIT_RATIO) in stated["target_limit"]
