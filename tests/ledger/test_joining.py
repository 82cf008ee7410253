"""What a node that joins in the middle of the chain believes, and what it does not."""

from dataclasses import replace

import pytest

from edgenode.ledger import finality, membership
from edgenode.ledger.encoding import u8, u32, u64
from edgenode.ledger.genesis import Member
from edgenode.ledger.hashes import content_id
from edgenode.ledger.joining import (
    STATE_BYTES_LIMIT,
    Evidence,
    Snapshot,
    UnprovenError,
    proven_members,
    read_state,
)
from edgenode.ledger.records import RecordKind, encode_records
from edgenode.ledger.retention import Retention
from edgenode.ledger.transaction import STATE_INTERVAL
from tests.ledger.builder import ALICE, BOB, CAROL, MALLORY, Bench, key, make_genesis
from tests.ledger.test_membership import DAVE, enrolment, governed, revocation


@pytest.fixture
def bench():
    return governed(share_window=4)


def records_of(bench):
    return dict(bench.chain.state.records.under(b""))


def read(records):
    raw = encode_records(sorted(records.items()))
    return read_state(raw, content_id(raw))


# The state itself


def test_a_state_that_a_chain_leads_to_is_read_as_it_is(bench):
    bench.add(bench.block(enrolment(bench)))
    bench.grow(3)
    bench.endorse(ALICE, BOB, CAROL)
    bench.round(ALICE, BOB)
    kinds = {key[0] for key in records_of(bench)}
    assert kinds == set(RecordKind), "the test is about all of them"
    assert read(records_of(bench)) == records_of(bench)


def test_a_state_under_another_name_is_refused():
    raw = encode_records(sorted(records_of(Bench()).items()))
    with pytest.raises(UnprovenError, match="not the state"):
        read_state(raw, bytes(32))
    with pytest.raises(UnprovenError):
        read_state(bytes(STATE_BYTES_LIMIT + 1), content_id(bytes(STATE_BYTES_LIMIT + 1)))


FINAL = u8(RecordKind.FINAL)


@pytest.mark.parametrize(
    "spoil",
    [
        {b"\0": b""},
        {u8(RecordKind.ACCOUNT) + bytes(31): bytes(16)},
        {u8(RecordKind.ACCOUNT) + bytes(32): bytes(15)},
        {u8(RecordKind.MEMBER) + bytes(32): bytes(8)},
        {u8(RecordKind.MEMBER) + bytes(32): bytes(8) + b"\xff"},
        {u8(RecordKind.MEMBER) + bytes(32): bytes(8) + b"x" * 65},
        {u8(RecordKind.COUNTED) + bytes(37): b"1"},
        {u8(RecordKind.ENDORSED) + bytes(36): bytes(8)},
        {u8(RecordKind.CHANGE) + bytes(8): b""},
        {FINAL: u32(0)},
        {FINAL: None},
        {u8(RecordKind.JUSTIFIED) + bytes(4): None},
    ],
)
def test_a_record_that_no_chain_writes_is_refused(spoil):
    records = records_of(Bench())
    for name, value in spoil.items():
        if value is None:
            del records[name]
        else:
            records[name] = value
    with pytest.raises(UnprovenError):
        read(records)


# Who is a member


def test_members_follow_from_genesis_and_the_signed_changes(bench):
    bench.add(bench.block(enrolment(bench)))
    assert proven_members(bench.genesis, records_of(bench)) == {
        k.public for k in (ALICE, BOB, CAROL, DAVE)
    }


def test_a_member_that_was_revoked_is_none_any_more(bench):
    bench.add(bench.block(revocation(bench)))
    assert proven_members(bench.genesis, records_of(bench)) == {ALICE.public, BOB.public}


def member_key(key_of_member):
    return u8(RecordKind.MEMBER) + key_of_member.public


def change_key(sequence):
    return u8(RecordKind.CHANGE) + sequence.to_bytes(8)


def test_nobody_becomes_a_member_by_a_record_alone():
    records = records_of(Bench())
    records[member_key(MALLORY)] = u32(0) + u32(0) + b"mallory"
    with pytest.raises(UnprovenError, match="not those"):
        proven_members(make_genesis(), records)


