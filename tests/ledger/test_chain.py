from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgenode.ledger import chain as chain_module
from edgenode.ledger.accounts import accounts
from edgenode.ledger.chain import Chain, MissingDataError
from edgenode.ledger.headers import UnknownParentError, expected_target
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.store import PARAMETERS_KEPT
from edgenode.ledger.transaction import STATE_INTERVAL, Update
from edgenode.storage.chain import SqliteChainStore, StoreFullError
from tests.ledger.builder import ALICE, BOB, CAROL, MALLORY, NOW, Bench, initial_parameters, mined


@pytest.fixture
def bench() -> Bench:
    return Bench()


def copy(bench: Bench, onto: Bench, start: int = 1) -> None:
    """Give `onto` all blocks and payloads of the other's chain from a height on."""
    for height in range(start, bench.chain.head.height + 1):
        block = bench.chain.block(bench.chain.at(height).id)
        onto.chain.add_block(block, NOW)
        for update in block.updates:
            onto.chain.add_payload(bench.chain.payload(update.payload))


def same_state(one: Bench, other: Bench) -> bool:
    a, b = one.chain.state, other.chain.state
    return (
        one.chain.head.id == other.chain.head.id
        and dict(a.records.under(b"")) == dict(b.records.under(b""))
        and a.models == b.models
        and a.justified == b.justified
        and all((p == q).all() for p, q in zip(a.parameters, b.parameters, strict=True))
    )


def test_a_round_averages_the_members_updates_by_examples(bench):
    pairs = [bench.update(ALICE, 100, examples=30), bench.update(BOB, 200, examples=10)]
    for _, payload in pairs:
        bench.chain.add_payload(payload)
    block = bench.add(bench.block(*(u for u, _ in pairs)))
    assert bench.parameters() == [v + 125 for v in initial_parameters().tolist()]
    state = block.coinbase.models[0]
    assert (state.round, state.updates, state.examples) == (1, 2, 40)


def test_a_stale_update_counts_with_its_discount(bench):
    stale, payload = bench.update(BOB, 200)
    bench.grow(1)
    fresh, other = bench.update(ALICE, 100)
    bench.chain.add_payload(payload)
    bench.chain.add_payload(other)
    bench.add(bench.block(fresh, stale))
    expected = round((100 * 256 + 200 * 128) / (256 + 128))
    assert bench.parameters()[0] == expected


def test_mining_pays_and_transfers_move_coins(bench):
    bench.grow(2)
    bench.add(bench.block(bench.transfer(ALICE, BOB, 500, 0, fee=20), miner=CAROL))
    assert (bench.balance(ALICE), bench.balance(BOB), bench.balance(CAROL)) == (1480, 500, 1020)


def test_coins_received_in_a_block_can_be_spent_in_it(bench):
    bench.grow(1)
    bench.add(bench.block(bench.transfer(ALICE, BOB, 500, 0), bench.transfer(BOB, CAROL, 400, 0)))
    assert (bench.balance(BOB), bench.balance(CAROL)) == (99, 400)


def test_an_orphan_is_refused_until_its_parent_is_here(bench):
    other = Bench()
    first, second = other.add(other.block()), other.add(other.block())
    with pytest.raises(UnknownParentError):
        bench.add(second)
    bench.add(first)
    bench.add(second)
    assert same_state(bench, other)


def test_blocks_whose_payloads_come_late_wait_for_them(bench):
    other = Bench()
    update, payload = other.update()
    other.chain.add_payload(payload)
    block = other.add(other.block(update))
    bench.add(block)
    assert bench.chain.head.height == 0
    assert bench.chain.wanted(10).updates == (update,)
    bench.chain.add_payload(payload)
    bench.chain.advance()
    assert same_state(bench, other)
    assert bench.chain.wanted(10).updates == ()


def test_headers_alone_make_their_blocks_wanted(bench):
    other = Bench()
    other.grow(5)
    for height in range(1, 6):
        bench.chain.add_header(other.chain.at(height).header, NOW)
    assert bench.chain.wanted(3).blocks == tuple(other.chain.at(h).id for h in (1, 2, 3))
    assert bench.chain.best_header().height == 5
    assert bench.chain.head.height == 0


