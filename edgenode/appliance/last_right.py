"""The settings that were last right, kept on the box in the same form as on the card.

The ward's key and its genesis are not among them: the box has them in /etc/edgenode.
"""

from __future__ import annotations

from edgenode.appliance.box_settings import BoxSettings
from edgenode.appliance.toml_text import document_text

_HEAD = "# Settings that were last right; edgenode-setup writes this and falls back to it.\n\n"


def last_right_text(settings: BoxSettings) -> str:
    """A box's file that `read_box` reads back to the same settings.

    It holds the key of the Wi-Fi network, so it is for root only.
    """
    tables: dict[str, dict[str, object]] = {
        "box": {"hostname": settings.hostname},
        "ssh": {"keys": settings.ssh_keys},
        "time": {"servers": settings.time_servers},
        "firewall": {
            "metrics_from": [str(network) for network in settings.metrics_from],
            "stratum_from": [str(network) for network in settings.stratum_from],
        },
    }
    if (ethernet := settings.ethernet) is not None:
        tables["ethernet"] = {"address": str(ethernet.interface)}
        if ethernet.gateway is not None:
            tables["ethernet"]["gateway"] = str(ethernet.gateway)
        tables["ethernet"]["dns"] = [str(address) for address in ethernet.dns]
    if (wifi := settings.wifi) is not None:
        tables["wifi"] = {"country": wifi.country, "ssid": wifi.ssid, "passphrase": wifi.psk}
    return _HEAD + document_text({**tables, **settings.node})
