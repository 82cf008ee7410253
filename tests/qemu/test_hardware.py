"""QEMU's command line: what a machine is made of, said so that QEMU takes it."""

import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from qemu.hardware import Attachment, DirectBoot, Hardware
from tests.conftest import require_tool

DISK = Path("/d/disk.qcow2")
PLUG = Attachment("socket,mcast=239.77.0.1:7000", "52:54:00:ed:9e:01")
FULL = Hardware(ward=PLUG, radio=Path("/r"), stick=Path("/s"), watchdog=True)
PI = DirectBoot(Path("/d/u-boot.bin"), "quiet", Path("/d/initrd"), Path("/d/pi.dtb"))


def pairs(hardware: Hardware, disk: Path = DISK) -> list[tuple[str, str]]:
    """Each option with its value."""
    words = hardware.command("bed-1", disk)
    return [(word, words[n + 1]) for n, word in enumerate(words[:-1]) if word.startswith("-")]


def devices(hardware: Hardware) -> list[tuple[str, str]]:
    """Each device with its address on the bus."""
    values = [value for option, value in pairs(hardware) if option == "-device"]
    return [(value.split(",")[0], value.rpartition("addr=")[2]) for value in values]


def test_a_machine_is_what_the_boxes_are_like():
    options = pairs(Hardware())
    assert ("-M", "virt,acpi=off") in options
    assert ("-cpu", "cortex-a72") in options
    assert ("-smp", "2") in options
    assert ("-m", "768") in options
    assert ("-bios", "/usr/lib/u-boot/qemu_arm64/u-boot.bin") in options
    assert ("-accel", "tcg,thread=multi,tb-size=128") in options


def test_more_devices_do_not_rename_those_that_are_there():
    few = devices(Hardware())
    many = devices(FULL)
    assert set(few) < set(many)
    assert len({address for _, address in many}) == len(many) == 7


def test_a_guest_is_alone_with_the_host_unless_it_may_reach_the_outside():
    def login(internet: bool) -> str:
        options = pairs(Hardware(internet=internet))
        return next(value for option, value in options if option == "-netdev")

    assert "restrict=on" in login(internet=False)
    assert "restrict=off" in login(internet=True)
    assert "hostfwd=tcp:127.0.0.1:0-:22" in login(internet=False)


def test_a_comma_in_a_path_does_not_end_it():
    options = pairs(Hardware(), Path("/a,b/disk.qcow2"))
    assert any("filename=/a,,b/disk.qcow2" in value for _, value in options)


def test_a_write_log_lies_between_the_guest_and_its_disk():
    options = pairs(Hardware(write_log=Path("/d/log")))
    nodes = [value for option, value in options if option == "-blockdev"]
    assert any("driver=blklogwrites" in n and "file=disk" in n and "log=log" in n for n in nodes)
    (disk,) = [value for _, value in options if value.startswith("virtio-blk-pci")]
    assert "drive=logged" in disk
    assert "write-zeroes=off" in disk


def test_a_stick_is_a_second_disk_that_the_guest_cannot_write():
    options = pairs(Hardware(stick=Path("/d/stick")))
    assert ("-blockdev", "driver=file,node-name=stick,filename=/d/stick,read-only=on") in options
    names = [value.split(",") for option, value in options if option == "-device"]
    assert any("drive=stick" in words and "serial=stick" in words for words in names)


def test_a_clock_is_set_in_utc():
    east = timezone(timedelta(hours=2))
    for when in (datetime(1970, 1, 1, tzinfo=UTC), datetime(1970, 1, 1, 2, tzinfo=east)):
        assert ("-rtc", "base=1970-01-01T00:00:00") in pairs(Hardware(rtc=when))


def test_a_pi_has_its_card_and_its_console_on_the_second_port():
    options = pairs(Hardware(board="raspi3b", direct=PI))
    assert ("-M", "raspi3b") in options
    assert ("-dtb", "/d/pi.dtb") in options
    assert ("-kernel", "/d/u-boot.bin") in options
    assert ("-append", "quiet") in options
    assert [value for option, value in options if option == "-serial"] == [
        "null",
        "chardev:console",
    ]
    assert ("-drive", "if=sd,format=qcow2,file=/d/disk.qcow2") in options
    assert not any(option == "-bios" for option, _ in options)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"board": "raspi5"}, "not a known board"),
        ({"board": "raspi3b"}, "needs a DirectBoot"),
        ({"board": "raspi3b", "direct": PI, "watchdog": True}, "a disk, a console and a login"),
    ],
)
def test_a_machine_that_qemu_has_not_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Hardware(**wrong)


def test_qemu_knows_all_of_the_devices():
    """QEMU itself says so; nothing is started."""
    qemu = require_tool("qemu-system-aarch64", "qemu-system-arm")
    for device, _ in devices(FULL):
        known = subprocess.run(
            [qemu, "-device", f"{device},help"], check=False, capture_output=True, text=True
        )
        assert known.returncode == 0, known.stderr
        assert "addr=" in known.stdout
