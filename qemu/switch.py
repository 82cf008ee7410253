"""An Ethernet switch in this process, for virtual networks that need no rights.

QEMU gives and takes frames as datagrams on a pair of sockets. The switch learns behind which port
an address is, and passes a frame to that port only, as a real one does. A hub would not do: the
router (`qemu.network`) takes every frame that it sees for its own, and QEMU's multicast networks
give a sender its own frames back.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
from collections import OrderedDict

_LARGEST_FRAME = 1 << 16
_SMALLEST_FRAME = 14  # destination, source, type
_ADDRESS_BYTES = 6
_GROUP_BIT = 1  # of the first byte of an address: broadcast and multicast

MOST_ADDRESSES = 1024
"""Of those that the switch remembers; the oldest is forgotten. A guest may make up any number."""

_BUFFER_BYTES = 1 << 20
"""Of a port. What a guest does not take in time is lost, as on a real cable."""


class Switch:
    """A switch; its ports are numbered."""

    def __init__(self) -> None:
        """Start it; it has no port yet."""
        self._lock = threading.Lock()
        self._inner: dict[int, socket.socket] = {}
        self._outer: dict[int, socket.socket] = {}
        self._behind: OrderedDict[bytes, int] = OrderedDict()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe()[::-1]
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="switch", daemon=True)
        self._thread.start()

    def port(self, number: int) -> int:
        """The descriptor that a machine inherits to be plugged into a port; made at first use.

        It stays the same when the machine is switched off and on.
        """
        with self._lock:
            if number not in self._outer:
                inner, outer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
                for end in (inner, outer):
                    end.setblocking(False)
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
                self._inner[number], self._outer[number] = inner, outer
                self._selector.register(inner, selectors.EVENT_READ, number)
                os.write(self._wake, b"\0")
            return self._outer[number].fileno()

    def close(self) -> None:
        """End it. Machines that are on are alone from then on."""
        if self._wake < 0:
            return
        os.close(self._wake)
        self._wake = -1
        self._thread.join()
        os.close(self._woken)
        self._selector.close()
        for end in (*self._inner.values(), *self._outer.values()):
            end.close()

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is not None:
                    self._receive(key.data)
                elif not os.read(self._woken, 64):
                    return

    def _receive(self, port: int) -> None:
        try:
            frame = self._inner[port].recv(_LARGEST_FRAME)
        except OSError:  # the other end went between select and now
            return
        if len(frame) < _SMALLEST_FRAME:
            return
        target = frame[:_ADDRESS_BYTES]
        source = frame[_ADDRESS_BYTES : 2 * _ADDRESS_BYTES]
        with self._lock:
            self._learn(source, port)
            known = None if target[0] & _GROUP_BIT else self._behind.get(target)
            outputs = [n for n in self._inner if n != port] if known is None else [known]
        for output in outputs:
            if output != port:
                with contextlib.suppress(OSError):  # full: the frame is lost
                    self._inner[output].send(frame)

    def _learn(self, address: bytes, port: int) -> None:
        self._behind[address] = port
        self._behind.move_to_end(address)
        if len(self._behind) > MOST_ADDRESSES:
            self._behind.popitem(last=False)
