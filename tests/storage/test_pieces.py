"""Pieces on the disk: what is right of them is used again, whatever became of the files."""

import os
import time

import pytest

from edgenode.ledger.hashes import PIECE_BYTES, content_id, piece_hashes
from edgenode.protocol.flow import Flow
from edgenode.protocol.pulls import Completed, Pulls
from edgenode.protocol.transfer import KEPT_FROM_BYTES
from edgenode.protocol.wire import Chunk, GetChunks, ObjectKind, chunk_count, chunk_span
from edgenode.storage.pieces import BYTES_LIMIT, FILES_LIMIT, KEPT_SECONDS, PieceFiles

LARGE = os.urandom(KEPT_FROM_BYTES + 5 * PIECE_BYTES + 7)
PIECES = -(-len(LARGE) // PIECE_BYTES)
ID = content_id(LARGE)


class Puller:
    """A node that pulls something from one peer; `asked` are the chunks that it asked for."""

    def __init__(self, directory, data=LARGE):
        self.pulls = Pulls(kept=PieceFiles(directory))
        self.pulls.add_peer(1, Flow())
        self.data, self.now, self.asked = data, 0.0, []
        self.pulls.want(ObjectKind.STATE, content_id(data), None, 8 << 20, [1])

    def pull(self, chunks):
        """Take so many chunks, or all; returns the object if it is whole."""
        hashes = len(self.data).to_bytes(4, "little") + b"".join(piece_hashes(self.data))
        while True:
            requests = [r for _, r in self.pulls.pump(self.now) if isinstance(r, GetChunks)]
            assert requests, "it has come to a stop"
            for request in requests:
                whole = hashes if request.kind is ObjectKind.PIECES else self.data
                for first, count in request.ranges:
                    for index in range(first, min(first + count, chunk_count(len(whole)))):
                        if not chunks:
                            return None
                        chunks -= 1
                        if request.kind is not ObjectKind.PIECES:
                            self.asked.append(index)
                        start, end = chunk_span(len(whole), index)
                        sent = int(self.now * 1e6)
                        chunk = Chunk(request.tag, index, len(whole), sent, whole[start:end])
                        for outcome in self.pulls.chunk(1, chunk, self.now + 0.01):
                            if isinstance(outcome, Completed):
                                return outcome.data
            self.now += 0.02


def all_chunks():
    return chunk_count(len(LARGE))


def test_a_pull_goes_on_where_it_was_before_a_restart(tmp_path):
    assert Puller(tmp_path / "p").pull(all_chunks() // 2) is None
    again = Puller(tmp_path / "p")
    assert again.pull(10**6) == LARGE
    assert len(again.asked) < 0.6 * all_chunks()
    once_more = Puller(tmp_path / "p")
    assert once_more.pull(10**6) == LARGE
    assert len(once_more.asked) < 0.05 * all_chunks(), "a piece is left to become whole by"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.3, 0.999])
def test_a_file_that_was_cut_short_costs_what_is_missing(tmp_path, share):
    Puller(tmp_path).pull(10**6)
    (path,) = tmp_path.iterdir()
    os.truncate(path, int(share * path.stat().st_size))
    again = Puller(tmp_path)
    assert again.pull(10**6) == LARGE
    assert len(again.asked) <= (1 - share) * all_chunks() + 60


@pytest.mark.parametrize("place", [0, 3, 4, 100, 20_000, 500_000, len(LARGE)])
def test_a_byte_that_was_altered_costs_a_piece_or_all_and_harms_nothing(tmp_path, place):
    Puller(tmp_path).pull(10**6)
    (path,) = tmp_path.iterdir()
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)
        file.seek(place)
        file.write(bytes([byte[0] ^ 1]))
    assert Puller(tmp_path).pull(10**6) == LARGE


def test_anything_may_lie_there(tmp_path):
    path = tmp_path / f"state-{ID.hex()}"
    for content in (b"", b"\xff" * 4, b"\xff" * 100_000, os.urandom(5000)):
        path.write_bytes(content)
        assert Puller(tmp_path).pull(10**6) == LARGE
        path.unlink()
    path.mkdir()
    assert Puller(tmp_path).pull(10**6) == LARGE


def test_what_comes_in_a_moment_is_not_written(tmp_path):
    small = LARGE[: KEPT_FROM_BYTES - 1]
    puller = Puller(tmp_path / "p", small)
    puller.pulls.cancel(ObjectKind.STATE, content_id(small))
    puller.pulls.want(ObjectKind.STATE, content_id(small), len(small), len(small), [1])
    assert puller.pull(10**6) == small
    assert not (tmp_path / "p").exists()


def test_few_files_are_kept_the_newest_ones(tmp_path):
    files = PieceFiles(tmp_path)
    hashes = (100).to_bytes(4, "little") + bytes(32)
    for n in range(2 * FILES_LIMIT):
        files.keep(ObjectKind.STATE, bytes([n]) * 32, 0, b"x" * 100, hashes)
        os.utime(tmp_path / f"state-{(bytes([n]) * 32).hex()}", (time.time() - 60 + n,) * 2)
    assert len(list(tmp_path.iterdir())) == FILES_LIMIT
    assert (tmp_path / f"state-{(bytes([2 * FILES_LIMIT - 1]) * 32).hex()}").exists()


def test_files_take_so_many_bytes_and_grow_old(tmp_path):
    files = PieceFiles(tmp_path)
    big = tmp_path / f"state-{bytes(32).hex()}"
    big.touch()
    os.truncate(big, BYTES_LIMIT)
    hashes = (100).to_bytes(4, "little") + bytes(32)
    files.keep(ObjectKind.STATE, bytes([1]) * 32, 0, b"x" * 100, hashes)
    assert not big.exists()
    (left,) = tmp_path.iterdir()
    os.utime(left, (time.time() - KEPT_SECONDS - 1,) * 2)
    PieceFiles(tmp_path)
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_it_is_pulled_all_the_same(tmp_path, caplog):
    (tmp_path / "p").write_text("a file in the way")
    assert Puller(tmp_path / "p").pull(10**6) == LARGE
    assert caplog.text.count("what is pulled would not outlast a restart") == 1
