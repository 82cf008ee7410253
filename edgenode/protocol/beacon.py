"""Beacons: how nodes of a ward find each other on a LAN, by multicast.

A beacon passes the ward's gate, so only its nodes can make or read one. It says its sender's sync
address, and counts only if it comes from that host: who sends a recorded one again from elsewhere
brings nobody to knock at a third party's door.
"""

from dataclasses import dataclass

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16, u64
from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.gate import Gate
from edgenode.protocol.handshake_messages import PROTOCOL_VERSION
from edgenode.protocol.wire import Address, pack_ip, read_ip

BEACON = "beacon"
"""What it is called among the kinds of messages."""

BEACON_NUMBER = 5
"""First byte, beside the numbers of handshake messages: neither is taken for the other."""

FIRST_INTERVAL = 1.0
LONGEST_INTERVAL = 60.0
"""Seconds between beacons, doubled each time: a box is found at once where the network is up before
it, and within a minute where it is not."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """Says where a node's sync socket is; `instance` is the number of its run."""

    instance: int
    address: Address
    version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        """29 bytes."""
        where = pack_ip(self.address.host) + u16(self.address.port)
        return u8(BEACON_NUMBER) + u16(self.version) + u64(self.instance) + where

    @classmethod
    def decode(cls, data: bytes) -> "Beacon":
        """Inverse of `encode`; raises MalformedError."""
        reader = Reader(data)
        if reader.u8("number") != BEACON_NUMBER:
            raise MalformedError("not a beacon")
        version, instance = reader.u16("protocol version"), reader.u64("instance")
        host, port = read_ip(reader.take(16, "address")), reader.u16("port")
        reader.finish("Beacon")
        if not port:
            raise MalformedError("a beacon without a port")
        return cls(instance, Address(host, port), version)


class Beacons:
    """When to send beacons, and what those of others say."""

    def __init__(self, gate: Gate, instance: int, now: float) -> None:
        """The first one is due at once."""
        self._gate = gate
        self._instance = instance
        self._interval = FIRST_INTERVAL
        self.due_at = now

    def seal(self, address: Address) -> bytes:
        """The datagram that says that this node's sync socket is at `address`."""
        return self._gate.seal(Beacon(self._instance, address).encode())

    def sent(self, now: float) -> None:
        """Beacons were sent, on all networks."""
        self.due_at = now + self._interval
        self._interval = min(LONGEST_INTERVAL, 2 * self._interval)

    def open(self, source: Address, datagram: bytes) -> Address:
        """Where the node is that sent a beacon.

        Raises:
            Dropped: it is none of this ward's, this node's own, or comes from elsewhere.
        """
        try:
            beacon = Beacon.decode(self._gate.open(datagram))
        except MalformedError:
            raise Dropped(Drop.MALFORMED) from None
        if beacon.version != PROTOCOL_VERSION:
            raise Dropped(Drop.OTHER_VERSION)
        if beacon.instance == self._instance:
            raise Dropped(Drop.ITSELF)
        # A link-local host has its network's name behind it here, which no other box knows.
        host, _, zone = source.host.partition("%")
        if beacon.address.host != host:
            raise Dropped(Drop.MOVED)
        return Address(f"{host}%{zone}" if zone else host, beacon.address.port)
