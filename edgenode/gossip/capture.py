"""A debug capture: a node's datagrams, opened, as a pcapng file that Wireshark reads.

Each packet has made-up IP and UDP headers with the true addresses, so that Wireshark's filters and
statistics apply, and the plaintext where the sealed part was: docs/edgenode.lua dissects it, and
docs/gossip.md says what its bytes are. The format is that of draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import ipaddress
import struct
import time
from collections.abc import Mapping

from edgenode.protocol.channel import CHANNEL_FORM, HEAD_BYTES
from edgenode.protocol.gate import GATE_FORM
from edgenode.protocol.tap import Tapped
from edgenode.protocol.wire import Address, Socket, pack_ip

BYTES_LIMIT = 8 << 20
"""Bytes of a capture; what comes after is counted and left out. It is held in memory."""

OPENED = 0x80
"""Added to the form of a datagram that was opened."""

_SECTION, _INTERFACE, _PACKET, _STATISTICS = 0x0A0D0D0A, 1, 6, 5
_COMMENT, _NAME, _FLAGS, _DROPPED = 1, 2, 2, 5
_INBOUND, _OUTBOUND = 1, 2
_RAW_IP = 101
"""LINKTYPE_RAW: packets begin with their IP header."""

_UDP = 17


class Capture:
    """Collects what a tap sees."""

    def __init__(self, own: Mapping[Socket, Address], limit: int = BYTES_LIMIT) -> None:
        """`own` says where this node's sockets are bound; `limit` is in bytes."""
        self._own = own
        self._limit = limit
        self._numbers = {socket: number for number, socket in enumerate(own)}
        self._blocks = [_block(_SECTION, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
        for socket in own:
            name = _option(_NAME, socket.name.lower().encode())
            self._blocks.append(_block(_INTERFACE, struct.pack("<HHI", _RAW_IP, 0, 0) + name))
        self._bytes = sum(map(len, self._blocks))
        self.packets = 0
        self.left_out = 0

    def take(self, tapped: Tapped) -> None:
        """Note a datagram, at this moment."""
        if tapped.socket not in self._numbers or self._bytes >= self._limit:
            self.left_out += 1
            return
        own, data = self._own[tapped.socket], _opened(tapped)
        ends = (own, tapped.address) if tapped.sent else (tapped.address, own)
        packet = _packet(*ends, data)
        options = _option(_FLAGS, struct.pack("<I", _OUTBOUND if tapped.sent else _INBOUND))
        if tapped.dropped is not None:
            options = _option(_COMMENT, f"dropped: {tapped.dropped}".encode()) + options
        now = int(time.time() * 1e6)
        head = (self._numbers[tapped.socket], now >> 32, now & 0xFFFFFFFF, len(packet), len(packet))
        block = _block(_PACKET, struct.pack("<5I", *head) + _padded(packet) + options)
        self._blocks.append(block)
        self._bytes += len(block)
        self.packets += 1

    def file(self) -> bytes:
        """The file: all that was taken, and how much was left out."""
        now = int(time.time() * 1e6)
        dropped = _option(_DROPPED, struct.pack("<Q", self.left_out))
        times = struct.pack("<III", 0, now >> 32, now & 0xFFFFFFFF)
        return b"".join((*self._blocks, _block(_STATISTICS, times + dropped)))


def _opened(tapped: Tapped) -> bytes:
    """What stands in place of a datagram."""
    if tapped.plaintext is None or not tapped.datagram:
        return tapped.datagram
    if tapped.datagram[0] == GATE_FORM:
        return bytes([OPENED | GATE_FORM]) + tapped.plaintext
    return bytes([OPENED | CHANNEL_FORM]) + tapped.datagram[1:HEAD_BYTES] + tapped.plaintext


def _packet(source: Address, destination: Address, data: bytes) -> bytes:
    udp = struct.pack(">HHHH", source.port, destination.port, 8 + len(data), 0) + data
    hosts = [ipaddress.ip_address(each.host.partition("%")[0]) for each in (source, destination)]
    if all(host.version == 4 or _is_any(host) for host in hosts):
        ends = b"".join(b"\0\0\0\0" if _is_any(host) else host.packed for host in hosts)
        length = 20 + len(udp)
        return struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0, 64, _UDP, 0) + ends + udp
    ends = b"".join(bytes(16) if _is_any(host) else pack_ip(str(host)) for host in hosts)
    return struct.pack(">IHBB", 6 << 28, len(udp), _UDP, 64) + ends + udp


def _is_any(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return host.is_unspecified


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = 12 + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
