"""The UDP socket on a real loop and a real kernel."""

import asyncio
import socket

import pytest

from edgenode.gossip import udp
from edgenode.gossip.udp import BATCH, UdpSocket
from edgenode.protocol.wire import Address
from tests.collector.ward import until


@pytest.fixture
async def sockets():
    """Makes sockets on loopback; `heard` collects the batches that each was given."""
    made = []

    def make(host="127.0.0.1", port=0):
        heard = []
        made.append(UdpSocket("sync", udp.bound("sync", (host, port)), heard.append))
        made[-1].heard = heard
        made[-1].address = Address(*made[-1].socket.getsockname()[:2])
        return made[-1]

    yield make
    for each in made:
        each.close()


def datagrams(one):
    return [data for batch in one.heard for data, _ in batch]


async def test_datagrams_come_in_order_with_where_they_come_from(sockets):
    one, other = sockets(), sockets()
    for n in range(300):
        one.send(bytes([n % 256]), other.address)
    await until(lambda: len(datagrams(other)) == 300, "the datagrams")
    assert datagrams(other) == [bytes([n % 256]) for n in range(300)]
    assert {source for batch in other.heard for _, source in batch} == {one.address}
    assert max(map(len, other.heard)) <= BATCH
    assert len(other.heard) < 300, "many at a time"


async def test_what_the_kernel_does_not_take_at_once_waits_and_goes_in_order(sockets):
    one, other = sockets(), sockets()
    kernel = one.socket

    class Full:
        """A socket whose buffer is full nine times in ten."""

        tries = 0

        def sendto(self, data, to):
            self.tries += 1
            if self.tries % 10:
                raise BlockingIOError
            return kernel.sendto(data, to)

        def __getattr__(self, name):
            return getattr(kernel, name)

    one.socket = Full()
    for n in range(50):
        one.send(bytes([n]), other.address)
    await until(lambda: len(datagrams(other)) == 50, "the datagrams")
    assert datagrams(other) == [bytes([n]) for n in range(50)]
    assert one._queued == 0
    one.socket = kernel


async def test_no_more_waits_than_the_bound(sockets, monkeypatch):
    monkeypatch.setattr(udp, "QUEUE_BYTES", 5000)
    one, other = sockets(), sockets()
    kernel = one.socket

    class Full:
        def sendto(self, data, to):
            raise BlockingIOError

        def __getattr__(self, name):
            return getattr(kernel, name)

    one.socket = Full()
    for _ in range(100):
        one.send(bytes(1000), other.address)
    assert one._queued == 5000
    one.socket = kernel
    await until(lambda: len(datagrams(other)) == 5, "the datagrams")


async def test_an_answer_that_nobody_hears_is_no_error(sockets):
    one, other = sockets(), sockets()
    gone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gone.bind(("127.0.0.1", 0))
    nowhere = Address(*gone.getsockname())
    gone.close()
    for _ in range(5):
        one.send(b"is anybody there?", nowhere)
        await asyncio.sleep(0.01)  # the kernel says that nobody is
    one.send(b"x", other.address)
    other.send(b"y", one.address)
    await until(lambda: datagrams(other) == [b"x"] and datagrams(one) == [b"y"], "the datagrams")


async def test_an_address_that_no_socket_can_reach_is_passed_over(sockets):
    one, other = sockets(), sockets()
    one.send(b"x", Address("2001:db8::1", 7070))
    one.send(b"x", Address("255.255.255.255", 7070))
    one.send(b"y", other.address)
    await until(lambda: datagrams(other) == [b"y"], "the datagrams")


async def test_an_ipv6_socket_speaks_to_ipv4_hosts_and_names_them_so(sockets):
    try:
        both = sockets("::")
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    plain = sockets()
    both.send(b"x", plain.address)
    await until(lambda: datagrams(plain) == [b"x"], "the datagrams")
    plain.send(b"y", Address("127.0.0.1", both.address.port))
    await until(lambda: datagrams(both) == [b"y"], "the datagrams")
    ((_, source),) = both.heard[0]
    assert source == plain.address


async def test_a_port_that_is_taken_is_an_error_that_says_what_to_do(sockets):
    one = sockets()
    with pytest.raises(OSError, match=r'\[gossip\] sync = "127.0.0.1:\d+": another process uses'):
        sockets(port=one.address.port)
