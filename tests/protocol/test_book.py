import random

import pytest

from edgenode.protocol.book import (
    BOOK_LIMIT,
    LEARNT_TIME,
    LONGEST_RETRY,
    MET_LIMIT,
    MET_OF_MEMBER,
    MET_TIME,
    SATED_RETRY,
    SEED_TIME,
    TOLD_LIMIT,
    AddressBook,
)
from edgenode.protocol.wire import Address
from tests.protocol.meeting import A, B

HOUR = 3600.0
MEMBER = b"m" * 32


def knocks(book: AddressBook, start: float, seconds: float, **how) -> list[tuple[float, Address]]:
    """All knocks of a time in which nobody answers."""
    rng = random.Random(1)
    moments = [start + second for second in range(round(seconds))]
    return [(now, address) for now in moments for address in book.due(set(), now, rng, **how)]


def test_what_the_name_of_a_seed_stood_for_is_forgotten_a_day_after_it_stood_for_it_last():
    given, lasting, former = B, Address("10.0.0.3", 7070), Address("10.0.0.4", 7070)
    book = AddressBook([given], 0)
    for hour in range(40):
        now = 3600.0 * hour
        book.add_seed(lasting, now)
        if hour < 10:
            book.add_seed(former, now)
        for second in range(0, 3600, 60):
            book.due(set(), now + second, random.Random(1))
        expected = {given, lasting, former} if hour < 33 else {given, lasting}
        assert {a for a in (given, lasting, former) if book.is_seed(a, now)} == expected
    found = book.due(set(), 1e9, random.Random(1))
    assert found == [given, lasting], "the other one is knocked at no more"


def test_an_address_that_somebody_told_and_where_nobody_is_is_soon_forgotten():
    book = AddressBook([], 0)
    book.learn(A, 0)
    assert [now for now, _ in knocks(book, 0, 1000)] == [0, 1, 3, 7, 15, 31, 63]


def test_where_a_member_was_met_is_not_forgotten_for_a_week():
    book = AddressBook([], 0)
    book.meet(A, b"member", 0)
    made = knocks(book, 0, 2 * HOUR)
    assert made[-1][0] > 2 * HOUR - LONGEST_RETRY - 1
    assert book.due(set(), MET_TIME - 1, random.Random(1)) == [A]
    assert book.due(set(), MET_TIME + 100, random.Random(1)) == [A], "the last time"
    assert book.met() == []
    assert knocks(book, MET_TIME + 101, 2 * HOUR) == []


def test_of_one_member_few_addresses_are_kept_and_of_all_a_bounded_number():
    book = AddressBook([], 0)
    for n in range(10):
        book.meet(Address("10.0.0.1", 1000 + n), b"one", n)
    assert [met.address.port for met in book.met()] == [1008, 1009][-MET_OF_MEMBER:]
    for n in range(2 * MET_LIMIT):
        book.meet(Address("10.0.1.1", 1000 + n), n.to_bytes(2), 10 + n)
    assert len(book.met()) == MET_LIMIT
    assert min(met.at for met in book.met()) == 10 + MET_LIMIT, "the newest"


def test_a_member_that_was_revoked_is_not_looked_for():
    book = AddressBook([], 0)
    book.meet(A, b"one", 0)
    book.meet(B, b"other", 0)
    book.forget_member(b"one")
    assert [met.address for met in book.met()] == [B]


def test_what_one_host_tells_does_not_fill_the_book():
    book = AddressBook([], 0)
    for n in range(10 * BOOK_LIMIT):
        book.learn(Address("10.6.6.6", 1 + n), 0, told_by="10.9.9.9")
    book.learn(A, 0, told_by="10.0.0.2")
    assert len(book.due(set(), 0, random.Random(1))) == TOLD_LIMIT + 1


def test_told_addresses_where_nobody_knocks_grow_old():
    book = AddressBook([], 0)
    for n in range(TOLD_LIMIT):
        book.learn(Address("10.6.6.6", 1 + n), 0, told_by="10.9.9.9")
    assert book.due(set(), LEARNT_TIME + 1, random.Random(1), sought=0) == []
    book.learn(A, LEARNT_TIME + 1, told_by="10.9.9.9")
    assert book.due(set(), LEARNT_TIME + 1, random.Random(1)) == [A]


def test_a_node_with_peers_enough_knocks_at_seeds_only_and_seldom():
    book = AddressBook([B], 0)
    book.learn(A, 0)
    made = knocks(book, 0, 1805, sought=0, sated=True)
    assert made == [(n * SATED_RETRY, B) for n in range(4)]


@pytest.mark.parametrize("sought", [1, 5])
def test_of_many_told_addresses_as_many_as_are_sought_are_tried_at_random(sought):
    def first_of(seed: int) -> list[Address]:
        book = AddressBook([], 0)
        for n in range(50):
            book.learn(Address("10.6.6.6", 1 + n), 0)
        return book.due(set(), 0, random.Random(seed), sought=sought)

    chosen = [first_of(seed) for seed in range(40)]
    assert {len(each) for each in chosen} == {sought}
    assert len({address for each in chosen for address in each}) > 20


def test_a_beacon_takes_no_door_away_that_is_kept():
    seed, met = Address("10.0.0.5", 7070), Address("10.0.0.6", 7070)
    book = AddressBook([], 0.0)
    book.hear(seed, MEMBER, 0.0)
    book.add_seed(seed, 0.0)
    book.hear(met, MEMBER, 0.0)
    book.meet(met, MEMBER, 0.0)
    for n in range(5):
        book.hear(Address(f"10.0.1.{n}", 7070), MEMBER, 1.0 + n)
    assert book.is_seed(seed, 6.0)
    assert [each.address for each in book.met()] == [met]
    assert len(book._doors) == 2 + MET_OF_MEMBER


def test_a_seed_whose_day_is_over_is_not_due_at_once_for_ever():
    seed = Address("10.0.0.5", 7070)
    book = AddressBook([], 0.0)
    book.add_seed(seed, 0.0)
    late = SEED_TIME + 10
    book.due({seed}, late, random.Random(1))
    assert book.next_due(set(), late + 120) == late + 120


@pytest.mark.parametrize("host", ["224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255"])
def test_an_address_that_a_whole_network_would_answer_at_is_not_learnt(host):
    book = AddressBook([], 0.0)
    assert not book.learn(Address(host, 7070), 0.0, "10.0.0.1")
    assert not book._doors
