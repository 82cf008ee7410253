"""`edgenode genesis`: found a ward, check a ward's constants."""

from __future__ import annotations

import time as clock
from pathlib import Path

import click

from edgenode.api.wording import shown_time
from edgenode.cli.failure import Exit, Failure
from edgenode.cli.foreign_models import foreign_models
from edgenode.cli.new_genesis import (
    DEFAULT_EXAMPLES_CAP,
    DEFAULT_HASH_RATE,
    DEFAULT_SPACING,
    new_genesis,
)
from edgenode.cli.output import print_fields, print_json, print_table
from edgenode.cli.parameter_types import FILE, named_key
from edgenode.cli.session import Session, pass_session
from edgenode.learning.update_codec import Codec
from edgenode.ledger.genesis import Authority, Genesis, GenesisError, Member
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.hashes import display
from edgenode.ledger.target import expand, work
from edgenode.storage.genesis import read_genesis
from edgenode.storage.new_file import write_new
from edgenode.tasks.registry import TASKS


@click.group()
def genesis() -> None:
    """Found a ward, or check the constants of one."""


@genesis.command()
@click.option("--name", required=True, help="The ward's name.")
@click.option(
    "--member",
    "members",
    multiple=True,
    required=True,
    metavar="NAME=KEY",
    help="A node that may sign, with its public key (edgenode key show). Repeat for each.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    default=("activity",),
    show_default=True,
    type=click.Choice(sorted(TASKS)),
    help="A model that the ward trains. Repeat for several.",
)
@click.option(
    "--spacing",
    type=click.IntRange(1, 86_400),
    default=DEFAULT_SPACING,
    show_default=True,
    help="Seconds between blocks.",
)
@click.option(
    "--hash-rate",
    type=click.FloatRange(0, min_open=True),
    default=DEFAULT_HASH_RATE,
    show_default=True,
    help="Hashes per second of all miners together; it sets the first target.",
)
@click.option("--codec", type=click.Choice([codec.name.lower() for codec in Codec]),
              default=Codec.TOP10.name.lower(), show_default=True,
              help="How client updates are coded (docs/ledger.md).")  # fmt: skip
@click.option("--half-life", type=int, help="Seconds behind that double the target.")
@click.option("--examples-cap", type=int, default=DEFAULT_EXAMPLES_CAP, show_default=True,
              help="Examples that one update may claim.")  # fmt: skip
@click.option("--min-spacing", type=int, default=0, show_default=True,
              help="Seconds after a block in which miners rest.")  # fmt: skip
@click.option("--authority", "authorities", multiple=True, metavar="NAME=KEY",
              help="Who may enrol and revoke members, with a public key. Repeat for each; without "
                   "one the members stay as they are.")  # fmt: skip
@click.option("--authority-quorum", type=int,
              help="Authorities that it takes together (default: more than half).")  # fmt: skip
@click.option("--time", type=int, help="Unix seconds of the genesis block (default: now).")
@click.option("--out", type=FILE, help="File (default: stdout).")
@pass_session
def create(
    session: Session,
    *,
    name: str,
    members: tuple[str, ...],
    models: tuple[str, ...],
    spacing: int,
    hash_rate: float,
    codec: str,
    half_life: int | None,
    examples_cap: int,
    min_spacing: int,
    authorities: tuple[str, ...],
    authority_quorum: int | None,
    time: int | None,
    out: Path | None,
) -> None:
    """Write the genesis file of a new ward. Every node of the ward gets the same file."""
    try:
        made = new_genesis(
            name=name,
            time=int(clock.time()) if time is None else time,
            members=[Member(*named_key(text, "--member")) for text in members],
            models=models,
            spacing=spacing,
            hash_rate=hash_rate,
            codec=Codec[codec.upper()],
            half_life=half_life,
            examples_cap=examples_cap,
            min_spacing=min_spacing,
            authorities=[Authority(*named_key(text, "--authority")) for text in authorities],
            authority_quorum=authority_quorum,
        )
    except GenesisError as error:
        raise click.UsageError(str(error)) from None  # the options are at fault, not a file
    text = format_genesis(made)
    if out is None:
        if session.json:
            print_json(_summary(made) | {"toml": text})
        else:
            click.echo(text, nl=False)
        return
    try:
        write_new(out, text, 0o666)
    except FileExistsError:
        raise Failure(
            f"{out}: there is a file already; a ward whose genesis is lost is lost, so move it "
            "away if it is not needed",
            Exit.BAD_FILE,
        ) from None
    except OSError as error:
        raise Failure(f"{out}: cannot be written: {error.strerror}", Exit.BAD_FILE) from None
    if session.json:
        print_json(_summary(made) | {"file": str(out)})
    else:
        click.echo(f"{out}: ward {made.name}, genesis block {display(made.id)}")


@genesis.command()
@click.argument("file", required=False, type=FILE, metavar="[FILE]")
@pass_session
def check(session: Session, file: Path | None) -> None:
    """Check a genesis file (default: the configuration's) and show what it says."""
    path = file or session.settings().gossip.genesis
    checked = read_genesis(path)
    reasons = foreign_models(checked)
    if reasons:
        raise Failure(
            f"{path}: this node cannot join the ward, it needs another release of edgenode: "
            + "; ".join(reasons),
            Exit.BAD_FILE,
        )
    if session.json:
        print_json(_summary(checked))
        return
    print_fields(
        [
            ("ward", checked.name),
            ("genesis block", display(checked.id)),
            ("time", shown_time(checked.time)),
            ("spacing", f"{checked.spacing} s, half-life {checked.half_life} s"),
            ("first blocks", f"{work(expand(checked.target_start)):,} hashes each on average"),
            ("easiest blocks", f"{work(checked.limit):,} hashes"),
            ("finality", f"checkpoints every {checked.checkpoint_interval} blocks"),
            ("authorities", f"{checked.authority_quorum} of {len(checked.authorities)} change the "
                            "members" if checked.authorities else "none: the members stay"),
            ("updates", f"{checked.updates_per_block} a block, up to {checked.examples_cap} "
                        f"examples each, {len(checked.discounts) - 1} blocks old at most"),
        ]
    )  # fmt: skip
    click.echo()
    print_table(("model", "parameters", "rule"), [(m.name, m.parameters, m.rule)
                for m in checked.models])  # fmt: skip
    click.echo()
    print_table(("member", "key"), [(m.name, m.key) for m in checked.members])
    if checked.authorities:
        click.echo()
        print_table(("authority", "key"), [(a.name, a.key) for a in checked.authorities])


def _summary(genesis: Genesis) -> dict[str, object]:
    return {
        "ward": genesis.name,
        "genesis": display(genesis.id),
        "time": genesis.time,
        "spacing": genesis.spacing,
        "half_life": genesis.half_life,
        "start_hashes": work(expand(genesis.target_start)),
        "limit_hashes": work(genesis.limit),
        "models": [{"name": m.name, "parameters": m.parameters} for m in genesis.models],
        "members": [{"name": m.name, "key": m.key} for m in genesis.members],
        "authorities": [{"name": a.name, "key": a.key} for a in genesis.authorities],
        "authority_quorum": genesis.authority_quorum,
    }
