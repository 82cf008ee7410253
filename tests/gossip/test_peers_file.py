"""Peers that are remembered over a start, and what is made of a file that is no good."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.gossip.peers_file import KEEP_INTERVAL, PeersMemory, read_peers, write_peers
from edgenode.protocol.book import MET_LIMIT, AddressBook
from edgenode.protocol.wire import Address

ONE, OTHER = Address("10.0.0.1", 7070), Address("2001:db8::1", 7071)
KEYS = [bytes([n]) * 32 for n in range(3)]
PEER = {"host": "10.0.0.1", "port": 7070, "member": "ab" * 32}


@given(
    st.lists(
        st.tuples(st.ip_addresses(), st.integers(1, 65535), st.binary(min_size=32, max_size=32)),
        max_size=9,
    )
)
def test_what_is_written_is_read(tmp_path_factory, peers):
    path = tmp_path_factory.mktemp("peers") / "peers.json"
    known = [(Address(str(host), port), member) for host, port, member in peers]
    write_peers(path, known)
    assert read_peers(path) == known


def test_a_restart_knows_where_members_were_met(tmp_path):
    path, book = tmp_path / "peers.json", AddressBook([], 0)
    memory = PeersMemory(path, book)
    memory.recall(0)
    book.meet(ONE, KEYS[0], 5)
    book.meet(OTHER, KEYS[1], 3)
    memory.keep(KEEP_INTERVAL - 1)
    assert not path.exists(), "a card wears out by writing"
    memory.keep(KEEP_INTERVAL)
    anew = AddressBook([], 1000)
    PeersMemory(path, anew).recall(1000)
    assert [(met.address, met.member) for met in anew.met()] == [(OTHER, KEYS[1]), (ONE, KEYS[0])]
    written = path.stat().st_mtime_ns
    memory.keep(3 * KEEP_INTERVAL)
    assert path.stat().st_mtime_ns == written, "nothing is new"


def test_a_full_disk_is_no_reason_to_stop(tmp_path, caplog):
    book = AddressBook([], 0)
    memory = PeersMemory(tmp_path / "missing" / "peers.json", book)
    memory.recall(0)
    book.meet(ONE, KEYS[0], 5)
    memory.keep(KEEP_INTERVAL)
    assert "not kept" in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 4096,
        b"[]",
        b"[" * 100_000,
        json.dumps({"format": 2, "peers": []}).encode(),
        json.dumps({"format": 1, "peers": [PEER | {"port": 0}]}).encode(),
        json.dumps({"format": 1, "peers": [PEER | {"port": 65536}]}).encode(),
        json.dumps({"format": 1, "peers": [PEER | {"host": "a.name"}]}).encode(),
        json.dumps({"format": 1, "peers": [PEER | {"member": "ab"}]}).encode(),
        json.dumps({"format": 1, "peers": [PEER | {"member": "xy" * 32}]}).encode(),
        json.dumps({"format": 1, "peers": [PEER] * 5000}).encode(),
    ],
)
def test_a_file_that_is_no_good_costs_what_was_in_it(tmp_path, content, caplog):
    path = tmp_path / "peers.json"
    path.write_bytes(content)
    assert read_peers(path) == []
    assert "are lost" in caplog.text


def test_of_a_long_file_the_newest_are_taken(tmp_path):
    path = tmp_path / "peers.json"
    known = [(Address("10.0.0.1", 1 + n), KEYS[0]) for n in range(MET_LIMIT + 9)]
    write_peers(path, known)
    assert read_peers(path) == known[9:]
