"""The node's state in the local API's shapes."""

import time
from importlib.metadata import version

from edgenode.api.block_shapes import models_of
from edgenode.api.shapes import (
    AdoptionTimes,
    AllTraffic,
    AuthorityShape,
    ClockStatus,
    Finality,
    Head,
    MemberShape,
    Membership,
    MempoolCounts,
    Messages,
    ModelSummary,
    Peer,
    Status,
    Traffic,
)
from edgenode.gossip.clock import Verdict
from edgenode.gossip.service import GossipService
from edgenode.ledger import membership
from edgenode.ledger.accounts import account
from edgenode.ledger.chain import Chain
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.hashes import display
from edgenode.ledger.headers import Entry, expected_target
from edgenode.ledger.target import expand, work
from edgenode.ledger.transaction import Transfer, Update
from edgenode.protocol.drops import Drop
from edgenode.protocol.peer import Peer as Session
from edgenode.protocol.traffic import SocketTraffic
from edgenode.protocol.wire import CHUNK_BYTES, Socket


def interval(chain: Chain, entry: Entry) -> int:
    """Seconds between a block and its parent; 0 for genesis."""
    parent = chain.tree.parent(entry)
    return 0 if parent is None else entry.header.time - parent.header.time


def head_of(chain: Chain) -> Head:
    """The head."""
    entry = chain.head
    block = chain.block(entry.id)
    assert block is not None, "the head is in the store"
    following = expected_target(chain.genesis, entry, chain.tree.get)
    expected = work(expand(following))
    return Head(
        id=display(entry.id),
        height=entry.height,
        time=entry.header.time,
        target=f"{entry.header.target:08x}",
        difficulty=expected / work(chain.genesis.limit),
        work=hex(entry.work),
        expected_hashes=expected,
        next_target=f"{following:08x}",
        interval=interval(chain, entry),
        models=models_of(chain.genesis, block),
    )


def status_of(service: GossipService) -> Status:
    """The node at a glance."""
    chain, node = service.chain, service.node
    waiting = [node.mempool.get(i) for i in node.mempool.ids()]
    records, member = chain.state.records, service.member_key.public
    return Status(
        node=service.settings.name,
        version=version("edgenode"),
        ward=chain.genesis.name,
        genesis=display(chain.genesis.id),
        member=member.hex(),
        enrolled=membership.is_member(records, member),
        time=int(time.time()),
        clock=clock_of(service.clock.verdict()),
        started=int(service.started),
        head=head_of(chain),
        finality=Finality(chain.state.justified, chain.final.height),
        best_header_height=chain.best_header().height,
        kept_from=chain.floor,
        syncing=node.syncing,
        mempool=MempoolCounts(
            updates=sum(isinstance(t, Update) for t in waiting),
            transfers=sum(isinstance(t, Transfer) for t in waiting),
            changes=sum(isinstance(t, Enrolment | Revocation) for t in waiting),
            endorsements=sum(isinstance(t, Endorsement) for t in waiting),
        ),
        peers=len(node.links.peers),
        balance=account(records, member).balance,
        blocks_mined=service.blocks_mined,
        reorganisations=node.reorganisations,
        traffic=AllTraffic(
            **{kind.name.lower(): _traffic(node.links.traffic[kind]) for kind in Socket}
        ),
        messages=Messages(
            sent=dict(node.links.counts.sent),
            received=dict(node.links.counts.received),
            resent=node.resent,
        ),
        adoptions=AdoptionTimes(node.adoptions.count, node.adoptions.seconds, node.adoptions.last),
        refused=dict(node.refused),
    )


def membership_of(chain: Chain) -> Membership:
    """Who belongs to the ward at the head."""
    records, genesis = chain.state.records, chain.genesis
    return Membership(
        changes=membership.changes_made(records),
        quorum=genesis.authority_quorum,
        authorities=tuple(AuthorityShape(a.name, a.key) for a in genesis.authorities),
        members=tuple(
            MemberShape(standing.name, key.hex(), standing.since, standing.until or None)
            for key, standing in sorted(
                membership.all_standings(records), key=lambda found: found[1].name
            )
        ),
    )


def clock_of(verdict: Verdict) -> ClockStatus:
    """How the clock stands."""
    return ClockStatus(verdict.trusted, verdict.state.value, verdict.reason)


def models_at_head(chain: Chain) -> tuple[ModelSummary, ...]:
    """The ward's models at the head."""
    return tuple(
        ModelSummary(
            name=model.name,
            parameters=model.parameters,
            scale_bits=model.scale_bits,
            rule=model.rule,
            codec=model.codec.name.lower(),
            graph=model.graph,
            round=state.round,
            updates=state.updates,
            examples=state.examples,
            examples_cap=chain.genesis.examples_cap,
            root=state.root.hex(),
        )
        for model, state in zip(chain.genesis.models, chain.state.models, strict=True)
    )


def peers_of(service: GossipService) -> tuple[Peer, ...]:
    """The peers."""
    names, now = membership.members(service.chain.state.records), time.monotonic()
    return tuple(
        _peer(peer, names.get(peer.member), now) for peer in service.node.links.peers.values()
    )


def _peer(peer: Session, name: str | None, now: float) -> Peer:
    flow, trip = peer.flow, peer.flow.round_trip.smoothed
    return Peer(
        address=str(peer.address),
        member=peer.member.hex(),
        name=name,
        role=peer.role.value,
        knocked=peer.knocked,
        sync=peer.layout.sync,
        broadcast=peer.broadcast is not None,
        height=peer.tip.height,
        round_trip=trip,
        loss=flow.lost / flow.asked if flow.asked else None,
        queue=flow.queue,
        rate=flow.window * CHUNK_BYTES / trip if trip and flow.asked else None,
        silent=max(0.0, now - peer.heard),
        connected=int(peer.connected),
        datagrams_sent=peer.datagrams_sent,
        datagrams_received=peer.datagrams_received,
    )


def _traffic(traffic: SocketTraffic) -> Traffic:
    return Traffic(
        datagrams_sent=traffic.datagrams_sent,
        datagrams_received=traffic.datagrams_received,
        bytes_sent=traffic.bytes_sent,
        bytes_received=traffic.bytes_received,
        # Each reason from the start on: who counts how a number grows must have seen its beginning.
        dropped={reason.value: traffic.dropped[reason] for reason in Drop},
    )
