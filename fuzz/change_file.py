"""Files that carry an enrolment or revocation from authority to authority.

Invariant: the file holds a change that is written and read back the same, and can be worded, or
ChangeFileError with a message that can be shown.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.storage.change_file import ChangeFileError, read_change, wording, write_change

_MEMORY = Path("/dev/shm")  # noqa: S108 - a file is made for each input, and none is to be kept


def one_input(data: bytes) -> bool:
    """Try one file."""
    with TemporaryDirectory(dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None) as folder:
        came, goes = Path(folder, "came"), Path(folder, "goes")
        came.write_bytes(data)
        try:
            change = read_change(came)
        except ChangeFileError as error:
            str(error).encode()
            return False
        assert isinstance(change, Enrolment | Revocation)
        write_change(goes, change)
        assert read_change(goes) == change
        assert wording(change).isprintable()
        return True
