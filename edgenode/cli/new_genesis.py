"""The constants of a new ward, from what its founder knows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from edgenode.learning.aggregation import AggregationRule
from edgenode.learning.fixed_point import to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger.genesis import Authority, Genesis, GenesisError, Member, Model
from edgenode.ledger.hashes import content_id
from edgenode.ledger.target import compress
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import FRACTION_BITS, TaskError

DEFAULT_SPACING = 90

DEFAULT_HASH_RATE = 1_000_000
"""Hashes per second of a small ward: five Raspberry Pi 4 that spend a fifth of one core each.
It only decides how long the first blocks take: the difficulty follows within some half-lives."""

LIMIT_RATIO = 4096
"""How much easier than the first target the easiest one is. A single box must keep the spacing
when all others of its ward are off, and the largest ward, a hospital's, has some thousands. Not
easier, because headers at the limit are what a stranger can forge most cheaply."""

_EASIEST_TARGET = (1 << 252) - 1
"""One hash in sixteen: a block costs something even in a ward of one slow box."""

_HALF_LIFE_SPACINGS = (64, 3)
"""1920 s at a spacing of 90 s: a ward that doubles its speed is back at its pace in half an hour,
and the luck of a few blocks moves the target by some per cent only."""

_FUTURE_BOUND = 120
"""Two minutes: boxes are set by NTP or by each other, not by hand. One that is late by more takes
blocks up later. The shorter it is, the less a forged stamp can skip of a pause (`share_rest`); and
not more than a third of the half-life, where such stamps swing no pace (docs/difficulty.md), but
for wards of a block every few seconds: ten seconds are what busy boxes need."""

_LEAST_FUTURE_BOUND = 10

_SHARE_WINDOW = 128
"""Three hours, in which luck evens out."""

_SHARE_REST_SPACINGS = 4
"""Beyond the future bound, which a forged stamp can skip: in this time others nearly always find
a block (1 - e^-4)."""

_CHECKPOINT_INTERVAL = 8
"""A block is final about half an hour after it was made, once enough members are awake."""

_ENDORSEMENTS_PER_BLOCK = 128
"""With 8 blocks to a checkpoint, enough for 1024 members to be heard."""

_SUBSIDY = 1000
_CONTRIBUTORS_PERCENT = 50
_UPDATES_PER_BLOCK = 64
_TRANSFERS_PER_BLOCK = 64

DEFAULT_EXAMPLES_CAP = 4096
"""As many windows as a trainer remembers by default: no honest update claims more."""

_DISCOUNTS = (256, 128, 64, 32, 16, 8, 4, 2)
"""Half the weight for each block of age. An update that is eight blocks (12 minutes) old was
trained from parameters that are no one's any more."""


def new_genesis(
    *,
    name: str,
    time: int,
    members: Sequence[Member],
    models: Sequence[str],
    spacing: int = DEFAULT_SPACING,
    hash_rate: float = DEFAULT_HASH_RATE,
    codec: Codec = Codec.INT32,
    half_life: int | None = None,
    examples_cap: int = DEFAULT_EXAMPLES_CAP,
    min_spacing: int = 0,
    authorities: Sequence[Authority] = (),
    authority_quorum: int | None = None,
) -> Genesis:
    """A genesis with this release's defaults for what is not given.

    Args:
        name: The ward's name.
        time: Unix seconds of the genesis block.
        members: Who may sign blocks and updates.
        models: Names of tasks of this release.
        spacing: Seconds between blocks.
        hash_rate: Hashes per second that all miners of the ward make together.
        codec: How the updates of all models are coded.
        half_life: Seconds behind schedule that double the target; None for 21⅓ spacings.
        examples_cap: Examples that one update may claim.
        min_spacing: Seconds after a block in which the ward's miners rest.
        authorities: Who may enrol and revoke members.
        authority_quorum: How many of them it takes; None for more than half.

    Raises:
        TaskError: There is no such task, or its files cannot be read.
        GenesisError: A constant is out of its range.
    """
    if not 0 < hash_rate < 1e30:
        raise GenesisError(f"a hash rate of {hash_rate} per second is not above 0")
    times, over = _HALF_LIFE_SPACINGS
    half_life = max(spacing, spacing * times // over) if half_life is None else half_life
    future_bound = max(_LEAST_FUTURE_BOUND, min(_FUTURE_BOUND, half_life // 3))
    start = min(_EASIEST_TARGET, max(1, (1 << 256) // max(1, int(hash_rate * spacing)) - 1))
    return Genesis(
        name=name,
        time=time,
        spacing=spacing,
        half_life=half_life,
        target_limit=compress(min(_EASIEST_TARGET, start * LIMIT_RATIO)),
        target_start=compress(start),
        min_spacing=min_spacing,
        share_window=_SHARE_WINDOW,
        share_rest=future_bound + _SHARE_REST_SPACINGS * spacing,
        future_bound=future_bound,
        subsidy=_SUBSIDY,
        contributors_percent=_CONTRIBUTORS_PERCENT,
        updates_per_block=_UPDATES_PER_BLOCK,
        transfers_per_block=_TRANSFERS_PER_BLOCK,
        examples_cap=examples_cap,
        discounts=_DISCOUNTS,
        checkpoint_interval=_CHECKPOINT_INTERVAL,
        endorsements_per_block=_ENDORSEMENTS_PER_BLOCK,
        models=tuple(replace(model_of_task(model), codec=codec) for model in models),
        members=tuple(members),
        authorities=tuple(authorities),
        authority_quorum=(
            min(len(authorities), len(authorities) // 2 + 1)
            if authority_quorum is None
            else authority_quorum
        ),
    )


def model_of_task(name: str) -> Model:
    """A task's model, with the hashes of the files that this release brings.

    Raises:
        TaskError: There is no such task, or its files cannot be read.
    """
    task = find_task(name)
    parameters = task.genesis_parameters()
    file = task.model_file("tflite")
    try:
        graph = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise TaskError(f"cannot read {file}: {error.strerror}") from None
    return Model(
        name=name,
        parameters=len(parameters),
        scale_bits=FRACTION_BITS,
        rule=AggregationRule.FEDAVG,
        codec=Codec.INT32,
        root=content_id(to_bytes(parameters)).hex(),
        graph=graph,
    )
