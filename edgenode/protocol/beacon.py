"""Beacons: how nodes of a ward find each other on a LAN, by multicast.

A beacon passes the ward's gate, so only its nodes can make or read one, and is signed by the key of
its sender: who holds the ward key alone can invent sources, and members none the less find each
other. It says its sender's sync address, and counts only if it comes from that host: who sends a
recorded one again from elsewhere brings nobody to knock at a third party's door.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16, u64
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, MemberKey, verify
from edgenode.protocol.budget import Budget
from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.gate import Gate
from edgenode.protocol.handshake_messages import PROTOCOL_VERSION
from edgenode.protocol.wire import Address, pack_address, read_address

BEACON = "beacon"
"""What it is called among the kinds of messages."""

BEACON_NUMBER = 5
"""First byte, beside the numbers of handshake messages: neither is taken for the other."""

FIRST_INTERVAL = 1.0
LONGEST_INTERVAL = 60.0
"""Seconds between beacons, doubled each time: a box is found at once where the network is up before
it, and within a minute where it is not."""


BEACONS_PER_SECOND = 50.0
BEACONS_AT_ONCE = 200
"""Signatures of beacons that are checked: a millisecond each on a small board. A ward that is
switched on has one from each box."""

MEMBERS_BEACONS_PER_SECOND = 10.0
MEMBERS_BEACONS_AT_ONCE = 20
"""Of one member: one that sends thousands uses up its own."""


@dataclass(frozen=True, slots=True)
class Beacon:
    """Says where a node's sync socket is; `instance` is the number of its run, `member` its key."""

    member: bytes
    instance: int
    address: Address
    signature: bytes = bytes(SIGNATURE_BYTES)
    version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        """125 bytes."""
        return self._unsigned() + self.signature

    def signed(self, key: MemberKey, genesis_id: bytes) -> "Beacon":
        """With the signature of its member."""
        return replace(self, signature=key.sign(self._message(genesis_id)))

    def is_genuine(self, genesis_id: bytes) -> bool:
        """Whether it has the signature of its member."""
        return verify(self.member, self._message(genesis_id), self.signature)

    def _message(self, genesis_id: bytes) -> bytes:
        return b"edgenode beacon" + genesis_id + self._unsigned()

    def _unsigned(self) -> bytes:
        head = u8(BEACON_NUMBER) + u16(self.version)
        return head + self.member + u64(self.instance) + pack_address(self.address)

    @classmethod
    def decode(cls, data: bytes) -> "Beacon":
        """Inverse of `encode`; raises MalformedError."""
        reader = Reader(data)
        if reader.u8("number") != BEACON_NUMBER:
            raise MalformedError("not a beacon")
        version = reader.u16("protocol version")
        member, instance = reader.take(PUBLIC_KEY_BYTES, "member"), reader.u64("instance")
        address = read_address(reader)
        signature = reader.take(SIGNATURE_BYTES, "signature")
        reader.finish("Beacon")
        if not address.port:
            raise MalformedError("a beacon without a port")
        return cls(member, instance, address, signature, version)


class Heard(NamedTuple):
    """Where a node is that has sent a beacon, and whose it is, if that was checked."""

    address: Address
    member: bytes | None


class Beacons:
    """When to send beacons, and what those of others say."""

    def __init__(
        self, gate: Gate, genesis_id: bytes, key: MemberKey, instance: int, now: float
    ) -> None:
        """The first one is due at once."""
        self._gate = gate
        self._genesis_id = genesis_id
        self._key = key
        self._instance = instance
        self._budget = Budget(BEACONS_PER_SECOND, BEACONS_AT_ONCE, now)
        self._budgets: dict[bytes, Budget] = {}
        self._interval = FIRST_INTERVAL
        self.due_at = now

    def seal(self, address: Address) -> bytes:
        """The datagram that says that this node's sync socket is at `address`."""
        beacon = Beacon(self._key.public, self._instance, address)
        return self._gate.seal(beacon.signed(self._key, self._genesis_id).encode())

    def sent(self, now: float) -> None:
        """Beacons were sent, on all networks."""
        self.due_at = now + self._interval
        self._interval = min(LONGEST_INTERVAL, 2 * self._interval)

    def open(
        self, source: Address, datagram: bytes, now: float, is_member: Callable[[bytes], bool]
    ) -> Heard:
        """Where the node is that sent a beacon; of those who are no members nothing is checked.

        Raises:
            Dropped: it is none of this ward's, this node's own, comes from elsewhere, is not its
                member's, or there are too many.
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
        address = Address(f"{host}%{zone}" if zone else host, beacon.address.port)
        if not is_member(beacon.member):
            return Heard(address, None)
        # There are not more of them than there were members while this node runs.
        of_member = self._budgets.setdefault(
            beacon.member, Budget(MEMBERS_BEACONS_PER_SECOND, MEMBERS_BEACONS_AT_ONCE, now)
        )
        if not (of_member.take(1, now) and self._budget.take(1, now)):
            raise Dropped(Drop.TOO_MANY_BEACONS)
        if not beacon.is_genuine(self._genesis_id):
            raise Dropped(Drop.FORGED)
        return Heard(address, beacon.member)
