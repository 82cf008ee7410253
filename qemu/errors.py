"""What goes wrong with a guest."""

from __future__ import annotations


class QemuError(Exception):
    """A guest, or what it is made of, does not work; the message says what and why."""


class ToolMissingError(QemuError):
    """A program of the host is missing; the message names the Debian package to install."""


class GuestEndedError(QemuError):
    """QEMU is not running, though something is wanted of its guest."""


class PatienceError(QemuError):
    """Something did not happen within the time that it had."""


class PanicError(QemuError):
    """The guest said something on its console after which waiting is in vain."""


class SshError(QemuError):
    """SSH itself failed: the guest did not answer, or the connection broke."""


class CommandError(QemuError):
    """A command in a guest ended with another status than 0."""