def test_the_heavier_branch_wins_and_everything_rolls_back_and_forth(bench):
    bench.round(ALICE)
    other = Bench()
    copy(bench, other)
    other.chain.advance()
    bench.round(ALICE, delta=50)
    bench.add(bench.block(bench.transfer(ALICE, BOB, 700, 0)))
    before = accounts(bench.chain.state.records)
    for _ in range(3):
        other.round(BOB, CAROL, delta=-30, miner=BOB)
    copy(other, bench, start=2)
    change, _ = bench.chain.advance()
    assert [b.coinbase.height for b in change.disconnected] == [3, 2]
    assert [b.coinbase.height for b in change.connected] == [2, 3, 4]
    assert same_state(bench, other)
    assert before != accounts(bench.chain.state.records)


def test_of_two_equal_branches_the_first_stays(bench):
    other = Bench()
    theirs = other.add(other.block(miner=BOB))
    ours = bench.add(bench.block(miner=ALICE))
    bench.add(theirs)
    assert bench.chain.head.id == ours.id


def test_a_refusal_that_was_forgotten_is_made_again(bench, monkeypatch):
    monkeypatch.setattr(chain_module, "REFUSED_REMEMBERED", 2)
    bench.grow(1)
    strangers = [bench.sealed(bench.block(miner=MALLORY, seconds=n), MALLORY) for n in (90, 91, 92)]
    for block in strangers:
        bench.chain.add_block(block, NOW)
        _, refusals = bench.chain.advance()
        assert [r.rejected.rule for r in refusals] == [Rule.BLOCK_MEMBER]
    assert [bench.chain.invalid(b.id) is not None for b in strangers] == [False, True, True]
    with pytest.raises(Rejected, match="block_member"):
        bench.add(strangers[0])
    with pytest.raises(Rejected, match="block_member"):
        bench.chain.add_block(strangers[2], NOW)
    assert bench.chain.head.height == 1


def test_a_refused_block_is_remembered_longer_than_what_builds_on_it(bench, monkeypatch):
    monkeypatch.setattr(chain_module, "REFUSED_REMEMBERED", 4)
    bench.grow(1)
    block = bench.sealed(bench.block(miner=MALLORY), MALLORY)
    parent = bench.chain.add_block(block, NOW)
    for height in range(16):
        target = expected_target(bench.genesis, parent, bench.chain.tree.get)
        time = parent.header.time + 90
        root = height.to_bytes(32)
        child = replace(
            block.header, previous=parent.id, time=time, target=target, merkle_root=root
        )
        parent = bench.chain.add_header(mined(child), NOW)
    bench.chain.advance()
    with pytest.raises(Rejected, match="block_member"):
        bench.chain.add_header(block.header, NOW)


def test_a_branch_that_turns_out_invalid_leaves_the_head_where_it_was(bench):
    bench.grow(2)
    other = Bench()
    other.add(other.block(miner=BOB))
    good = other.chain.block(other.chain.head.id)
    spoiled = other.block(miner=BOB)
    spoiled = replace(
        spoiled,
        transactions=(
            replace(spoiled.coinbase, payouts=((BOB.public, 10**6),)),
            *spoiled.transactions[1:],
        ),
    )
    spoiled = other.sealed(spoiled, BOB)
    # A third block on top of the bad one makes its branch the heaviest.
    other.chain.add_block(spoiled, NOW)
    bad_entry = other.chain.tree.get(spoiled.id)
    top = other.block(miner=BOB, seconds=200)
    top = other.sealed(
        replace(
            top,
            header=replace(top.header, previous=bad_entry.id),
            transactions=(replace(top.coinbase, height=3), *top.transactions[1:]),
        ),
        BOB,
    )
    top = other.signed(top, BOB)
    head = bench.chain.head
    bench.chain.add_block(good, NOW)
    bench.chain.add_block(spoiled, NOW)
    bench.chain.add_block(top, NOW)
    change, refusals = bench.chain.advance()
    assert change is None
    assert [str(r.rejected.rule) for r in refusals] == ["coinbase_reward"]
    assert bench.chain.head is head
    assert not bench.store.has_block(spoiled.id)
    assert not bench.store.has_block(top.id)
    assert bench.store.has_block(good.id)


