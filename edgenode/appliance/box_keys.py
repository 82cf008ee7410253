"""The two keys that a box makes for itself at its first boot: of its SSH server and of its node."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from edgenode.appliance.durable_file import make_directory, remove_file, replace_file
from edgenode.ledger.keys import MemberKey
from edgenode.storage.keyfile import read_key, write_key

# ssh-keygen computes for milliseconds; one that hangs must not hold up the boot.
_KEYGEN_LIMIT_S = 60


class HostKeyError(Exception):
    """The SSH server's key cannot be made or read; the text says why."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """The SSH server's key.

    Attributes:
        private: The file's bytes, in OpenSSH's form.
        public: Its line of a .pub file, without a comment.
    """

    private: bytes
    public: str

    @property
    def fingerprint(self) -> str:
        """What ssh shows at the first connection: "SHA256:…"."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def find_host_key(places: Iterable[Path], scratch: Path) -> HostKey:
    """The first key that ssh-keygen can read in one of the files, or a new one.

    What it cannot read is no loss: without a key nobody could log in to mend it.

    Args:
        places: Where the box's key may be.
        scratch: Where a directory for a new key is made.

    Raises:
        HostKeyError: ssh-keygen is missing or fails.
        OSError: There is no room for its files.
    """
    for path in places:
        if (key := read_host_key(path)) is not None:
            return key
    with TemporaryDirectory(prefix="edgenode-key-", dir=scratch) as directory:
        path = Path(directory) / "key"
        made = _keygen("-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path))
        key = read_host_key(path)
    if made.returncode != 0 or key is None:
        raise HostKeyError(f"ssh-keygen makes no key: {made.stderr.strip()}")
    return key


def read_host_key(path: Path) -> HostKey | None:
    """The key in a file; None where there is no Ed25519 key that ssh-keygen can read.

    Raises:
        HostKeyError: ssh-keygen is missing or does not end, so that nothing is known.
    """
    try:
        private = path.read_bytes()
    except OSError:
        return None
    ran = _keygen("-y", "-P", "", "-f", str(path))
    words = ran.stdout.split()
    if ran.returncode != 0 or len(words) < 2 or words[0] != "ssh-ed25519":
        return None
    return HostKey(private, f"{words[0]} {words[1]}")


def install_host_key(key: HostKey, path: Path) -> None:
    """Put the key where sshd reads it, with its public part beside it.

    Raises:
        OSError: It cannot be written.
    """
    replace_file(path, key.private, 0o600)
    replace_file(path.with_name(f"{path.name}.pub"), f"{key.public}\n".encode(), 0o644)


def ensure_member_key(path: Path) -> bytes:
    """Public part of the member's key, which is made where there is none.

    Raises:
        KeyFileError: It cannot be made, or what is there is no key. It is never replaced: the
            ward knows the node by it.
        OSError: Its directory cannot be made.
    """
    make_directory(path.parent)
    for draft in path.parent.glob(f".{path.name}.*"):
        remove_file(draft)  # of a first boot whose power failed; nobody knows that key
    if not path.exists():
        write_key(path, MemberKey.generate().seed, "edgenode member key: it never leaves this node")
    return MemberKey(read_key(path)).public


def _keygen(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603
            ["ssh-keygen", *arguments],  # noqa: S607
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_KEYGEN_LIMIT_S,
            check=False,
        )
    except FileNotFoundError:
        raise HostKeyError(
            "ssh-keygen is not installed (Debian's package openssh-client)"
        ) from None
    except subprocess.TimeoutExpired:
        raise HostKeyError(f"ssh-keygen has not ended within {_KEYGEN_LIMIT_S} s") from None
