"""Where things lie on the card."""

import itertools
import json
import subprocess

import pytest

from image.assemble import assemble
from image.commands import BuildError
from image.layout import DISK_ID, MIB, PI, PI_DISK


def test_partitions_are_aligned_in_order_and_apart():
    parts = [part for part in PI.values() if part.name != "extended"]
    for part in parts:
        assert part.start % MIB == part.size % MIB == 0
    for before, after in itertools.pairwise(parts):
        assert before.end <= after.start
    assert max(part.end for part in parts) < PI_DISK.size


def test_both_slots_have_the_same_room():
    assert PI["boot-a"].size == PI["boot-b"].size
    assert PI["root-a"].size == PI["root-b"].size


def test_data_is_last_so_that_it_can_grow():
    assert PI["data"].end == PI["extended"].end == max(part.end for part in PI.values())


@pytest.mark.needs("sfdisk")
def test_the_table_on_the_card_is_the_layout(tmp_path):
    content = tmp_path / "root"
    content.write_bytes(b"root" * 1000)
    out = tmp_path / "card.img"
    assemble({"root-a": content}, PI_DISK, out)
    table = json.loads(
        subprocess.run(["sfdisk", "--json", out], capture_output=True, check=True).stdout
    )["partitiontable"]
    assert table["label"] == "dos"
    assert table["id"] == f"0x{DISK_ID}"
    found = {
        int(part["node"].removeprefix(str(out))): (part["start"] * 512, part["size"] * 512)
        for part in table["partitions"]
    }
    assert found == {part.number: (part.start, part.size) for part in PI.values()}
    with out.open("rb") as image:
        image.seek(PI["root-a"].start)
        assert image.read(8) == b"rootroot"


@pytest.mark.needs("sfdisk")
def test_what_does_not_fit_is_an_error_and_no_image(tmp_path):
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(PI["boot-a"].size + 1)
    with pytest.raises(BuildError, match="the partition boot-a only"):
        assemble({"boot-a": large}, PI_DISK, tmp_path / "card.img")
    assert not (tmp_path / "card.img").exists()
