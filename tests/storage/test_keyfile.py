"""A key file holds one key, for its owner only, and is never written over."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgenode.storage.keyfile import KeyFileError, read_key, write_key

KEY = bytes(range(32))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "member.key"


def put(path, content, mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)


def test_a_key_comes_back_from_its_file(path):
    write_key(path, KEY, "edgenode member key")
    assert read_key(path) == KEY


def test_only_the_owner_may_open_a_new_file_whatever_the_umask(path):
    old = os.umask(0)
    try:
        write_key(path, KEY, "edgenode member key")
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_is_there_stays(path):
    put(path, b"precious")
    with pytest.raises(KeyFileError, match="there is a file already"):
        write_key(path, KEY, "edgenode member key")
    assert path.read_bytes() == b"precious"
    assert list(path.parent.iterdir()) == [path]


def test_of_many_writers_at_once_one_wins_and_its_key_is_whole(path):
    keys = [bytes([n]) * 32 for n in range(16)]

    def attempt(key):
        try:
            write_key(path, key, "edgenode member key")
        except KeyFileError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(attempt, keys))
    assert won.count(True) == 1
    assert read_key(path) == keys[won.index(True)]


def test_a_directory_that_is_missing_is_reported(tmp_path):
    with pytest.raises(KeyFileError, match="cannot be written: No such file or directory"):
        write_key(tmp_path / "none" / "member.key", KEY, "edgenode member key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o777])
def test_a_file_that_others_may_open_is_refused_with_the_remedy(path, mode):
    put(path, KEY.hex().encode(), mode)
    with pytest.raises(KeyFileError, match=rf"has mode {mode:04o}.*chmod 600 "):
        read_key(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# only a comment\n",
        KEY.hex().encode()[:-1],
        KEY.hex().encode() + b"\n" + KEY.hex().encode(),
        b"g" * 64,
        b"\xff" * 64,
        KEY,
        b"#" * 5000 + b"\n" + KEY.hex().encode(),
    ],
)
def test_what_is_no_key_is_refused_and_never_repeated(path, content):
    put(path, content)
    with pytest.raises(KeyFileError, match="is no key file") as caught:
        read_key(path)
    assert KEY.hex()[:16] not in str(caught.value)


def test_a_key_written_by_hand_is_read(path):
    put(path, b"\n# ward key of ward 7\r\n  " + KEY.hex().upper().encode() + b"  \r\n\r\n", 0o400)
    assert read_key(path) == KEY


def test_a_missing_file_is_reported_with_what_to_do(path):
    with pytest.raises(KeyFileError, match=r"no such file; make it with: edgenode key create --f"):
        read_key(path)


def test_a_missing_ward_key_is_to_be_copied_or_made_by_the_first_node(path):
    remedy = "copy it from another node .* on the first node make it with: edgenode key create ward"
    with pytest.raises(KeyFileError, match=remedy):
        read_key(path, "ward")


@pytest.mark.parametrize("name", ["", "/"])
def test_what_has_no_name_is_no_key_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyFileError, match="there is a file already"):
        write_key(Path(name), KEY, "edgenode member key")
    assert list(tmp_path.iterdir()) == []


def test_a_fifo_holds_nobody_up(path):
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFileError, match="is no regular file"):
        read_key(path)
