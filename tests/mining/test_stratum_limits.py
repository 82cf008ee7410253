"""What a configuration may ask of a pool."""

import pytest

from edgenode.mining.stratum_limits import StratumLimits


def test_miners_are_not_let_go_between_two_shares():
    StratumLimits(share_every_ms=75_000)
    with pytest.raises(ValueError, match=r"^stratum_idle_seconds: 600 is less than 8 times"):
        StratumLimits(share_every_ms=76_000)
    with pytest.raises(ValueError, match=r"^stratum_idle_seconds: 60 is less.*seconds \(10\)"):
        StratumLimits(idle_ms=60_000)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("stratum_connections", {"connections": 201}),
        ("stratum_per_host", {"per_host": 0}),
        ("stratum_requests", {"requests_per_s": 1001}),
        ("stratum_share_seconds", {"share_every_ms": 0}),
        ("stratum_idle_seconds", {"idle_ms": 1000}),
    ],
)
def test_a_value_out_of_range_is_named(key, changes):
    with pytest.raises(ValueError, match=f"^{key}: "):
        StratumLimits(**changes)
