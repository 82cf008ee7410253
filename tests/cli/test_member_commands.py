"""Authorities enrol and revoke members from the command line, one after the other."""

import re

import pytest

from edgenode.ledger import membership
from edgenode.ledger.enrolment import Enrolment
from edgenode.ledger.genesis import Authority
from edgenode.ledger.genesis_file import format_genesis
from edgenode.storage.keyfile import write_key
from tests.api.ledger_node import LedgerNode
from tests.ledger.builder import ALICE, BOB, key, make_genesis

DAVE, ERIN, MATRON, DEAN = key(4), key(5), key(101), key(102)


@pytest.fixture
def genesis(tmp_path):
    genesis = make_genesis(
        authorities=(
            Authority("matron", MATRON.public.hex()),
            Authority("dean", DEAN.public.hex()),
        ),
        authority_quorum=2,
    )
    (tmp_path / "genesis.toml").write_text(format_genesis(genesis))
    for name, held in (("matron", MATRON), ("dean", DEAN), ("alice", ALICE)):
        write_key(tmp_path / f"{name}.key", held.seed, name)
    return genesis


@pytest.fixture
def node(genesis, tmp_path):
    node = LedgerNode(genesis)
    with node.serving(tmp_path / "node.sock"):
        yield node


@pytest.fixture
def ask(node, edgenode, tmp_path):
    return lambda *arguments: edgenode("--socket", tmp_path / "node.sock", *arguments)


OFFLINE = ("--genesis", "genesis.toml")
BED_9 = f"bed-9={DAVE.public.hex()}"


def test_two_authorities_enrol_a_box_one_after_the_other(node, ask, tmp_path):
    first = ask("member", "enrol", BED_9, "--key", "matron.key", *OFFLINE, "--out", "half.txt")
    assert first.code == 0
    assert "1 of 2 authorities have signed" in first.out
    assert (
        f"enrol bed-9 with key {DAVE.public.hex()}, change 0" in (tmp_path / "half.txt").read_text()
    )
    assert node.transactions == []
    second = ask("member", "sign", "half.txt", "--key", "dean.key", *OFFLINE)
    assert (second.code, second.err) == (0, "")
    assert "handed in" in second.out
    node.add(*node.transactions)
    listed = ask("member", "list").out
    assert "bed-9" in listed
    assert "2 of these authorities" in listed
    assert "matron" in listed


def test_who_holds_enough_keys_does_it_in_one_step(node, ask):
    keys = ("--key", "matron.key", "--key", "dean.key")
    assert ask("member", "revoke", "bob", *keys, *OFFLINE).code == 0
    node.add(*node.transactions)
    records = node.bench.chain.state.records
    assert not node.run(lambda: membership.is_member(records, BOB.public))
    assert ask("member", "revoke", "nobody", *keys, *OFFLINE).code == 4


def test_several_changes_are_handed_in_one_behind_the_other(node, ask):
    keys = ("--key", "matron.key", "--key", "dean.key")
    assert ask("member", "enrol", BED_9, *keys, *OFFLINE).code == 0
    assert ask("member", "enrol", f"bed-10={ERIN.public.hex()}", *keys, *OFFLINE).code == 0
    assert ask("member", "revoke", "bob", *keys, *OFFLINE).code == 0
    assert [change.sequence for change in node.transactions] == [0, 1, 2]
    listed = ask("member", "list").out
    assert re.search(rf"0 +enrol bed-9 +{DAVE.public.hex()}", listed)
    assert re.search(rf"2 +revoke +{BOB.public.hex()}", listed)
    node.add(node.transactions[0])
    assert "enrol bed-9" not in ask("member", "list").out


def test_a_change_can_be_signed_without_a_node_and_handed_in_later(edgenode, node, ask, tmp_path):
    keys = ("--key", "matron.key", "--key", "dean.key")
    made = edgenode(
        "member", "enrol", BED_9, *keys, *OFFLINE, "--sequence", 0, "--out", "change.txt"
    )
    assert made.code == 0
    assert ask("member", "submit", "change.txt").code == 0
    (change,) = node.transactions
    assert isinstance(change, Enrolment)
    assert len(change.signatures) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("enrol", "bed-9", "--key", "matron.key"), 2, "is not NAME=KEY"),
        (("enrol", "bed-9=00", "--key", "matron.key"), 2, "is no public key"),
        (("enrol", f"bed\t9={DAVE.public.hex()}", "--key", "matron.key"), 2, "printable ASCII"),
        (("enrol", BED_9, "--key", "alice.key"), 5, "is no authority of ward test ward"),
        (("enrol", BED_9, "--key", "matron.key"), 2, "1 of 2 authorities have signed"),
        (("sign", "nothing.txt", "--key", "matron.key"), 5, "nothing.txt: cannot be read"),
        (("sign", "genesis.toml", "--key", "matron.key"), 5, "is no change of members"),
        (
            ("enrol", BED_9, "--key", "matron.key", "--out", "dean.key"),
            5,
            "there is a file already",
        ),
    ],
)
def test_a_mistake_is_told_and_changes_nothing(node, ask, arguments, code, text):
    ran = ask("member", *arguments, *OFFLINE)
    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err
    assert node.transactions == []


def test_a_genesis_with_authorities_is_founded_and_shown(edgenode):
    created = edgenode(
        "genesis", "create", "--name", "ward 7", "--member", f"bed-1={ALICE.public.hex()}",
        "--authority", f"matron={MATRON.public.hex()}", "--authority", f"dean={DEAN.public.hex()}",
        "--min-spacing", 30, "--out", "genesis.toml",
    )  # fmt: skip
    assert created.code == 0
    shown = edgenode("genesis", "check", "genesis.toml").out
    assert "2 of 2 change the members" in shown
    assert MATRON.public.hex() in shown
