"""A file is the old one or the new one, whenever the power fails; nothing is written in vain."""

import errno
import os

import pytest

from edgenode.appliance.durable_file import make_directory, remove_file, replace_file
from tests.appliance.power import run_until_cut
from tests.conftest import require_root, require_tool


def test_a_file_is_made_with_its_directory_and_mode(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    assert replace_file(path, b"one", 0o600) is True
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert path.parent.stat().st_mode & 0o7777 == 0o755
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_what_is_as_it_should_be_is_not_written(tmp_path):
    path = tmp_path / "file"
    replace_file(path, b"one", 0o644)
    before = path.stat()
    assert replace_file(path, b"one", 0o644) is False
    after = path.stat()  # reading it may have changed its time of access
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert after.st_ctime_ns == before.st_ctime_ns
    assert replace_file(path, b"two", 0o644) is True
    assert replace_file(path, b"two", 0o600) is True
    assert replace_file(path, b"two", 0o600) is False


def test_what_a_power_cut_left_is_written_over_and_taken_away(tmp_path):
    path, draft = tmp_path / "file", tmp_path / ".file.edgenode-setup"
    draft.write_bytes(b"half of something long")
    replace_file(path, b"short", 0o644)
    assert (path.read_bytes(), draft.exists()) == (b"short", False)
    draft.write_bytes(b"a secret of a former run")
    replace_file(path, b"short", 0o644)
    assert not draft.exists()


def test_a_link_is_replaced_and_not_followed(tmp_path):
    other = tmp_path / "other"
    other.write_text("theirs")
    for name in ("file", ".file.edgenode-setup"):
        (tmp_path / name).symlink_to(other)
    with pytest.raises(OSError, match="symbolic links") as caught:
        replace_file(tmp_path / "file", b"mine", 0o644)
    assert caught.value.errno == errno.ELOOP
    (tmp_path / ".file.edgenode-setup").unlink()
    replace_file(tmp_path / "file", b"mine", 0o644)
    assert (other.read_text(), (tmp_path / "file").read_text()) == ("theirs", "mine")


@pytest.mark.parametrize("old", [None, b"", b"old content"])
def test_a_power_cut_leaves_the_old_file_or_the_new_one(tmp_path, old):
    new = b"new content, which is longer"
    steps = 0
    cut = True
    seen = set()
    while cut:
        path = tmp_path / str(steps) / "file"
        path.parent.mkdir()
        if old is not None:
            path.write_bytes(old)
        cut = run_until_cut(lambda path=path: replace_file(path, new, 0o644), steps)
        seen.add(path.read_bytes() if path.exists() else None)
        replace_file(path, new, 0o644)
        assert path.read_bytes() == new
        assert [entry.name for entry in path.parent.iterdir()] == ["file"]
        steps += 1
    assert seen == {old, new}
    assert steps > 4


def test_a_writer_that_does_not_flush_would_be_found_out(tmp_path):
    path, draft = tmp_path / "file", tmp_path / "draft"
    path.write_bytes(b"old")

    def careless():
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, b"new")
        os.close(descriptor)
        draft.replace(path)
        path.chmod(0o600)

    assert run_until_cut(careless, 2)  # before the chmod
    assert path.read_bytes() == b""


def test_a_file_that_is_mounted_by_itself_is_written_in_place(tmp_path):
    require_root("mount")
    mount, umount = require_tool("mount", "mount"), require_tool("umount", "mount")
    path, kept = tmp_path / "hostname", tmp_path / "kept"
    path.touch()
    kept.write_text("a longer name\n")
    if os.spawnv(os.P_WAIT, mount, ["mount", "--bind", str(kept), str(path)]) != 0:
        pytest.skip("no mounts here")
    try:
        assert replace_file(path, b"bed-1\n", 0o644) is True
        assert replace_file(path, b"bed-1\n", 0o644) is False
        assert kept.read_text() == "bed-1\n"
        assert sorted(entry.name for entry in tmp_path.iterdir()) == ["hostname", "kept"]
    finally:
        os.spawnv(os.P_WAIT, umount, ["umount", str(path)])


def test_a_file_is_removed_once(tmp_path):
    path = tmp_path / "file"
    path.touch()
    remove_file(path)
    remove_file(path)
    assert not path.exists()


def test_directories_can_be_entered_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        make_directory(tmp_path / "a" / "b")
        make_directory(tmp_path / "c", 0o700)
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o700
