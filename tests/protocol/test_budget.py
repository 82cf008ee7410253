from edgenode.protocol.budget import Budget


def test_a_budget_gives_its_rate_and_no_more_than_its_burst_at_once():
    budget = Budget(10.0, 5.0, 0.0)
    assert [budget.take(1, 0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [budget.take(1, 0.1) for _ in range(2)] == [True, False]
    assert sum(budget.take(1, 100.0) for _ in range(20)) == 5
    assert sum(budget.take(1, 100.0 + n / 100) for n in range(1, 1001)) == 100
