"""No member makes more than its share of blocks while others are active; alone it goes on."""

import pytest

from edgenode.ledger import block_share
from edgenode.ledger.rules import Rejected
from tests.ledger.builder import ALICE, BOB, CAROL, Bench, make_genesis

WINDOW = 12
REST = 601
SHARE = 2 * WINDOW // 3  # of each of the three members


@pytest.fixture
def bench() -> Bench:
    return Bench(make_genesis(share_window=WINDOW, share_rest=REST))


def made_by(bench, member):
    """How many of the last blocks a member made."""
    return block_share.miners(bench.chain.state.records).count(member.public)


def mine_quickly(bench, member):
    """Blocks by a member that finds them at once, as long as it is let."""
    while bench.template(member, seconds=1).work.time == bench.chain.head.header.time + 1:
        bench.add(bench.block(miner=member, seconds=1))


def test_who_is_always_first_gets_twice_an_even_share_and_no_more(bench):
    for n in range(3 * WINDOW):
        mine_quickly(bench, ALICE)
        assert made_by(bench, ALICE) <= SHARE
        bench.grow(1, miner=(BOB, CAROL)[n % 2])
    assert made_by(bench, BOB) + made_by(bench, CAROL) >= WINDOW - 1 - SHARE


def test_a_block_beyond_the_share_is_refused_by_name_unless_it_leaves_a_pause(bench):
    mine_quickly(bench, ALICE)
    over = bench.template(ALICE, seconds=1)
    lowest = bench.chain.head.header.time + REST
    assert over.work.time == lowest
    early = bench.sealed(over.block(bytes(8), 0, lowest - 1, ALICE, bench.genesis.id))
    with pytest.raises(Rejected, match="block_share"):
        bench.add(early)
    bench.add(bench.sealed(over.block(bytes(8), 0, lowest, ALICE, bench.genesis.id)))


def test_when_all_others_are_gone_the_last_one_goes_on_with_pauses(bench):
    bench.grow(1, miner=BOB)
    for n in range(3 * WINDOW):
        before = bench.chain.head.header.time
        block = bench.add(bench.block(miner=ALICE, seconds=1))
        assert block.header.time - before == (1 if n < SHARE else REST)


def test_who_was_alone_for_long_gives_way_to_those_who_come_back(bench):
    bench.grow(5 * WINDOW, miner=ALICE, seconds=REST)
    for n in range(WINDOW):
        mine_quickly(bench, ALICE)
        bench.grow(1, miner=(BOB, CAROL)[n % 2])
    assert made_by(bench, ALICE) <= SHARE


def test_the_window_forgets_and_is_restored_by_a_reorganisation(bench):
    bench.grow(5, miner=BOB)
    before = block_share.miners(bench.chain.state.records)
    other = Bench(bench.genesis)
    for height in range(1, 6):
        other.add(bench.chain.block(bench.chain.at(height).id))
    bench.grow(1, miner=ALICE)
    for _ in range(2):
        bench.add(other.add(other.block(miner=CAROL)))
    assert block_share.miners(bench.chain.state.records) == [*before, *[CAROL.public] * 2]
    bench.grow(2 * WINDOW, miner=CAROL, seconds=REST)
    assert len(block_share.miners(bench.chain.state.records)) == WINDOW - 1


def test_in_a_ward_of_one_or_two_nobody_waits():
    genesis = make_genesis(share_window=WINDOW, members=make_genesis().members[:2])
    bench = Bench(genesis)
    bench.grow(3 * WINDOW, miner=ALICE, seconds=1)
