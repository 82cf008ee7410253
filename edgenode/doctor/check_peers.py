"""Whether this node talks to others."""

from __future__ import annotations

from edgenode.api.wording import shown_duration
from edgenode.doctor.facts import Facts, Node, Seed, Unknown
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, skipped, warn

NAME = "peers"

PATIENCE_S = 120.0
"""A node knocks at its seeds every few seconds; after so long nobody will answer."""

_NETWORK = (
    "is the network up (ip addr, ip route)? Do the others run, have the same ward key, and let UDP "
    "through on their sync port?"
)


def check(facts: Facts) -> Finding:
    """Count the peers; where there is none, say what is known of each seed."""
    if isinstance(facts.node, Unknown):
        return skipped(NAME, "the node does not answer")
    seeds = () if isinstance(facts.seeds, Unknown) else facts.seeds
    peers = facts.node.peers
    values: dict[str, Value] = {
        "peers": len(peers),
        "seeds": len(seeds),
        "seeds_connected": sum(_is_peer(seed, facts.node) for seed in seeds),
        "seeds_unreachable": sum(bool(seed.problem) for seed in seeds),
    }
    count = f"{len(peers)} peer{'' if len(peers) == 1 else 's'}"
    return concluded(NAME, _remarks(facts.node, seeds), count, values)


def _remarks(node: Node, seeds: tuple[Seed, ...]) -> list[Remark]:
    if node.peers:
        return [warn(_told(seed), "mend [gossip] seeds") for seed in seeds if seed.problem]
    if not seeds:
        text = "no peer: no seeds are configured, and nobody has come"
        return [warn(text, "name other boxes as [gossip] seeds, unless this one is to be alone")]
    known = ", ".join(_told(seed) for seed in seeds)
    up = max(0, node.status.time - node.status.started)
    if up < PATIENCE_S:
        text = f"no peer yet, {shown_duration(up)} after the start; seeds: {known}"
        return [warn(text, "wait a little and look again")]
    return [fail(f"no peer; seeds: {known}", _NETWORK)]


def _told(seed: Seed) -> str:
    return f"{seed.address} {seed.problem or 'does not answer'}"


def _is_peer(seed: Seed, node: Node) -> bool:
    addresses = {peer.address for peer in node.peers}
    port = seed.address.rpartition(":")[2]
    return any(
        (f"[{host}]:{port}" if ":" in host else f"{host}:{port}") in addresses
        for host in seed.hosts
    )
