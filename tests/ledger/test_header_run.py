"""Headers checked many at a time are judged as one by one, by the rules in Python."""

from array import array
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgenode.ledger.header import Header
from edgenode.ledger.header_run import check_run
from edgenode.ledger.headers import UnknownParentError, expected_target, median_time_past
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.target import TargetError, expand, meets
from tests.ledger.builder import ALICE, BOB, CAROL, START, Bench, make_genesis, mined

NOW = START + 1_000_000

WARDS = {
    "usual": make_genesis(),
    "any hash will do": make_genesis(target_limit=0x21FFFFFF, target_start=0x21FFFFFF),
    "a steep difficulty": make_genesis(spacing=90, half_life=360),
    "an even one": make_genesis(spacing=1, half_life=8_640_000),
    "starts below its limit": make_genesis(target_start=0x21080000),
    "starts far below it": make_genesis(target_limit=0x21FFFFFF, target_start=0x2103FFFF),
}


def child(bench, seconds, number=0):
    """A valid header on the best one, so many seconds after it, or as early as it may be."""
    parent, lookup = bench.chain.best_header(), bench.chain.tree.get
    header = Header(
        version=1,
        previous=parent.id,
        merkle_root=number.to_bytes(32),
        time=max(median_time_past(parent, lookup) + 1, parent.header.time + seconds),
        target=expected_target(bench.genesis, parent, lookup),
        nonce=0,
    )
    return mined(header)


def grown(bench, intervals):
    """Valid headers on the best one, taken up one by one; their bytes."""
    headers = []
    for number, seconds in enumerate(intervals):
        header = child(bench, seconds, number)
        bench.chain.add_header(header, NOW)
        headers.append(header)
    return headers


intervals = st.lists(
    st.one_of(st.integers(-40, 200), st.integers(0, 9000)), min_size=1, max_size=14
)

SPOILED = {
    "another version": lambda header, *_: replace(header, version=2),
    "another parent": lambda header, *_: replace(header, previous=bytes(32)),
    "a time at the median": lambda header, median, _: replace(header, time=median),
    "a time one above the median": lambda header, median, _: replace(header, time=median + 1),
    "a time far below the parent's": lambda header, _, parent: replace(header, time=parent - 601),
    "the lowest time below the parent's": lambda header, _, parent: replace(
        header, time=parent - 600
    ),
    "a time of the future": lambda header, *_: replace(header, time=NOW + 601),
    "the latest time": lambda header, *_: replace(header, time=NOW + 600),
    "the last time of all": lambda header, *_: replace(header, time=2**32 - 1),
    "time zero": lambda header, *_: replace(header, time=0),
    "a harder target": lambda header, *_: replace(header, target=header.target - 1),
    "an easier target": lambda header, *_: replace(header, target=header.target + 1),
    "no target": lambda header, *_: replace(header, target=0),
    "a target above the limit": lambda header, *_: replace(header, target=0x21FFFFFF),
    "a target with a shorter form": lambda header, *_: replace(header, target=0x2200FFFF),
    "a target of 256 bits and more": lambda header, *_: replace(header, target=0x22FFFFFF),
    "another root": lambda header, *_: replace(header, merkle_root=b"\1" * 32),
}


def judged_one_by_one(bench, headers):
    """How many are taken up by the rules in Python, and what the next one violates."""
    for count, header in enumerate(headers):
        try:
            bench.chain.add_header(header, NOW)
        except Rejected as rejected:
            return count, rejected.rule
        except UnknownParentError:
            return count, None
    return len(headers), None


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(WARDS)), intervals, intervals, st.sampled_from([None, *SPOILED]),
    st.integers(0, 13), st.booleans(),
)  # fmt: skip
def test_a_run_is_judged_as_its_headers_one_by_one(ward, before, run, spoil, place, mine):
    source, bench, other = (Bench(WARDS[ward]) for _ in range(3))
    for header in grown(source, before):
        bench.chain.add_header(header, NOW)
        other.chain.add_header(header, NOW)
    parent = bench.chain.best_header()
    headers = grown(source, run)
    if spoil is not None:
        place %= len(headers)
        entry = source.chain.tree.get(headers[place].previous)
        median = median_time_past(entry, source.chain.tree.get)
        spoiled = SPOILED[spoil](headers[place], median, entry.header.time)
        if mine and can_be_mined(spoiled):
            spoiled = mined(spoiled)
        headers[place] = spoiled
    raw = b"".join(header.encode() for header in headers)
    checked = check_run(bench.genesis, parent, bench.chain.tree.times(parent), raw, NOW)
    assert (checked.good, checked.violated) == judged_one_by_one(other, headers)
    assert checked.ids == b"".join(header.id for header in headers[: checked.good])

    taken = bench.chain.add_headers(raw, NOW)
    assert bench.known() == other.known()
    assert bench.chain.best_header() == other.chain.best_header()
    assert (taken.last is None) == (checked.good == 0)
    assert taken.last is None or taken.last.header == headers[checked.good - 1]
    assert (taken.fault is None) == (checked.good == len(headers))
    if checked.violated is not None:
        assert taken.fault.rule is checked.violated


