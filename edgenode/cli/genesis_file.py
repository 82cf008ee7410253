"""Reading a genesis file, and comparing it with the tasks of this release."""

from __future__ import annotations

from pathlib import Path

from edgenode.cli.new_genesis import model_of_task
from edgenode.ledger.genesis import Genesis, GenesisError
from edgenode.ledger.genesis_file import parse_genesis
from edgenode.tasks.registry import TASKS

# 320 members and 8 models make some 40 kB.
_FILE_BYTES_LIMIT = 4 << 20


def read_genesis(path: Path) -> Genesis:
    """Read a genesis file and check its constants.

    Raises:
        GenesisError: The file cannot be read, or a constant is unusable; the path is named.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES_LIMIT + 1)
    except FileNotFoundError:
        raise GenesisError(
            f"{path}: there is no such file; get it from the ward's founder, or found a ward with "
            "`edgenode genesis create`"
        ) from None
    except OSError as error:
        raise GenesisError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > _FILE_BYTES_LIMIT:
        raise GenesisError(f"{path}: more than {_FILE_BYTES_LIMIT} bytes are no genesis file")
    try:
        return parse_genesis(raw.decode())
    except UnicodeDecodeError as error:
        raise GenesisError(f"{path}: not UTF-8 at byte {error.start}") from None
    except GenesisError as error:
        raise GenesisError(f"{path}: {error}") from None


def foreign_models(genesis: Genesis) -> list[str]:
    """For each model that this release cannot train: why. Empty when all fit.

    Raises:
        TaskError: A task's own files cannot be read.
    """
    reasons = []
    for model in genesis.models:
        if model.name not in TASKS:
            known = ", ".join(sorted(TASKS))
            reasons.append(f"model {model.name}: this release has no such task; it has {known}")
            continue
        own = model_of_task(model.name)
        for field in ("parameters", "scale_bits", "root", "graph"):
            theirs, ours = getattr(model, field), getattr(own, field)
            if theirs != ours:
                reasons.append(f"model {model.name}: {field} is {theirs}, this release has {ours}")
    return reasons
