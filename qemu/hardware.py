"""What a machine is made of, and the words that tell QEMU so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from qemu.process import MONITOR
from qemu.tools import U_BOOT

QEMU = "qemu-system-aarch64"

CONSOLE_SOCKET = "console.sock"
CONSOLE_LOG = "console.log"

_PI_MEMORY_MIB = 1024  # QEMU's raspi3b has this much and no other

# A Debian guest names its network interfaces after these (enp0s1, enp0s2), so they are fixed: a
# device more or less renames nothing.
_SLOTS = {"login": 1, "ward": 2, "disk": 3, "random": 4, "radio": 5, "watchdog": 6, "stick": 7}


@dataclass(frozen=True, slots=True)
class DirectBoot:
    """A program that QEMU itself loads, instead of firmware that does.

    Attributes:
        kernel: Linux (an uncompressed Image), or a loader such as U-Boot.
        command_line: The kernel's.
        initrd: Initial file system.
        device_tree: The board's; None where QEMU makes one.
    """

    kernel: Path
    command_line: str = ""
    initrd: Path | None = None
    device_tree: Path | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A plug into a virtual network (see `qemu.network`).

    Attributes:
        netdev: QEMU's words for it, without the id.
        mac: The guest's address.
        descriptors: Open files that QEMU inherits.
    """

    netdev: str
    mac: str
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine.

    Attributes:
        board: "virt", or "raspi3b" with a DirectBoot.
        cores: Processors.
        memory_mib: MiB of memory.
        firmware: What the board starts with; not used with `direct`.
        direct: A kernel to start instead.
        login: Whether there is a network with nobody but the host in it, for SSH.
        internet: Whether the guest reaches the outside over that network. A test that needs it
            would fail with the hospital's or the laptop's network, so it is off.
        ward: The network that it shares with others.
        radio: Unix socket of its Bluetooth controller (see `qemu.radio`).
        stick: File that is a second, read-only disk of the guest, /dev/disk/by-id/virtio-stick. The
            host may write to it while the guest has it not mounted.
        write_log: File that all writes to the disk are logged in (see `qemu.write_log`).
        watchdog: Whether there is an i6300esb that resets a hung machine.
        rtc: What its clock shows at the start, in UTC; None for the host's time.
    """

    board: str = "virt"
    cores: int = 2
    memory_mib: int = 768
    firmware: Path = U_BOOT
    direct: DirectBoot | None = None
    login: bool = True
    internet: bool = False
    ward: Attachment | None = None
    radio: Path | None = None
    stick: Path | None = None
    write_log: Path | None = None
    watchdog: bool = False
    rtc: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what QEMU has not got."""
        if self.board not in {"virt", "raspi3b"}:
            raise ValueError(f"{self.board!r} is not a known board: virt or raspi3b")
        if self.board == "raspi3b":
            if self.direct is None:
                raise ValueError("QEMU's raspi3b runs no firmware: it needs a DirectBoot")
            more = (self.ward, self.radio, self.stick, self.write_log, self.watchdog, self.rtc)
            if any(more):
                raise ValueError("a raspi3b has a disk, a console and a login network only")

    def command(self, name: str, disk: Path) -> list[str]:
        """QEMU's command line, to be run in the directory where its sockets and logs shall be.

        Args:
            name: The guest's name.
            disk: A qcow2 file.
        """
        words = [QEMU, "-name", _value(name), "-nodefaults", "-no-user-config", "-display", "none"]
        words += self._processor()
        words += self._boot()
        words += self._console_and_monitor()
        words += self._login_network()
        if self.board == "raspi3b":
            return [*words, "-drive", f"if=sd,format=qcow2,file={_value(disk)}"]
        words += self._disk(disk)
        words += _pci("random", "virtio-rng-pci,rng=random")
        words += ["-object", "rng-random,id=random,filename=/dev/urandom"]
        if self.ward is not None:
            words += ["-netdev", f"{self.ward.netdev},id=ward"]
            words += _pci("ward", f"virtio-net-pci,netdev=ward,mac={self.ward.mac},romfile=")
        if self.radio is not None:
            # QEMU tries again every second: the radio may start later, and start again.
            words += ["-chardev", f"socket,id=radio,path={_value(self.radio)},reconnect=1"]
            words += _pci("radio", "pci-serial,chardev=radio")
        if self.stick is not None:
            words += _blockdev(
                driver="file", node_name="stick", filename=self.stick, read_only="on"
            )
            words += _pci("stick", "virtio-blk-pci,drive=stick,serial=stick")
        if self.watchdog:
            words += _pci("watchdog", "i6300esb")
            words += ["-action", "watchdog=reset"]
        if self.rtc is not None:
            words += ["-rtc", f"base={_utc(self.rtc)}"]
        return words

    def absolute(self) -> Hardware:
        """The same machine, with paths that hold in QEMU's directory as well."""
        return replace(
            self,
            radio=_absolute(self.radio),
            stick=_absolute(self.stick),
            write_log=_absolute(self.write_log),
        )

    @property
    def descriptors(self) -> Sequence[int]:
        """Open files that QEMU must inherit."""
        return () if self.ward is None else self.ward.descriptors

    def _processor(self) -> list[str]:
        if self.board == "raspi3b":
            words = ["-M", "raspi3b", "-m", str(_PI_MEMORY_MIB)]
        else:
            # U-Boot passes a device tree on, and only without ACPI the power button stands in it.
            # With the processor "max" QEMU spends most of its time on pointer authentication.
            words = ["-M", "virt,acpi=off", "-cpu", "cortex-a72"]
            words += ["-smp", str(self.cores), "-m", str(self.memory_mib)]
        # Without a bound the translated code grows to 1 GB and more.
        return [*words, "-accel", "tcg,thread=multi,tb-size=128"]

    def _boot(self) -> list[str]:
        if self.direct is None:
            return ["-bios", str(self.firmware)]
        words = ["-kernel", str(self.direct.kernel), "-append", self.direct.command_line]
        if self.direct.initrd is not None:
            words += ["-initrd", str(self.direct.initrd)]
        if self.direct.device_tree is not None:
            words += ["-dtb", str(self.direct.device_tree)]
        return words

    def _console_and_monitor(self) -> list[str]:
        console = f"socket,id=console,path={CONSOLE_SOCKET},server=on,wait=off"
        return [
            *("-chardev", f"{console},logfile={CONSOLE_LOG},logappend=on"),
            # A Pi's first serial port leads to its Bluetooth controller.
            *(("-serial", "null") if self.board == "raspi3b" else ()),
            *("-serial", "chardev:console"),
            *MONITOR,
        ]

    def _login_network(self) -> list[str]:
        if not self.login:
            return []
        restrict = "off" if self.internet else "on"
        # Port 0: the kernel picks a free one, and QEMU says which (Machine.ssh_port).
        words = ["-netdev", f"user,id=login,restrict={restrict},hostfwd=tcp:127.0.0.1:0-:22"]
        if self.board == "raspi3b":
            return [*words, "-device", "usb-net,netdev=login"]
        return [*words, *_pci("login", "virtio-net-pci,netdev=login,romfile=")]

    def _disk(self, disk: Path) -> list[str]:
        words = _blockdev(driver="file", node_name="file", filename=disk)
        words += _blockdev(driver="qcow2", node_name="disk", file="file", discard="unmap")
        if self.write_log is None:
            return [*words, *_pci("disk", "virtio-blk-pci,drive=disk")]
        words += _blockdev(driver="file", node_name="log", filename=self.write_log)
        words += _blockdev(driver="blklogwrites", node_name="logged", file="disk", log="log")
        # Before version 9.0 QEMU lets other writes slip between the header of a "write zeroes" and
        # its data, and spoils the log; a guest that cannot ask for it writes zeroes as data.
        return [*words, *_pci("disk", "virtio-blk-pci,drive=logged,write-zeroes=off")]


def _pci(slot: str, device: str) -> list[str]:
    return ["-device", f"{device},addr={_SLOTS[slot]:#x}"]


def _blockdev(**options: str | Path) -> list[str]:
    words = (f"{key.replace('_', '-')}={_value(value)}" for key, value in options.items())
    return ["-blockdev", ",".join(words)]


def _value(value: str | Path) -> str:
    """A value for QEMU's options, where a comma would end it."""
    return str(value).replace(",", ",,")


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _utc(time: datetime) -> str:
    if time.tzinfo is not None:
        time = time.astimezone(UTC)
    return time.strftime("%Y-%m-%dT%H:%M:%S")
