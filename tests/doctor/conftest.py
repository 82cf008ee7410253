"""A message bus, and a bluetoothd on it, as the collector's tests have them."""

from tests.collector.conftest import bluez, bus

__all__ = ["bluez", "bus"]
