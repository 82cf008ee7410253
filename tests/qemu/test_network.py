"""Virtual networks with two machines on them, and the host."""

import ipaddress
import subprocess

import pytest

from qemu.errors import QemuError
from qemu.network import HOST, ROUTER, Bridge, Switched, address
from tests.conftest import require_root, require_tool
from tests.qemu.conftest import PATIENCE, to_prompt, type_in


@pytest.fixture(params=["switch", "bridge"])
def network(request, tmp_path):
    require_tool("qemu-system-aarch64", "qemu-system-arm")
    if request.param == "bridge":
        require_root("make a network namespace")
        require_tool("ip", "iproute2")
    kind = Bridge if request.param == "bridge" else Switched
    with kind(tmp_path / "network") as made:
        yield made


def test_addresses_are_in_one_network_and_differ():
    boxes = [address(number) for number in range(1, 100)]
    assert len({box.ip for box in boxes} | {HOST, ROUTER}) == len(boxes) + 2
    assert {box.network for box in boxes} == {ipaddress.IPv4Network("10.77.0.0/24")}
    for wrong in (0, 100, -1):
        with pytest.raises(ValueError, match=r"is not in 1\.\.99"):
            address(wrong)


def test_the_router_forwards_a_port_of_its_own_to_each_box(network):
    first, second = (network.router.forward(box, 22) for box in (1, 2))
    assert first != second
    assert network.router.forward(1, 22) == first
    assert network.router.forward(1, 9464) != first


def test_two_networks_do_not_meet(network, tmp_path):
    with type(network)(tmp_path / "other") as other:
        plugs = (network.attach(1), other.attach(1))
        assert plugs[0].netdev != plugs[1].netdev


def test_without_root_there_is_no_bridge(tmp_path, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(QemuError, match="needs root"):
        Bridge(tmp_path)


@pytest.mark.qemu
def test_machines_reach_each_other_and_the_router(network, make_machine):
    machines = []
    for number in (1, 2):
        machine = make_machine(f"bed-{number}", login=False, ward=network.attach(number))
        machine.start()
        machines.append(machine)
    for number, machine in enumerate(machines, 1):
        to_prompt(machine)
        here = address(number)
        type_in(machine, f"setenv ipaddr {here.ip}; setenv netmask {here.netmask}")
        # U-Boot takes the first byte of its card's address for all six.
        type_in(machine, f"env set -f ethaddr {network.attach(number).mac}")
        assert "is alive" in type_in(machine, f"ping {ROUTER}")
    one, two = machines
    # U-Boot answers only while it waits for something itself: for a file that nobody has.
    one.console.send_line(f"setenv serverip {HOST + 100}; while true; do tftpboot x; done")
    one.wait_for("ARP Retry|TFTP from|T T", PATIENCE, unless=None)
    assert "is alive" in ping_until_alive(two, address(1).ip)
    one.plug("ward", into=False)
    assert "is not alive" in type_in(two, f"ping {address(1).ip}")
    one.plug("ward", into=True)
    assert "is alive" in ping_until_alive(two, address(1).ip)
    if isinstance(network, Bridge):
        assert "is alive" in type_in(two, f"ping {HOST}")
        seen = subprocess.run(
            [*network.inside, "ip", "-brief", "address"], check=True, capture_output=True
        )
        assert f"{HOST}/24".encode() in seen.stdout
    one.power_cut()
    one.start()  # with the same plug
    to_prompt(one)


def ping_until_alive(machine, there) -> str:
    """U-Boot sends one packet and waits some seconds."""
    said = ""
    for _ in range(20):
        said = type_in(machine, f"ping {there}")
        if "is alive" in said:
            break
    return said