def test_nobody_stops_being_one_by_a_record_alone():
    records = records_of(Bench())
    del records[member_key(CAROL)]
    with pytest.raises(UnprovenError, match="not those"):
        proven_members(make_genesis(), records)
    records = records_of(Bench())
    records[member_key(CAROL)] = u32(0) + u32(7) + b"carol"
    with pytest.raises(UnprovenError, match="not those"):
        proven_members(make_genesis(), records)


def test_a_change_must_be_signed_by_the_authorities(bench):
    bench.add(bench.block(enrolment(bench)))
    forged = records_of(bench)
    forged[change_key(0)] = replace(
        enrolment(bench, MALLORY, "dave"), member=MALLORY.public
    ).encode()
    forged.pop(member_key(DAVE))
    forged[member_key(MALLORY)] = u32(1) + u32(0) + b"dave"
    assert proven_members(bench.genesis, forged), "the authorities have signed that"
    forged[change_key(0)] = replace(enrolment(bench), member=MALLORY.public).encode()
    with pytest.raises(UnprovenError, match="authority_signature"):
        proven_members(bench.genesis, forged)


@pytest.mark.parametrize("value", [None, b"", b"\xff" * 40])
def test_no_change_may_be_missing(bench, value):
    bench.add(bench.block(enrolment(bench)))
    records = records_of(bench)
    if value is None:
        del records[change_key(0)]
    else:
        records[change_key(0)] = value
    with pytest.raises(UnprovenError, match="a change of the members"):
        proven_members(bench.genesis, records)


def test_a_change_stands_in_its_own_place(bench):
    bench.add(bench.block(enrolment(bench)))
    records = records_of(bench)
    records[u8(RecordKind.CHANGES)] = u64(2)
    records[change_key(1)] = records[change_key(0)]
    with pytest.raises(UnprovenError, match="change 1"):
        proven_members(bench.genesis, records)


def test_who_leaves_out_the_last_changes_shows_the_members_of_an_earlier_day(bench):
    bench.add(bench.block(revocation(bench)))
    records = records_of(bench)
    del records[change_key(0)], records[u8(RecordKind.CHANGES)]
    records[member_key(CAROL)] = u32(0) + u32(0) + b"carol"
    assert CAROL.public in proven_members(bench.genesis, records)


# That members stand behind it


@pytest.fixture
def branch():
    bench = Bench()
    bench.grow(8)
    return bench


def evidence(branch, members=(ALICE, BOB, CAROL), above=0):
    ids = {height: branch.chain.at(height).id for height in range(above + 1, 9)}
    return Evidence(branch.genesis, frozenset(m.public for m in members), ids)


def test_more_than_two_thirds_of_the_members_are_enough(branch):
    heard = evidence(branch)
    heard.hear([branch.endorsement(ALICE), branch.endorsement(BOB)])
    assert not heard.enough
    heard.hear([branch.endorsement(CAROL)])
    assert heard.enough


def test_a_member_is_counted_once_for_each_block(branch):
    heard = evidence(branch)
    heard.hear([branch.endorsement(ALICE)] * 3 + [branch.endorsement(BOB)])
    lower = replace(
        branch.endorsement(CAROL), target_height=4, target=branch.chain.at(4).id
    ).signed(CAROL, branch.genesis.id)
    heard.hear([lower])
    assert not heard.enough


def test_what_is_forged_of_strangers_or_for_another_branch_is_not_counted(branch):
    endorsement = branch.endorsement(CAROL)
    ours = [branch.endorsement(ALICE), branch.endorsement(BOB)]
    for other in (
        replace(endorsement, signature=bytes(64)),
        replace(endorsement, source_height=4),
        branch.endorsement(MALLORY),
        replace(endorsement, target=bytes(32)).signed(CAROL, branch.genesis.id),
        replace(endorsement, target_height=99).signed(CAROL, branch.genesis.id),
        endorsement.signed(CAROL, bytes(32)),
    ):
        heard = evidence(branch)
        heard.hear([*ours, other])
        assert not heard.enough, other


