"""Who may have a session: places for seeds, for members, and for whom this node knocked at."""

from collections.abc import Iterable
from dataclasses import dataclass

from edgenode.protocol.peer import Peer
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Address

PEERS_LIMIT = 64
"""Sessions at a time. Each may cost a window of chunks and a replay window, 140 kB at most."""

HOST_LIMIT = 32
"""Of them at one host (of IPv6, in one /64), seeds aside: one box with many ports must not take all
places, while a ward behind one router, or on one computer for a trial, has that many."""

SEED_PLACES = 8
"""Of them for seeds alone."""

KNOCKED_PLACES = 16
"""Of the others for addresses that this node has knocked at: who comes unasked chooses the time,
and may be quicker than all after a start."""

GUEST_PLACES = 8
"""For those who come unasked and are no members: new boxes. Whoever holds the ward key can make as
many of them as it likes."""

MEMBER_SESSIONS = 4
"""Of one member: a box that started anew somewhere else, cards that were cloned."""


@dataclass(frozen=True, slots=True)
class Comer:
    """Who asks for a session, or answers: is it at a `seed`'s address, has it been knocked at?"""

    address: Address
    member: bytes
    role: Role
    seed: bool
    knocked: bool


def has_place(comer: Comer, peers: Iterable[Peer], seeds: Iterable[Address]) -> bool:
    """Whether there may be a session more, with this one; `seeds` are those among the peers'."""
    peers, seeds = list(peers), set(seeds)
    others = [peer for peer in peers if peer.address not in seeds]
    unasked = [peer for peer in others if not peer.knocked]
    taken = [
        (len(others), PEERS_LIMIT - SEED_PLACES),
        (sum(peer.address.site == comer.address.site for peer in others), HOST_LIMIT),
        (sum(peer.member == comer.member for peer in others), MEMBER_SESSIONS),
    ]
    if not comer.knocked:
        taken.append((len(unasked), PEERS_LIMIT - SEED_PLACES - KNOCKED_PLACES))
        if comer.role is not Role.MEMBER:
            taken.append((sum(peer.role is not Role.MEMBER for peer in unasked), GUEST_PLACES))
    return len(peers) < PEERS_LIMIT and (comer.seed or all(n < limit for n, limit in taken))


def who_gives_way(comer: Comer, peers: Iterable[Peer], seeds: Iterable[Address]) -> Peer | None:
    """The guest that leaves its place to a member for whom there is none; None if nobody does.

    It is the one that came last.
    """
    if comer.role is not Role.MEMBER:
        return None
    seeds = set(seeds)
    guests = [p for p in peers if p.role is not Role.MEMBER and p.address not in seeds]
    return guests[-1] if guests else None
