"""From the configured files to a loaded chain; a damaged store is put aside and salvaged."""

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from edgenode.gossip.settings import GossipSettings
from edgenode.learning.fixed_point import Fixed
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain, MissingDataError
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import content_id
from edgenode.ledger.headers import UnknownParentError
from edgenode.ledger.rules import Rejected
from edgenode.ledger.transaction import Transfer, Update
from edgenode.storage import salvage
from edgenode.storage.chain import DamagedStoreError, SqliteChainStore
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import TaskError

log = logging.getLogger(__name__)

PAYLOADS_AT_ONCE = 64
"""Payloads taken over from a damaged store before the head moves on with what they complete."""


class StartError(Exception):
    """The service cannot start; the message says what is wrong, where, and what to do."""


def take_lock(directory: Path) -> None:
    """Claim the state directory for this process, for as long as it lives.

    Raises:
        StartError: another gossip service uses it.
        OSError: the directory cannot be used.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(f"another gossip service uses {directory}; stop it first") from None
    # The descriptor stays open: the kernel lifts the lock when the process ends, however it ends.


def genesis_parameters(genesis: Genesis) -> tuple[Fixed, ...]:
    """The parameters that the chain begins with, for each model; from the tasks' files.

    Raises:
        StartError: this release does not have a model of the ward, or another version of it.
    """
    parameters = []
    for model in genesis.models:
        try:
            task = find_task(model.name)
            values = task.genesis_parameters()
            graph = hashlib.sha256(task.model_file("tflite").read_bytes()).hexdigest()
        except (TaskError, OSError) as error:
            raise StartError(f"model {model.name} of the ward: {error}") from None
        if graph != model.graph:
            raise StartError(
                f"the graph of model {model.name} has SHA-256 {graph}, the ward's has "
                f"{model.graph}: install the release that the ward was made with"
            )
        parameters.append(values)
    return tuple(parameters)


def open_chain(
    settings: GossipSettings,
    genesis: Genesis,
    parameters: tuple[Fixed, ...],
    on_step: Callable[[], None] = lambda: None,
) -> tuple[Chain, SqliteChainStore]:
    """Open the chain's store and load the chain.

    What is legible of a damaged store goes through full validation into a new one, which takes
    its place; what is not comes from the peers. That takes hours where a long chain is validated
    on a small board: `on_step` is called for each block and payload.

    Raises:
        GenesisError: the genesis parameters are not the ward's.
        StoreError: the store belongs to another ward, or cannot be opened or put aside.
    """
    settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.directory / "chain.db"
    salvaged = settings.directory / "chain.db.salvaged"
    salvage.finish(path, salvaged)
    try:
        return _load(path, genesis, parameters)
    except (DamagedStoreError, MissingDataError, UnknownParentError) as error:
        log.error("the chain's store is damaged; salvaging what is legible", extra={"error": error})
    # Beside the damaged store first: should the power fail now, nothing is lost.
    chain, store = _load(salvaged, genesis, parameters)
    _salvage(path, chain, store, on_step)
    store.settle()
    store.close()
    aside = salvage.replace_damaged(path, salvaged)
    log.warning(
        "salvaged the chain; the rest comes from peers",
        extra={"height": chain.head.height, "damaged": aside},
    )
    return _load(path, genesis, parameters)


def _load(
    path: Path, genesis: Genesis, parameters: tuple[Fixed, ...]
) -> tuple[Chain, SqliteChainStore]:
    store = SqliteChainStore(path, genesis.id)
    try:
        chain = Chain(genesis, parameters, store)
        store.waiting()  # legible as well, or it is salvaged now
        return chain, store
    except BaseException:
        # Nobody else could close the store; the error itself goes on.
        store.close()
        raise


def _salvage(
    damaged: Path, chain: Chain, store: SqliteChainStore, on_step: Callable[[], None]
) -> None:
    """Take over what is legible: blocks through full validation, then what waited for one."""
    now = int(time.time())
    orphans: dict[bytes, list[Block]] = {}  # by parent: few, for blocks are stored as they come
    for found in salvage.read_blocks(damaged):
        on_step()
        blocks = [found]
        while blocks:
            block = blocks.pop()
            try:
                chain.add_block(block, now)
            except UnknownParentError:
                orphans.setdefault(block.header.previous, []).append(block)
            except Rejected as rejected:
                log.warning("a block is left out", extra={"file": damaged, "error": rejected})
            else:
                blocks += orphans.pop(block.id, [])
    if orphans:
        log.warning(
            "blocks are left out: those before them are not legible",
            extra={"file": damaged, "blocks": sum(map(len, orphans.values()))},
        )
    waiting = list(salvage.read_waiting(damaged))
    named = {t.payload: t for t in waiting if isinstance(t, Update)}
    for count, payload in enumerate(salvage.read_payloads(damaged)):
        on_step()
        name = content_id(payload)
        if chain.lacks_payload(name):
            chain.add_payload(payload)
        if name in named:
            store.add_waiting(named[name], payload)
        if count % PAYLOADS_AT_ONCE == 0:
            _advance(chain)
    for transaction in waiting:
        if isinstance(transaction, Transfer):
            store.add_waiting(transaction, None)
    _advance(chain)


def _advance(chain: Chain) -> None:
    """Move the head as far as it goes."""
    while chain.advance()[0] is not None:
        pass
