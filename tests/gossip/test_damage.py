"""Damage in the store that a running service meets."""

import errno
import os
import sqlite3

import pytest

from edgenode.gossip import service
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.storage.chain import (
    AlteredRecordError,
    DamagedStoreError,
    SqliteChainStore,
    StoreError,
    StoreFullError,
)
from edgenode.storage.chain_file import condemn, damage_note
from edgenode.storage.format_check import check_chain_store
from tests.gossip.node import live_node
from tests.ledger.builder import make_genesis
from tests.mining.stratum_tcp import until
from tests.storage.test_chain_store import StoredBench, open_again


@pytest.mark.parametrize("error", [DamagedStoreError, AlteredRecordError])
def test_damage_that_ends_the_service_is_noted_for_its_successor(tmp_path, error):
    with live_node(tmp_path, make_genesis()) as node:
        node.service.fail(error("page 7 is no page"))
        node.service.fail(error("and one more thing"))
    assert check_chain_store(tmp_path / "chain.db").endswith("is damaged: page 7 is no page")


def test_what_is_no_damage_is_not_noted(tmp_path):
    with live_node(tmp_path, make_genesis()) as node:
        node.service.fail(StoreError("locked by another program"))
    assert not damage_note(tmp_path / "chain.db").exists()


def test_a_payload_that_only_a_request_needs_is_noted_and_the_service_goes_on(tmp_path):
    """Parameters that the disk has altered are computed again, from a payload that it has, too."""
    with live_node(tmp_path, make_genesis()) as node:
        assert node.update(node.client.head().id)[0] == 202
        assert node.mine()[0] == 201
        with sqlite3.connect(tmp_path / "chain.db") as database:
            for table in ("parameters", "payload"):
                (raw,) = database.execute(f"SELECT raw FROM {table}").fetchone()
                altered = bytes([raw[0] ^ 1]) + raw[1:]
                assert database.execute(f"UPDATE {table} SET raw = ?", (altered,)).rowcount == 1
        status, answer, _ = node.ask("GET", "/v1/models/activity/parameters?at=1")
        assert (status, answer["error"]) == (404, "not_found")
        assert node.mine()[0] == 201
        assert node.client.head().height == 2
    assert "payload" in check_chain_store(tmp_path / "chain.db")


def test_a_service_that_ran_for_a_day_ends_to_have_noted_damage_mended(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "MENDS_AFTER", 0.0)
    with live_node(tmp_path, make_genesis()) as node:
        assert node.mine()[0] == 201
        assert not node.running.done()
        node.service.note_damage("payload 00ab changed on the disk")
        until(node.running.done)
        with pytest.raises(DamagedStoreError, match="00ab changed on the disk; another start"):
            node.running.result()


def test_a_service_that_cannot_note_damage_goes_on_until_it_can(tmp_path, monkeypatch):
    """Its successor would find nothing wrong, and the next request end that one, too."""
    monkeypatch.setattr(service, "MENDS_AFTER", 0.0)
    with live_node(tmp_path, make_genesis()) as node:
        monkeypatch.setattr(SqliteChainStore, "note_damage", full)
        node.service.note_damage("payload 00ab changed on the disk")
        assert node.mine()[0] == 201
        assert not node.running.done()
        monkeypatch.undo()
        node.service.note_damage("payload 00ab changed on the disk")
        until(node.running.done)
    assert "payload 00ab" in check_chain_store(tmp_path / "chain.db")


def test_an_archive_that_has_its_past_again_has_the_next_start_validate_it(tmp_path):
    bench = StoredBench(tmp_path / "chain.db")
    bench.grow(STATE_INTERVAL + 10)
    bench.store.raise_floor(STATE_INTERVAL - 1)
    lost = bench.chain.block(bench.chain.at(40).id)
    bench.store._db.execute("DELETE FROM block WHERE id = ?", (lost.id,))
    bench.store.close()
    with live_node(tmp_path, bench.genesis, keep="all") as node:
        assert node.mine()[0] == 201
        assert check_chain_store(tmp_path / "chain.db") == ""
        node.run_inside(lambda: node.service.chain.add_block(lost, 2**31))
        assert node.mine()[0] == 201
        until(lambda: damage_note(tmp_path / "chain.db").exists())
    assert "the blocks below height 127 are not validated" in check_chain_store(bench.path)
    chain, store = open_again(bench, keep="all")
    assert (chain.floor, chain.head.height) == (0, STATE_INTERVAL + 12)
    store.close()


def test_a_block_whose_signature_the_disk_has_altered_is_not_given_out(tmp_path):
    """Its id does not cover the signature."""
    with live_node(tmp_path, make_genesis()) as node:
        assert node.mine()[0] == 201
        block_id = node.client.head().id
        status, block, _ = node.ask("GET", "/v1/blocks/1", headers=BYTES)
        assert status == 200
        with sqlite3.connect(tmp_path / "chain.db") as database:
            altered = block[:90] + bytes([block[90] ^ 1]) + block[91:]
            database.execute("UPDATE block SET raw = ?", (altered,))
        for target in ("/v1/blocks/1", f"/v1/blocks/{block_id}", "/v1/blocks"):
            status, answer, _ = node.ask("GET", target)
            assert (status, answer["error"]) == (503, "store_failed")
            assert "signature" in answer["detail"]
        assert not node.running.done()
    assert "the signature of block" in check_chain_store(tmp_path / "chain.db")


BYTES = {"Accept": "application/octet-stream"}


def test_damage_that_is_asked_for_again_and_again_costs_the_card_nothing(tmp_path, monkeypatch):
    notes = []
    note = SqliteChainStore.note_damage
    monkeypatch.setattr(
        SqliteChainStore, "note_damage", lambda self, what: (notes.append(what), note(self, what))
    )
    with live_node(tmp_path, make_genesis()) as node:
        for _ in range(10):
            node.service.note_damage("payload 00ab changed on the disk")
    assert len(notes) == 1


def test_a_note_that_is_there_is_not_written_again(tmp_path, monkeypatch):
    condemn(tmp_path / "chain.db", "first")
    flushes = []
    monkeypatch.setattr(os, "fsync", flushes.append)
    condemn(tmp_path / "chain.db", "second")
    assert flushes == []
    assert check_chain_store(tmp_path / "chain.db").endswith("is damaged: first")


def test_a_full_disk_is_told_once_in_a_while(tmp_path, caplog):
    with live_node(tmp_path, make_genesis()) as node:
        for _ in range(10):
            node.run_inside(lambda: node.service._attempt(no_room))
    assert [r.getMessage() for r in caplog.records].count(FULL) == 1


FULL = "new blocks and updates are not kept until there is room"


def no_room():
    raise StoreFullError("no room left on the disk")


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
