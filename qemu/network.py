"""A virtual network that several guests share, as the boxes of a ward do.

    bed-1 ──┐            ┌── router: a QEMU without a machine, which is the user-mode network stack
    bed-2 ──┤  Ethernet  ├── and forwards a port of 127.0.0.1 to each box's SSH
    bed-3 ──┘            └── the host itself, on a bridge only

Each box has one network card, as a real one has, and the fixed address that its settings say.
There are two ways to carry the frames. `Switched` needs no rights: a switch in this process.
`Bridge` needs root: a bridge in a network namespace, in which programs of the host can run beside
the boxes.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import ipaddress
import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

from qemu.errors import QemuError
from qemu.hardware import QEMU, Attachment
from qemu.process import MONITOR, QemuProcess
from qemu.switch import Switch
from qemu.tools import need, run

SUBNET = ipaddress.IPv4Network("10.77.0.0/24")
HOST = SUBNET[1]
"""Where the host is on a bridge."""

ROUTER = SUBNET[2]
"""Where the router is; it offers a name server one address further."""

_FIRST_BOX = 10
MOST_BOXES = 99
_DHCP_FIRST = SUBNET[200]

_LOOPBACK = "127.0.0.1"

_CLONE_NEWNET = 0x40000000
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_BRIDGE = "ward"


def address(box: int) -> ipaddress.IPv4Interface:
    """The address of a box, from 1 on, for its settings.

    Raises:
        ValueError: There cannot be so many.
    """
    if not 1 <= box <= MOST_BOXES:
        raise ValueError(f"box {box} is not in 1..{MOST_BOXES}")
    return ipaddress.IPv4Interface((SUBNET[_FIRST_BOX + box], SUBNET.prefixlen))


class Router:
    """What leads from the host to the boxes, and if wanted from the boxes to the outside."""

    def __init__(self, directory: Path, *, internet: bool = False) -> None:
        """Nothing runs yet.

        Args:
            directory: For its socket and log.
            internet: Whether boxes reach the outside.
        """
        self._process = QemuProcess("the router", directory)
        self._restrict = "off" if internet else "on"

    def start(self, plug: Attachment) -> None:
        """Start it, plugged into a network.

        Raises:
            QemuError: QEMU refuses.
        """
        need([QEMU])
        user = (
            f"user,id=user,net={SUBNET},host={ROUTER},dns={ROUTER + 1},dhcpstart={_DHCP_FIRST},"
            f"ipv6=off,restrict={self._restrict}"
        )
        command = [
            *(QEMU, "-name", "router", "-M", "none", "-nodefaults", "-no-user-config"),
            *("-display", "none", *MONITOR),
            *("-netdev", user, "-netdev", f"{plug.netdev},id=plug"),
            *("-netdev", "hubport,id=port1,hubid=0,netdev=user"),
            *("-netdev", "hubport,id=port2,hubid=0,netdev=plug"),
        ]
        self._process.start(command, plug.descriptors)

    def forward(self, box: int, port: int) -> int:
        """A port of 127.0.0.1 that leads to a TCP port of a box.

        Raises:
            QemuError: The router does not run.
        """
        there = str(address(box).ip)
        with contextlib.suppress(QemuError):
            return self._process.forwarded_port(port, there)
        rule = f"tcp:{_LOOPBACK}:0-{there}:{port}"
        said = self._process.monitor.execute(
            "human-monitor-command", command_line=f"hostfwd_add user {rule}"
        )
        if said:
            raise QemuError(f"the router does not forward {rule}: {said}")
        return self._process.forwarded_port(port, there)

    def close(self) -> None:
        """End it."""
        self._process.kill()


class Switched:
    """A network without rights, on a switch in this process.

    Attributes:
        router: What leads to it.
    """

    def __init__(self, directory: Path, *, internet: bool = False) -> None:
        """Set it up.

        Args:
            directory: For the router's files; made if it is missing.
            internet: Whether boxes reach the outside.

        Raises:
            QemuError: QEMU refuses.
        """
        self._switch = Switch()
        self.router = Router(directory, internet=internet)
        try:
            self.router.start(self._plug(0))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def attach(self, box: int) -> Attachment:
        """The plug of a box, from 1 on; the same one after a power cut."""
        address(box)
        return self._plug(box)

    def close(self) -> None:
        """End it; boxes that are on are alone from then on."""
        self.router.close()
        self._switch.close()

    def _plug(self, number: int) -> Attachment:
        port = self._switch.port(number)
        return Attachment(f"dgram,local.type=fd,local.str={port}", _mac(number), (port,))


class Bridge:
    """A network with a bridge in a namespace of its own, which ends with this process.

    Attributes:
        router: What leads to it from outside the namespace.
    """

    def __init__(self, directory: Path, *, internet: bool = False) -> None:
        """Set it up.

        Args:
            directory: For the router's files; made if it is missing.
            internet: Whether boxes reach the outside.

        Raises:
            QemuError: We are not root, or something is not installed.
        """
        if os.geteuid() != 0:
            raise QemuError("a bridge needs root; without it take a switched network")
        need(["ip", "nsenter"])
        self._taps: dict[int, int] = {}
        self._namespace = _in_thread(_new_namespace)
        self.router = Router(directory, internet=internet)
        try:
            self._ip("link", "set", "lo", "up")
            self._ip("link", "add", _BRIDGE, "type", "bridge", "mcast_snooping", "0")
            self._ip("address", "add", f"{HOST}/{SUBNET.prefixlen}", "dev", _BRIDGE)
            self._ip("link", "set", _BRIDGE, "up")
            self.router.start(self._plug(0))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def inside(self) -> Sequence[str]:
        """Words in front of a command of the host that make it run on this network, at `HOST`."""
        return ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self._namespace}", "--")

    def attach(self, box: int) -> Attachment:
        """The plug of a box, from 1 on; the same one after a power cut.

        Raises:
            QemuError: There can be no tap.
        """
        address(box)
        return self._plug(box)

    def close(self) -> None:
        """End it; the namespace goes when no machine holds a plug any more."""
        self.router.close()
        for tap in self._taps.values():
            os.close(tap)
        self._taps.clear()
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1

    def _plug(self, number: int) -> Attachment:
        if number not in self._taps:
            name = f"box{number}"
            self._taps[number] = _in_thread(partial(_new_tap, self._namespace, name))
            self._ip("link", "set", name, "master", _BRIDGE, "up")
        tap = self._taps[number]
        return Attachment(f"tap,fd={tap},vhost=off", _mac(number), (tap,))

    def _ip(self, *words: str) -> None:
        run([*self.inside, "ip", *words])


Network = Switched | Bridge


def _mac(number: int) -> str:
    # QEMU's own range 52:54:00, then ED9E for edgenode; the router (0) has one of its own making.
    return f"52:54:00:ed:9e:{number:02x}"


def _in_thread(action: Callable[[], int]) -> int:
    """Do something that changes the namespace of a thread, in one that then ends."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(action).result()


def _call(function: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise QemuError(f"{function}: {os.strerror(number)}")


def _new_namespace() -> int:
    _call("unshare", _CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _new_tap(namespace: int, name: str) -> int:
    _call("setns", namespace, _CLONE_NEWNET)
    try:
        tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise QemuError(f"/dev/net/tun: {error.strerror}") from error
    try:
        request = struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI)
        fcntl.ioctl(tap, _TUNSETIFF, request)
    except OSError as error:
        os.close(tap)
        raise QemuError(f"tap {name}: {error.strerror}") from error
    return tap
