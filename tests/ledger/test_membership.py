"""The authorities of genesis enrol and revoke; nobody else does, and not too many at once."""

from dataclasses import replace

import pytest

from edgenode.ledger import membership
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Authority, Member
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.rules import Rejected, Rule
from tests.ledger.builder import ALICE, BOB, CAROL, MALLORY, Bench, key, make_genesis

MATRON, DEAN, CLERK = key(101), key(102), key(103)
DAVE = key(4)


def governed(**changes):
    """A ward of which two of three authorities change the members."""
    return Bench(
        make_genesis(
            authorities=tuple(
                Authority(name, k.public.hex())
                for name, k in (("matron", MATRON), ("dean", DEAN), ("clerk", CLERK))
            ),
            authority_quorum=2,
            **changes,
        )
    )


@pytest.fixture
def bench() -> Bench:
    return governed()


SIGNERS = {0: MATRON, 2: CLERK}


def signed(bench, change, signers=SIGNERS):
    return replace(
        change,
        signatures=tuple(
            (index, change.signature_by(authority, bench.genesis.id))
            for index, authority in signers.items()
        ),
    )


def enrolment(bench, member=DAVE, name="dave", sequence=0, signers=SIGNERS):
    return signed(bench, Enrolment(member.public, name, sequence, ()), signers)


def revocation(bench, member=CAROL, sequence=0, signers=SIGNERS):
    return signed(bench, Revocation(member.public, sequence, ()), signers)


def names(bench):
    return set(membership.members(bench.chain.state.records).values())


def rule_of(bench, *changes):
    """The rule by which a block with these changes is refused, and the mempool refuses the last."""
    block = bench.block()
    with pytest.raises(Rejected) as caught:
        bench.add(bench.sealed(replace(block, transactions=(*block.transactions, *changes))))
    return caught.value.rule


def test_who_is_enrolled_mines_and_updates_from_the_next_block_on(bench):
    update, payload = bench.update(DAVE)
    bench.chain.add_payload(payload)
    assert rule_of(bench, update) is Rule.UPDATE_MEMBER
    bench.add(bench.block(enrolment(bench)))
    assert names(bench) == {"alice", "bob", "carol", "dave"}
    bench.round(DAVE, miner=DAVE)
    assert bench.balance(DAVE) == 1000


def test_who_is_revoked_mines_and_updates_no_more(bench):
    bench.add(bench.block(revocation(bench)))
    assert names(bench) == {"alice", "bob"}
    with pytest.raises(Rejected, match="block_member"):
        bench.add(bench.block(miner=CAROL))
    update, payload = bench.update(CAROL)
    bench.chain.add_payload(payload)
    assert rule_of(bench, update) is Rule.UPDATE_MEMBER


def with_update(bench, member, *others):
    """A block on the head with these transactions and an update of a member."""
    update, payload = bench.update(member)
    bench.chain.add_payload(payload)
    return bench.block(*others, update)


def test_who_is_revoked_in_a_block_still_speaks_in_it(bench):
    block = bench.add(with_update(bench, CAROL, revocation(bench)))
    assert block.coinbase.models[0].updates == 1
    assert names(bench) == {"alice", "bob"}


def test_who_mines_its_own_revocation_is_paid_for_it(bench):
    bench.add(bench.block(revocation(bench), miner=CAROL))
    assert bench.balance(CAROL) == 1000
    with pytest.raises(Rejected, match="block_member"):
        bench.add(bench.block(miner=CAROL))


def test_who_is_enrolled_in_a_block_does_not_speak_in_it_yet(bench):
    with pytest.raises(Rejected) as caught:
        bench.add(with_update(bench, DAVE, enrolment(bench)))
    assert caught.value.rule is Rule.UPDATE_MEMBER


def test_a_revocation_and_an_update_of_the_same_member_wait_and_make_one_block(bench):
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    update, payload = bench.update(CAROL)
    bench.chain.add_payload(payload)
    pool.add(update, bench.chain.state)
    pool.add(revocation(bench), bench.chain.state)
    selected = pool.select(bench.chain.state)
    assert len(selected) == 2
    bench.add(bench.block(*selected))
    pool.follow(bench.chain.state, [])
    assert len(pool) == 0


