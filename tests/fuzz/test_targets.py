"""Every fuzz target holds on its corpus, takes what is real, and sees a fault."""

import tracemalloc

import pytest

from edgenode.ledger.block import Block
from edgenode.ledger.header import Header
from edgenode.ledger.rules import Rule
from edgenode.protocol import gateway_wire, handshake_messages
from fuzz import (
    change_file,
    genesis,
    header_run,
    merkle,
    records,
    seeds,
    stratum,
    transaction,
    update_codec,
    wire,
)
from fuzz.targets import FOLDER, LONGEST, corpus, dictionary, target

INPUTS = [
    pytest.param(name, path, id=f"{name}-{path.name}")
    for name in LONGEST
    for path in sorted(corpus(name).iterdir())
]

MEMORY = 4 << 20
"""Bytes that one input may need: the largest decoder's own bound is 608 kB, a block's."""


@pytest.mark.parametrize(("name", "path"), INPUTS)
def test_a_target_holds_on_its_corpus_and_takes_what_is_real(name, path):
    taken = target(name)(path.read_bytes())
    if name != "stratum" and not path.name.startswith("finding"):
        assert taken is not path.name.startswith("refused"), (
            "the layout has changed: write the seeds anew with python -m fuzz.seeds"
        )


@pytest.mark.parametrize(("name", "path"), INPUTS)
def test_an_input_needs_little_memory(name, path):
    data, trial = path.read_bytes(), target(name)
    trial(data)  # what is made once and kept, such as the wards, is not the input's
    tracemalloc.start()
    try:
        trial(data)
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


def test_every_file_of_the_folder_belongs_to_a_target():
    assert {path.name for path in (FOLDER / "corpus").iterdir()} == set(LONGEST)
    assert {path.stem for path in FOLDER.glob("*.dict")} <= set(LONGEST)
    own = {"__init__", "__main__", "campaign", "seeds", "targets"}
    assert {path.stem for path in FOLDER.glob("*.py")} == set(LONGEST) | own
    assert dictionary("genesis") is not None
    assert set(seeds.MADE) | {"stratum"} == set(LONGEST)


@pytest.mark.parametrize(("name", "path"), INPUTS)
def test_no_input_is_longer_than_its_target_tries(name, path):
    assert path.stat().st_size <= LONGEST[name]


DECODERS = {
    "header": (Header, "decode"),
    "transaction": (transaction, "decode_transaction"),
    "block": (Block, "decode"),
    "records": (records, "decode_records"),
    "genesis": (genesis, "parse_genesis"),
    "merkle": (merkle, "merkle_root"),
    "wire": (wire, "decode"),
    "handshake": (handshake_messages, "decode"),
    "gateway_wire": (gateway_wire, "_decode"),
    "header_run": (header_run, "check_run"),
    "change_file": (change_file, "read_change"),
    "update_codec": (update_codec, "decode"),
    "stratum": (stratum, "decode"),
}
SEEDS = {
    "header": "header",
    "transaction": "transfer",
    "block": "update",
    "records": "state",
    "genesis": "plain",
    "merkle": "three",
    "wire": "status",
    "handshake": "offer",
    "gateway_wire": "carried",
    "header_run": "good-0",
    "change_file": "enrolment",
    "update_codec": "twelve",
    "stratum": "line-submit",
}


@pytest.mark.parametrize("name", LONGEST)
def test_a_decoder_that_reads_past_the_end_is_a_finding(name, monkeypatch):
    def decode(*arguments):
        raise IndexError("index out of range")

    seed = (corpus(name) / SEEDS[name]).read_bytes()
    monkeypatch.setattr(*DECODERS[name], decode)
    with pytest.raises(IndexError):
        target(name)(seed)


@pytest.mark.parametrize(
    ("name", "other"),
    [("transaction", "update"), ("block", "genesis"), ("wire", "absent"), ("handshake", "accept")],
)
def test_a_decoder_that_gives_something_else_is_a_finding(name, other, monkeypatch):
    where, attribute = DECODERS[name]
    prefix = 1 if name in {"wire", "handshake"} else 0
    wrong = getattr(where, attribute)((corpus(name) / other).read_bytes()[prefix:])
    monkeypatch.setattr(where, attribute, lambda _: wrong)
    with pytest.raises(AssertionError):
        target(name)((corpus(name) / SEEDS[name]).read_bytes())


def test_a_run_that_c_judges_otherwise_is_a_finding(monkeypatch):
    check = header_run.check_run

    def lenient(genesis, parent, times, headers, now):
        return check(genesis, parent, times, headers, now + 10_000)

    monkeypatch.setattr(header_run, "check_run", lenient)
    with pytest.raises(AssertionError):
        header_run.one_input((corpus("header_run") / "refused-clock").read_bytes())


def test_the_runs_of_the_corpus_meet_every_rule_of_headers(monkeypatch):
    """Or the comparison would be of runs that nothing is wrong with."""
    met = set()
    check = header_run.check_run

    def watched(*arguments):
        checked = check(*arguments)
        met.add(checked.violated)
        return checked

    monkeypatch.setattr(header_run, "check_run", watched)
    for path in corpus("header_run").iterdir():
        header_run.one_input(path.read_bytes())
    assert met == {
        None, Rule.TIME_TOO_NEW, Rule.HEADER_VERSION, Rule.TARGET_FORM, Rule.TARGET_VALUE,
        Rule.PROOF_OF_WORK, Rule.TIME_TOO_OLD,
    }  # fmt: skip
