"""Whether the state can be kept: room, the right disk, stores that open."""

from __future__ import annotations

from edgenode.doctor.facts import Disk, Facts, Slots, Storage, Store, Unknown
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, warn

NAME = "storage"

FULL_BYTES = 64 << 20
"""With less a write-ahead log and a salvaged store no longer fit."""

SCARCE_SHARE = 0.1
"""Less than this share of the disk is worth a look ..."""

SCARCE_BYTES = 2 << 30
"""... unless it is more than this: on a large disk a tenth lasts for years."""

SCARCE_FILES_SHARE = 0.05
FULL_FILES = 100

IN_MEMORY = frozenset({"tmpfs", "ramfs", "overlay"})
"""What a box's root file system puts over the paths that no data partition is mounted at."""

_ROOM = "make room, or set [collector] max_bytes lower"


def check(facts: Facts) -> Finding:
    """Look at each disk once, and at each store."""
    storage = facts.storage
    if isinstance(storage, Unknown):
        hint = "see what the kernel says of the disk: journalctl -k -p warning"
        return concluded(NAME, [fail(f"it cannot be looked at: {storage.why}", hint)], "", {})
    on_box = isinstance(facts.slots, Slots)
    disks = {disk.device: disk for disk in reversed(list(storage.disks.values()))}
    remarks = [remark for disk in disks.values() for remark in _disk_remarks(disk, on_box)]
    remarks += [remark for store in storage.stores.values() for remark in _store_remarks(store)]
    return concluded(NAME, remarks, _fine(storage), _values(storage))


def _disk_remarks(disk: Disk, on_box: bool) -> list[Remark]:
    where = f"the disk of {disk.directory}"
    remarks = []
    if disk.read_only:
        remarks.append(
            fail(
                f"{where} is mounted read-only",
                "the kernel does that after an error: journalctl -k -p err; start the box again, "
                "and replace a card that does it twice",
            )
        )
    if disk.kind in IN_MEMORY and on_box:
        remarks.append(
            fail(
                f"{disk.directory} lies in memory ({disk.kind}) and is lost when the power goes",
                "the data partition could not be mounted: journalctl -b -t edgenode says why, and "
                "/run/edgenode-fsck.log what its check found",
            )
        )
    if disk.free < FULL_BYTES:
        remarks.append(fail(f"{where} is full, {_free(disk)}", _ROOM))
    elif disk.free < min(SCARCE_BYTES, SCARCE_SHARE * disk.total):
        remarks.append(warn(f"{where} fills up, {_free(disk)}", _ROOM))
    if disk.free_files is not None and disk.total_files:
        text = f"{where} has room for {disk.free_files:,} more files of {disk.total_files:,}"
        if disk.free_files < FULL_FILES:
            remarks.append(fail(text, "remove files: its inodes are used up"))
        elif disk.free_files < SCARCE_FILES_SHARE * disk.total_files:
            remarks.append(warn(text, "remove files: its inodes run out"))
    return remarks


def _store_remarks(store: Store) -> list[Remark]:
    if store.opens is not False:
        return []
    hint = "the service mends a damaged store at its start; see its log: journalctl -u 'edgenode-*'"
    return [fail(store.note, hint)]


def _fine(storage: Storage) -> str:
    disks = {disk.device: _free(disk) for disk in storage.disks.values()}
    notes = [store.note for store in storage.stores.values() if store.note]
    return "; ".join([*disks.values(), *notes] if notes else [*disks.values(), "the stores open"])


def _values(storage: Storage) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, disk in storage.disks.items():
        values[f"{name}_free_bytes"] = disk.free
        values[f"{name}_total_bytes"] = disk.total
        values[f"{name}_free_files"] = disk.free_files
        values[f"{name}_file_system"] = disk.kind
    for name, store in storage.stores.items():
        values[f"{name}_store_opens"] = store.opens
    return values


def _free(disk: Disk) -> str:
    return f"{_bytes(disk.free)} of {_bytes(disk.total)} free"


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