def test_a_reorganisation_undoes_an_enrolment(bench):
    other = Bench(bench.genesis)
    bench.add(bench.block(enrolment(bench)))
    for _ in range(2):
        bench.add(other.add(other.block(miner=BOB)))
    assert names(bench) == {"alice", "bob", "carol"}


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda c: replace(c, signatures=c.signatures[:1]), Rule.AUTHORITY_QUORUM),
        (lambda c: replace(c, signatures=()), Rule.AUTHORITY_QUORUM),
        (lambda c: replace(c, signatures=c.signatures[::-1]), Rule.AUTHORITY_UNKNOWN),
        (lambda c: replace(c, signatures=c.signatures[:1] * 2), Rule.AUTHORITY_UNKNOWN),
        (lambda c: replace(c, signatures=((7, bytes(64)), (9, bytes(64)))), Rule.AUTHORITY_UNKNOWN),
        (
            lambda c: replace(c, signatures=(c.signatures[0], (2, bytes(64)))),
            Rule.AUTHORITY_SIGNATURE,
        ),
        (lambda c: replace(c, member=MALLORY.public), Rule.AUTHORITY_SIGNATURE),
        (lambda c: replace(c, sequence=1), Rule.AUTHORITY_SIGNATURE),
    ],
)
def test_what_the_authorities_have_not_signed_so_changes_nothing(bench, spoil, rule):
    assert rule_of(bench, spoil(enrolment(bench))) is rule
    with pytest.raises(Rejected) as caught:
        Mempool(bench.genesis, bench.chain.tree.get).add(spoil(enrolment(bench)), bench.chain.state)
    assert caught.value.rule is rule


def test_a_signature_for_another_ward_enrols_nobody(bench):
    other = Bench(make_genesis(name="another"))
    assert rule_of(bench, enrolment(other)) is Rule.AUTHORITY_SIGNATURE


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda b: enrolment(b, sequence=1), Rule.AUTHORITY_SEQUENCE),
        (lambda b: enrolment(b, member=BOB), Rule.ENROLMENT_KEY),
        (lambda b: enrolment(b, name="bob"), Rule.ENROLMENT_NAME),
        (lambda b: enrolment(b, name="a\x00b"), Rule.ENROLMENT_NAME),
        (lambda b: enrolment(b, name=""), Rule.ENROLMENT_NAME),
        (lambda b: revocation(b, member=DAVE), Rule.REVOCATION_MEMBER),
        (
            lambda b: signed(b, Enrolment(b"\x02" + bytes(30) + b"\x80", "x", 0, ())),
            Rule.ENROLMENT_KEY,
        ),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_though_the_authorities_signed_it(
    bench, change, rule
):
    assert rule_of(bench, change(bench)) is rule
    if (made := change(bench)).sequence == 0:
        with pytest.raises(Rejected) as caught:
            pool_of(bench, made)
        assert caught.value.rule is rule, "it would hold its place, and what comes after it"


def pool_of(bench, *changes):
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    for change in changes:
        pool.add(change, bench.chain.state)
    return pool


def test_a_change_that_an_earlier_one_made_senseless_leaves_room_for_another():
    """Two people revoke the same member; the second one's tool takes the next sequence."""
    members = tuple(Member(f"m{i}", key(1000 + i).public.hex()) for i in range(16))
    bench = governed(members=members, endorsements_per_block=16)
    first, again = (revocation(bench, key(1015), sequence) for sequence in (0, 1))
    pool = pool_of(bench, again, first)
    bench.add(bench.block(*pool.select(bench.chain.state), miner=key(1000)))
    gone = {change.sequence: r.rule for change, r in pool.follow(bench.chain.state, [])}
    assert gone == {0: Rule.AUTHORITY_SEQUENCE, 1: Rule.REVOCATION_MEMBER}
    other = revocation(bench, key(1014), 1)
    pool.add(other, bench.chain.state)
    assert pool.select(bench.chain.state) == [other]


