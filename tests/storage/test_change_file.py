"""A change file comes from somebody else: it is shown, signed and written again, or refused."""

import pytest

from edgenode.ledger.enrolment import Enrolment
from edgenode.storage.change_file import ChangeFileError, read_change, write_change

MEMBER = bytes(range(32))


def test_a_change_survives_its_file(tmp_path):
    change = Enrolment(MEMBER, "bed 7", 3, ((0, bytes(64)),))
    write_change(tmp_path / "change", change)
    assert read_change(tmp_path / "change") == change


@pytest.mark.parametrize(
    "name",
    ["", "\x1b[2Kbed 7", "bed 7\nrevoke nobody", "bed\r7", "bed\x007", "\x7f"],
)
def test_a_name_that_a_terminal_would_obey_or_not_show_is_refused(tmp_path, name):
    change = Enrolment(MEMBER, name, 0, ())
    (tmp_path / "change").write_text(change.encode().hex())
    with pytest.raises(ChangeFileError, match="printable") as caught:
        read_change(tmp_path / "change")
    assert str(caught.value).isprintable()