def test_a_reopened_store_gives_the_same_state(tmp_path):
    bench = Bench()
    path = tmp_path / "chain.db"
    bench.store = SqliteChainStore(path, bench.genesis.id)
    bench.chain = Chain(bench.genesis, (initial_parameters(),), bench.store)
    bench.round(ALICE, BOB)
    bench.grow(2)
    bench.add(bench.block(bench.transfer(ALICE, BOB, 5, 0)))
    again = Bench()
    again.store = SqliteChainStore(path, bench.genesis.id)
    again.chain = Chain(bench.genesis, (initial_parameters(),), again.store)
    assert same_state(bench, again)
    again.grow(1)


def test_parameters_too_old_to_be_kept_are_recomputed(bench):
    expected = {}
    for n in range(PARAMETERS_KEPT + 10):
        if n % 3:
            bench.grow(1)
        else:
            bench.round(ALICE, BOB, delta=n)
        expected[bench.chain.head.height] = bench.parameters()
    assert (
        bench.store.parameters(bench.chain.block(bench.chain.at(1).id).coinbase.models[0].root)
        is None
    )
    for height in (1, 2, 5, bench.chain.head.height):
        recomputed = bench.chain.parameters_at(bench.chain.at(height))
        assert recomputed[0].tolist() == expected[height]


def test_a_payload_that_changed_on_the_disk_damns_no_block_and_is_asked_for_again(bench):
    other = Bench()
    update, payload = other.update()
    other.chain.add_payload(payload)
    block = other.add(other.block(update))
    bench.chain.add_block(block, NOW)
    bench.store.add_payload(update.payload, payload[:-1] + b"\x7f")
    bench.chain.add_payload(b"something else, so that the chain looks again")
    bench.chain._lacking.forget(block.id)
    assert bench.chain.advance() == (None, [])
    assert bench.chain.invalid(block.id) is None
    assert bench.chain.wanted(8).updates == (update,)
    bench.chain.add_payload(payload)
    bench.chain.advance()
    assert same_state(bench, other)


def test_a_payload_that_changed_is_asked_for_again_by_a_block_that_left_the_chain(bench):
    rival, third = Bench(), Bench()
    update, payload = bench.update(ALICE, base=bench.genesis.id)
    for branch in (bench, rival):
        branch.chain.add_payload(payload)
    left = bench.add(bench.block(update, miner=ALICE))
    blocks = [rival.add(rival.block(update, miner=BOB)), rival.add(rival.block(miner=BOB))]
    blocks += [third.add(third.block(miner=CAROL)) for _ in range(3)]
    bench.store.add_payload(update.payload, payload[:-1] + b"\x7f")
    for block in blocks:
        bench.chain.add_block(block, NOW)
        bench.chain.advance()
    assert bench.chain.head == third.chain.head
    again = Bench()
    again.chain.add_payload(payload)
    again.add(left)
    for _ in range(3):
        bench.chain.add_block(again.add(again.block(miner=ALICE)), NOW)
    assert bench.chain.advance() == (None, [])
    assert update in bench.chain.wanted(8).updates
    bench.chain.add_payload(payload)
    bench.chain.advance()
    assert bench.chain.head == again.chain.head
    assert same_state(bench, again)


def test_wrong_genesis_parameters_are_an_error(bench):
    with pytest.raises(ValueError, match="genesis names"):
        Chain(bench.genesis, (initial_parameters() + np.int32(1),), bench.store)