@pytest.mark.parametrize("name", ["carol", "caroline"])
def test_who_was_revoked_waits_for_finality_to_be_enrolled_again(bench, name):
    pool = pool_of(bench, enrolment(bench, CAROL, name, 1), revocation(bench))
    bench.add(bench.block(*pool.select(bench.chain.state)))
    pool.follow(bench.chain.state, [])
    assert len(pool) == 1
    while not (due := pool.select(bench.chain.state)):
        bench.grow(bench.genesis.checkpoint_interval)
        bench.endorse(ALICE, BOB, CAROL)
        pool.follow(bench.chain.state, [])
        assert bench.chain.head.height < 100
    bench.add(bench.block(*due))
    assert name in names(bench)


def test_no_more_are_enrolled_than_a_quorum_can_be_heard_of():
    """Four blocks with an endorsement each: of five members four are a quorum, of six five."""
    members = tuple(Member(f"m{i}", key(1000 + i).public.hex()) for i in range(4))
    bench = governed(members=members, endorsements_per_block=1)
    bench.add(bench.block(enrolment(bench), miner=key(1000)))
    with pytest.raises(Rejected) as caught:
        pool_of(bench, enrolment(bench, key(5), "eve", 1))
    assert caught.value.rule is Rule.ENROLMENT_COUNT


def test_one_who_is_enrolled_and_revoked_unfinally_is_one_change():
    """Of sixteen voters two may be changed; quorums differ by members, not by what was signed."""
    members = tuple(Member(f"m{i}", key(1000 + i).public.hex()) for i in range(16))
    bench = governed(members=members, endorsements_per_block=16)
    for change in (
        enrolment(bench),
        revocation(bench, DAVE, 1),
        enrolment(bench, key(5), "eve", 2),
    ):
        bench.add(bench.block(change, miner=key(1000)))
    with pytest.raises(Rejected, match="authority_pace"):
        bench.add(bench.block(enrolment(bench, key(6), "finn", 3), miner=key(1000)))


def test_a_change_happens_once(bench):
    change = enrolment(bench)
    bench.add(bench.block(change))
    assert rule_of(bench, change) is Rule.AUTHORITY_SEQUENCE


def test_the_last_member_stays():
    genesis = make_genesis(
        members=(Member("alice", ALICE.public.hex()),),
        authorities=(Authority("matron", MATRON.public.hex()),),
        authority_quorum=1,
    )
    bench = Bench(genesis)
    signers = {0: MATRON}
    change = revocation(bench, member=ALICE, signers=signers)
    assert rule_of(bench, change) is Rule.REVOCATION_MEMBER


def test_without_authorities_nobody_is_enrolled():
    bench = Bench()
    assert rule_of(bench, Enrolment(DAVE.public, "dave", 0, ())) is Rule.AUTHORITY_QUORUM


def test_the_next_change_waits_until_the_last_one_is_final(bench):
    bench.add(bench.block(enrolment(bench)))
    second = enrolment(bench, key(5), "eve", 1)
    assert rule_of(bench, second) is Rule.AUTHORITY_PACE
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    pool.add(second, bench.chain.state)
    assert pool.select(bench.chain.state) == [], "it waits in the mempool, for finality"
    members = [ALICE, BOB, CAROL]
    while not pool.select(bench.chain.state):
        bench.grow(bench.genesis.checkpoint_interval)
        bench.endorse(*members)
        assert bench.chain.head.height < 100
    bench.add(bench.block(*pool.select(bench.chain.state)))
    assert "eve" in names(bench)


def test_changes_wait_in_the_mempool_in_any_order(bench):
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    first, second = enrolment(bench), enrolment(bench, key(5), "eve", 1)
    pool.add(second, bench.chain.state)
    assert pool.select(bench.chain.state) == []
    pool.add(first, bench.chain.state)
    assert pool.select(bench.chain.state) == [first]
