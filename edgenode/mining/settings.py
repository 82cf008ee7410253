"""What a miner is configured with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from edgenode.mining import kernels
from edgenode.mining.energy import DEFAULT_WATTS
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.mining.temperature import DEFAULT_CEILING_CELSIUS

# Proof of work is the ward's lottery and pace-maker, and the difficulty follows what the boxes
# spend: hashing more gains the ward nothing. A fifth of one core keeps a bedside box cool and
# leaves the rest to what it is there for.
DEFAULT_THREADS = 1
DEFAULT_SHARE = 0.2
DEFAULT_KERNEL = kernels.AUTO
_THREADS = (1, 64)  # more cores than any box has
# A slice of some 30 ms in three seconds; who wants less does not start the miner.
MIN_SHARE = 0.01
# Cooler than any box in a warm room, and hotter than any processor lets itself become.
_CEILINGS = (30, 110)
_MAX_WATTS = 100.0  # a core of a large PC takes some twenty

_PORTS = (1, 65535)
# A ward has a few nodes that serve others; each is asked in turn, for some seconds at worst.
_POOLS_LIMIT = 8


@dataclass(frozen=True, slots=True)
class MinerSettings:
    """The settings of one miner.

    Attributes:
        threads: Threads that hash.
        share: Fraction of each thread's time that it spends hashing, above 0, at most 1.
        ceiling_celsius: Temperature of the processor from which on mining rests.
        watts: What one thread draws while it hashes, for the report; 0 if that is not known.
        stratum: Address and port where others mine for this node (docs/stratum.md); None for
            nowhere.
        pool: Hosts and ports of nodes to mine for, the first that answers; with none of them the
            node's own work is searched.
        limits: What others may have of `stratum`.
        shares: File in which the counted shares outlast a restart.
        kernel: Name of the native kernel that hashes, or "auto" for the fastest. Whether the
            kernel runs on this machine is not checked: the file may be for another one.
    """

    threads: int = DEFAULT_THREADS
    share: float = DEFAULT_SHARE
    ceiling_celsius: int = DEFAULT_CEILING_CELSIUS
    watts: float = DEFAULT_WATTS
    stratum: tuple[str, int] | None = None
    pool: tuple[tuple[str, int], ...] = ()
    limits: StratumLimits = field(default_factory=StratumLimits)
    shares: Path | None = None

    @property
    def has_network(self) -> bool:
        """Whether the miner talks to others than its node; on a box it then has another unit."""
        return self.stratum is not None or bool(self.pool)

    kernel: str = DEFAULT_KERNEL

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: One of them is unusable; the text begins with its name.
        """
        low, high = _THREADS
        if not low <= self.threads <= high:
            raise ValueError(f"threads: {self.threads} is not in {low}..{high}")
        if not MIN_SHARE <= self.share <= 1:
            raise ValueError(f"share: {self.share} is not in {MIN_SHARE}..1")
        low, high = _CEILINGS
        if not low <= self.ceiling_celsius <= high:
            raise ValueError(f"ceiling_celsius: {self.ceiling_celsius} is not in {low}..{high}")
        if not 0 <= self.watts <= _MAX_WATTS:
            raise ValueError(f"watts: {self.watts} is not in 0..{_MAX_WATTS:.0f}")
        if self.stratum is not None:
            host, port = self.stratum
            try:
                ipaddress.ip_address(host)
            except ValueError:
                raise ValueError(f"stratum: {host!r} is no IP address of this machine") from None
            _check_port("stratum", port)
        if len(self.pool) > _POOLS_LIMIT:
            raise ValueError(f"pool: {len(self.pool)} are more than {_POOLS_LIMIT}")
        for _, port in self.pool:
            _check_port("pool", port)
        try:
            kernels.check(self.kernel)
        except kernels.KernelError as error:
            raise ValueError(f"kernel: {error}") from None


def _check_port(key: str, port: int) -> None:
    low, high = _PORTS
    if not low <= port <= high:
        raise ValueError(f"{key}: port {port} is not in {low}..{high}")
