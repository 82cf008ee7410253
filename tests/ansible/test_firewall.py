"""The firewall's rules, in network namespaces of their own."""

import json
import os
import socket
import subprocess
import threading
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis.strategies import lists

from edgenode.appliance.box_settings import BoxSettings
from edgenode.appliance.rendering import FIREWALL, render
from edgenode.gossip import lan
from tests.ansible.programs import HERE, run_playbook
from tests.appliance.boxes import networks
from tests.conftest import require_root, require_tool
from tests.namespaces import inside

WATCHER, STRANGER, BOX = "10.78.0.2", "10.78.0.3", "10.78.0.1"
PATIENCE = 2
"""Seconds that a packet is waited for which the firewall should drop: some thousand round trips."""


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Writes the rules with some variables and returns their file."""
    require_tool("nft", "nftables")
    require_root("load a firewall")
    folder = tmp_path_factory.mktemp("rules")

    def write(**variables):
        play = [
            {
                "hosts": "localhost",
                "connection": "local",
                "gather_facts": False,
                "vars_files": [str(HERE / "roles/hardening/defaults/main.yml")],
                "tasks": [
                    {
                        "ansible.builtin.template": {
                            "src": str(HERE / "roles/hardening/templates/nftables.conf.j2"),
                            "dest": str(folder / "nftables.conf"),
                            "mode": "0644",
                        }
                    }
                ],
            }
        ]
        (folder / "play.yml").write_text(json.dumps(play))
        done = run_playbook(folder / "play.yml", "-i", "localhost,", variables=variables)
        assert done.returncode == 0, done.stdout
        return folder / "nftables.conf"

    return write


@pytest.fixture(scope="module")
def empty_sets(rules):
    """The rules of the image, which names nobody."""
    return rules()


def check(file):
    return subprocess.run(
        ["unshare", "--net", "nft", "--check", "--file", file],
        capture_output=True,
        text=True,
        check=False,
    )


@given(
    lists(networks(), min_size=1, max_size=6).map(tuple), lists(networks(), max_size=6).map(tuple)
)
def test_what_a_card_says_of_it_is_taken(empty_sets, metrics_from, stratum_from):
    settings = BoxSettings(metrics_from=metrics_from, stratum_from=stratum_from)
    files = {file.path: file.text for file in render(settings)}
    empty_sets.with_name("card.nft").write_text(empty_sets.read_text() + files[FIREWALL])
    done = check(empty_sets.with_name("card.nft"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"hardening_metrics_from": ["10.0.0.9"]},
        {"hardening_metrics_from": ["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"]},
        {"hardening_ssh_from": ["192.0.2.1", "2001:db8::/32"]},
        {"hardening_stratum_from": ["10.0.0.0/8", "fd00::/8"], "hardening_stratum_port": 4444},
    ],
)
def test_nft_accepts_the_rules(rules, variables):
    done = check(rules(**variables))
    assert done.returncode == 0, done.stderr


def test_nft_refuses_what_is_no_address(rules):
    assert check(rules(hardening_metrics_from=["10.0.0.300"])).returncode != 0


@pytest.fixture
def network():
    """A box with one neighbour, who has two addresses."""
    ip = require_tool("ip", "iproute2")
    require_root("make network namespaces")
    box, neighbour = (f"edgenode-wall-{os.getpid()}-{n}" for n in (1, 2))
    try:
        for name in (box, neighbour):
            subprocess.run([ip, "netns", "add", name], check=True)
            subprocess.run([ip, "-n", name, "link", "set", "lo", "up"], check=True)
        for command in (
            f"-n {box} link add eth0 type veth peer eth0 netns {neighbour}",
            f"-n {box} address add {BOX}/24 dev eth0",
            f"-n {neighbour} address add {WATCHER}/24 dev eth0",
            f"-n {neighbour} address add {STRANGER}/24 dev eth0",
            f"-n {box} link set eth0 up",
            f"-n {neighbour} link set eth0 up",
        ):
            subprocess.run([ip, *command.split()], check=True)
        yield box, neighbour
    finally:
        for name in (box, neighbour):
            subprocess.run([ip, "netns", "del", name], check=False)


def connects(network, source, port):
    """Whether a TCP connection from an address to the box's port comes about."""
    box, neighbour = network
    with inside(box):
        server = socket.create_server((BOX, port))
    with server, inside(neighbour), socket.socket() as client:
        client.settimeout(PATIENCE)
        client.bind((source, 0))
        try:
            client.connect((BOX, port))
        except TimeoutError:
            return False
        return True


