"""The tables that a box has besides its node's: what may stand in them, and what it means.

Each function raises ConfigError with the place, or ValueError with the key before its text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from edgenode.appliance.host_name import (
    Address,
    Interface,
    Network,
    StaticAddress,
    ip_address,
    ip_interface,
    ip_network,
    is_host_name,
    is_own_name,
)
from edgenode.appliance.wifi_key import SSID_BYTES, pre_shared_key
from edgenode.services.toml_table import ConfigError, Table

BOX_TABLES: dict[str, tuple[str, ...]] = {
    "box": ("hostname",),
    "ethernet": ("address", "gateway", "dns"),
    "wifi": ("country", "ssid", "passphrase"),
    "ssh": ("keys",),
    "time": ("servers",),
    "firewall": ("metrics_from", "stratum_from"),
    "ward": ("key", "key_file", "genesis", "genesis_file"),
}
"""Every table of the box and its keys."""

DEFAULT_HOSTNAME = "edgenode"

# ISO 3166-1 alpha-2. "00" is the kernel's word for "anywhere", which allows hardly a channel.
_COUNTRY = re.compile(r"[A-Z]{2}")
# resolv.conf(5) takes three; a longer list is a mistake in the file.
_DNS_LIMIT = 3
# timesyncd asks one server at a time and goes on to the next when it falls silent.
_TIME_SERVERS_LIMIT = 8
# A hospital watches its boxes from a few places, and mines from a few networks.
_FROM_LIMIT = 64


@dataclass(frozen=True, slots=True)
class WifiSettings:
    """The Wi-Fi network that a box joins.

    Attributes:
        country: Where the box stands, in two letters; it decides which channels are allowed.
        ssid: The network's name, 1 to 32 bytes of UTF-8.
        psk: The network's key, 64 hexadecimal digits in lower case.
    """

    country: str
    ssid: str
    psk: str = field(repr=False)


def hostname_in(table: Table) -> str:
    """[box]: the box's name."""
    name = table.text("hostname", DEFAULT_HOSTNAME)
    if not is_own_name(name):
        raise ValueError(
            f"hostname: {name!r} is no host name; write letters, digits and '-' (not at the "
            "beginning or end), at most 63; names may be joined by '.', to 64 characters in all, "
            "and the last of them is not a number"
        )
    return name


def ethernet_in(table: Table) -> StaticAddress | None:
    """[ethernet]: a fixed address; None for DHCP."""
    written, gateway = table.text("address", ""), table.text("gateway", "")
    dns = table.texts("dns")
    if not written:
        for key, value in (("gateway", gateway), ("dns", dns)):
            if value:
                raise ValueError(
                    f"{key}: needs an address beside it; without one DHCP gives all three"
                )
        return None
    if len(dns) > _DNS_LIMIT:
        raise ValueError(f"dns: {len(dns)} are more than {_DNS_LIMIT}")
    return StaticAddress(
        interface=_interface("address", written),
        gateway=_address("gateway", gateway) if gateway else None,
        dns=tuple(_address("dns", text) for text in dns),
    )


def wifi_in(table: Table) -> WifiSettings:
    """[wifi]: the network to join."""
    country, ssid = table.text("country"), table.text("ssid")
    passphrase = secret_in(table, "passphrase")
    if not _COUNTRY.fullmatch(country):
        raise ValueError(
            f"country: {country!r} is no country in two capital letters (ISO 3166), such as "
            '"DE", "GB" or "US"'
        )
    length = len(ssid.encode())
    if length not in SSID_BYTES:
        raise ValueError(f"ssid: has {length} bytes; a network's name has 1 to 32 bytes of UTF-8")
    if not passphrase:
        raise ValueError("passphrase: is missing; networks without one are not joined")
    try:
        psk = pre_shared_key(passphrase, ssid)
    except ValueError as error:
        raise ValueError(f"passphrase: {error}") from None
    return WifiSettings(country=country, ssid=ssid, psk=psk)


def time_servers_in(table: Table) -> tuple[str, ...]:
    """[time]: servers to ask for the time; none for those that DHCP names."""
    servers = table.texts("servers")
    if len(servers) > _TIME_SERVERS_LIMIT:
        raise ValueError(f"servers: {len(servers)} are more than {_TIME_SERVERS_LIMIT}")
    for server in servers:
        if not (is_host_name(server) or _is_address(server)):
            raise ValueError(
                f'servers: {server!r} is neither a host name, such as "ntp.hospital.example", '
                "nor an IP address"
            )
    return servers


def firewall_in(table: Table) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    """[firewall]: who may read the box's metrics over the network, and who may mine for it."""
    return _networks(table, "metrics_from"), _networks(table, "stratum_from")


def secret_in(table: Table, key: str) -> str:
    """A text that no error repeats; empty where it is missing."""
    try:
        return table.text(key, "")
    except ConfigError:  # it shows the value: digits without quotes are a number
        raise ValueError(f'{key}: must be a text in quotes, such as "text"') from None


def _interface(key: str, text: str) -> Interface:
    try:
        return ip_interface(text)
    except ValueError:
        raise ValueError(
            f"{key}: {text!r} is no IP address with the length of its network, such as "
            '"192.168.1.20/24", where 24 stands for the mask 255.255.255.0'
        ) from None


def _address(key: str, text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError:
        raise ValueError(f'{key}: {text!r} is no IP address, such as "192.168.1.1"') from None


def _networks(table: Table, key: str) -> tuple[Network, ...]:
    written = table.texts(key)
    if len(written) > _FROM_LIMIT:
        raise ValueError(f"{key}: {len(written)} are more than {_FROM_LIMIT}")
    return tuple(_network(key, text) for text in written)


def _network(key: str, text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(
            f"{key}: {text!r} is neither an IP address nor a whole network, such as "
            '"192.168.1.9" or "192.168.1.0/24"'
        ) from None


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
