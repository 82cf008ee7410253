"""Genesis: every constant of consensus, as one value that names the ward.

The constants are hashed in a canonical form into the genesis header, so two nodes that share
a genesis block share every rule, and a node of another ward is known by its first header.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

from edgenode.learning.aggregation import DISCOUNT_ONE, WEIGHT_SUM_LIMIT, AggregationRule
from edgenode.learning.update_codec import Codec
from edgenode.ledger.block import ENDORSEMENTS_LIMIT, TRANSFERS_LIMIT, UPDATES_LIMIT, Block
from edgenode.ledger.enrolment import AUTHORITIES_LIMIT
from edgenode.ledger.header import HEADER_VERSION, Header
from edgenode.ledger.keys import NOBODY, SIGNATURE_BYTES, is_public_key
from edgenode.ledger.target import TargetError, expand
from edgenode.ledger.transaction import (
    EXTRANONCE_BYTES,
    MODELS_LIMIT,
    Coinbase,
    ModelState,
    leaf,
)

GENESIS_FORMAT = 2

PARAMETERS_LIMIT = 1 << 22
"""Parameters of one model: 16 MiB as integers, more than a Pi 3 trains in a round."""

DISCOUNTS_LIMIT = 64
SHARE_WINDOW_LIMIT = 1024
CHECKPOINT_INTERVALS = (2, 1024)
MEMBERS_LIMIT = 4096
"""Members of one ward: the boxes of a large hospital. It bounds what a quorum costs to count."""

NAME_LIMIT = 64


class GenesisError(ValueError):
    """A constant is missing or out of its range; the message names it and says what it may be."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that the ward trains.

    `root` is the content id of its genesis parameters, `graph` the SHA-256 of its TFLite file
    (both hexadecimal), `scale_bits` the binary places of a parameter's fixed-point form.
    """

    name: str
    parameters: int
    scale_bits: int
    rule: AggregationRule
    codec: Codec
    root: str
    graph: str


@dataclass(frozen=True, slots=True)
class Member:
    """A node that may sign blocks and updates; `key` is its public key in hexadecimal."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class Authority:
    """Somebody who, with others, enrols and revokes members; `key` as a member's."""

    name: str
    key: str


@dataclass(frozen=True)
class Genesis:
    """The constants. Times in seconds, targets in compact form."""

    name: str
    time: int
    spacing: int
    half_life: int
    target_limit: int
    target_start: int
    min_spacing: int
    share_window: int
    share_rest: int
    future_bound: int
    subsidy: int
    contributors_percent: int
    updates_per_block: int
    transfers_per_block: int
    examples_cap: int
    discounts: tuple[int, ...]
    checkpoint_interval: int
    endorsements_per_block: int
    models: tuple[Model, ...]
    members: tuple[Member, ...]
    authorities: tuple[Authority, ...]
    authority_quorum: int

    def __post_init__(self) -> None:
        _check(self)

    @cached_property
    def header_constants(self) -> tuple[bytes, int, int, int, int, int]:
        """What the rules of headers take from genesis, as the native code takes it."""
        return (
            self.limit.to_bytes(32, "little"),
            self.target_start,
            self.spacing,
            self.half_life,
            self.longest_step,
            self.future_bound,
        )

    @cached_property
    def canonical(self) -> bytes:
        """The constants as JSON with sorted keys and no spaces (a subset of RFC 8785)."""
        document = {"format": GENESIS_FORMAT, **asdict(self)}
        return json.dumps(
            document, sort_keys=True, separators=(",", ":"), ensure_ascii=True
        ).encode()

    @cached_property
    def block(self) -> Block:
        """The first block. Its `previous` is the SHA-256 of the canonical constants."""
        coinbase = Coinbase(
            height=0,
            extranonce=bytes(EXTRANONCE_BYTES),
            miner=NOBODY,
            payouts=(),
            models=tuple(ModelState(0, 0, 0, bytes.fromhex(m.root)) for m in self.models),
            state=b"",
        )
        header = Header(
            version=HEADER_VERSION,
            previous=hashlib.sha256(self.canonical).digest(),
            merkle_root=leaf(coinbase),
            time=self.time,
            target=self.target_start,
            nonce=0,
        )
        return Block(header, bytes(SIGNATURE_BYTES), (coinbase,))

    @property
    def id(self) -> bytes:
        """The genesis block's id, which names the ward."""
        return self.block.id

    @cached_property
    def limit(self) -> int:
        """The easiest target as a number."""
        return expand(self.target_limit)

    @property
    def longest_step(self) -> int:
        """Seconds between two blocks that count at most for the difficulty.

        A pause of a night says nothing of the hash rate; and no less than what a forged stamp can
        add to a short interval.
        """
        return 2 * max(self.half_life, self.future_bound)

    @cached_property
    def member_keys(self) -> frozenset[bytes]:
        """Public keys of the members that the ward was founded with, 32 bytes each."""
        return frozenset(bytes.fromhex(member.key) for member in self.members)

    def model_index(self, name: str) -> int:
        """Position of the model with this name.

        Raises:
            KeyError: the ward has no such model.
        """
        for index, model in enumerate(self.models):
            if model.name == name:
                return index
        known = ", ".join(model.name for model in self.models)
        raise KeyError(f"this ward has no model {name!r}; it has {known}")


