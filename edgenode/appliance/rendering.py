"""What a box's settings become: the files that Debian's services and the node read.

No I/O. Every value was checked when it was read; each is written so that it cannot end its line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses

from edgenode.appliance.box_settings import BoxSettings
from edgenode.appliance.box_tables import WifiSettings
from edgenode.appliance.host_name import Network, StaticAddress
from edgenode.appliance.node_tables import node_document

HEAD = "# Written by edgenode-setup from the card's edgenode.toml; a change here is lost.\n"
"""First line of each file whose form has comments, by which it is known again."""

AUTHORIZED_KEYS = "etc/ssh/authorized_keys.d/operator"
ETHERNET = "etc/systemd/network/10-edgenode-ethernet.network"
WIFI = "etc/systemd/network/20-edgenode-wifi.network"
WPA_SUPPLICANT = "etc/wpa_supplicant/wpa_supplicant-wlan0.conf"
TIMESYNCD = "etc/systemd/timesyncd.conf.d/20-edgenode-setup.conf"
FIREWALL = "etc/nftables.d/edgenode-setup.nft"
HOSTNAME = "etc/hostname"
HOSTS = "etc/hosts"
NODE = "etc/edgenode/edgenode.toml"
WARD_KEY = "etc/edgenode/ward.key"
GENESIS = "etc/edgenode/genesis.toml"

OPTIONAL = (WIFI, WPA_SUPPLICANT, TIMESYNCD, FIREWALL)
"""Files that are taken away when the settings no longer ask for them."""

REACHABLE = (AUTHORIZED_KEYS, ETHERNET)
"""Files without which nobody reaches the box."""


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file of a box.

    Attributes:
        path: Its path below the root directory.
        text: What it holds.
        mode: Its permissions; the owner is root.
    """

    path: str
    text: str
    mode: int = 0o644


def render(settings: BoxSettings) -> tuple[RenderedFile, ...]:
    """All files of a box, those first that it is reached by."""
    own_time = bool(settings.time_servers)
    files = [
        RenderedFile(AUTHORIZED_KEYS, HEAD + "".join(f"{key}\n" for key in settings.ssh_keys)),
        RenderedFile(ETHERNET, _ethernet(settings.ethernet, own_time)),
    ]
    if settings.wifi is not None:
        files.append(RenderedFile(WPA_SUPPLICANT, _wpa_supplicant(settings.wifi), 0o600))
        files.append(RenderedFile(WIFI, _wifi(own_time)))
    files.append(RenderedFile(HOSTNAME, f"{settings.hostname}\n"))
    files.append(RenderedFile(HOSTS, _hosts(settings.hostname)))
    if own_time:
        files.append(RenderedFile(TIMESYNCD, _timesyncd(settings.time_servers)))
    if settings.metrics_from or settings.stratum_from:
        files.append(RenderedFile(FIREWALL, _firewall(settings)))
    files.append(RenderedFile(NODE, HEAD + node_document(settings.node, settings.hostname)))
    if settings.ward_key is not None:
        text = f"# edgenode ward key: keep it in the ward\n{settings.ward_key.hex()}\n"
        files.append(RenderedFile(WARD_KEY, text, 0o600))
    if settings.genesis is not None:
        files.append(RenderedFile(GENESIS, settings.genesis))
    return tuple(files)


def _ethernet(static: StaticAddress | None, own_time: bool) -> str:
    # RequiredForOnline=no: no service of a box waits for a network, and a box whose cable is
    # unplugged must not wait two minutes for it at each boot.
    head = f"{HEAD}[Match]\nType=ether\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n"
    if static is None:
        return f"{head}DHCP=yes\n\n{_dhcp(own_time, metric=1024)}"
    lines = [f"Address={static.interface}"]
    if static.gateway is not None:
        lines.append(f"Gateway={static.gateway}")
    lines += [f"DNS={server}" for server in static.dns]
    return head + "".join(f"{line}\n" for line in lines)


def _wifi(own_time: bool) -> str:
    return (
        f"{HEAD}[Match]\nName=wlan0\n\n[Link]\nRequiredForOnline=no\n\n[Network]\nDHCP=yes\n\n"
        + _dhcp(own_time, metric=2048)  # Ethernet is taken where there are both
    )


def _dhcp(own_time: bool, *, metric: int) -> str:
    # ClientIdentifier=mac: sites give addresses by the MAC that stands on the box.
    # UseNTP: timesyncd would ask the servers of DHCP before those that the card names.
    use_ntp = "no" if own_time else "yes"
    return (
        f"[DHCPv4]\nClientIdentifier=mac\nUseDomains=yes\nRouteMetric={metric}\nUseNTP={use_ntp}\n\n"
        f"[DHCPv6]\nUseNTP={use_ntp}\n\n"
        f"[IPv6AcceptRA]\nRouteMetric={metric}\n"
    )


def _wpa_supplicant(wifi: WifiSettings) -> str:
    # An SSID in hexadecimal needs no quotes and can hold anything (wpa_supplicant.conf(5)).
    # scan_ssid: networks that hide their names are found, too.
    return (
        f"{HEAD}ctrl_interface=/run/wpa_supplicant\nupdate_config=0\ncountry={wifi.country}\n"
        f"network={{\n\tssid={wifi.ssid.encode().hex()}\n\tscan_ssid=1\n\tkey_mgmt=WPA-PSK\n"
        f"\tpsk={wifi.psk}\n}}\n"
    )


def _timesyncd(servers: tuple[str, ...]) -> str:
    # An empty value takes back what other files name: a site that names its servers wants no
    # other to be asked.
    return f"{HEAD}[Time]\nNTP=\nNTP={' '.join(servers)}\nFallbackNTP=\n"


def _firewall(settings: BoxSettings) -> str:
    # For the sets of ansible/roles/hardening/templates/nftables.conf.j2.
    return (
        HEAD
        + _elements("metrics_from", settings.metrics_from)
        + _elements("stratum_from", settings.stratum_from)
    )


def _elements(name: str, listed: Sequence[Network]) -> str:
    # In spite of the sets' auto-merge, nft refuses some overlaps, the whole ruleset with them: no
    # firewall at all.
    four = collapse_addresses(n for n in listed if isinstance(n, IPv4Network))
    six = collapse_addresses(n for n in listed if isinstance(n, IPv6Network))
    return "".join(
        f"add element inet edgenode {name}{version} {{ {', '.join(map(str, networks))} }}\n"
        for version, networks in ((4, list(four)), (6, list(six)))
        if networks
    )


def _hosts(hostname: str) -> str:
    return (
        f"{HEAD}127.0.0.1\tlocalhost\n127.0.1.1\t{hostname}\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
    )