def test_a_store_that_lacks_what_it_promised_says_so(bench):
    bench.grow(3)
    bench.store._db.execute("DELETE FROM block WHERE height = 2")
    chain = Chain(bench.genesis, (initial_parameters(),), bench.store)
    with pytest.raises(MissingDataError):
        chain.parameters_at(chain.at(2))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=1, max_size=14), st.randoms()
)
def test_the_order_of_arrival_does_not_matter(steps, random):
    """Two branches grown anyhow end in one state, in whatever order their parts arrive."""
    branches = {"a": Bench(), "b": Bench()}
    miners = {"a": ALICE, "b": BOB}
    for name, with_update in steps:
        bench = branches[name]
        if with_update:
            bench.round(CAROL, miners[name], delta=len(name), miner=miners[name])
        else:
            bench.grow(1, miner=miners[name])
    heights = {name: bench.chain.head.work for name, bench in branches.items()}
    if heights["a"] == heights["b"]:
        branches["a"].grow(1)
    best = max(branches.values(), key=lambda bench: bench.chain.head.work)
    target = Bench()
    payloads = []
    queue = []
    for bench in branches.values():
        blocks = [
            bench.chain.block(e.id)
            for e in reversed(list(bench.chain.tree.lineage(bench.chain.head)))
        ][1:]
        payloads += [bench.chain.payload(u.payload) for b in blocks for u in b.updates]
        queue.append(blocks)
    while any(queue) or payloads:
        source = random.choice([q for q in [*queue, payloads] if q])
        if source is payloads:
            payload = payloads.pop(random.randrange(len(payloads)))
            target.chain.add_payload(payload)
        else:
            target.chain.add_block(source.pop(0), NOW)
        target.chain.advance()
    assert same_state(target, best)


def test_the_mempool_follows_a_reorganisation(bench):
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    update, payload = bench.update(ALICE)
    pool.add(update, bench.chain.state)
    bench.chain.add_payload(payload)
    other = Bench()
    bench.add(bench.block(update))
    counted = pool.follow(bench.chain.state, [])
    assert [str(rejected.rule) for _, rejected in counted] == ["update_repeated"]
    assert len(pool) == 0
    for _ in range(2):
        other.round(BOB, miner=BOB)
    copy(other, bench)
    change, _ = bench.chain.advance()
    undone = [t for b in change.disconnected for t in b.transactions]
    assert pool.follow(bench.chain.state, undone) == []
    assert pool.ids() == [update.id], "its base, genesis, is an ancestor of both branches"
    assert isinstance(pool.get(update.id), Update)
    other.grow(1, miner=BOB)
    copy(other, bench, start=3)
    bench.chain.advance()
    dropped = pool.follow(bench.chain.state, [])
    assert [str(r.rule) for _, r in dropped] == ["update_base_stale"]


def counting(bench, monkeypatch, name):
    """Count the calls of a method of the store from now on."""
    calls = []
    real = getattr(bench.store, name)
    monkeypatch.setattr(bench.store, name, lambda *a: calls.append(a) or real(*a))
    return calls


def test_a_model_that_was_quiet_for_long_has_its_parameters_at_hand(bench, monkeypatch):
    bench.round(ALICE)
    before = bench.parameters()
    bench.grow(PARAMETERS_KEPT + 20)
    bench.round(BOB)
    calls = counting(bench, monkeypatch, "block")
    below = bench.chain.at(bench.chain.head.height - 1)
    assert bench.chain.parameters_at(below)[0].tolist() == before
    assert len(calls) <= 2


def test_far_below_the_head_snapshots_shorten_what_is_computed_again(bench, monkeypatch):
    expected = {}
    for _ in range(3 * STATE_INTERVAL):
        bench.round(ALICE, delta=bench.chain.head.height)
        expected[bench.chain.head.height] = bench.parameters()
    calls = counting(bench, monkeypatch, "payload")
    for height in (STATE_INTERVAL - 1, STATE_INTERVAL + 39):
        again = bench.chain.parameters_at(bench.chain.at(height))
        assert again[0].tolist() == expected[height]
    assert len(calls) == 40
    with pytest.raises(MissingDataError, match="more than 20 blocks"):
        bench.chain.parameters_at(bench.chain.at(STATE_INTERVAL - 40), longest=20)


