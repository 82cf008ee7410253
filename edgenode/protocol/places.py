"""Who may have a session: places for seeds, for members, and for whom this node knocked at."""

import random
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


SOUGHT_PEERS = 8
"""Sessions with members that a node seeks at addresses it has knocked at, whoever comes unasked. As
many come, so that a ward of 16 is one where all know all; of 10,000 nodes the farthest are four
steps apart, and should a third of them fail at once none is alone."""

CROWD = 24
"""Sessions beyond which it lets go of some, one a second: half as many again as it gets so. Each
costs a status in eight seconds."""

PLACE_TIME = 60.0
"""Seconds that a session stands at least before its place goes to another: long enough to learn
addresses from it. A seed of a large ward is everybody's first door."""


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


def who_gives_way(
    comer: Comer, peers: Iterable[Peer], seeds: Iterable[Address], now: float
) -> Peer | None:
    """Who leaves its place to a comer for whom there is none; None if nobody does.

    To a member, the guest that came last. Else, of those who came unasked, no seeds, and no
    members where a guest comes, the one that came first, once it has had its time.
    """
    peers, seeds = list(peers), set(seeds)
    others = [peer for peer in peers if peer.address not in seeds]
    guests = [peer for peer in others if peer.role is not Role.MEMBER]
    stood = [p for p in others if not p.knocked and now - p.since > PLACE_TIME]
    if comer.role is Role.MEMBER:
        leaving = guests[::-1] + stood
    else:
        leaving = [peer for peer in stood if peer in guests]
    for peer in leaving:
        if has_place(comer, [p for p in peers if p is not peer], seeds):
            return peer
    return None


def who_is_too_many(
    peers: Iterable[Peer], seeds: Iterable[Address], now: float, rng: random.Random
) -> Peer | None:
    """Who is let go of because there are more peers than a node needs; None if there are not.

    Guests go first. Of members whose addresses this node has chosen itself as many as it seeks
    stay, and seeds; and those who have sessions with their seeds alone, for whom this may be the
    only one.
    """
    peers, seeds = list(peers), set(seeds)
    if len(peers) <= CROWD:
        return None
    stood = [
        peer
        for peer in peers
        if peer.address not in seeds and peer.layout.is_open and now - peer.since > PLACE_TIME
    ]
    guests = [peer for peer in stood if peer.role is not Role.MEMBER]
    unasked = [peer for peer in stood if not peer.knocked]
    chosen = [peer for peer in stood if peer.knocked]
    leaving = guests or (chosen if len(chosen) > SOUGHT_PEERS or not unasked else unasked)
    return rng.choice(leaving) if leaving else None