@pytest.mark.parametrize("ward", sorted(WARDS))
def test_a_pause_counts_as_far_as_the_rules_in_python_say(ward):
    longest = WARDS[ward].longest_step
    for pause in (longest - 1, longest, longest + 1, 3 * longest):
        if pause > 500_000:
            continue
        source = Bench(WARDS[ward])
        headers = grown(source, [90, pause, 90, 90])
        raw = b"".join(header.encode() for header in headers)
        root = source.chain.tree.root
        assert check_run(source.genesis, root, array("I", [root.header.time]), raw, NOW).good == 4


@pytest.mark.parametrize("below", [599, 600, 601])
def test_a_time_may_lie_below_its_parents_as_far_as_the_rules_in_python_say(below):
    source = Bench()
    headers = grown(source, [90, 90, 90, 5000])
    late = replace(child(source, 0), time=headers[-1].time - below)
    headers.append(mined(late))
    bench, other = Bench(), Bench()
    raw = b"".join(header.encode() for header in headers)
    root = bench.chain.tree.root
    checked = check_run(bench.genesis, root, array("I", [root.header.time]), raw, NOW)
    assert (checked.good, checked.violated) == judged_one_by_one(other, headers)
    assert checked.good == (5 if below <= 600 else 4)


def can_be_mined(header):
    """Whether one hash in some hundreds meets its target."""
    try:
        return expand(header.target) >> 246 > 0
    except TargetError:
        return False


def test_every_rule_of_headers_is_met_by_these_runs():
    """Or the comparison would be of runs that nothing is wrong with."""
    violated = set()
    for spoil in SPOILED.values():
        for mine in (False, True):
            bench = Bench(WARDS["starts below its limit"])
            source = Bench(WARDS["starts below its limit"])
            headers = grown(source, [100] * 12)
            spoiled = spoil(headers[11], headers[5].time, headers[10].time)
            headers[11] = mined(spoiled) if mine and can_be_mined(spoiled) else spoiled
            raw = b"".join(header.encode() for header in headers)
            root = bench.chain.tree.root
            violated.add(
                check_run(bench.genesis, root, array("I", [root.header.time]), raw, NOW).violated
            )
    assert violated == {
        None, Rule.TIME_TOO_NEW, Rule.HEADER_VERSION, Rule.TARGET_FORM, Rule.TARGET_VALUE,
        Rule.PROOF_OF_WORK, Rule.TIME_TOO_OLD,
    }  # fmt: skip


@pytest.fixture
def bench():
    return Bench()


def test_headers_that_are_known_are_passed_over(bench):
    source = Bench()
    headers = [header.encode() for header in grown(source, [90] * 10)]
    assert bench.chain.add_headers(b"".join(headers[:6]), NOW).last.height == 6
    taken = bench.chain.add_headers(b"".join(headers), NOW)
    assert (taken.last.height, taken.fault) == (10, None)
    again = bench.chain.add_headers(b"".join(headers), NOW)
    assert (again.last, again.fault) == (taken.last, None)
    assert bench.chain.add_headers(b"", NOW).last is None


def test_headers_beside_the_trunk_are_taken_up_and_win_when_they_are_heavier(bench):
    one, other = Bench(), Bench()
    first = [header.encode() for header in grown(one, [90] * 6)]
    second = [header.encode() for header in grown(other, [91] * 8)]
    bench.chain.add_headers(b"".join(first), NOW)
    assert bench.chain.add_headers(b"".join(second[:6]), NOW).last.height == 6
    assert bench.chain.best_header().header.encode() == first[-1], "of equal ones the first stays"
    bench.chain.add_headers(b"".join(second[6:]), NOW)
    assert bench.chain.best_header().header.encode() == second[-1]
    assert len(bench.known()) == 1 + 6 + 8


def test_a_run_that_goes_on_from_a_refused_block_is_refused(bench):
    bad = bench.block()
    bad = bench.sealed(
        replace(bad, transactions=(replace(bad.coinbase, payouts=()), *bad.transactions[1:]))
    )
    bench.chain.add_block(bad, NOW)
    bench.chain.advance()
    on_it = mined(replace(bench.block().header, previous=bad.id))
    for headers in ([bad.header], [bad.header, on_it]):
        raw = b"".join(header.encode() for header in headers)
        taken = bench.chain.add_headers(raw, NOW)
        assert (taken.last, taken.fault.rule) == (None, Rule.COINBASE_REWARD)
    taken = bench.chain.add_headers(on_it.encode(), NOW)
    assert (taken.last, taken.fault.rule) == (None, Rule.PARENT_INVALID)
    assert bench.known() == {bench.genesis.id}


def test_a_run_without_its_parent_asks_for_it(bench):
    source = Bench()
    headers = [header.encode() for header in grown(source, [90] * 4)]
    taken = bench.chain.add_headers(b"".join(headers[2:]), NOW)
    assert taken.last is None
    assert isinstance(taken.fault, UnknownParentError)


def test_below_what_is_final_a_header_without_work_is_refused_for_that(bench):
    """Its sender is blamed: who may not have heard of the final block has worked all the same."""
    for _ in range(2):
        bench.grow(4)
        bench.endorse(ALICE, BOB, CAROL)
    assert bench.chain.final.height == 4
    good = child(Bench(), 90, number=7)
    target = expand(good.target)
    bad = next(h for n in range(1000) if not meets((h := replace(good, nonce=n)).id, target))
    for header, rule in ((good, Rule.BELOW_FINAL), (bad, Rule.PROOF_OF_WORK)):
        taken = bench.chain.add_headers(header.encode(), NOW)
        assert (taken.last, taken.fault.rule) == (None, rule)