def test_a_long_way_is_taken_in_moves_that_leave_nothing_out(bench, monkeypatch):
    monkeypatch.setattr(chain_module, "LONGEST_MOVE", 4)
    monkeypatch.setattr(chain_module, "PARAMETERS_KEPT", 3)
    bench.grow(6)
    other = Bench()
    for n in range(15):
        other.round(BOB, delta=n, miner=BOB)
    copy(other, bench)
    moves = []
    while (change := bench.chain.advance()[0]) is not None:
        moves.append(change)
    assert len(moves) > 2
    assert [block.coinbase.height for block in moves[0].disconnected] == [6, 5, 4, 3, 2, 1]
    assert [b.coinbase.height for move in moves for b in move.connected] == list(range(1, 16))
    assert same_state(bench, other)
    bench.chain = Chain(bench.genesis, (initial_parameters(),), bench.store)
    assert same_state(bench, other)


def with_wrong_reward(bench, miner):
    block = bench.block(miner=miner)
    coinbase = replace(block.coinbase, payouts=((miner.public, 5),))
    return bench.sealed(replace(block, transactions=(coinbase, *block.transactions[1:])), miner)


def test_a_full_disk_while_a_refused_block_is_forgotten_loses_no_move(bench, monkeypatch):
    bench.grow(2)
    other = Bench()
    copy(bench, other)
    other.chain.advance()
    good = other.add(other.block(miner=BOB))
    bad = with_wrong_reward(other, CAROL)
    for block in (good, bad):
        bench.chain.add_block(block, NOW)

    def full(_):
        raise StoreFullError("no room")

    with monkeypatch.context() as disk:
        disk.setattr(bench.store, "drop_block", full)
        change, refusals = bench.chain.advance()
        assert change.new.id == good.id
        assert [r.rejected.rule.value for r in refusals] == ["coinbase_reward"]
        with pytest.raises(StoreFullError):
            bench.chain.advance()
        assert bench.chain.best_header().id == good.id
    assert bench.store.has_block(bad.id)
    assert bench.chain.advance() == (None, [])
    assert not bench.store.has_block(bad.id)


def test_what_is_remembered_of_a_refused_block_is_the_reason_and_no_more(bench):
    """A traceback would hold on to the state of its branch, some megabytes for each block."""
    bad = with_wrong_reward(bench, ALICE)
    bench.chain.add_block(bad, NOW)
    bench.chain.advance()
    for _ in range(3):
        with pytest.raises(Rejected, match="reward 5"):
            bench.chain.add_header(bad.header, NOW)
    remembered = bench.chain.invalid(bad.id)
    assert (remembered.__traceback__, remembered.__context__) == (None, None)


def test_after_a_long_fork_the_parameters_of_the_head_are_at_hand(bench):
    """Though the branch that wins had its last update longer ago than parameters are kept."""
    bench.grow(PARAMETERS_KEPT + 40)
    other = Bench()
    other.round(BOB, miner=BOB, delta=77)
    other.grow(PARAMETERS_KEPT + 60, miner=BOB)
    copy(other, bench)
    while bench.chain.advance()[0] is not None:
        pass
    assert same_state(bench, other)
    assert bench.store.parameters(bench.chain.state.models[0].root) is not None


def test_a_payload_that_two_blocks_beside_the_chain_name_is_lacking_to_both(bench):
    one, other = Bench(), Bench()
    update, payload = one.update(ALICE, 7)
    for each in (one, other):
        each.chain.add_payload(payload)
    first, second = (
        one.add(one.block(update, miner=BOB)),
        other.add(other.block(update, miner=CAROL)),
    )
    one.grow(1, miner=BOB)
    other.grow(2, miner=CAROL)
    bench.grow(1)
    bench.chain.add_payload(payload)
    for block in (first, second):
        bench.chain.add_block(block, NOW)
    bench.store._db.execute("UPDATE payload SET raw = zeroblob(length(raw))")
    copy(one, bench, start=2)
    assert bench.chain.advance() == (None, [])
    copy(other, bench, start=2)
    assert bench.chain.advance() == (None, [])
    bench.chain.add_payload(payload)
    while bench.chain.advance()[0] is not None:
        pass
    assert same_state(bench, other)
