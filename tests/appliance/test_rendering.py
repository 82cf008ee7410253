"""The files that a box's services read say what the settings say, and nothing more."""

import configparser
import re
import subprocess
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.box_settings import BoxSettings, read_box
from edgenode.appliance.rendering import (
    AUTHORIZED_KEYS,
    ETHERNET,
    GENESIS,
    HEAD,
    HOSTNAME,
    HOSTS,
    NODE,
    TIMESYNCD,
    WARD_KEY,
    WIFI,
    WPA_SUPPLICANT,
    render,
)
from edgenode.appliance.toml_text import document_text
from edgenode.services.config import load
from edgenode.storage.keyfile import read_key
from tests.appliance import boxes
from tests.conftest import require_tool


def rendered(settings):
    return {file.path: file for file in render(settings)}


def unit_file(text):
    """Sections of a file in systemd's syntax: lists of (key, value), in order."""
    sections = {}
    for line in text.split("\n"):
        if line.startswith("["):
            assert line.endswith("]")
            section = sections.setdefault(line[1:-1], [])
        elif line and not line.startswith("#"):
            key, separator, value = line.partition("=")
            assert separator
            section.append((key, value))
    return sections


def wpa_file(text):
    """Global fields, and those of the one network, by the rules of wpa_supplicant.conf(5)."""
    fields, network = {}, {}
    into = fields
    for line in text.split("\n"):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        if stripped == "network={":
            assert into is fields
            into = network
        elif stripped == "}":
            into = fields
        else:
            key, separator, value = stripped.partition("=")
            assert separator
            assert key not in into
            into[key] = value
    return fields, network


@given(boxes.settings)
def test_the_network_files_parse_back(settings):
    files = rendered(settings)
    ethernet = unit_file(files[ETHERNET].text)
    assert ethernet["Match"] == [("Type", "ether")]
    static = settings.ethernet
    if static is None:
        assert ethernet["Network"] == [("DHCP", "yes")]
        use_ntp = dict(ethernet["DHCPv4"])["UseNTP"]
        assert use_ntp == ("no" if settings.time_servers else "yes")
    else:
        expected = [("Address", str(static.interface))]
        expected += [("Gateway", str(static.gateway))] if static.gateway else []
        expected += [("DNS", str(server)) for server in static.dns]
        assert ethernet["Network"] == expected
        assert ethernet.keys() == {"Match", "Link", "Network"}
    assert (WIFI in files) is (WPA_SUPPLICANT in files) is (settings.wifi is not None)
    if settings.wifi is not None:
        assert unit_file(files[WIFI].text)["Match"] == [("Name", "wlan0")]


@given(boxes.settings)
def test_the_wifi_file_parses_back_whatever_the_name_of_the_network(settings):
    if settings.wifi is None:
        return
    file = rendered(settings)[WPA_SUPPLICANT]
    fields, network = wpa_file(file.text)
    assert bytes.fromhex(network.pop("ssid")).decode() == settings.wifi.ssid
    assert network == {"scan_ssid": "1", "key_mgmt": "WPA-PSK", "psk": settings.wifi.psk}
    assert fields == {
        "ctrl_interface": "/run/wpa_supplicant",
        "update_config": "0",
        "country": settings.wifi.country,
    }
    assert file.mode == 0o600


