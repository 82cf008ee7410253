"""A Jetson Nano's card, by structure: it was not started on a board."""

import dataclasses
import hashlib
import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from edgenode.appliance import boot_state
from edgenode.appliance.boot_state import FACTORY, Slot, SlotRecord, SlotState
from image import boards, gpt, jetson_nano
from image.__main__ import main
from image.assemble import assemble
from image.boot_files import Sources
from image.commands import BuildError
from image.filesystems import fat
from image.gpt import JETSON_NANO, JETSON_NANO_DISK
from image.layout import DISK_ID, MIB, PI
from tests.image.u_boot import SETEXPR, run_script

EPOCH = 1_764_000_000
IMAGE = Path(__file__).parent.parent.parent / "image"


@pytest.fixture
def sources(tmp_path):
    """A root with the files that a boot partition is made of, each with its own name in it."""
    root = tmp_path / "root"
    for name in (
        "boot/vmlinuz-6.1.0-1-arm64",
        "usr/lib/linux-image-6.1.0-1-arm64/nvidia/tegra210-p3450-0000.dtb",
        "initrd.img",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    work = tmp_path / "work"
    work.mkdir()
    return Sources(root, root / "initrd.img", IMAGE, work, EPOCH)


def _assembled(sources, out):
    first, boot = sources.work / "first.img", sources.work / "boot.img"
    fat(jetson_nano.first_files(sources), first, 16 * MIB, "EDGENODE", EPOCH)
    fat(boards.slot_files(sources), boot, 16 * MIB, "BOOT", EPOCH)
    assemble({"firmware": first, "boot-a": boot}, JETSON_NANO_DISK, out)


def _table(image):
    done = subprocess.run(["sfdisk", "--json", image], capture_output=True, check=True)
    return json.loads(done.stdout)["partitiontable"]


def _extlinux(text):
    """The words of a configuration, by keyword in lower case; of one label, as this one has."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return {keyword.lower(): value for keyword, value in pairs}


def test_the_partitions_are_those_of_the_pi_under_the_same_numbers():
    assert {(part.name, part.number, part.size) for part in JETSON_NANO.values()} == {
        (part.name, part.number, part.size) for part in PI.values() if part.name != "extended"
    }
    ends = 0
    for part in JETSON_NANO.values():
        assert part.start % MIB == 0
        assert part.start >= ends
        ends = part.end
    assert JETSON_NANO["data"].end == ends < JETSON_NANO_DISK.size


@pytest.mark.needs("sfdisk")
@pytest.mark.needs("mcopy")
@pytest.mark.needs("mkfs.vfat")
@pytest.mark.needs("mkimage")
def test_the_table_on_the_card_is_a_gpt_of_fixed_guids(tmp_path, sources):
    image = tmp_path / "card.img"
    _assembled(sources, image)
    table = _table(image)
    assert table["label"] == "gpt"
    assert uuid.UUID(table["id"]) == uuid.UUID(f"{DISK_ID}-0000-4000-8000-000000000000")
    found = {int(part["node"].removeprefix(str(image))): part for part in table["partitions"]}
    assert set(found) == {1, 2, 3, 5, 6, 7}
    for part in JETSON_NANO.values():
        entry = found[part.number]
        assert (entry["start"] * 512, entry["size"] * 512) == (part.start, part.size)
        assert entry["name"] == part.name
        assert uuid.UUID(entry["uuid"]) == uuid.UUID(gpt.guid(part.number))
        assert (entry.get("attrs") == "LegacyBIOSBootable") == (part.name == "firmware")
    checked = subprocess.run(
        ["sfdisk", "--verify", image], capture_output=True, text=True, check=True
    )
    assert "No errors detected" in checked.stdout


@pytest.mark.needs("sfdisk")
@pytest.mark.needs("mcopy")
@pytest.mark.needs("mkfs.vfat")
@pytest.mark.needs("mkimage")
def test_a_card_is_the_same_each_time(tmp_path, sources):
    digests = set()
    for number in range(2):
        image = tmp_path / f"{number}.img"
        _assembled(sources, image)
        with image.open("rb") as file:
            digests.add(hashlib.file_digest(file, "sha256").hexdigest())
    assert len(digests) == 1


@pytest.mark.needs("sfdisk")
def test_the_data_partition_grows_to_the_end_of_a_larger_card(tmp_path):
    image = tmp_path / "card.img"
    assemble({}, JETSON_NANO_DISK, image)
    with image.open("r+b") as file:
        file.truncate(4096 * MIB)
    # What /usr/lib/edgenode/grow-data does on a box.
    subprocess.run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "-N", "7", image],
        input=b", +\n", check=True, capture_output=True,
    )  # fmt: skip
    table = _table(image)
    data = table["partitions"][-1]
    assert data["start"] * 512 == JETSON_NANO["data"].start
    assert data["start"] + data["size"] > (4095 * MIB) // 512
    assert uuid.UUID(data["uuid"]) == uuid.UUID(gpt.guid(7))


@pytest.mark.needs("mkimage")
def test_every_file_that_extlinux_conf_names_is_there(sources):
    files = jetson_nano.first_files(sources)
    text = files["boot/extlinux/extlinux.conf"].decode()
    assert "@" not in text
    said = _extlinux(text)
    assert said["default"] == said["label"]
    for keyword, source in (("linux", "vmlinuz"), ("initrd", "initrd"), ("fdt", "p3450-0000.dtb")):
        name = said[keyword]
        assert name.startswith("/")
        assert source in files[name.removeprefix("/")].read_text()
    assert f"root=PARTUUID={gpt.guid(JETSON_NANO['root-a'].number)}" in said["append"].split()
    assert f"edgenode.data=PARTUUID={gpt.guid(JETSON_NANO['data'].number)}" in said["append"]


@pytest.mark.needs("mkimage")
def test_u_boot_meets_the_boot_script_before_extlinux_conf(sources):
    files = jetson_nano.first_files(sources)
    # distro_bootcmd: for each prefix, extlinux.conf and then the scripts.
    looked_for = [
        prefix + name
        for prefix in ("", "boot/")
        for name in ("extlinux/extlinux.conf", "boot.scr.uimg", "boot.scr")
    ]
    assert [name for name in looked_for if name in files] == [
        "boot.scr",
        "boot/extlinux/extlinux.conf",
    ]


@pytest.mark.needs("mkimage")
def test_settings_and_boot_state_are_where_linux_has_them(sources):
    files = jetson_nano.first_files(sources)
    assert files["edgenode.toml"] == IMAGE / "edgenode.toml"
    assert [files[name] for name in boot_state.FILE_NAMES] == [boot_state.encode(FACTORY)] * 2


@pytest.mark.needs("mkimage")
def test_a_missing_device_tree_is_an_error_that_names_it(sources):
    next(sources.root.rglob("*.dtb")).unlink()
    with pytest.raises(BuildError, match=r"tegra210-p3450-0000\.dtb is missing"):
        jetson_nano.first_files(sources)


STATES = {
    "factory": FACTORY,
    "b on trial": boot_state.on_trial(FACTORY, Slot.B),
    "trial used up": dataclasses.replace(
        boot_state.on_trial(FACTORY, Slot.B), b=SlotRecord(SlotState.TRIAL, 0)
    ),
    "all used up": dataclasses.replace(FACTORY, a=SlotRecord(SlotState.GOOD, 0)),
    "carries": dataclasses.replace(FACTORY, generation=0xFFF),
    "carries far": dataclasses.replace(FACTORY, generation=0x1FFFFFFF),
    "most starts": dataclasses.replace(FACTORY, a=SlotRecord(SlotState.GOOD, 15)),
    "unreadable": None,
}


@pytest.mark.parametrize("name", STATES)
def test_the_boot_script_counts_without_setexpr_as_with_it(tmp_path, sources, name):
    texts = {
        "pi": ((IMAGE / "boot/boot.scr.txt").read_text(), SETEXPR),
        "nano": (jetson_nano.script_text(sources), ""),
    }
    ends = {}
    for board, (text, commands) in texts.items():
        card = tmp_path / board
        card.mkdir()
        (card / "slot.scr").write_text("slot")
        state = STATES[name]
        for copy in boot_state.FILE_NAMES:
            (card / copy).write_bytes(boot_state.encode(state) if state else b"torn")
        ran = run_script(text, card, tmp_path / f"{board}-memory", commands=commands)
        assert ran.status == 0
        written = boot_state.newest([(card / copy).read_bytes() for copy in boot_state.FILE_NAMES])
        assert written[0].generation == (state.generation if state else 0) + 1
        ends[board] = (ran.said[-1], written)
    assert ends["pi"] == ends["nano"]


def test_the_nanos_boot_script_resets_where_a_slot_does_not_load(tmp_path, sources):
    card = tmp_path / "card"
    card.mkdir()
    for copy in boot_state.FILE_NAMES:
        (card / copy).write_bytes(boot_state.encode(FACTORY))
    ran = run_script(jetson_nano.script_text(sources), card, tmp_path / "memory")
    assert ran.status == 3
    assert ran.said[-1] == "edgenode: slot A does not start"


@pytest.mark.needs("mkimage")
@pytest.mark.parametrize("slot", Slot)
@pytest.mark.parametrize("board", ["pi", "jetson-nano"])
def test_one_slot_script_finds_its_partitions_on_both_boards(tmp_path, sources, board, slot):
    files = boards.slot_files(sources)
    card = tmp_path / "card"
    card.mkdir()
    for name, content in files.items():
        (card / name).write_bytes(content.read_bytes())
    text = (sources.work / "slot.txt").read_text()
    variables = {
        "pi": "board=rpi",
        "jetson-nano": "edgenode_board=jetson-nano",
    }[board]
    before = f"{variables} slot={slot.value} slot_part='mmc 1:2'"
    arguments, tree = run_script(text, card, tmp_path / "memory", before=before).said
    number = JETSON_NANO[f"root-{slot.value.lower()}"].number
    nano = board == "jetson-nano"
    assert f"root=PARTUUID={gpt.guid(number) if nano else f'{DISK_ID}-0{number}'} " in arguments
    assert f"edgenode.data=PARTUUID={gpt.guid(7) if nano else f'{DISK_ID}-07'} " in arguments
    assert f"rauc.slot={slot.value}" in arguments.split()
    assert tree == ("tree" if nano else "vendors_tree")
    if nano and slot is Slot.A:
        rescue = _extlinux(
            (IMAGE / "boot/extlinux.conf.txt").read_text().replace("@GUIDS@", gpt.GUIDS)
        )
        assert rescue["append"].split() == arguments.split()


@pytest.mark.needs("mkimage")
def test_a_nano_never_starts_a_kernel_with_the_vendors_device_tree(tmp_path, sources):
    boards.slot_files(sources)
    card = tmp_path / "card"
    card.mkdir()
    before = "edgenode_board=jetson-nano slot=A slot_part='mmc 1:2'"
    text = (sources.work / "slot.txt").read_text()
    assert run_script(text, card, tmp_path / "memory", before=before).said[-1] == "kernel"


def test_what_the_root_calls_partitions_leads_to_those_of_a_gpt():
    rule = (IMAGE / "rootfs/usr/lib/udev/rules.d/61-edgenode-partitions.rules").read_text()
    pattern = re.search(r'ID_PART_ENTRY_UUID}=="([^"]+)"', rule)[1]
    assert re.search(r'SYMLINK\+="disk/by-partuuid/(.+?)"', rule)[1] == (
        f"{DISK_ID}-0$env{{ID_PART_ENTRY_NUMBER}}"
    )
    for part in JETSON_NANO.values():
        assert re.fullmatch(pattern, gpt.guid(part.number))
    named = set(re.findall(rf"PARTUUID={DISK_ID}-0(\d)", (IMAGE / "rootfs/etc/fstab").read_text()))
    assert named <= {str(part.number) for part in JETSON_NANO.values()}


def test_the_initramfs_has_what_feeds_a_nanos_card():
    listed = (IMAGE / "rootfs/etc/initramfs-tools/modules").read_text().split()
    assert {"sdhci-tegra", "fixed", "i2c-tegra", "max77620-regulator"} <= set(listed)


def test_an_unknown_board_is_an_error_that_names_the_known_ones(capsys):
    assert main(["--board", "jetson-xavier"]) == 1
    assert capsys.readouterr().err == (
        "image: there is no board 'jetson-xavier'; --board (BOARD= of make) takes "
        "jetson-nano or pi\n"
    )


def test_boards_are_built_once_however_often_they_are_named():
    assert [board.name for board in boards.chosen(["pi", "jetson-nano", "pi"])] == [
        "pi",
        "jetson-nano",
    ]
