"""Which implementation of `Central` an adapter's name means."""

from __future__ import annotations

from edgenode.collector.central import AdapterError, Central


def central_for(adapter: str) -> Central:
    """The central for "bluez:hci0" or "bumble:<transport>". Opens nothing.

    Raises:
        AdapterError: The library for this kind of adapter is not installed, or there is no such
            kind.
    """
    kind, _, name = adapter.partition(":")
    # Imported here: the appliance has no Bumble, a machine without D-Bus needs no bleak.
    try:
        if kind == "bluez":
            from edgenode.collector.bluez import BluezCentral  # noqa: PLC0415

            return BluezCentral(name)
        if kind == "bumble":
            from edgenode.collector.bumble import BumbleCentral  # noqa: PLC0415

            return BumbleCentral(name)
    except ImportError as error:
        raise AdapterError(f"adapter {adapter}: {error}; install what it names") from error
    raise AdapterError(f"adapter {adapter!r} is neither bluez:hci0 nor bumble:<transport>")
