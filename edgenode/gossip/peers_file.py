"""Where members were met, remembered from one start of the service to the next."""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgenode.api.json_record import ShapeError, from_json, to_json
from edgenode.ledger.keys import PUBLIC_KEY_BYTES
from edgenode.protocol.book import MET_LIMIT, AddressBook
from edgenode.protocol.wire import Address

log = logging.getLogger(__name__)

FILE_NAME = "peers.json"

FORMAT = 1

_BYTES_LIMIT = 256 * MET_LIMIT
"""An entry has at most some 170 bytes."""


@dataclass(frozen=True, slots=True)
class _Peer:
    host: str
    port: int
    member: str


@dataclass(frozen=True, slots=True)
class _Record:
    format: int
    peers: tuple[_Peer, ...]


KEEP_INTERVAL = 60.0
"""Seconds between two writes: a card wears out by them."""


class PeersMemory:
    """Keeps the file in step with the address book."""

    def __init__(self, path: Path, book: AddressBook) -> None:
        self._path = path
        self._book = book
        self._kept: set[tuple[Address, bytes]] = set()
        self._keep_at = 0.0

    def recall(self, now: float) -> None:
        """Fill the book; `now` is in its clock."""
        for address, member in read_peers(self._path):
            self._book.meet(address, member, now)
            self._kept.add((address, member))
        self._keep_at = now + KEEP_INTERVAL

    def keep(self, now: float) -> None:
        """Write the file if it is time to, and there is something new."""
        if now < self._keep_at:
            return
        self._keep_at = now + KEEP_INTERVAL
        met = sorted(self._book.met(), key=lambda each: each.at)
        known = [(each.address, each.member) for each in met]
        if set(known) == self._kept:
            return
        try:
            write_peers(self._path, known)
        except OSError as error:
            # A full disk: the node goes on, and tries again.
            log.warning("addresses of peers are not kept", extra={"error": error})
        else:
            self._kept = set(known)


def read_peers(path: Path) -> list[tuple[Address, bytes]]:
    """Addresses with the public keys of the members that were met there, the last one last.

    Nothing where there is no file, or one that cannot be used: then seeds and beacons must do.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_BYTES_LIMIT + 1)
        record = from_json(_Record, json.loads(raw))
        if record.format != FORMAT:
            raise ShapeError(f"it has format {record.format}, this program reads {FORMAT}")
        return [_peer(peer) for peer in record.peers[-MET_LIMIT:]]
    except FileNotFoundError:
        return []
    except (OSError, ShapeError, ValueError, RecursionError) as error:
        log.warning("addresses of peers are lost", extra={"file": path, "error": error})
        return []


def write_peers(path: Path, peers: Iterable[tuple[Address, bytes]]) -> None:
    """Put the file in place of the old one, whole or not at all.

    Nothing is flushed: a power cut may bring the old file back, which is as good but for what is
    newest.

    Raises:
        OSError: It cannot be written.
    """
    known = tuple(_Peer(address.host, address.port, member.hex()) for address, member in peers)
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(to_json(_Record(FORMAT, known))) + "\n", encoding="ascii")
    draft.replace(path)


def _peer(peer: _Peer) -> tuple[Address, bytes]:
    member = bytes.fromhex(peer.member)
    if not 1 <= peer.port <= 65535 or len(member) != PUBLIC_KEY_BYTES:
        raise ShapeError(f"{peer.host}, port {peer.port}, is no address of a member")
    return Address(str(ipaddress.ip_address(peer.host)), peer.port), member
