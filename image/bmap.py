"""The block map beside an image: which of its blocks bmaptool has to write, and their checksums.

Left out is only the room in partitions that nothing was put into. Blocks of zeros count as much as
others: a kernel has hundreds of them, a FAT says with them what is free, and a journal on a used
card must not go on with the transactions of what was there before. So neither the holes of the
image file nor its zeros say what may be left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from image.layout import MIB, Disk

BLOCK = 4096

_UNSIGNED = "0" * 64
"""What stands for the map's own checksum while it is computed."""


def write(image: Path, contents: Mapping[str, Path], disk: Disk, out: Path) -> None:
    """Write the map, version 2.0 of bmaptool's format; the same image gives the same bytes.

    Args:
        image: The image, a whole number of blocks.
        contents: What it was assembled from.
        disk: Its layout.
        out: The map. bmaptool finds it where it has the image's name with .bmap behind it.
    """
    blocks = mapped({name: file.stat().st_size for name, file in contents.items()}, disk)
    lines = [
        '<?xml version="1.0" ?>',
        "<!-- What is not listed is room in partitions that nothing was put into. -->",
        '<bmap version="2.0">',
        f"    <ImageSize> {disk.size} </ImageSize>",
        f"    <BlockSize> {BLOCK} </BlockSize>",
        f"    <BlocksCount> {disk.size // BLOCK} </BlocksCount>",
        f"    <MappedBlocksCount> {sum(map(len, blocks))} </MappedBlocksCount>",
        "    <ChecksumType> sha256 </ChecksumType>",
        f"    <BmapFileChecksum> {_UNSIGNED} </BmapFileChecksum>",
        "    <BlockMap>",
    ]
    for part in blocks:
        first, last = part[0], part[-1]
        place = f"{first}-{last}" if last > first else str(first)
        lines.append(f'        <Range chksum="{_checksum(image, part)}"> {place} </Range>')
    lines += ["    </BlockMap>", "</bmap>", ""]
    text = "\n".join(lines)
    own = hashlib.sha256(text.encode()).hexdigest()
    out.write_text(text.replace(_UNSIGNED, own, 1), encoding="utf-8")


def mapped(filled: Mapping[str, int], disk: Disk) -> list[range]:
    """The blocks that have to be written.

    Args:
        filled: How many bytes were put into each partition that is not empty, by name.
        disk: The layout.
    """
    # A partition around others holds none but their records.
    rooms = [part for part in disk.partitions.values() if part.name != "extended"]
    found: list[range] = []
    at = 0
    for part in sorted(rooms, key=lambda part: part.start):
        empty = part.start // BLOCK + -(-filled.get(part.name, 0) // BLOCK)
        end = part.end // BLOCK
        if empty < end:
            if at < empty:
                found.append(range(at, empty))
            at = end
    found.append(range(at, disk.size // BLOCK))
    return found


def _checksum(image: Path, blocks: range) -> str:
    digest = hashlib.sha256()
    left = len(blocks) * BLOCK
    with image.open("rb") as file:
        file.seek(blocks[0] * BLOCK)
        while left and (chunk := file.read(min(left, MIB))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()