def test_wpa_supplicant_reads_the_wifi_file(tmp_path):
    tool = require_tool("wpa_supplicant", "wpasupplicant")
    wifi = boxes.WifiSettings("DE", 'a"\n}#\\ü', "0f" * 32)
    path = tmp_path / "wpa.conf"
    path.write_text(rendered(BoxSettings(wifi=wifi))[WPA_SUPPLICANT].text)
    ran = subprocess.run(  # it reads the file, and then finds no such interface
        [tool, "-dd", "-i", "none0", "-D", "wired", "-c", path],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert r"id=0 ssid='a\"\n}#\\\xc3\xbc'" in ran.stdout
    assert "country='DE'" in ran.stdout
    assert "key_mgmt: 0x2\n" in ran.stdout
    assert not re.search(r"^Line \d+: ", ran.stdout, re.MULTILINE)  # how it reports a mistake


@given(boxes.settings)
def test_names_times_and_keys_parse_back(settings):
    files = rendered(settings)
    assert files[HOSTNAME].text == f"{settings.hostname}\n"
    hosts = [line.split() for line in files[HOSTS].text.splitlines() if not line.startswith("#")]
    assert ["127.0.1.1", settings.hostname] in hosts
    assert len(hosts) == 5
    keys = files[AUTHORIZED_KEYS].text.removeprefix(HEAD)
    assert tuple(keys.split("\n")[:-1]) == settings.ssh_keys
    assert (TIMESYNCD in files) is bool(settings.time_servers)
    if settings.time_servers:
        time = configparser.ConfigParser(strict=False, interpolation=None)
        time.read_string(files[TIMESYNCD].text)
        assert tuple(time["Time"]["NTP"].split()) == settings.time_servers
        assert time["Time"]["FallbackNTP"] == ""


@given(boxes.settings)
def test_the_services_read_the_nodes_file(folder, settings):
    path = folder / "edgenode.toml"
    path.write_text(rendered(settings)[NODE].text)
    node = load(path)
    assert node.name == settings.node.get("node", {}).get("name", settings.hostname)
    assert node.gossip.clock == "synchronised"
    assert node.tables == settings.node.keys() | {"node"}
    read = tomllib.loads(path.read_text())
    for table, values in settings.node.items():
        assert values.items() <= read[table].items()


@given(boxes.settings)
def test_the_wards_files_parse_back(folder, settings):
    files = rendered(settings)
    assert (WARD_KEY in files) is (settings.ward_key is not None)
    if settings.ward_key is not None:
        path = folder / "ward.key"
        path.write_text(files[WARD_KEY].text)
        path.chmod(files[WARD_KEY].mode)
        assert read_key(path, "ward") == settings.ward_key
    assert settings.genesis is None or files[GENESIS].text == settings.genesis


hostile = st.text(st.sampled_from(list("ab1.:-/\n\r\\\"'#;=[]{} \t\x00\x85\u2028%$")), max_size=12)
written = st.fixed_dictionaries(
    {},
    optional={
        "box": st.fixed_dictionaries({"hostname": hostile}),
        "ethernet": st.fixed_dictionaries(
            {"address": hostile | hostile.map("10.0.0.1/8".__add__)},
            optional={
                "dns": st.lists(hostile | hostile.map("fe80::1%".__add__), max_size=2),
                "gateway": hostile.map("10.0.0.2".__add__),
            },
        ),
        "wifi": st.fixed_dictionaries(
            {"country": hostile | st.just("DE"), "ssid": hostile, "passphrase": st.text()}
        ),
        "ssh": st.fixed_dictionaries(
            {"keys": st.lists(hostile | hostile.map(boxes.KEY.__add__), max_size=2)}
        ),
        "time": st.fixed_dictionaries(
            {"servers": st.lists(hostile | hostile.map("fe80::1%".__add__), max_size=2)}
        ),
        "node": st.fixed_dictionaries({"name": hostile}),
        "gossip": st.fixed_dictionaries(
            {"seeds": st.lists(hostile.map("a{}:7070".format), max_size=2)}
        ),
        "collector": st.fixed_dictionaries(
            {"adapter": hostile.map("bumble:a:{}".format), "sensors": st.lists(hostile)}
        ),
    },
)


@given(written)
def test_no_value_that_a_file_may_hold_adds_a_line(tmp_path_factory, tables):
    path = tmp_path_factory.mktemp("hostile") / "edgenode.toml"
    path.write_text(document_text(tables), encoding="utf-8", newline="")
    settings = read_box(path).settings
    files = rendered(settings)
    lines = {name: len(file.text.splitlines()) for name, file in files.items()}
    plain = rendered(BoxSettings())
    assert lines[HOSTNAME] == 1
    assert lines[HOSTS] == len(plain[HOSTS].text.splitlines())
    assert lines[AUTHORIZED_KEYS] == 1 + len(settings.ssh_keys)
    static = settings.ethernet
    dhcp = len(plain[ETHERNET].text.splitlines())
    own = 9 + (static.gateway is not None) + len(static.dns) if static else dhcp
    assert lines[ETHERNET] == own
    assert lines.get(WPA_SUPPLICANT, 10) == 10
    assert lines.get(TIMESYNCD, 5) == 5
    assert files.keys() - plain.keys() <= {WIFI, WPA_SUPPLICANT, TIMESYNCD}


@pytest.mark.parametrize("given_clock", ["any", "synchronised"])
def test_a_box_may_be_told_to_trust_any_clock(given_clock):
    settings = BoxSettings(node={"node": {"clock": given_clock}})
    assert tomllib.loads(rendered(settings)[NODE].text)["node"]["clock"] == given_clock


def test_files_that_hold_a_secret_are_for_root_only():
    wifi = boxes.WifiSettings("DE", "x", "00" * 32)
    files = render(BoxSettings(ssh_keys=(boxes.KEY,), wifi=wifi, ward_key=bytes(32)))
    secret = {file.path for file in files if file.mode == 0o600}
    assert secret == {WPA_SUPPLICANT, WARD_KEY}
    assert {file.mode for file in files if file.path not in secret} == {0o644}
    assert all("0" * 64 not in file.text for file in files if file.path not in secret)
