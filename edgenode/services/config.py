"""The node's configuration: one TOML file for all its services (docs/configuration.md).

Each service reads the whole file, so that a mistake anywhere is found at the first start, and
uses its own part.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from edgenode.collector.settings import (
    DEFAULT_COMMIT_WITHIN_S,
    DEFAULT_MAX_BYTES,
    CollectorSettings,
)
from edgenode.exporter.settings import ExporterSettings
from edgenode.gossip.clock import Policy
from edgenode.gossip.gateway import BOXES_LIMIT, FIRST_PORT, GatewaySettings
from edgenode.gossip.settings import GossipSettings
from edgenode.gossip.streams import Place
from edgenode.mining.energy import DEFAULT_WATTS
from edgenode.mining.settings import (
    DEFAULT_KERNEL,
    DEFAULT_SHARE,
    DEFAULT_THREADS,
    MinerSettings,
)
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.mining.temperature import DEFAULT_CEILING_CELSIUS
from edgenode.services import logs
from edgenode.services.config_file import CONFIG_VARIABLE, DEFAULT_CONFIG, configured_path
from edgenode.services.ending import EXIT_BAD_FILE, give_up
from edgenode.services.toml_table import ConfigError, TomlFile
from edgenode.training.settings import DEFAULT_RESERVOIR, TrainerSettings

__all__ = ["CONFIG_VARIABLE", "DEFAULT_CONFIG", "ConfigError", "NodeSettings", "load", "start"]

Settings = TypeVar("Settings")

DEFAULT_STATE = "/var/lib/edgenode"
DEFAULT_API = "/run/edgenode/node.sock"

TABLES: dict[str, tuple[str, ...]] = {
    "node": ("name", "state", "api", "genesis", "clock"),
    "gossip": (
        "sync",
        "broadcast",
        "seeds",
        "gateway",
        "peers",
        "discovery",
        "ward_key",
        "member_key",
        "keep",
        "keep_blocks",
        "keep_bytes",
    ),
    "collector": ("adapter", "sensors", "max_bytes", "max_age_s", "commit_within_s"),
    "trainer": (
        "model",
        "runtime",
        "threads",
        "reservoir",
        "steps",
        "learning_rate",
        "momentum_factor",
    ),
    "miner": (
        "threads",
        "share",
        "ceiling_celsius",
        "watts",
        "stratum",
        "stratum_connections",
        "stratum_per_host",
        "stratum_requests",
        "stratum_share_seconds",
        "stratum_idle_seconds",
        "pool",
        "kernel",
    ),
    "exporter": ("listen",),
    "gateway": ("listen", "ports", "boxes"),
}
"""Every table and its keys."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """All that a node is configured with.

    Attributes:
        path: The file.
        tables: Names of the tables that the file has.
        name: The node's name.
        api: The Unix socket of the local API.
        gossip: For the gossip service.
        miner: For the miner.
        exporter: For the exporter.
        collector: For the collector; None on a node without sensors.
        trainer: For the trainer; None on a node that does not train.
        gateway: For the gateway; None on a box that is none.
    """

    path: Path
    tables: frozenset[str]
    name: str
    api: Path
    gossip: GossipSettings
    miner: MinerSettings
    exporter: ExporterSettings
    collector: CollectorSettings | None
    trainer: TrainerSettings | None
    gateway: GatewaySettings | None

    def for_collector(self) -> CollectorSettings:
        """The collector's settings.

        Raises:
            ConfigError: The file has none.
        """
        return self._of_table("collector", self.collector, "adapter and sensors")

    def for_trainer(self) -> TrainerSettings:
        """The trainer's settings.

        Raises:
            ConfigError: The file has none.
        """
        return self._of_table("trainer", self.trainer, "model")

    def for_gateway(self) -> GatewaySettings:
        """The gateway's settings.

        Raises:
            ConfigError: The file has none.
        """
        return self._of_table("gateway", self.gateway, "listen")

    def _of_table(self, service: str, settings: Settings | None, keys: str) -> Settings:
        if settings is None:
            raise ConfigError(
                f"{self.path}: there is no [{service}] table; the {service} needs one with {keys}"
            )
        return settings


def load(path: Path) -> NodeSettings:
    """Read and check a node's configuration file; nothing that it names is opened.

    Raises:
        ConfigError: The file or something in it is unusable.
    """
    file = TomlFile(path)
    file.expect_tables(TABLES)
    node = file.table("node", TABLES["node"])
    if node is None:
        raise ConfigError(f"{path}: there is no [node] table; it must give at least the name")
    state = node.path("state", DEFAULT_STATE)
    name, api = node.text("name"), node.path("api", DEFAULT_API)
    samples = state / "samples" / "samples.db"
    genesis = node.path("genesis", "genesis.toml")
    here = path.absolute().parent
    # What belongs to [node] is checked with the gossip service's defaults first, so that an error
    # is reported in the table where the key stands.
    gossip = node.build(
        lambda: GossipSettings(
            name=name,
            directory=state / "gossip",
            api=api,
            genesis=genesis,
            ward_key=here / "ward.key",
            member_key=here / "member.key",
            clock=node.text("clock", Policy.ANY),
        )
    )
    settings = NodeSettings(
        path=path,
        tables=file.tables,
        name=name,
        api=api,
        gossip=_gossip(file, gossip),
        miner=_miner(file, state / "miner" / "shares"),
        exporter=_exporter(file),
        collector=_collector(file, samples),
        trainer=_trainer(file, samples),
        gateway=_gateway(file),
    )
    if settings.trainer is not None and settings.gossip.sync is None:
        raise file.error(
            "gossip",
            "sync",
            'is "off", so other boxes could not fetch what this one learns; switch it on, or leave '
            "[trainer] out",
        )
    return settings


def start(service: str, argv: Sequence[str] | None = None) -> NodeSettings:
    """What the `main` of each service does first: arguments, logging, configuration.

    Args:
        service: Name of the service, such as "miner".
        argv: Arguments without the program's name; None for those of the process.

    Raises:
        SystemExit: Help was asked for, an argument is wrong (status 2) or the configuration is
            unusable (status 5); the reason is on stderr.
    """
    parser = argparse.ArgumentParser(
        prog=f"edgenode-{service}", description=f"The {service} service of an edgenode node."
    )
    parser.add_argument(
        "--config",
        type=Path,
        default=configured_path(),
        metavar="FILE",
        help=f"the node's configuration (default: ${CONFIG_VARIABLE} or {DEFAULT_CONFIG})",
    )
    parser.add_argument("--verbose", action="store_true", help="log what is done in detail")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('edgenode')}")
    arguments = parser.parse_args(argv)
    logs.configure(service, logging.DEBUG if arguments.verbose else logging.INFO)
    try:
        settings = load(arguments.config)
        if service == "collector":
            settings.for_collector()
        if service == "trainer":
            settings.for_trainer()
        if service == "gateway":
            settings.for_gateway()
    except ConfigError as error:
        give_up(service, error, EXIT_BAD_FILE)
    return settings


def _gossip(file: TomlFile, node: GossipSettings) -> GossipSettings:
    table = file.table("gossip", TABLES["gossip"])
    if table is None:
        return node
    place = table.optional_text("gateway")
    return table.build(
        lambda: replace(
            node,
            sync=table.address_or_off("sync", node.sync),
            broadcast=table.address_or_off("broadcast", node.broadcast),
            seeds=table.addresses("seeds"),
            gateway=None if place is None else _parsed("gateway", place),
            peers=table.text("peers", node.peers),
            discovery=table.boolean("discovery", default=node.discovery),
            ward_key=table.path("ward_key", str(node.ward_key)),
            member_key=table.path("member_key", str(node.member_key)),
            keep=table.text("keep", node.keep),
            keep_blocks=table.integer("keep_blocks", node.keep_blocks),
            keep_bytes=table.optional_integer("keep_bytes"),
        )
    )


def _collector(file: TomlFile, samples: Path) -> CollectorSettings | None:
    table = file.table("collector", TABLES["collector"])
    if table is None:
        return None
    return table.build(
        lambda: CollectorSettings(
            adapter=table.text("adapter"),
            sensors=table.texts("sensors"),
            database=samples,
            max_bytes=table.integer("max_bytes", DEFAULT_MAX_BYTES),
            max_age_s=table.optional_number("max_age_s"),
            commit_within_s=table.number("commit_within_s", DEFAULT_COMMIT_WITHIN_S),
        )
    )


def _trainer(file: TomlFile, samples: Path) -> TrainerSettings | None:
    table = file.table("trainer", TABLES["trainer"])
    if table is None:
        return None
    return table.build(
        lambda: TrainerSettings(
            model=table.text("model"),
            samples=samples,
            runtime=table.text("runtime", "tflite"),
            threads=table.integer("threads", 1),
            reservoir=table.integer("reservoir", DEFAULT_RESERVOIR),
            steps=table.optional_integer("steps"),
            learning_rate=table.optional_number("learning_rate"),
            momentum_factor=table.optional_number("momentum_factor"),
        )
    )


def _miner(file: TomlFile, shares: Path) -> MinerSettings:
    table = file.table("miner", TABLES["miner"])
    if table is None:
        return MinerSettings(shares=shares)
    usual = StratumLimits()
    return table.build(
        lambda: MinerSettings(
            threads=table.integer("threads", DEFAULT_THREADS),
            share=table.number("share", DEFAULT_SHARE),
            ceiling_celsius=table.integer("ceiling_celsius", DEFAULT_CEILING_CELSIUS),
            watts=table.number("watts", DEFAULT_WATTS),
            stratum=table.optional_address("stratum"),
            limits=StratumLimits(
                connections=table.integer("stratum_connections", usual.connections),
                per_host=table.integer("stratum_per_host", usual.per_host),
                requests_per_s=table.integer("stratum_requests", usual.requests_per_s),
                share_every_ms=1000
                * table.integer("stratum_share_seconds", usual.share_every_ms // 1000),
                idle_ms=1000 * table.integer("stratum_idle_seconds", usual.idle_ms // 1000),
            ),
            pool=table.addresses("pool"),
            shares=shares,
            kernel=table.text("kernel", DEFAULT_KERNEL),
        )
    )


def _exporter(file: TomlFile) -> ExporterSettings:
    table = file.table("exporter", TABLES["exporter"])
    if table is None:
        return ExporterSettings()
    return table.build(
        lambda: ExporterSettings(listen=table.address("listen", ExporterSettings().listen))
    )


def _gateway(file: TomlFile) -> GatewaySettings | None:
    table = file.table("gateway", TABLES["gateway"])
    if table is None:
        return None
    return table.build(
        lambda: GatewaySettings(
            listen=tuple(_parsed("listen", text) for text in table.texts("listen")),
            ports=table.integer("ports", FIRST_PORT),
            boxes=table.integer("boxes", BOXES_LIMIT),
        )
    )


def _parsed(key: str, text: str) -> Place:
    try:
        return Place.parse(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None