def arrives(network, source, port):
    """Whether a datagram from an address to the box's port arrives."""
    box, neighbour = network
    with inside(box):
        server = socket.socket(type=socket.SOCK_DGRAM)
        server.bind((BOX, port))
        server.settimeout(PATIENCE)
    with server, inside(neighbour), socket.socket(type=socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.sendto(b"hello", (BOX, port))
        try:
            return server.recv(16) == b"hello"
        except TimeoutError:
            return False


def beacon_arrives(network, file, group):
    """Whether a beacon of the neighbour's reaches the box through these rules."""
    load(network, file)
    box, neighbour = network
    with inside(box):
        udp = lan._bound(socket.AF_INET6 if ":" in group else socket.AF_INET, group)
        udp.settimeout(PATIENCE)
        number = socket.if_nametoindex("eth0")
        lan._join(udp, udp.family, number)
    with udp, inside(neighbour):
        for interface in lan._interfaces("::"):
            # An address of the link is usable once nobody else was found to have it.
            with suppress(OSError):
                lan._send_from(interface, b"beacon")
        try:
            return udp.recv(16) == b"beacon"
        except TimeoutError:
            return False


def load(network, file):
    subprocess.run(["ip", "netns", "exec", network[0], "nft", "--file", file], check=True)


def test_only_what_a_box_offers_is_reached(rules, network):
    load(network, rules(hardening_metrics_from=[WATCHER]))
    tcp = {port: connects(network, WATCHER, port) for port in (22, 80, 9090, 9464)}
    assert tcp == {22: True, 80: False, 9090: False, 9464: True}
    udp = {port: arrives(network, STRANGER, port) for port in (53, 7069, 7070, 7071, 7072)}
    assert udp == {53: False, 7069: False, 7070: True, 7071: True, 7072: False}


@pytest.mark.parametrize("group", [lan.GROUP_V4, lan.GROUP_V6])
def test_beacons_get_through(rules, network, group):
    assert any(beacon_arrives(network, rules(), group) for _ in range(5))


def test_metrics_are_for_those_on_the_list_and_ssh_for_all_without_one(rules, network):
    load(network, rules(hardening_metrics_from=[WATCHER]))
    assert not connects(network, STRANGER, 9464)
    assert connects(network, STRANGER, 22)
    load(network, rules())
    assert not connects(network, WATCHER, 9464)


def test_the_pool_is_for_those_on_the_list_on_its_own_port_and_for_nobody_without_one(
    rules, network
):
    load(network, rules())
    assert not connects(network, WATCHER, 3333)
    load(network, rules(hardening_stratum_from=[WATCHER]))
    assert connects(network, WATCHER, 3333)
    assert not connects(network, STRANGER, 3333)
    assert not connects(network, WATCHER, 9464)
    load(network, rules(hardening_stratum_from=[WATCHER], hardening_stratum_port=3344))
    assert (connects(network, WATCHER, 3344), connects(network, WATCHER, 3333)) == (True, False)


def test_ssh_may_be_kept_to_a_list(rules, network):
    load(network, rules(hardening_ssh_from=[WATCHER]))
    assert connects(network, WATCHER, 22)
    assert not connects(network, STRANGER, 22)


def test_a_box_gets_answers_to_what_it_asks(rules, network):
    """Connections that the box itself begins are not hindered."""
    load(network, rules())
    box, neighbour = network
    with inside(neighbour):
        server = socket.create_server((WATCHER, 8000))

    def answer():
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"answer")

    with server:
        answering = threading.Thread(target=answer)
        answering.start()
        with inside(box), socket.create_connection((WATCHER, 8000), timeout=60) as client:
            assert client.recv(16) == b"answer"
        answering.join()
