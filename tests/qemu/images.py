"""Small disks that are partitioned as the appliance's are."""

from __future__ import annotations

from pathlib import Path

from qemu.disk import Partition
from qemu.tools import run

MIB = 1 << 20

FAT = Partition(1, 4 * MIB, 16 * MIB, "c")
"""Where the settings are."""

_TABLE = """\
label: dos
label-id: 0xed9e0001
unit: sectors
1 : start=8192, size=32768, type=c, bootable
2 : start=40960, size=8192, type=c
4 : start=49152, size=26624, type=f
5 : start=51200, size=8192, type=83
6 : start=61440, size=8192, type=83
"""


def a_disk(path: Path) -> Path:
    """A raw disk of 40 MiB with a FAT file system and some files on it; `path`."""
    with path.open("wb") as file:
        file.truncate(40 * MIB)
    run(["sfdisk", "--quiet", path], text=_TABLE)
    whole = f"{path}@@{FAT.start}"
    run(["mformat", "-i", whole, "-T", str(FAT.size // 512), "-h", "16", "-s", "32", "::"])
    source = path.with_name("edgenode.txt")
    source.write_text("as it was\n")
    run(["mcopy", "-i", whole, source, "::"])
    with path.open("r+b") as file:
        file.seek(25 * MIB)
        file.write(b"a root file system\n" * 1000)
    return path
