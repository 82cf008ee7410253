"""Cards and boxes for the tests: a card's folder, a root directory, any settings."""

from __future__ import annotations

import base64
import ipaddress
import struct

from hypothesis import strategies as st

from edgenode.appliance.box_settings import BoxSettings
from edgenode.appliance.box_tables import WifiSettings
from edgenode.appliance.host_name import Network, StaticAddress
from edgenode.appliance.wifi_key import pre_shared_key
from edgenode.ledger.genesis_file import format_genesis
from tests.ledger.builder import make_genesis

GENESIS_TEXT = format_genesis(make_genesis())
WARD_KEY = bytes(range(32))


def ed25519_line(seed: bytes, comment: str = "anna@pc") -> str:
    """A public key as ssh-keygen writes it."""
    blob = struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + seed
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}".strip()


KEY = ed25519_line(b"a" * 32)
OTHER_KEY = ed25519_line(b"b" * 32, "ben@pc")

COMPLETE = f"""\
[box]
hostname = "bed-1"

[ethernet]
address = "10.0.0.21/24"
gateway = "10.0.0.1"
dns = ["10.0.0.2", "10.0.0.3"]

[wifi]
country = "DE"
ssid = "Ward 7"
passphrase = "correct horse"

[ssh]
keys = [
  "{KEY}",
  "{OTHER_KEY}",
]

[time]
servers = ["ntp.hospital.example", "10.0.0.4"]

[ward]
key = "{WARD_KEY.hex()}"

[node]
name = "bed-one"

[gossip]
seeds = ["10.0.0.22:7070"]

[collector]
adapter = "bluez:hci0"
sensors = ["F0:0E:00:00:00:01"]

[trainer]
model = "activity"

[miner]
share = 0.5

[exporter]
listen = "0.0.0.0:9464"

[firewall]
metrics_from = ["10.0.0.9", "10.1.0.0/16", "fd00::9"]
stratum_from = ["10.2.0.0/16"]

[gateway]
listen = ["rfcomm:*"]
"""
"""A card's file with every table; line 1 is [box]."""


labels = st.from_regex(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", fullmatch=True)
host_names = (
    st.lists(labels, min_size=1, max_size=4)
    .map(".".join)
    .filter(lambda name: len(name) <= 64 and not name.rpartition(".")[2].isdecimal())
)
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6).filter(lambda a: not a.scope_id))


@st.composite
def static_addresses(draw: st.DrawFn) -> StaticAddress:
    """An address, perhaps with a router in its network."""
    version = draw(st.sampled_from([4, 6]))
    network = {4: "10.0.0.0/8", 6: "2001:db8::/32"}[version]
    address = draw(st.ip_addresses(network=network))
    bits = draw(st.integers(8, 30) if version == 4 else st.integers(32, 128))
    interface = ipaddress.ip_interface((address, bits))
    inside = interface.network
    if version == 4 and address in (inside.network_address, inside.broadcast_address):
        interface = ipaddress.ip_interface((inside.network_address + 1, bits))
    gateway = draw(st.none() | st.ip_addresses(network=str(inside)))
    return StaticAddress(
        interface=interface,
        gateway=None if gateway == interface.ip else gateway,
        dns=tuple(draw(st.lists(addresses, max_size=3))),
    )


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """A network of any size, a single address among them."""
    address = draw(addresses)
    bits = draw(st.integers(0, address.max_prefixlen))
    return ipaddress.ip_network((address, bits), strict=False)


any_text = st.text(st.characters(codec="utf-8"), max_size=40)
ssids = any_text.filter(lambda text: 1 <= len(text.encode()) <= 32)
passphrases = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63)


@st.composite
def wifi_settings(draw: st.DrawFn) -> WifiSettings:
    """A network and its key, which was computed once and is the slow part."""
    ssid = draw(ssids)
    psk = draw(st.one_of(passphrases.map(lambda p: pre_shared_key(p, ssid)), keys_in_hex))
    return WifiSettings(draw(st.from_regex("[A-Z]{2}", fullmatch=True)), ssid, psk)


keys_in_hex = st.binary(min_size=32, max_size=32).map(bytes.hex)
comments = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=30
).map(str.strip)
ssh_keys = st.builds(ed25519_line, st.binary(min_size=32, max_size=32), comments)
sensors = st.from_regex(r"([0-9A-F]{2}:){5}[0-9A-F]{2}", fullmatch=True)
node_tables = st.fixed_dictionaries(
    {},
    optional={
        "node": st.fixed_dictionaries({}, optional={"name": st.just("x.y")}),
        "gossip": st.fixed_dictionaries({"seeds": st.lists(host_names.map("{}:7070".format))}),
        "collector": st.fixed_dictionaries(
            {
                "adapter": st.just("bluez:hci1")
                | any_text.map("bumble:tcp:".__add__).filter(
                    lambda text: text.isprintable() and len(text) > 11
                ),
                "sensors": st.lists(sensors, min_size=1, max_size=3, unique=True),
            },
            optional={"max_age_s": st.floats(0.1, 1e9)},
        ),
        "trainer": st.fixed_dictionaries({"model": st.just("activity")}),
        "miner": st.fixed_dictionaries({}, optional={"threads": st.integers(1, 64)}),
        "exporter": st.just({}),
    },
)

settings = st.builds(
    BoxSettings,
    hostname=host_names,
    ethernet=st.none() | static_addresses(),
    wifi=st.none() | wifi_settings(),
    ssh_keys=st.lists(ssh_keys, max_size=3, unique=True).map(tuple),
    time_servers=st.lists(host_names | addresses.map(str), max_size=4).map(tuple),
    metrics_from=st.lists(networks(), max_size=4).map(tuple),
    stratum_from=st.lists(networks(), max_size=4).map(tuple),
    node=node_tables,
    ward_key=st.none() | st.binary(min_size=32, max_size=32),
    genesis=st.none() | st.just(GENESIS_TEXT),
)
