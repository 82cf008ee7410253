from dataclasses import replace

from edgenode.gossip.work_board import (
    BOARDS_KEPT,
    OLDEST_SECONDS,
    REFRESH_SECONDS,
    TEMPLATES_KEPT,
    WorkBoard,
    WorkBoards,
)
from tests.ledger.builder import ALICE, Bench


class Source:
    """Templates that differ, and a count of how many were built."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.built = 0

    def build(self):
        self.built += 1
        template = self.bench.template(ALICE)
        work = replace(template.work, time=template.work.time + self.built)
        return replace(template, work=work)


def board():
    source = Source()
    return WorkBoard(source.build), source


def test_work_is_built_once_while_nothing_changes():
    work, source = board()
    names = {work.current(now)[0] for now in range(5)}
    assert len(names) == 1
    assert source.built == 1
    assert work.next_change() == OLDEST_SECONDS


def test_a_template_does_not_outlive_a_clock_that_was_set():
    work, source = board()
    first, _ = work.current(0.0)
    assert work.current(OLDEST_SECONDS - 0.1)[0] == first
    assert work.current(OLDEST_SECONDS)[0] != first
    assert source.built == 2


def test_a_changed_mempool_gives_new_work_at_most_once_a_second():
    work, source = board()
    first, _ = work.current(10.0)
    work.pool_changed(10.1)
    assert work.current(10.2)[0] == first
    assert work.next_change() == 10.0 + REFRESH_SECONDS
    second, _ = work.current(10.0 + REFRESH_SECONDS)
    assert second != first
    assert source.built == 2


def test_older_work_on_the_same_head_stays_good():
    work, _ = board()
    first, _ = work.current(0.0)
    work.pool_changed(5.0)
    work.current(6.0)
    assert work.template(first) is not None


def test_a_new_head_voids_all_work_at_once():
    work, _ = board()
    first, _ = work.current(0.0)
    work.head_moved()
    assert work.template(first) is None
    assert work.current(0.01)[0] != first


def test_the_number_of_templates_is_bounded():
    work, _ = board()
    names = []
    for second in range(TEMPLATES_KEPT + 10):
        work.pool_changed(2.0 * second)
        names.append(work.current(2.0 * second + 1.5)[0])
    assert work.template(names[0]) is None
    assert work.template(names[-1]) is not None


def splits(count):
    return [((bytes([n]) * 32, 1),) for n in range(count)]


def test_the_ways_to_split_a_reward_are_bounded_and_the_last_ones_stay():
    source = Source()
    boards = WorkBoards(lambda _: source.build())
    names = [boards.board(split).current(0.0)[0] for split in splits(BOARDS_KEPT + 2)]
    assert [boards.template(name) is None for name in names] == [True] * 2 + [False] * BOARDS_KEPT


def test_a_board_that_somebody_waits_at_stays_and_hears_the_news_whatever_others_ask():
    source = Source()
    boards = WorkBoards(lambda _: source.build())
    mine, *others = splits(BOARDS_KEPT + 3)
    with boards.held(mine) as board:
        name, _ = board.current(0.0)
        for split in others:
            boards.board(split).current(0.0)
        assert boards.template(name) is not None
        expected = board.next_change()
        boards.head_moved()
        assert board.changes_otherwise(expected)
    for split in others:
        boards.board(split)
    assert boards.board(mine) is not board
