"""How much of a pool one miner, one host and all of them may have."""

from __future__ import annotations

from dataclasses import dataclass

from edgenode.mining.share_pace import LOWEST, START

IDLE_SHARES = 8
"""So many times as long as a share takes on average a miner may at least be without one: of 3000
waits one is longer. Difficulty falls after as much, too."""


@dataclass(frozen=True, slots=True)
class StratumLimits:
    """The limits of a pool; times in milliseconds.

    Attributes:
        connections: Connections in all. Each costs some 20 kB, 200 kB at worst (a full write
            buffer, jobs each second, and shares of them), and a line in half a minute.
        per_host: Connections of one address (IPv6: of one network of 64 bits): a PC with a miner
            for each of its cores, or some boxes behind one router. One host must not take all the
            places.
        requests_per_s: Requests of one connection, over time. An honest miner sends a share in
            `share_every_ms`, and more only until its difficulty has found it.
        requests_burst: Requests at once: the shares of a very fast miner in its first second.
        bad_burst: Shares at once that are worth nothing (duplicate, low_difficulty, malformed,
            unauthorized, not_subscribed). Each costs the pool some hashes; a stale one is nobody's
            fault and counts as a request only.
        bad_every_ms: One more such share is forgiven each time this passes.
        share_every_ms: The aim of variable difficulty.
        start: The difficulty at first, as the exponent of a power of two.
        lowest: The easiest difficulty, likewise.
        handshake_ms: How long a connection may take to subscribe and authorise.
        line_ms: How long a line may take to arrive: against hosts that hold many connections by
            a byte now and then.
        idle_ms: Time without an accepted share after which a miner is taken to be gone: whoever
            says something now and then but never mines must not hold a place. At the easiest
            difficulty the slowest board finds a share in seconds.
    """

    connections: int = 64
    per_host: int = 16
    requests_per_s: int = 20
    requests_burst: int = 400
    bad_burst: int = 20
    bad_every_ms: int = 30_000
    share_every_ms: int = 10_000
    start: int = START
    lowest: int = LOWEST
    handshake_ms: int = 30_000
    line_ms: int = 30_000
    idle_ms: int = 600_000

    def __post_init__(self) -> None:
        """Check what a configuration can set.

        Raises:
            ValueError: A value is out of range; the text begins with its key.
        """
        for key, value, low, high in (
            # At worst they take 40 MB; the service's unit has 96 MB, half of which is the program.
            ("stratum_connections", self.connections, 1, 200),
            ("stratum_per_host", self.per_host, 1, 200),
            ("stratum_requests", self.requests_per_s, 1, 1000),
            ("stratum_share_seconds", self.share_every_ms / 1000, 1, 300),
            ("stratum_idle_seconds", self.idle_ms / 1000, 60, 86400),
        ):
            if not low <= value <= high:
                raise ValueError(f"{key}: {value:g} is not in {low}..{high}")
        if self.idle_ms < IDLE_SHARES * self.share_every_ms:
            raise ValueError(
                f"stratum_idle_seconds: {self.idle_ms / 1000:g} is less than {IDLE_SHARES} times "
                f"stratum_share_seconds ({self.share_every_ms / 1000:g}): miners would be let go "
                "between two shares"
            )
