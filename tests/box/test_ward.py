"""Two boxes with wearables, and a PC: they find each other, train, mine and agree, bit for bit."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from qemu import founding
from qemu.box import Box
from qemu.founding import with_all
from qemu.network import Bridge
from qemu.patience import BOOT_PATIENCE, await_it
from qemu.ssh import make_key
from qemu.ward import Ward, WardPlan
from tests.box import extent
from tests.box.host_node import HostNode
from tests.conftest import require_root

BLOCKS = extent.count(short=4, full=20)
ROUNDS = extent.count(short=1, full=5)
MODEL = "activity"


@dataclass(frozen=True, slots=True)
class Wards:
    """A ward at work, and the PC that has joined it."""

    ward: Ward
    desk: HostNode


@pytest.fixture(scope="module")
def joined(
    image: Path, recorded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wards]:
    """Two boxes have mined and trained for a while; the PC joins late."""
    require_root("make a bridge in a network namespace")
    folder = tmp_path_factory.mktemp("ward")
    plan = WardPlan(
        image, folder, make_key(folder / "key"), recordings=recorded, speed=4, spacing=15
    )
    with (
        Bridge(folder / "network") as network,
        Ward(plan, network) as ward,
        HostNode(folder / "desk", network) as desk,
    ):
        ward.start()
        ward.wait()
        genesis = ward.found(members=[desk.member])
        await_it(lambda: worked(ward), 2 * BOOT_PATIENCE, lambda: f"{ward.status()}", pause=5)
        desk.start(genesis, ward.ward_key)
        yield Wards(ward, desk)


def worked(ward: Ward) -> bool | None:
    """Whether both boxes have trained, and are far enough."""
    heads = [status["head"] for status in ward.status()]
    far = all(h["height"] >= BLOCKS and h["models"][0]["round"] >= ROUNDS for h in heads)
    return far or None


def exported(box: Box) -> tuple[str, str]:
    """The block at a box's head, and the SHA-256 of the parameters that it exports there."""
    said = box.run(
        f"edgenode --json model export {MODEL} --force --out /tmp/model && sha256sum /tmp/model"
    )
    document, _, digest = said.stdout.strip().rpartition("\n")
    return json.loads(document)["block"], digest.split()[0]


def test_two_boxes_and_an_x86_64_pc_hold_the_same_parameters(joined: Wards, record_property):
    def look() -> bool | None:
        seen = {joined.desk.exported(MODEL), *with_all(joined.ward.boxes, exported)}
        return True if len(seen) == 1 else None

    def heads() -> str:
        return f"{joined.ward.status()}, {joined.desk.client.status()}"

    await_it(look, BOOT_PATIENCE, heads, pause=2)
    head = joined.desk.client.status().head
    assert head.height >= BLOCKS
    record_property("blocks that two boxes and an x86-64 PC agree on", head.height)
    record_property("rounds among them", head.models[0].round)


def test_each_box_has_trained_on_what_its_own_wearable_sent(joined: Wards):
    for status in joined.ward.status():
        values = {name: service["values"] for name, service in status["services"].items()}
        assert values["collector"]["stored_samples_total"] > 0
        assert values["trainer"]["updates_submitted_total"] > 0


def test_each_box_knows_the_others(joined: Wards):
    def look() -> bool | None:
        return all(status["peers"] >= 2 for status in joined.ward.status()) or None

    await_it(look, BOOT_PATIENCE, lambda: f"{joined.ward.status()}", pause=2)
    assert founding.status(joined.ward.boxes[0])["peers"] == 2


def test_a_box_that_was_off_takes_up_what_the_other_mined(joined: Wards):
    first, second = joined.ward.boxes
    second.power_cut()
    height = founding.status(first)["head"]["height"]
    while (head := founding.status(first)["head"])["height"] < height + 2:
        time.sleep(2)
    second.start()
    second.wait()
    second.run("sudo systemctl stop edgenode-miner")  # a chain of its own would be as high
    founding.settle(second)
    block = f"edgenode --json chain show {head['height']}"
    while second.run(block, check=False).status != 0:
        time.sleep(2)
    assert block_id(second, block) == block_id(first, block)


def block_id(box: Box, command: str) -> str:
    """What a box calls a block of its chain."""
    return str(json.loads(box.run(command).stdout)["id"])
