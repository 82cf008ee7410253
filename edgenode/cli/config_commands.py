"""`edgenode config check`: everything that a node needs before it starts, or a box's card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click

from edgenode.api.json_record import to_json
from edgenode.appliance.box_settings import Reading, read_box
from edgenode.appliance.box_tables import BOX_TABLES
from edgenode.cli.failure import Exit, Failure
from edgenode.cli.foreign_models import foreign_models
from edgenode.cli.output import print_json
from edgenode.cli.session import Session, pass_session
from edgenode.ledger.genesis import Genesis, GenesisError
from edgenode.ledger.keys import MemberKey
from edgenode.services.config import NodeSettings
from edgenode.storage.genesis import read_genesis
from edgenode.storage.keyfile import KeyFileError, read_key
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import TaskError
from edgenode.training.graph import GraphError
from edgenode.training.interpreter import load_graph
from edgenode.training.settings import TrainerSettings


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: What.
        problem: What is wrong with it; empty if nothing is.
    """

    what: str
    problem: str


@click.group()
def config() -> None:
    """Check the node's configuration."""


@config.command()
@pass_session
def check(session: Session) -> None:
    """Check the configuration and what it names: genesis, keys, the trainer's runtime.

    Run it as the user of the gossip service, or as root: others may not read the keys.

    A box's edgenode.toml, for the card's FAT partition, is known by its tables and checked as the
    box would read it, with the key file and the genesis beside it.
    """
    reading = read_box(session.config)
    if reading.tables & BOX_TABLES.keys():
        name, checks = _box(session.config, reading)
    else:
        settings = session.settings()
        name, checks = settings.name, [Check(str(settings.path), ""), *_files(settings)]
    problems = [entry for entry in checks if entry.problem]
    if session.json:
        print_json({"ok": not problems, "node": name, "checks": to_json(tuple(checks))})
    else:
        for entry in checks:
            if not entry.problem:
                click.echo(f"ok  {entry.what}")
    if problems:
        raise Failure("\n          ".join(entry.problem for entry in problems), Exit.BAD_FILE)


def _box(path: Path, reading: Reading) -> tuple[str, list[Check]]:
    """The node's name, and a check of each table and of what is wrong."""
    settings = reading.settings
    name = settings.node.get("node", {}).get("name", settings.hostname)
    checks = [Check(f"{path} [{table}]", "") for table in reading.right]
    checks += [
        Check(str(path.parent / mistake.where), f"{path.parent / mistake.where}: {mistake.what}")
        for mistake in reading.mistakes
    ]
    return name, checks


def _files(settings: NodeSettings) -> list[Check]:
    gossip = settings.gossip
    genesis: Genesis | None = None
    checks = []

    def attempt(path: Path, look: Callable[[], str]) -> None:
        try:
            problem = look()
        except (GenesisError, KeyFileError, TaskError) as error:
            problem = str(error)
        checks.append(Check(str(path), problem))

    def look_at_genesis() -> str:
        nonlocal genesis
        genesis = read_genesis(gossip.genesis)
        reasons = foreign_models(genesis)
        return f"{gossip.genesis}: {'; '.join(reasons)}" if reasons else ""

    def look_at_ward_key() -> str:
        read_key(gossip.ward_key, "ward")
        return ""

    def look_at_member_key() -> str:
        public = MemberKey(read_key(gossip.member_key)).public
        if genesis is None or public in genesis.member_keys:
            return ""
        if not genesis.authorities:  # with them the chain says who is a member
            return (
                f"{gossip.member_key}: its public key {public.hex()} is no member of the ward in "
                f"{gossip.genesis}, which has no authorities who could enrol it"
            )
        return ""

    def look_at_model(trainer: TrainerSettings) -> str:
        if genesis is None:
            return ""
        names = [model.name for model in genesis.models]
        if trainer.model not in names:
            return (
                f"{settings.path}: [trainer] model: the ward does not train {trainer.model}; it "
                f"trains {', '.join(names)}"
            )
        return ""

    def look_at_runtime(trainer: TrainerSettings) -> str:
        file = find_task(trainer.model).model_file(trainer.runtime)
        try:
            load_graph(file, trainer.runtime, trainer.threads)
        except GraphError as error:
            return f"{settings.path}: [trainer]: {error}"
        return ""

    attempt(gossip.genesis, look_at_genesis)
    attempt(gossip.ward_key, look_at_ward_key)
    attempt(gossip.member_key, look_at_member_key)
    if (trainer := settings.trainer) is not None:
        attempt(Path(f"{settings.path} [trainer] model"), lambda: look_at_model(trainer))
        attempt(Path(f"{settings.path} [trainer] runtime"), lambda: look_at_runtime(trainer))
    return checks
