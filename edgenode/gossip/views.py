"""The node's state in the local API's shapes."""

import time
from importlib.metadata import version

from edgenode.api.block_shapes import models_of
from edgenode.api.shapes import (
    BothTraffic,
    ClockStatus,
    Head,
    MempoolCounts,
    ModelSummary,
    Peer,
    Status,
    Traffic,
)
from edgenode.gossip.clock import Verdict
from edgenode.gossip.service import GossipService
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import display
from edgenode.ledger.headers import Entry, expected_target
from edgenode.ledger.target import expand, work
from edgenode.ledger.transaction import Update
from edgenode.protocol.links import Traffic as SocketTraffic
from edgenode.protocol.wire import Socket


def interval(entry: Entry) -> int:
    """Seconds between a block and its parent; 0 for genesis."""
    return 0 if entry.parent is None else entry.header.time - entry.parent.header.time


def head_of(chain: Chain) -> Head:
    """The head."""
    entry = chain.head
    block = chain.block(entry.id)
    assert block is not None, "the head is in the store"
    following = expected_target(chain.genesis, entry)
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
        interval=interval(entry),
        models=models_of(chain.genesis, block),
    )


def status_of(service: GossipService) -> Status:
    """The node at a glance."""
    chain, node = service.chain, service.node
    waiting = [node.mempool.get(i) for i in node.mempool.ids()]
    updates = sum(isinstance(transaction, Update) for transaction in waiting)
    account = chain.state.accounts.get(service.member_key.public)
    return Status(
        node=service.settings.name,
        version=version("edgenode"),
        ward=chain.genesis.name,
        genesis=display(chain.genesis.id),
        member=service.member_key.public.hex(),
        time=int(time.time()),
        clock=clock_of(service.clock.verdict()),
        started=int(service.started),
        head=head_of(chain),
        best_header_height=chain.best_header().height,
        syncing=node.syncing,
        mempool=MempoolCounts(updates=updates, transfers=len(waiting) - updates),
        peers=len(node.links.peers),
        balance=account.balance if account else 0,
        blocks_mined=service.blocks_mined,
        reorganisations=node.reorganisations,
        traffic=BothTraffic(
            sync=_traffic(node.links.traffic[Socket.SYNC]),
            broadcast=_traffic(node.links.traffic[Socket.BROADCAST]),
        ),
        refused=dict(node.refused),
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
    return tuple(
        Peer(
            address=str(peer.address),
            height=peer.tip.height,
            round_trip=peer.flow.round_trip.smoothed,
            loss=peer.flow.lost / peer.flow.asked if peer.flow.asked else None,
            connected=int(peer.connected),
            datagrams_sent=peer.datagrams_sent,
            datagrams_received=peer.datagrams_received,
        )
        for peer in service.node.links.peers.values()
    )


def _traffic(traffic: SocketTraffic) -> Traffic:
    return Traffic(
        datagrams_sent=traffic.datagrams_sent,
        datagrams_received=traffic.datagrams_received,
        bytes_sent=traffic.bytes_sent,
        bytes_received=traffic.bytes_received,
        datagrams_dropped=traffic.dropped.total(),
    )
