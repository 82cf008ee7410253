"""Puts partitions together to the file that is flashed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from image.commands import BuildError, run
from image.layout import MIB, Disk


def assemble(contents: Mapping[str, Path], disk: Disk, out: Path) -> None:
    """Write an image; a partition without contents stays zero.

    Args:
        contents: File of each partition that is not empty, by its name in the layout.
        disk: The layout.
        out: The image; it takes its name when it is whole.

    Raises:
        BuildError: Something does not fit.
    """
    half = out.with_suffix(".part")
    half.unlink(missing_ok=True)
    with half.open("wb") as image:
        image.truncate(disk.size)
    run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", half],
        log=out.with_suffix(".log"),
        given=disk.table.encode(),
    )
    with half.open("r+b") as image:
        for name, file in contents.items():
            partition = disk.partitions[name]
            if file.stat().st_size > partition.size:
                raise BuildError(
                    f"{file.name} has {file.stat().st_size} bytes, but the partition {name} only "
                    f"{partition.size}; give it more room in image/layout.py"
                )
            image.seek(partition.start)
            with file.open("rb") as source:
                while chunk := source.read(MIB):
                    # Zeros become holes: the image takes less room on the disk of who built it.
                    if chunk.count(0) == len(chunk):
                        image.seek(len(chunk), 1)
                    else:
                        image.write(chunk)
    half.replace(out)
