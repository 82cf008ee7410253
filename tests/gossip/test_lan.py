"""Beacons by real sockets, in network namespaces."""

import subprocess

import pytest

from edgenode.gossip.lan import Lan
from tests.collector.ward import until
from tests.namespaces import inside
from tests.ward.network import network


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


class Station:
    """One end of a LAN; `heard` is what came, with the host that it came from."""

    def __init__(self, namespace, bound):
        self.namespace, self.heard = namespace, []
        with inside(namespace):
            self.lan = Lan((bound, 7070), self._take)

    def _take(self, datagrams):
        self.heard += [(data, source.host) for data, source in datagrams]

    def send(self):
        with inside(self.namespace):
            self.lan.send(lambda address: str(address).encode())


@pytest.fixture
async def stations():
    made = []
    with network(2) as net:

        def make(number, bound):
            made.append(Station(net.names[number], bound))
            return made[-1]

        yield make
        for station in made:
            station.lan.close()


async def test_a_beacon_names_the_address_that_it_comes_from(stations):
    one, other = stations(0, "0.0.0.0"), stations(1, "0.0.0.0")
    one.send()
    await until(lambda: other.heard, "the beacon")
    assert other.heard == [(b"10.77.0.1:7070", "10.77.0.1")]


async def test_a_beacon_of_ipv6_comes_from_the_address_of_the_link(stations):
    one, other = stations(0, "::"), stations(1, "::")

    def both():
        one.send()
        return len({":" in host for _, host in other.heard}) == 2

    await until(both, "the beacons")
    for data, host in other.heard:
        address, _, zone = host.partition("%")
        text = f"[{address}]:7070" if ":" in host else f"{address}:7070"
        assert data == text.encode()
        assert bool(zone) is (":" in host), "by its name where the test runs, not where it was sent"


async def test_several_nodes_of_one_box_hear_beacons_and_their_own(stations):
    one, same, other = stations(0, "0.0.0.0"), stations(0, "0.0.0.0"), stations(1, "10.77.0.2")

    def all_hear():
        other.send()  # again: a network that has just come up may lose one
        return one.heard and same.heard and other.heard

    await until(all_hear, "the beacon")


async def test_a_network_that_comes_up_later_is_heard_and_spoken_on(stations):
    one, other = stations(0, "0.0.0.0"), stations(1, "0.0.0.0")
    with inside(other.namespace):
        ip("address", "flush", "dev", "eth0")
        late = Lan(("0.0.0.0", 7070), other._take)
        assert late.look() == []
        ip("address", "add", "10.77.0.2/24", "dev", "eth0")
        assert [each.host for each in late.look()] == ["10.77.0.2"]
    one.send()
    await until(lambda: other.heard, "the beacon")
    late.close()


async def test_a_trial_on_loopback_sends_no_beacons():
    lan = Lan(("127.0.0.1", 7070), lambda _: None)
    assert lan.look() == []
    lan.close()
