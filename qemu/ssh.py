"""Commands and files on a guest, by the OpenSSH client.

One connection carries all commands: under emulation a key exchange takes longer than most of them.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from qemu.errors import CommandError, GuestEndedError, PatienceError, SshError
from qemu.patience import ANSWER_PATIENCE, PROCESS_PATIENCE, await_it
from qemu.tools import find, need, run

OPERATOR = "operator"
"""The account of the image that people log in with."""

SSH_PORT = 22
"""The guest's."""

_FAILED = 255  # SSH's status when it is SSH that failed
_CONNECT_SECONDS = 60
_CONTROL = "ssh.sock"
_KNOWN = "known_hosts"
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command did.

    Attributes:
        command: The command.
        status: Its exit status.
        stdout: What it printed.
        stderr: What it printed on standard error.
    """

    command: str
    status: int
    stdout: str
    stderr: str


def make_key(directory: Path, name: str = "id_ed25519") -> Path:
    """A key pair without passphrase, made if it is not there.

    Args:
        directory: Where; made if it is missing.
        name: File of the private key; the public one has `.pub` behind it.

    Returns:
        The private key's file.

    Raises:
        ToolMissingError: There is no ssh-keygen.
    """
    key = directory / name
    if not key.exists():
        directory.mkdir(parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "edgenode qemu", "-f", key])
    return key


def public_key(key: Path) -> str:
    """The line for authorized_keys, or for a box's settings."""
    return key.with_name(f"{key.name}.pub").read_text().strip()


class Ssh:
    """The way into one guest."""

    def __init__(
        self, directory: Path, key: Path, port: Callable[[], int], user: str = OPERATOR
    ) -> None:
        """Nothing is connected yet.

        Args:
            directory: The machine's, for the shared connection's socket.
            key: Private key.
            port: Gives the port of 127.0.0.1, which is another one after each start.
            user: Account.
        """
        self._directory = directory
        self._key = key.absolute()
        self._port = port
        self._user = user

    def command(self, *words: str, tty: bool = False) -> list[str]:
        """The host's command that runs something on the guest; without words, a shell.

        It is to be run in the machine's directory.
        """
        return [
            *self._client(),
            *(["-t"] if tty else []),
            *("-p", str(self._port()), f"{self._user}@127.0.0.1"),
            *words,
        ]

    def run(
        self, command: str, *, patience: float = ANSWER_PATIENCE, text: str = "", check: bool = True
    ) -> Result:
        """Run a shell command on the guest.

        Args:
            command: For the shell of the account.
            patience: Seconds.
            text: Its standard input.
            check: Whether a status other than 0 is an error.

        Raises:
            CommandError: It failed.
            SshError: SSH failed: the guest does not answer, or went away meanwhile.
            PatienceError: It did not end.
        """
        done = self._call(self.command("--", command), patience, text, f"`{command}`")
        if done.returncode == _FAILED:
            raise SshError(f"SSH failed at `{command}`: {done.stderr.strip()}")
        result = Result(command, done.returncode, done.stdout, done.stderr)
        if check and result.status:
            raise CommandError(
                f"`{command}` ended with status {result.status}: "
                f"{(result.stderr or result.stdout).strip()}"
            )
        return result

    def wait(self, patience: float, ended: Callable[[], str | None] = lambda: None) -> None:
        """Wait until the guest lets us in.

        Args:
            patience: Seconds.
            ended: Says why it never will, or None.

        Raises:
            GuestEndedError: It never will.
            PatienceError: It does not; the message says what SSH said last.
        """
        said = ["nothing"]

        def look() -> bool | None:
            if (why := ended()) is not None:
                raise GuestEndedError(f"{why}; SSH said {said[0]}")
            try:
                self.run("true", patience=2 * _CONNECT_SECONDS)
            except (SshError, PatienceError) as error:
                said[0] = str(error)
                return None
            return True

        await_it(look, patience, lambda: f"no SSH for {patience:.0f} s; it said: {said[0]}", 1.0)

    def boot_id(self) -> str:
        """What the kernel calls this boot; another one after each.

        Raises:
            SshError: The guest does not answer.
        """
        return self.run(f"cat {_BOOT_ID}").stdout.strip()

    def hang_up(self) -> None:
        """End the shared connection, as after a power cut: the next command makes a new one."""
        if (self._directory / _CONTROL).exists():
            self._call([*self._client(), "-O", "exit", "127.0.0.1"], PROCESS_PATIENCE, "", "")
            (self._directory / _CONTROL).unlink(missing_ok=True)

    def _client(self) -> Sequence[str]:
        need(["ssh"])
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityFile": f'"{self._key}"',
            # The host key is made at the guest's first boot, and the port is one of this host.
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": _KNOWN,
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": "guest",
            "LogLevel": "ERROR",
            "ConnectTimeout": str(_CONNECT_SECONDS),
            "ServerAliveInterval": "15",
            "ServerAliveCountMax": "20",
            "ControlMaster": "auto",
            "ControlPath": _CONTROL,
            "ControlPersist": "yes",
        }
        words = [str(find("ssh")), "-F", "/dev/null"]
        for name, value in options.items():
            words += ["-o", f"{name}={value}"]
        return words

    def _call(
        self, command: Sequence[str], patience: float, text: str, what: str
    ) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                command,
                cwd=self._directory,
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise PatienceError(f"{what} did not end within {patience:.0f} s") from error
