"""From the configured files to a loaded chain; a damaged store is put aside and salvaged."""

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from edgenode.gossip.salvaging import take_over
from edgenode.gossip.settings import GossipSettings
from edgenode.learning.fixed_point import Fixed
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.headers import UnknownParentError
from edgenode.ledger.retention import Retention
from edgenode.ledger.store import MissingDataError
from edgenode.storage import salvage
from edgenode.storage.chain import DamagedStoreError, SqliteChainStore, StoreFullError
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import TaskError

log = logging.getLogger(__name__)

_DAMAGE = (DamagedStoreError, MissingDataError, UnknownParentError)
"""What reading a store raises that is not as it was written."""


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
        StoreFullError: there is no room for what is salvaged.
        StoreError: the store belongs to another ward, or cannot be opened or put aside.
    """
    settings.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    retention = settings.retention(shutil.disk_usage(settings.directory).total)
    load = partial(_load, genesis=genesis, parameters=parameters, retention=retention)
    path = settings.directory / "chain.db"
    salvaged = settings.directory / "chain.db.salvaged"
    salvage.finish(path, salvaged)
    if not path.exists() or not path.stat().st_size:
        log.info("no store of the chain here: it begins with genesis", extra={"file": path})
    try:
        return load(path)
    except _DAMAGE as error:
        log.error("the chain's store is damaged; salvaging what is legible", extra={"error": error})
    salvage.make_room(path)
    # Beside the damaged store first: should the power fail now, nothing is lost.
    try:
        height = _make_anew(path, salvaged, load, on_step)
    except BaseException as error:
        salvage.discard(salvaged)  # what is not whole must not fill the disk
        if isinstance(error, StoreFullError):
            log.error(
                "no room to salvage the chain's store: it needs as much again as it has",
                extra={
                    "file": path,
                    "bytes": path.stat().st_size,
                    "free": shutil.disk_usage(settings.directory).free,
                },
            )
        raise
    aside = salvage.replace_damaged(path, salvaged)
    log.warning(
        "salvaged the chain; the rest comes from peers", extra={"height": height, "damaged": aside}
    )
    return load(path)


@contextmanager
def noting_damage(store: SqliteChainStore) -> Iterator[None]:
    """Have the next start salvage the store, should damage be met that `open_chain` did not meet.

    Raises:
        DamagedStoreError: damage was met; it is noted, and the store closed.
        OSError: it cannot be noted.
    """
    try:
        yield
    except _DAMAGE as error:
        try:
            store.note_damage(str(error))
        finally:
            store.close()
        raise DamagedStoreError(f"{error}; another start mends it") from error


def _make_anew(
    damaged: Path,
    salvaged: Path,
    load: Callable[[Path], tuple[Chain, SqliteChainStore]],
    on_step: Callable[[], None],
) -> int:
    """Salvage into a new file, which is whole when this returns; the height of its head."""
    chain, store = load(salvaged)
    try:
        take_over(damaged, chain, store, on_step)
        store.headers.keep()
        store.settle()
    finally:
        store.close()
    return chain.head.height


def _load(
    path: Path, genesis: Genesis, parameters: tuple[Fixed, ...], retention: Retention
) -> tuple[Chain, SqliteChainStore]:
    store = SqliteChainStore(path, genesis.id)
    try:
        chain = Chain(genesis, parameters, store, retention)
        store.waiting()  # legible as well, or it is salvaged now
        return chain, store
    except BaseException:
        # Nobody else could close the store; the error itself goes on.
        store.close()
        raise
