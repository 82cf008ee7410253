"""How the ward stands, as the local API tells it."""

import time
from dataclasses import replace

import pytest

from edgenode.api.shapes import WaitingChange
from edgenode.gossip.ward_view import ward_of
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Authority
from tests.gossip.node import live_node
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, START, Bench, key, make_genesis

DAVE, MATRON = key(4), key(101)
INTERVAL = 4  # of the builder's genesis
WINDOW = 12
REST = 601


@pytest.fixture
def bench() -> Bench:
    return Bench(make_genesis(share_window=WINDOW, share_rest=REST))


def seen(bench, member=ALICE, now=NOW):
    return ward_of(bench.chain, member.public, now)


def test_a_new_ward_has_members_and_no_checkpoint_to_endorse(bench):
    ward = seen(bench)
    assert (ward.members, ward.voters, ward.checkpoint_interval) == (3, 3, INTERVAL)
    assert (ward.checkpoint, ward.endorsed, ward.final_time) == (None, None, START)


def test_it_tells_how_many_endorsed_the_checkpoint_that_had_an_interval_of_blocks(bench):
    bench.grow(INTERVAL)
    assert (seen(bench).checkpoint, seen(bench).endorsed) == (4, 0)
    bench.endorse(ALICE, BOB)
    assert seen(bench).endorsed == 2
    bench.endorse(CAROL)
    bench.grow(INTERVAL)
    assert (seen(bench).checkpoint, seen(bench).endorsed) == (4, 3), "8 has had no time yet"
    bench.grow(INTERVAL - 2)
    bench.endorse(BOB)
    assert (seen(bench).checkpoint, seen(bench).endorsed) == (8, 0), "nobody did in time"


def test_the_final_block_has_its_own_time(bench):
    for _ in range(2):
        bench.grow(INTERVAL)
        bench.endorse(ALICE, BOB, CAROL)
    assert seen(bench).final_time == bench.chain.at(4).header.time > START


def test_who_has_made_its_share_rests_until_the_pause_is_over(bench):
    share = 2 * WINDOW // 3
    bench.grow(share - 1, seconds=1)
    head = bench.chain.head.header.time
    assert (seen(bench, now=head).blocks, seen(bench, now=head).blocks_limit) == (share - 1, share)
    assert not seen(bench, now=head).resting
    bench.grow(1, seconds=1)
    head = bench.chain.head.header.time
    assert seen(bench, now=head + REST - 1).resting
    assert not seen(bench, now=head + REST).resting
    assert not seen(bench, BOB, now=head).resting


def test_the_service_answers_for_its_own_member(tmp_path):
    with live_node(tmp_path, make_genesis(time=int(time.time()) - 1000, share_window=8)) as node:
        assert node.mine()[0] == 201
        ward = node.client.ward()
    assert (ward.members, ward.blocks, ward.blocks_limit, ward.resting) == (3, 1, 5, False)


def test_changes_of_members_that_wait_are_listed_until_a_block_holds_them(tmp_path):
    genesis = make_genesis(
        time=int(time.time()) - 1000,
        authorities=(Authority("matron", MATRON.public.hex()),),
        authority_quorum=1,
    )

    def signed(change):
        return replace(change, signatures=((0, change.signature_by(MATRON, genesis.id)),))

    with live_node(tmp_path, genesis) as node:
        for change in (Revocation(BOB.public, 1, ()), Enrolment(DAVE.public, "bed-9", 0, ())):
            node.client.submit_transaction(signed(change).encode())
        found = node.client.members()
        assert found.waiting == (
            WaitingChange(0, DAVE.public.hex(), "bed-9"),
            WaitingChange(1, BOB.public.hex(), None),
        )
        assert (found.changes, found.next_sequence) == (0, 2)
        assert node.mine()[0] == 201
        found = node.client.members()
        assert found.waiting == (WaitingChange(1, BOB.public.hex(), None),), "one at a time"
        assert (found.changes, found.next_sequence) == (1, 2)
