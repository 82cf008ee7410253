"""A node without peers, on a chain of the tests'."""

import random

from edgenode.ledger.keys import MemberKey
from edgenode.protocol.instant import Instant
from edgenode.protocol.layout import Layout
from edgenode.protocol.node import Node
from tests.ledger.builder import NOW


def lone_node(chain, store, voter=None):
    """The node; it has no seeds, and knows no address."""
    return Node(
        chain=chain,
        store=store,
        ward_key=bytes(32),
        key=MemberKey(bytes(32)),
        seeds=[],
        layout=Layout(),
        rng=random.Random(1),
        now=Instant(0.0, NOW),
        voter=voter,
    )