def _check(genesis: Genesis) -> None:
    def within(field: str, low: int, high: int) -> None:
        value = getattr(genesis, field)
        if not low <= value <= high:
            raise GenesisError(f"{field} is {value}; it must lie between {low} and {high}")

    _check_name("name", genesis.name)
    within("time", 0, 2**32 - 1)
    within("spacing", 1, 86_400)
    within("half_life", genesis.spacing, 100 * 86_400)
    within("min_spacing", 0, genesis.spacing)
    within("share_window", 1, SHARE_WINDOW_LIMIT)
    within("future_bound", 1, 86_400)
    # A pause that a stamp from the future could skip would be none.
    within("share_rest", genesis.future_bound + 1, 10 * 86_400)
    within("subsidy", 0, 2**31)  # with 2^32 blocks all coins still fit 64 bits
    within("contributors_percent", 0, 100)
    within("checkpoint_interval", *CHECKPOINT_INTERVALS)
    within("endorsements_per_block", 1, ENDORSEMENTS_LIMIT)
    within("updates_per_block", 1, UPDATES_LIMIT)
    within("transfers_per_block", 0, TRANSFERS_LIMIT)
    within("examples_cap", 1, 2**32 - 1)
    if genesis.updates_per_block * genesis.examples_cap * DISCOUNT_ONE >= WEIGHT_SUM_LIMIT:
        raise GenesisError(
            f"updates_per_block · examples_cap · {DISCOUNT_ONE} must stay below "
            f"{WEIGHT_SUM_LIMIT}, so that sums fit 64 bits"
        )
    _check_targets(genesis)
    _check_discounts(genesis.discounts)
    if not 1 <= len(genesis.models) <= MODELS_LIMIT:
        raise GenesisError(f"a ward has 1 to {MODELS_LIMIT} models, not {len(genesis.models)}")
    for model in genesis.models:
        _check_model(model)
    _unique("model name", [model.name for model in genesis.models])
    if not genesis.members:
        raise GenesisError("a ward has at least one member; add a [[member]] with its key")
    _check_keys("member", genesis.members)
    if len(genesis.members) > (limit := members_limit(genesis)):
        raise GenesisError(
            f"{len(genesis.members)} members, not up to {limit}: a ward has at most "
            f"{MEMBERS_LIMIT}, and the endorsements of more than two thirds of them must find "
            f"room in {genesis.checkpoint_interval} blocks (checkpoint_interval) of "
            f"{genesis.endorsements_per_block} each (endorsements_per_block)"
        )
    _check_keys("authority", genesis.authorities)
    if len(genesis.authorities) > AUTHORITIES_LIMIT:
        raise GenesisError(f"a ward has at most {AUTHORITIES_LIMIT} authorities")
    # Without authorities nobody can be enrolled, and a quorum means nothing.
    within("authority_quorum", min(1, len(genesis.authorities)), len(genesis.authorities))


def members_limit(genesis: Genesis) -> int:
    """The most members that a ward may have: a quorum of them fits in a checkpoint's blocks.

    With more, nothing would become final any more, so nobody could be revoked either.
    """
    heard = genesis.checkpoint_interval * genesis.endorsements_per_block
    return min(MEMBERS_LIMIT, (3 * heard - 1) // 2)


def _check_keys(what: str, listed: Sequence[Member | Authority]) -> None:
    for entry in listed:
        _check_name(f"{what} name", entry.name)
        if not is_public_key(_hex(f"key of {what} {entry.name}", entry.key, 32)):
            raise GenesisError(f"the key of {what} {entry.name} is no Ed25519 public key")
    _unique(f"{what} name", [entry.name for entry in listed])
    _unique(f"{what} key", [entry.key for entry in listed])


def _check_targets(genesis: Genesis) -> None:
    try:
        limit, start = expand(genesis.target_limit), expand(genesis.target_start)
    except TargetError as error:
        raise GenesisError(str(error)) from None
    if start > limit:
        raise GenesisError("target_start is easier than target_limit")


def _check_discounts(discounts: tuple[int, ...]) -> None:
    if not 1 <= len(discounts) <= DISCOUNTS_LIMIT:
        raise GenesisError(f"discounts has 1 to {DISCOUNTS_LIMIT} entries, not {len(discounts)}")
    if discounts[0] != DISCOUNT_ONE:
        raise GenesisError(f"the first discount, of a fresh update, is {DISCOUNT_ONE}")
    if any(not 1 <= d <= DISCOUNT_ONE for d in discounts) or sorted(discounts)[::-1] != list(
        discounts
    ):
        raise GenesisError(f"discounts fall from {DISCOUNT_ONE}, each at least 1")


def _check_model(model: Model) -> None:
    _check_name("model name", model.name)
    if not 1 <= model.parameters <= PARAMETERS_LIMIT:
        raise GenesisError(
            f"model {model.name} has {model.parameters} parameters; 1 to {PARAMETERS_LIMIT} are "
            "possible"
        )
    if not 0 <= model.scale_bits <= 30:
        raise GenesisError(f"scale_bits of model {model.name} must lie between 0 and 30")
    _hex(f"root of model {model.name}", model.root, 32)
    _hex(f"graph of model {model.name}", model.graph, 32)


def is_name(name: str) -> bool:
    """Whether this may be the name of a ward, model, member or authority."""
    return 0 < len(name) <= NAME_LIMIT and name.isascii() and name.isprintable()


def _check_name(field: str, name: str) -> None:
    if not is_name(name):
        raise GenesisError(f"{field} must be 1 to {NAME_LIMIT} printable ASCII characters")


def _hex(field: str, text: str, length: int) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise GenesisError(f"{field} is not hexadecimal") from None
    if len(data) != length or text != data.hex():
        raise GenesisError(f"{field} must be {2 * length} lower-case hexadecimal digits")
    return data


def _unique(field: str, values: list[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise GenesisError(f"{field} {value} occurs twice")
        seen.add(value)
