"""The genesis file: the constants as TOML that a person can read and check."""

import tomllib
from typing import Any

from edgenode.learning.aggregation import AggregationRule
from edgenode.learning.update_codec import Codec
from edgenode.ledger.genesis import (
    GENESIS_FORMAT,
    Authority,
    Genesis,
    GenesisError,
    Member,
    Model,
)

# The integers that TOML promises; longer ones cannot always be shown.
_INTEGERS = range(-(1 << 63), 1 << 63)

# Said in place of a value that is of any length, and may hold what cannot be shown.
_CONTAINERS: dict[type, str] = {list: "an array", dict: "a table"}


def parse_genesis(text: str) -> Genesis:
    """Read a genesis file.

    Raises:
        GenesisError: the text is not TOML, a key is missing, unknown or has the wrong type, or
            a constant is out of its range.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GenesisError(f"not TOML: {error}") from None
    except ValueError:  # Python's own limit, which tomllib passes on
        raise GenesisError("an integer in it has too many digits") from None
    except RecursionError:
        raise GenesisError("arrays or tables in it are nested too deep") from None
    top = _Table("genesis", document)
    if (found := top.integer("format")) != GENESIS_FORMAT:
        raise GenesisError(f"format {found} is unknown; this program reads {GENESIS_FORMAT}")
    work = top.table("proof_of_work")
    clock = top.table("clock")
    reward = top.table("reward")
    updates = top.table("updates")
    finality = top.table("finality")
    genesis = Genesis(
        name=top.text("name"),
        time=top.integer("time"),
        spacing=work.integer("spacing"),
        half_life=work.integer("half_life"),
        target_limit=work.compact("limit"),
        target_start=work.compact("start"),
        min_spacing=work.integer("min_spacing"),
        share_window=work.integer("share_window"),
        share_rest=work.integer("share_rest"),
        future_bound=clock.integer("future_bound"),
        subsidy=reward.integer("subsidy"),
        contributors_percent=reward.integer("contributors_percent"),
        updates_per_block=updates.integer("per_block"),
        transfers_per_block=updates.integer("transfers_per_block"),
        examples_cap=updates.integer("examples_cap"),
        discounts=updates.integers("discounts"),
        checkpoint_interval=finality.integer("checkpoint_interval"),
        endorsements_per_block=finality.integer("endorsements_per_block"),
        models=tuple(_model(table) for table in top.tables("model")),
        members=tuple(Member(*_named_key(table)) for table in top.tables("member")),
        authorities=tuple(Authority(*_named_key(t)) for t in top.tables("authority", missing=True)),
        authority_quorum=top.integer("authority_quorum"),
    )
    for table in (work, clock, reward, updates, finality, top):
        table.finish()
    return genesis


def format_genesis(genesis: Genesis) -> str:
    """Write a genesis file that `parse_genesis` reads back to the same constants."""
    parts = [
        f"""\
# Every constant of consensus. Two nodes with the same constants belong to one ward; a change
# of any of them, but not of a comment, makes another ward.
format = {GENESIS_FORMAT}
name = "{_escaped(genesis.name)}"
time = {genesis.time}  # Unix seconds of the genesis block
authority_quorum = {genesis.authority_quorum}  # authorities that enrol or revoke a member together

[proof_of_work]
spacing = {genesis.spacing}  # seconds between blocks, on average
half_life = {genesis.half_life}  # seconds behind schedule that double the target
limit = "0x{genesis.target_limit:08x}"  # easiest target, compact form
start = "0x{genesis.target_start:08x}"  # target of the first blocks
min_spacing = {genesis.min_spacing}  # seconds after a block in which the ward's miners rest
# Of the last share_window blocks no member makes more than twice an even share, unless its next
# one is share_rest seconds younger than the one before it.
share_window = {genesis.share_window}
share_rest = {genesis.share_rest}

[clock]
future_bound = {genesis.future_bound}  # seconds that a block may be ahead of a node's clock

[reward]
subsidy = {genesis.subsidy}  # new coins of a block, besides the fees
contributors_percent = {genesis.contributors_percent}  # of them, to those whose updates it counts