def test_what_was_endorsed_at_or_below_the_state_says_nothing_of_it(branch):
    heard = evidence(branch, above=8)
    heard.hear(branch.endorsement(member) for member in (ALICE, BOB, CAROL))
    assert not heard.enough


def test_nobody_is_no_quorum(branch):
    heard = evidence(branch, members=())
    heard.hear(branch.endorsement(member) for member in (ALICE, BOB, CAROL))
    assert not heard.enough


# Going on from it


def snapshot(source, height):
    """The state at a height of another chain, as it would be pulled."""
    block = source.chain.block(source.chain.at(height).id)
    root = source.chain.block(source.chain.at(height + 1).id).coinbase.state
    raw = source.chain.served.state(root)
    return Snapshot(
        source.chain.at(height),
        root,
        read_state(raw, root),
        block.coinbase.models,
        source.chain.parameters_at(source.chain.at(height)),
    )


def give(source, bench, *heights):
    for height in heights:
        block = source.chain.block(source.chain.at(height).id)
        bench.chain.add_block(block, 2**31)
        for update in block.updates:
            bench.chain.add_payload(source.chain.payload(update.payload))


def test_the_chain_that_was_joined_comes_to_the_same_state():
    source, joiner = Bench(), Bench(retention=Retention(blocks=100))
    source.grow_final(2 * STATE_INTERVAL + 9, ALICE, BOB, CAROL)
    joiner.round(BOB, miner=BOB)  # a chain of its own, which it leaves
    lost = joiner.chain.head
    trunk = source.store.headers.raw(1, source.chain.head.height)
    assert joiner.chain.add_headers(trunk, 2**31).fault is None
    floor = 2 * STATE_INTERVAL - 1
    give(source, joiner, floor, floor + 1)
    change = joiner.chain.join_at(snapshot(source, floor))
    assert (change.old, change.new.height, len(change.disconnected)) == (lost, floor, 1)
    assert (joiner.chain.head, joiner.chain.floor) == (source.chain.at(floor), floor)
    give(source, joiner, *range(floor + 2, source.chain.head.height + 1))
    while joiner.chain.advance()[0] is not None:
        pass
    assert joiner.chain.head == source.chain.head
    assert records_of(joiner) == records_of(source)
    assert joiner.parameters() == source.parameters()
    assert joiner.store.state_at(floor) == source.store.state_at(floor)
    final = finality.final(joiner.chain.state.records)
    assert final == finality.final(source.chain.state.records)
    assert membership.members(joiner.chain.state.records)
    joiner.chain.let_go()
    assert joiner.chain.block(lost.id) is None


def test_members_of_genesis_alone_need_no_changes():
    genesis = make_genesis(members=(Member("dave", key(9).public.hex()),))
    assert proven_members(genesis, records_of(Bench(genesis))) == {key(9).public}


def test_a_branch_can_be_joined_that_leaves_the_chain_below_its_lowest_kept_block():
    source, joiner = Bench(), Bench(retention=Retention(blocks=100, bytes=1))
    source.grow(10)
    for height in range(1, 11):
        joiner.add(source.chain.block(source.chain.at(height).id))
    joiner.grow(5 * STATE_INTERVAL + 20, miner=CAROL)
    for _ in range(20):
        joiner.chain.let_go()
    lowest = joiner.chain.floor
    assert lowest > 10
    assert joiner.chain.final.height == 0
    source.grow_final(5 * STATE_INTERVAL + 40, ALICE, BOB, CAROL)
    joiner.chain.add_headers(source.store.headers.raw(1, source.chain.head.height), 2**31)
    floor = 5 * STATE_INTERVAL - 1
    give(source, joiner, floor)
    head = joiner.chain.head
    change = joiner.chain.join_at(snapshot(source, floor))
    assert (change.old, change.new.height) == (head, floor)
    heights = [block.coinbase.height for block in change.disconnected]
    assert heights == list(range(head.height, lowest - 1, -1))
    give(source, joiner, *range(floor + 1, source.chain.head.height + 1))
    while joiner.chain.advance()[0] is not None:
        pass
    assert records_of(joiner) == records_of(source)
