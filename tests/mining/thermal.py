"""A directory laid out as the kernel's /sys/class/thermal."""

from pathlib import Path


class Thermal:
    """Zones in a directory: like the kernel's, links to directories with `type` and `temp`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "class" / "thermal"
        self.root.mkdir(parents=True)
        self._devices = root / "devices" / "virtual" / "thermal"

    def set(self, number: int, kind: str, temperature: str) -> None:
        """Make a zone, or change it in one step, as a reader of the kernel's sees it."""
        name = f"thermal_zone{number}"
        zone = self._devices / name
        zone.mkdir(parents=True, exist_ok=True)
        (zone / "type").write_text(f"{kind}\n")
        (zone / "new").write_text(temperature)
        (zone / "new").rename(zone / "temp")
        if not (self.root / name).is_symlink():
            (self.root / name).symlink_to(zone)
