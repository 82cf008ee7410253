"""The disks that the state lies on, and its databases."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from edgenode.doctor.facts import Disk, Storage, Store
from edgenode.services.config import DEFAULT_STATE, NodeSettings
from edgenode.storage.format_check import check_chain_store, check_sample_store

MOUNTS = Path("/proc/self/mountinfo")


def read_storage(settings: NodeSettings | None) -> Storage:
    """Look at the state that the configuration names, or at the box's usual place.

    Raises:
        OSError: Not even the disk of the root directory can be looked at.
    """
    gossip = settings.gossip.directory if settings else Path(DEFAULT_STATE) / "gossip"
    disks = {"gossip": read_disk(gossip)}
    stores = {"gossip": _store(gossip / "chain.db", check_chain_store)}
    if settings is not None and settings.collector is not None:
        database = settings.collector.database
        disks["samples"] = read_disk(database.parent)
        stores["samples"] = _store(database, check_sample_store)
    return Storage(disks, stores)


def read_disk(directory: Path) -> Disk:
    """The file system of a directory, or of the nearest one above that exists.

    Raises:
        OSError: It cannot be looked at.
    """
    there = directory
    while not _exists(there) and there != there.parent:
        there = there.parent
    # The directory itself may be closed to us; its own entry is in the one above.
    found, device = os.statvfs(there), there.stat().st_dev
    return Disk(
        directory=there,
        device=device,
        kind=_kind(device),
        free=found.f_bavail * found.f_frsize,
        total=found.f_blocks * found.f_frsize,
        # Some file systems make inodes as they go and count none.
        free_files=found.f_favail if found.f_files else None,
        total_files=found.f_files or None,
        read_only=bool(found.f_flag & os.ST_RDONLY),
    )


def _exists(directory: Path) -> bool:
    try:
        directory.stat()
    except OSError:
        return False
    return True


def _kind(device: int) -> str:
    """Type of the file system with this device number (proc_pid_mountinfo(5))."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        if fields[2] == number and "-" in fields:
            return fields[fields.index("-") + 1]
    return ""


def _store(path: Path, check: Callable[[Path], str]) -> Store:
    try:
        path.open("rb").close()
    except FileNotFoundError:
        return Store(None, f"{path.name} is not there yet")
    except PermissionError:
        return Store(None, f"only root may look into {path.name}")
    except OSError as error:
        return Store(False, f"{path}: {error.strerror}")
    problem = check(path)
    return Store(not problem, problem)
