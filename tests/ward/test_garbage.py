"""Whatever arrives on its sockets, a node stays healthy and tells strangers nothing."""

import random
import select
import socket

import pytest

from edgenode.protocol import handshake_messages
from edgenode.protocol.gate import GATE_FORM, Gate
from edgenode.protocol.handshake_messages import NONCE_BYTES, Hello
from edgenode.protocol.wire import DATAGRAM_LIMIT, Socket
from edgenode.storage.keyfile import read_key
from tests.ward.wards import (
    Program,
    assert_sound,
    grown,
    learned,
    log_of,
    seeded,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

BATCH = 100


@pytest.fixture(scope="module")
def ward():
    with ward_of(2) as ward:
        grown(ward.boxes, 1)
        yield ward


class Sender:
    """A socket that nobody knows, and that hears whether it is answered."""

    def __init__(self, box, kind):
        self.box, self.kind = box, kind
        self._target = (box.host, box.sync if kind is Socket.SYNC else box.broadcast)
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._udp.close()

    def traffic(self):
        traffic = self.box.client.status().traffic
        return traffic.sync if self.kind is Socket.SYNC else traffic.broadcast

    def dropped(self):
        return sum(self.traffic().dropped.values())

    def send(self, datagrams):
        """Send them all, no faster than the node takes them; it must drop every one."""
        dropped = self.dropped()
        for start in range(0, len(datagrams), BATCH):
            batch = datagrams[start : start + BATCH]
            for datagram in batch:
                self._udp.sendto(datagram, self._target)
            dropped += len(batch)
            until(lambda n=dropped: self.dropped() >= n, "it all to be dropped")

    def is_answered(self):
        # Whatever it has to say to the garbage it has said: the counters came later.
        return bool(select.select([self._udp], [], [], 0.2)[0])


def hello(ward, plaintext=None, key=None):
    """A datagram of this ward's gate; a hello unless told otherwise."""
    ward_key = key or read_key(ward.plan.directory / "ward.key")
    gate = Gate(ward_key, ward.genesis.id, random.randbytes)
    message = Hello(random.randbytes(NONCE_BYTES))
    return gate.seal(handshake_messages.encode(message) if plaintext is None else plaintext)


def garbage(ward, source):
    """Some thousands of datagrams that no node sent."""
    for length in (0, 1, 28, 29, 40, 41, 66, 1199, 1200, 1201, 9000):
        yield source.randbytes(length)
    for form in range(GATE_FORM + 3):
        for _ in range(300):
            yield bytes([form]) + source.randbytes(source.randint(0, DATAGRAM_LIMIT + 50))
    genuine = hello(ward)
    for length in range(len(genuine)):
        yield genuine[:length]
    for _ in range(500):
        flipped = bytearray(genuine)
        flipped[source.randrange(len(flipped))] ^= 1 << source.randrange(8)
        yield bytes(flipped)
    yield genuine + b"\0"
    for _ in range(100):
        yield hello(ward, key=source.randbytes(32))


def assert_healthy(ward):
    box = ward.boxes[0]
    assert len(box.client.peers()) == 1
    learned(Program(box, 1), [ward.boxes[1]])
    grown(ward.boxes, 1)
    assert ward.supervisor.unit(box.unit_name("gossip")).starts == 1
    assert "Traceback" not in log_of(box)
    assert_sound(box)


@pytest.mark.parametrize("kind", list(Socket))
def test_thousands_of_garbled_datagrams_are_dropped_without_a_reply(ward, kind):
    source = seeded("the garbage")
    with Sender(ward.boxes[0], kind) as stranger:
        stranger.send(list(garbage(ward, source)))
        assert not stranger.is_answered()
    assert_healthy(ward)


@pytest.mark.parametrize("kind", list(Socket))
def test_garbage_under_the_wards_own_seal_is_dropped_without_a_reply(ward, kind):
    """A box with a broken program, or a stolen key, sends messages that do not parse."""
    source = seeded("the garbage")

    def message():
        number = bytes([source.randrange(8)])
        return number + source.randbytes(source.randint(0, 300))

    with Sender(ward.boxes[0], kind) as broken:
        broken.send([hello(ward, plaintext=message()) for _ in range(1000)])
        assert not broken.is_answered()
    assert_healthy(ward)


def test_a_hello_of_the_ward_is_answered_so_the_silence_above_means_something(ward):
    with Sender(ward.boxes[0], Socket.SYNC) as member:
        member._udp.sendto(hello(ward), member._target)
        until(member.is_answered, "the welcome")
        welcome = member._udp.recv(2048)
    assert len(welcome) == len(hello(ward))
