"""Secrets that systemd hands to a service: LoadCredential= of its unit, systemd.exec(5).

On a box the key files belong to root. systemd reads them and gives the gossip service, and no other
process, copies in a folder of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

from edgenode.storage.keyfile import KeyFileError, Kind, read_key

FOLDER_VARIABLE = "CREDENTIALS_DIRECTORY"
"""systemd names the folder in it; elsewhere it is not set."""

# A unit gives this in place of a file that the box lacks (SetCredential=), so that the service is
# started and can say which one, and where it comes from. systemd itself would not.
_MISSING = b"\n"


def read_secret_key(path: Path, kind: Kind = "member") -> bytes:
    """The key of this name that systemd handed over, or else the one in the file.

    Args:
        path: The key file that the configuration names.
        kind: Which key it holds.

    Raises:
        KeyFileError: It cannot be used, as `read_key` says.
    """
    credential = _handed_over(path.name)
    if credential is None:
        return read_key(path, kind)
    try:
        return read_key(credential, kind, credential=True)
    except KeyFileError as error:
        raise KeyFileError(f"{error} (it is systemd's copy of {path})") from None


def _handed_over(name: str) -> Path | None:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    credential = Path(folder) / name
    try:
        with credential.open("rb") as file:
            return None if file.read(len(_MISSING) + 1) == _MISSING else credential
    except FileNotFoundError:
        return None
    except OSError:
        return credential  # whoever reads it says what is wrong