[updates]
per_block = {genesis.updates_per_block}
transfers_per_block = {genesis.transfers_per_block}
examples_cap = {genesis.examples_cap}  # examples that one update may claim
# Weight, in 1/256, of an update whose base is 0, 1, 2 ... blocks behind the block's parent;
# one that is older than the list is refused.
discounts = {list(genesis.discounts)}

[finality]
checkpoint_interval = {genesis.checkpoint_interval}  # blocks between those that members endorse
endorsements_per_block = {genesis.endorsements_per_block}
"""
    ]
    parts += [
        f"""
[[model]]
name = "{_escaped(model.name)}"
parameters = {model.parameters}
scale_bits = {model.scale_bits}  # a parameter is an integer times 2^-{model.scale_bits}
rule = "{model.rule}"
codec = "{model.codec.name.lower()}"
root = "{model.root}"  # content id of the genesis parameters
graph = "{model.graph}"  # SHA-256 of the TFLite file
"""
        for model in genesis.models
    ]
    parts += [
        f"""
[[{table}]]
name = "{_escaped(entry.name)}"
key = "{entry.key}"
"""
        for table, listed in (("member", genesis.members), ("authority", genesis.authorities))
        for entry in listed
    ]
    return "".join(parts)


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _model(table: "_Table") -> Model:
    rule, codec = table.text("rule"), table.text("codec")
    if rule not in list(AggregationRule):
        raise GenesisError(f"rule {rule!r} is unknown; there is {', '.join(AggregationRule)}")
    if codec.upper() not in Codec.__members__:
        known = ", ".join(name.lower() for name in Codec.__members__)
        raise GenesisError(f"codec {codec!r} is unknown; there is {known}")
    model = Model(
        name=table.text("name"),
        parameters=table.integer("parameters"),
        scale_bits=table.integer("scale_bits"),
        rule=AggregationRule(rule),
        codec=Codec[codec.upper()],
        root=table.text("root"),
        graph=table.text("graph"),
    )
    table.finish()
    return model


def _named_key(table: "_Table") -> tuple[str, str]:
    name, key = table.text("name"), table.text("key")
    table.finish()
    return name, key


class _Table:
    """A TOML table whose keys are taken one by one, so that what is left over is a mistake."""

    def __init__(self, name: str, document: dict[str, Any]) -> None:
        self._name = name
        self._left = dict(document)

    def _take(self, key: str, kind: type, what: str) -> Any:  # noqa: ANN401
        if key not in self._left:
            raise GenesisError(f"{key} is missing in {self._name}")
        value = self._left.pop(key)
        if type(value) is int and value not in _INTEGERS:
            raise GenesisError(f"{key} in {self._name} has more than 64 bits")
        if type(value) is not kind:
            shown = _CONTAINERS.get(type(value)) or repr(value)
            raise GenesisError(f"{key} in {self._name} must be {what}, not {shown}")
        return value

    def text(self, key: str) -> str:
        value: str = self._take(key, str, "a string")
        return value

    def integer(self, key: str) -> int:
        value: int = self._take(key, int, "an integer")
        return value

    def integers(self, key: str) -> tuple[int, ...]:
        values = self._take(key, list, "a list of integers")
        if any(type(value) is not int for value in values):
            raise GenesisError(f"{key} in {self._name} must hold integers only")
        return tuple(values)

    def compact(self, key: str) -> int:
        text = self.text(key)
        try:
            return int(text, 16)
        except ValueError:
            raise GenesisError(
                f'{key} in {self._name} must be a compact target such as "0x1f00ffff"'
            ) from None

    def table(self, key: str) -> "_Table":
        return _Table(f"[{key}]", self._take(key, dict, "a table"))

    def tables(self, key: str, *, missing: bool = False) -> list["_Table"]:
        if missing and key not in self._left:
            return []
        entries = self._take(key, list, f"written as [[{key}]]")
        if any(type(entry) is not dict for entry in entries):
            raise GenesisError(f"{key} must be written as [[{key}]]")
        return [_Table(f"[[{key}]] number {i}", entry) for i, entry in enumerate(entries, 1)]

    def finish(self) -> None:
        if self._left:
            unknown = ", ".join(sorted(self._left))
            raise GenesisError(f"unknown in {self._name}: {unknown}")
