"""systemd-networkd itself reads the network files, in a network namespace of its own."""

import re
import shutil
import subprocess

import pytest

from edgenode.appliance.box_settings import BoxSettings
from edgenode.appliance.box_tables import WifiSettings
from edgenode.appliance.host_name import StaticAddress, ip_address, ip_interface
from edgenode.appliance.rendering import ETHERNET, render
from tests.conftest import missing, require_root, require_tool

NETWORKD = "/lib/systemd/systemd-networkd"
PREPARE = """\
set -e
mount -t tmpfs run /run
mount -t tmpfs units /etc/systemd
mkdir /etc/systemd/network
cp "$1"/* /etc/systemd/network
mount -t sysfs -o ro sys /sys
ip link set lo up
ip link add eth0 type veth peer name other
exec env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console "$2"
"""

STATIC = StaticAddress(
    ip_interface("10.9.0.2/24"), ip_address("10.9.0.1"), (ip_address("10.9.0.1"),)
)
WIFI = WifiSettings("DE", "Ward 7", "00" * 32)


@pytest.fixture
def networkd(tmp_path):
    """What networkd says until it configures eth0; the files are those of the settings."""
    require_root("make network namespaces")
    require_tool("unshare", "util-linux")
    if shutil.which(NETWORKD) is None:
        missing(f"{NETWORKD} is not installed (Debian's package systemd)")

    def networkd(settings, spoil=""):
        for file in render(settings):
            if file.path.endswith(".network"):
                (tmp_path / file.path.rpartition("/")[2]).write_text(file.text + spoil)
        said = []
        with subprocess.Popen(
            ["unshare", "--net", "--mount", "sh", "-c", PREPARE, "sh", tmp_path, NETWORKD],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if "eth0: Configuring with" in line:
                    break
            process.kill()
        return "".join(said)

    return networkd


@pytest.mark.parametrize(
    "settings",
    [
        BoxSettings(wifi=WIFI),
        BoxSettings(wifi=WIFI, ethernet=STATIC, time_servers=("ntp.hospital.example",)),
        BoxSettings(ethernet=StaticAddress(ip_interface("2001:db8::2/64"), ip_address("fe80::1"))),
    ],
    ids=["dhcp", "static", "ipv6"],
)
def test_networkd_takes_every_line(networkd, settings):
    said = networkd(settings)
    assert f"eth0: Configuring with /{ETHERNET}" in said, said
    assert not re.search(r"/etc/systemd/network/\S+:\d+: ", said), said


def test_networkd_would_say_what_it_does_not_understand(networkd):
    said = networkd(BoxSettings(), spoil="Unknown=1\n")
    assert f"/{ETHERNET}:22: Unknown key 'Unknown'" in said, said
