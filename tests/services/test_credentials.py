"""Keys that systemd hands over come before those in files, and are as private."""

import pytest

from edgenode.services.credentials import read_secret_key
from edgenode.storage.keyfile import KeyFileError, read_key, write_key

OURS, THEIRS = bytes(range(32)), bytes(32)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """systemd's folder of credentials, and a key file elsewhere."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    write_key(tmp_path / "ward.key", THEIRS, "a ward key")
    return folder


def handed_over(folder, mode=0o400, content=None):
    path = folder / "ward.key"
    path.write_text(f"{OURS.hex()}\n" if content is None else content)
    path.chmod(mode)


@pytest.mark.parametrize("mode", [0o400, 0o440])
def test_the_key_that_systemd_hands_over_is_taken(folder, tmp_path, mode):
    handed_over(folder, mode)
    assert read_secret_key(tmp_path / "ward.key", "ward") == OURS


def test_without_one_of_that_name_the_file_is_read(folder, tmp_path):
    (folder / "member.key").write_text(OURS.hex())
    assert read_secret_key(tmp_path / "ward.key", "ward") == THEIRS


def test_outside_a_unit_the_file_is_read(folder, tmp_path, monkeypatch):
    handed_over(folder)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert read_secret_key(tmp_path / "ward.key", "ward") == THEIRS


def test_what_a_unit_gives_in_place_of_a_missing_key_leaves_the_file_to_be_missed(folder, tmp_path):
    handed_over(folder, content="\n")
    (tmp_path / "ward.key").unlink()
    with pytest.raises(KeyFileError, match=f"{tmp_path}/ward.key: there is no such file"):
        read_secret_key(tmp_path / "ward.key", "ward")


@pytest.mark.parametrize("mode", [0o404, 0o444, 0o460, 0o644])
def test_a_key_that_others_could_open_is_refused_whoever_put_it_there(folder, tmp_path, mode):
    handed_over(folder, mode)
    with pytest.raises(KeyFileError, match="others than its owner may open it"):
        read_secret_key(tmp_path / "ward.key", "ward")


def test_a_key_that_is_none_is_told_with_the_file_that_it_was_copied_from(folder, tmp_path):
    handed_over(folder, content="hello\n")
    with pytest.raises(KeyFileError, match=f"systemd's copy of {tmp_path}/ward.key") as refused:
        read_secret_key(tmp_path / "ward.key", "ward")
    assert "hello" not in str(refused.value)


def test_a_file_of_the_configuration_may_still_not_be_open_to_its_group(tmp_path):
    path = tmp_path / "member.key"
    write_key(path, OURS, "a member key")
    path.chmod(0o440)
    with pytest.raises(KeyFileError, match="others than its owner may open it"):
        read_key(path)
