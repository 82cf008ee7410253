"""What a collector is configured with, checked before anything is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_ADDRESS = re.compile(r"(?:[0-9A-F]{2}:){5}[0-9A-F]{2}")
_ADAPTER = re.compile(r"bluez:hci[0-9]{1,3}|bumble:[a-z-]+:.+")

# An adapter holds few connections (7 to 20, by vendor); a longer list is a mistake in the file.
MAX_SENSORS = 64
# One commit a second is at most one fsync a second, which an SD card bears for years, and a power
# cut takes at most the last second of samples with it.
DEFAULT_COMMIT_WITHIN_S = 1.0
# Below it a commit holds less than a few notifications; above it a power cut loses too much.
_COMMIT_WITHIN_S = (0.01, 60.0)
# 50 Hz x 12 bytes: about two and a half days of one sensor.
DEFAULT_MAX_BYTES = 128 << 20
# Less would not hold what waits for the trainer while it restarts.
MIN_MAX_BYTES = 1 << 20


class SettingsError(ValueError):
    """A setting is unusable; the text says which, why, and what to write instead."""


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """The settings of one collector.

    Attributes:
        adapter: "bluez:hci0" (a kernel adapter, through BlueZ) or "bumble:" and one of Bumble's
            HCI transports, such as "bumble:tcp-client:127.0.0.1:6402".
        sensors: Addresses of the sensors to read, at least one. Others are never connected to.
        database: The sample store; its directory must be accessible to its owner only.
        max_bytes: Size that the store may reach; then the oldest samples go.
        max_age_s: Seconds after which samples go; None to keep them while there is room.
        commit_within_s: Longest that a received sample waits before its commit begins, in seconds.
    """

    adapter: str
    sensors: tuple[str, ...]
    database: Path
    max_bytes: int = DEFAULT_MAX_BYTES
    max_age_s: float | None = None
    commit_within_s: float = DEFAULT_COMMIT_WITHIN_S

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            SettingsError: One of them is unusable.
        """
        if not _ADAPTER.fullmatch(self.adapter):
            raise SettingsError(
                f"adapter: {self.adapter!r} is neither bluez:hci0 nor bumble:<transport>"
            )
        if not self.sensors:
            raise SettingsError(
                "sensors: the list is empty; name the address of each sensor that this box shall "
                'read, such as sensors = ["F0:0E:00:00:00:01"]'
            )
        if len(self.sensors) > MAX_SENSORS:
            raise SettingsError(f"sensors: {len(self.sensors)} are more than {MAX_SENSORS}")
        for address in self.sensors:
            if not _ADDRESS.fullmatch(address):
                raise SettingsError(
                    f"sensors: {address!r} is no address such as F0:0E:00:00:00:01 (upper case)"
                )
        if len(set(self.sensors)) != len(self.sensors):
            raise SettingsError("sensors: an address occurs twice")
        if self.max_bytes < MIN_MAX_BYTES:
            raise SettingsError(f"max_bytes: {self.max_bytes} is below {MIN_MAX_BYTES}")
        if self.max_age_s is not None and not self.max_age_s > 0:
            raise SettingsError(f"max_age_s: {self.max_age_s} is not above 0")
        low, high = _COMMIT_WITHIN_S
        if not low <= self.commit_within_s <= high:
            raise SettingsError(f"commit_within_s: {self.commit_within_s} is not in {low}..{high}")
