"""`edgenode chain verify` and `repair`: the chain's store on the disk, without its node."""

from __future__ import annotations

import time
from pathlib import Path

import click

from edgenode.api.wording import shown_duration
from edgenode.cli.failure import Exit, Failure
from edgenode.cli.output import print_json
from edgenode.cli.session import Session, pass_session
from edgenode.gossip.settings import GossipSettings
from edgenode.gossip.start_up import StartError, genesis_parameters, open_chain, take_lock
from edgenode.ledger.chain import Chain
from edgenode.ledger.store import AlteredError, MissingDataError
from edgenode.ledger.verification import Checked, Fault, Verification
from edgenode.storage.chain import SqliteChainStore, StoreError
from edgenode.storage.chain_file import condemn
from edgenode.storage.directory import give_to_owner
from edgenode.storage.genesis import read_genesis

PROGRESS_BLOCKS = 1000
"""Blocks between two lines of progress."""


@click.command()
@pass_session
def verify(session: Session) -> None:
    """Check all that is stored: blocks, payloads, aggregates, states, and what waits.

    From genesis on, or from the lowest block that is kept; of those below, headers. The node may
    run meanwhile. Who may read its state directory can do this.
    """
    gossip = session.settings().gossip
    began = time.monotonic()
    faults, blocks, updates, floor = _verify(gossip, quiet=session.json)
    if session.json:
        print_json(
            {
                "from": floor,
                "blocks": blocks,
                "updates": updates,
                "faults": [{"height": f.height, "what": f.what} for f in faults],
            }
        )
    elif not faults:
        took = shown_duration(time.monotonic() - began)
        where = f" from height {floor} on" if floor else ""
        click.echo(f"{blocks} blocks with {updates} updates{where} are as they must be ({took})")
    if faults:
        raise Failure(
            f"{len(faults)} faults in {_store(gossip)}; what can be done: edgenode chain repair",
            Exit.BAD_FILE,
        )


@click.command()
@click.option("--yes", is_flag=True, help="Do it.")
@pass_session
def repair(session: Session, *, yes: bool) -> None:
    """Make the chain's store anew from what is legible of it; says first what it would do."""
    gossip = session.settings().gossip
    path = _store(gossip)
    if not path.exists():
        raise Failure(f"{path}: there is no store; nothing is to be repaired", Exit.BAD_FILE)
    if not yes:
        click.echo(
            f"{path} would be put aside as {path.name}.damaged-N, and all that is\n"
            "legible in it go through full validation into a new store; what is not comes from\n"
            "the peers when the node runs again. This takes as long as the chain took to\n"
            "validate, and as much room on the disk again. The node abstains from endorsing for\n"
            "two checkpoints. Stop the node first (systemctl stop edgenode-gossip), then:\n"
            "edgenode chain repair --yes"
        )
        return
    try:
        genesis = read_genesis(gossip.genesis)
        parameters = genesis_parameters(genesis)
        take_lock(gossip.directory)
        try:
            condemn(path, "to be repaired, as a person asked")
            chain, store = open_chain(gossip, genesis, parameters)
            height = chain.head.height
            store.close()
        finally:
            give_to_owner(gossip.directory)
    except (StartError, StoreError) as error:
        raise Failure(str(error), Exit.BAD_FILE) from None
    if session.json:
        print_json({"height": height})
    else:
        click.echo(f"{path}: the chain is whole up to height {height}; start the node again")


def _store(gossip: GossipSettings) -> Path:
    return gossip.directory / "chain.db"


def _verify(gossip: GossipSettings, *, quiet: bool) -> tuple[list[Fault], int, int, int]:
    """What is wrong, how many blocks and updates were checked, and from which height on."""
    genesis = read_genesis(gossip.genesis)
    if not _store(gossip).exists():
        raise Failure(f"{_store(gossip)}: there is no store", Exit.BAD_FILE)
    faults: list[Fault] = []
    blocks = updates = floor = 0
    try:
        parameters = genesis_parameters(genesis)
        store = SqliteChainStore(_store(gossip), genesis.id, still=True)
    except (StartError, StoreError) as error:
        raise Failure(str(error), Exit.BAD_FILE) from None
    try:
        chain = Chain(genesis, parameters, store)
        floor = chain.floor
        for found in Verification(chain, store, parameters).run():
            match found:
                case Fault():
                    faults.append(found)
                    if not quiet:
                        click.echo(_shown(found))
                case Checked():
                    blocks += 1
                    updates += found.updates
                    if not quiet and blocks % PROGRESS_BLOCKS == 0:
                        click.echo(f"height {found.height} of {chain.head.height}", err=True)
    except (StoreError, AlteredError, MissingDataError) as error:
        faults.append(Fault(None, str(error)))
        if not quiet:
            click.echo(_shown(faults[-1]))
    finally:
        store.close()
    return faults, blocks, updates, floor


def _shown(fault: Fault) -> str:
    return fault.what if fault.height is None else f"height {fault.height}: {fault.what}"
