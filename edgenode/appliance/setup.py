"""`edgenode-setup`: at each boot, makes of the card's settings the files that a box works with.

It runs as root before the network and before edgenode.target. Each file is put in place whole;
after a power cut at any moment the next boot does what is missing.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from edgenode.appliance import rendering
from edgenode.appliance.announcement import Announcement, console_text, issue_text, mistakes_json
from edgenode.appliance.box_keys import (
    HostKeyError,
    ensure_member_key,
    find_host_key,
    install_host_key,
)
from edgenode.appliance.box_settings import BoxSettings, read_box
from edgenode.appliance.durable_file import make_directory, remove_file, replace_file
from edgenode.appliance.last_right import last_right_text
from edgenode.appliance.mistake import Mistake
from edgenode.ledger.genesis import GenesisError
from edgenode.services import logs
from edgenode.storage.genesis import read_genesis
from edgenode.storage.keyfile import KeyFileError

SETTINGS = "boot/firmware/edgenode.toml"
STATE = "var/lib/edgenode-setup"
LAST_RIGHT = f"{STATE}/last-right.toml"
KEPT_HOST_KEY = f"{STATE}/ssh_host_ed25519_key"
HOST_KEY = "etc/ssh/ssh_host_ed25519_key"
MEMBER_KEY = "etc/edgenode/member.key"
ISSUE = "etc/issue.d/edgenode.issue"
RUN = "run/edgenode-setup"
MISTAKES = f"{RUN}/errors.json"

CONSOLE = Path("/dev/console")

EXIT_UNREACHABLE = 1

log = logging.getLogger(__name__)

Result = TypeVar("Result")


class Setup:
    """One run against one root directory."""

    def __init__(self, root: Path, *, makes_keys: bool = True) -> None:
        """Prepare a run.

        Args:
            root: The box's root directory.
            makes_keys: Whether the box's own keys are made where there are none: not in an image,
                from which many boxes come.
        """
        self._root = root
        self._makes_keys = makes_keys
        self._mistakes: list[Mistake] = []
        self._failed: set[str] = set()

    def run(self) -> Announcement:
        """Apply the settings as far as they can be applied; the rest is told.

        Raises:
            OSError: /run cannot be written, so that nothing can be done.
        """
        make_directory(self._at(RUN))
        with self._alone():
            return self._run()

    @property
    def is_reachable(self) -> bool:
        """Whether all that a person reaches the box by was put in place."""
        return not self._failed & {*rendering.REACHABLE, HOST_KEY}

    def _run(self) -> Announcement:
        settings = self._settings()
        self._attempt(STATE, lambda: make_directory(self._at(STATE), 0o700))
        self._apply(settings)
        fingerprint = self._host_key() if self._makes_keys else None
        self._write(LAST_RIGHT, last_right_text(settings), 0o600)
        member_key = self._member_key() if self._makes_keys else None
        told = Announcement(
            hostname=settings.hostname,
            member_key=member_key,
            fingerprint=fingerprint,
            waits_for=self._waits_for(settings, member_key),
            mistakes=self._mistakes,
        )
        self._write(ISSUE, issue_text(told))
        self._write(MISTAKES, mistakes_json(told.mistakes))
        return told

    def _settings(self) -> BoxSettings:
        last_right = BoxSettings()
        if self._at(LAST_RIGHT).exists():
            last_right = self._read(LAST_RIGHT, last_right)
        return self._read(SETTINGS, last_right)

    def _read(self, path: str, last_right: BoxSettings) -> BoxSettings:
        try:
            reading = read_box(self._at(path), last_right, self._at(RUN))
        except Exception:
            # The outermost door: a fault of this program must not cost the way to mend it.
            log.exception("reading failed", extra={"path": path})
            what = "cannot be read for an error in edgenode-setup itself, which the log shows"
            self._mistakes.append(Mistake(Path(path).name, what))
            return last_right
        self._mistakes += reading.mistakes
        return reading.settings

    def _apply(self, settings: BoxSettings) -> None:
        files = rendering.render(settings)
        for file in files:
            # Who gives the card no table of the node's may give the box its configuration
            # another way.
            if file.path == rendering.NODE and not settings.node and self._is_foreign(file.path):
                continue
            self._write(file.path, file.text, file.mode)
        for path in set(rendering.OPTIONAL) - {file.path for file in files}:
            self._attempt(path, partial(remove_file, self._at(path)))
        if self._root == Path("/"):
            self._attempt("etc/hostname", lambda: socket.sethostname(settings.hostname))

    def _host_key(self) -> str | None:
        places = (self._at(KEPT_HOST_KEY), self._at(HOST_KEY))
        key = self._attempt(HOST_KEY, lambda: find_host_key(places, self._at(RUN)))
        if key is None:
            return None
        self._attempt(HOST_KEY, lambda: install_host_key(key, self._at(HOST_KEY)))
        # Where it cannot be kept, the box is reached with a key of this boot only.
        self._attempt(
            KEPT_HOST_KEY, lambda: replace_file(self._at(KEPT_HOST_KEY), key.private, 0o600)
        )
        return key.fingerprint

    def _member_key(self) -> bytes | None:
        return self._attempt(MEMBER_KEY, lambda: ensure_member_key(self._at(MEMBER_KEY)))

    def _waits_for(self, settings: BoxSettings, member_key: bytes | None) -> tuple[str, ...]:
        waits = []
        if not settings.ssh_keys:
            waits.append("an SSH key of its operator ([ssh] keys); until then nobody can log in")
        if not self._at(rendering.WARD_KEY).exists():
            waits.append("the ward's key ([ward] key, or ward.key beside edgenode.toml)")
        genesis_path = self._at(rendering.GENESIS)
        if not genesis_path.exists():
            waits.append(
                "the ward's genesis.toml, which must list the member key above, or authorities who "
                "enrol it (edgenode member enrol)"
            )
        elif member_key is not None:
            try:
                genesis = read_genesis(genesis_path)
            except GenesisError as error:
                self._mistakes.append(self._mistake(rendering.GENESIS, error))
            else:
                # With authorities it is the chain that says who is a member, by and by.
                if member_key not in genesis.member_keys and not genesis.authorities:
                    waits.append(
                        "a genesis.toml that lists the member key above: this ward has no "
                        "authorities who could enrol it (edgenode member)"
                    )
        return tuple(waits)

    def _write(self, path: str, text: str, mode: int = 0o644) -> None:
        if self._attempt(path, lambda: replace_file(self._at(path), text.encode(), mode)):
            log.info("file written", extra={"path": f"/{path}"})

    def _attempt(self, path: str, action: Callable[[], Result]) -> Result | None:
        """Do a thing; where it cannot be done, tell so and go on."""
        try:
            return action()
        except (OSError, HostKeyError, KeyFileError) as error:
            self._failed.add(path)
            self._mistakes.append(self._mistake(path, error))
            return None

    def _mistake(self, path: str, error: Exception) -> Mistake:
        if isinstance(error, OSError):
            return Mistake(f"/{path}", f"cannot be written: {error.strerror}")
        return Mistake(f"/{path}", str(error).removeprefix(f"{self._at(path)}: "))

    def _is_foreign(self, path: str) -> bool:
        """Whether there is a file that was not written by this program."""
        try:
            return not self._at(path).read_text(errors="replace").startswith(rendering.HEAD)
        except OSError:
            return False

    def _at(self, path: str) -> Path:
        return self._root / path

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for another run to end: both would write the same drafts."""
        descriptor = os.open(self._at(f"{RUN}/lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def main(argv: Sequence[str] | None = None) -> int:
    """Run edgenode-setup.

    Returns:
        The exit status: 0 where the box can come up, to work or to be mended.
    """
    parser = argparse.ArgumentParser(
        prog="edgenode-setup",
        description="Apply the settings of a box: edgenode.toml on the card's FAT partition.",
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("/"),
        metavar="DIR",
        help="the box's root directory (default: /); elsewhere the running system is left alone",
    )
    parser.add_argument(
        "--without-keys",
        action="store_true",
        help="make neither a host key nor a member key: for an image",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version('edgenode')}")
    arguments = parser.parse_args(argv)
    root: Path = arguments.root.absolute()
    logs.configure("setup", logging.INFO)
    setup = Setup(root, makes_keys=not arguments.without_keys)
    try:
        told = setup.run()
    except OSError as error:
        log.error("nothing can be set up", extra={"reason": error})
        return EXIT_UNREACHABLE
    for mistake in told.mistakes:
        log.error("wrong in the settings", extra={"where": mistake.where, "what": mistake.what})
    text = console_text(told)
    sys.stdout.write(text)
    if root == Path("/"):
        _show_on(CONSOLE, text)
    return 0 if setup.is_reachable else EXIT_UNREACHABLE


def _show_on(console: Path, text: str) -> None:
    try:
        # O_NONBLOCK: a serial line that nobody reads must not hold up the boot.
        flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(console, flags)
        try:
            os.write(descriptor, text.encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        log.warning("not shown", extra={"on": console, "reason": error.strerror})


if __name__ == "__main__":
    sys.exit(main())
