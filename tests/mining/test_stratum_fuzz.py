"""The fuzz target of Stratum holds on its corpus and on what hypothesis makes of it."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.mining.stratum_events import BlockFound, ShareAccepted, ShareRefused
from edgenode.mining.stratum_session import Session

FUZZ = Path(__file__).parents[2] / "fuzz"
CORPUS = {path.name: path.read_bytes() for path in sorted((FUZZ / "corpus/stratum").iterdir())}


@pytest.fixture(scope="module")
def target():
    spec = importlib.util.spec_from_file_location("fuzz_stratum", FUZZ / "stratum.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", CORPUS)
def test_the_target_holds_on_its_corpus(target, name):
    target.one_input(CORPUS[name])


def test_the_corpus_reaches_shares_blocks_and_refusals(target, monkeypatch):
    seen = set()
    drain = Session.drain

    def watched(self):
        out, events = drain(self)
        seen.update(map(type, events))
        return out, events

    monkeypatch.setattr(Session, "drain", watched)
    for data in CORPUS.values():
        target.one_input(data)
    assert {ShareAccepted, BlockFound, ShareRefused} <= seen


@given(st.sampled_from(sorted(CORPUS.values())), st.data())
def test_the_target_holds_on_what_is_near_the_corpus(target, seed, data):
    spoiled = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(spoiled) - 1))
        spoiled[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(1, len(spoiled)))
    target.one_input(bytes(spoiled[:cut]))


def test_a_broken_invariant_would_be_seen(target, monkeypatch):
    monkeypatch.setattr(target, "REQUEST_BYTES", 10)
    with pytest.raises(AssertionError):
        target.session(b"\x03\x00" + b'{"id":1, "method": "m')
