"""The block map lists all that counts of an image, and bmaptool takes it."""

import hashlib
import os
import subprocess
from xml.etree import ElementTree

import pytest

from image import bmap
from image.assemble import assemble
from image.gpt import JETSON_NANO_DISK
from image.layout import MIB, PI_DISK
from tests.conftest import require_tool

pytestmark = pytest.mark.needs("sfdisk")


@pytest.fixture(params=[PI_DISK, JETSON_NANO_DISK], ids=["mbr", "gpt"])
def disk(request):
    return request.param


@pytest.fixture
def contents(tmp_path):
    """Stand-ins with zeros in the middle and at the end, of which one does not end with a block."""
    files = {}
    for name, tail in (("firmware", b""), ("boot-a", bytes(3 * MIB)), ("root-a", b"\0" * 100)):
        files[name] = tmp_path / name
        files[name].write_bytes(os.urandom(MIB) + bytes(2 * MIB) + os.urandom(5000) + tail)
    return files


@pytest.fixture
def image(tmp_path, contents, disk):
    out = tmp_path / "card.img"
    assemble(contents, disk, out)
    bmap.write(out, contents, disk, tmp_path / "card.img.bmap")
    return out


def _ranges(path):
    for element in ElementTree.parse(path).getroot().iter("Range"):
        first, _, last = element.text.strip().partition("-")
        yield int(first), int(last or first), element.get("chksum")


def test_ranges_are_in_order_and_their_checksums_are_those_of_the_image(tmp_path, image):
    before, blocks = -1, 0
    with image.open("rb") as file:
        for first, last, checksum in _ranges(tmp_path / "card.img.bmap"):
            assert before < first <= last
            before = last
            blocks += last - first + 1
            file.seek(first * bmap.BLOCK)
            data = file.read((last - first + 1) * bmap.BLOCK)
            assert hashlib.sha256(data).hexdigest() == checksum
    root = ElementTree.parse(tmp_path / "card.img.bmap").getroot()
    assert root.get("version") == "2.0"
    assert int(root.find("MappedBlocksCount").text) == blocks
    assert int(root.find("ImageSize").text) == image.stat().st_size
    assert int(root.find("BlocksCount").text) * bmap.BLOCK == image.stat().st_size
    assert before * bmap.BLOCK < image.stat().st_size


def test_the_map_carries_its_own_checksum(tmp_path, image):
    text = (tmp_path / "card.img.bmap").read_text()
    own = ElementTree.fromstring(text).find("BmapFileChecksum").text.strip()
    assert hashlib.sha256(text.replace(own, "0" * 64).encode()).hexdigest() == own


def test_on_a_used_card_all_that_was_put_in_is_as_it_should_be(tmp_path, image, contents, disk):
    """Also its zeros: a map of what is not zero would leave there what the card had before."""
    mapped = [(first, last) for first, last, _ in _ranges(tmp_path / "card.img.bmap")]
    for name, file in contents.items():
        first = disk.partitions[name].start // bmap.BLOCK
        last = first + (file.stat().st_size - 1) // bmap.BLOCK
        assert any(start <= first and last <= end for start, end in mapped), name
    # The tables: at the start, at the end, and before each logical partition.
    rooms = [part for part in disk.partitions.values() if part.name != "extended"]
    for block in range(disk.size // bmap.BLOCK):
        at = block * bmap.BLOCK
        if not any(part.start <= at < part.end for part in rooms):
            assert any(start <= block <= end for start, end in mapped), block


def test_the_room_that_is_left_is_left_out(tmp_path, image, contents, disk):
    written = sum(last - first + 1 for first, last, _ in _ranges(tmp_path / "card.img.bmap"))
    put_in = sum(file.stat().st_size for file in contents.values())
    assert written * bmap.BLOCK < put_in + 16 * MIB
    for name in ("boot-b", "root-b", "data"):
        start = disk.partitions[name].start // bmap.BLOCK
        assert not any(a <= start <= b for a, b, _ in _ranges(tmp_path / "card.img.bmap")), name


def test_a_map_is_the_same_each_time(tmp_path, image, contents, disk):
    # A file without holes, as it is after a download.
    plain = tmp_path / "plain.img"
    subprocess.run(["cp", "--sparse=never", image, plain], check=True)
    bmap.write(plain, contents, disk, tmp_path / "again.bmap")
    assert (tmp_path / "again.bmap").read_bytes() == (tmp_path / "card.img.bmap").read_bytes()


@pytest.mark.needs("zstd")
def test_bmaptool_copies_the_compressed_image_by_the_map(tmp_path, image):
    tool = require_tool("bmaptool", "bmap-tools")
    subprocess.run(["zstd", "-q", image], check=True)
    image.rename(tmp_path / "original.img")
    target = tmp_path / "card"
    done = subprocess.run(
        [tool, "copy", f"{image}.zst", target], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "discovered bmap file" in done.stderr
    assert subprocess.run(["cmp", target, tmp_path / "original.img"], check=False).returncode == 0
    # A block that is not as the map says is found.
    with (tmp_path / "original.img").open("r+b") as file:
        file.seek(5 * MIB)
        file.write(b"altered")
    done = subprocess.run(
        [tool, "copy", "--bmap", f"{image}.bmap", tmp_path / "original.img", target],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "checksum mismatch" in done.stderr
