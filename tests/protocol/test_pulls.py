import random

import pytest

from edgenode.protocol.flow import LONGEST_WINDOW, Flow
from edgenode.protocol.pulls import Pulls
from edgenode.protocol.wire import CHUNK_BYTES, Chunk, GetChunks, ObjectKind, chunk_length

NAME = bytes(32)


def answer(request: GetChunks, data: bytes) -> list[Chunk]:
    out = []
    for first, count in request.ranges:
        for index in range(first, first + count):
            if (size := chunk_length(len(data), index)) > 0:
                piece = data[index * CHUNK_BYTES : index * CHUNK_BYTES + size]
                out.append(Chunk(request.kind, request.id, len(data), index, piece))
    return out


def transfer(data, *, loss, seed, length_known=True, peers=1, dead=()):
    """Pull `data` over a link that loses requests and answers; returns bytes and chunks sent."""
    rng = random.Random(seed)
    pulls, now, sent = Pulls(), 0.0, 0
    for session in range(1, peers + 1):
        pulls.add_peer(session, Flow())
    length = len(data) if length_known else None
    pulls.want(ObjectKind.PAYLOAD, NAME, length, 10**7, range(1, peers + 1))
    for _ in range(20_000):
        for session, request in pulls.pump(now):
            if session in dead or rng.random() < loss:
                continue
            for chunk in answer(request, data):
                sent += 1
                if rng.random() < loss:
                    continue
                done = pulls.chunk(session, chunk, now + 0.01)
                if done is not None:
                    return done, sent
        deadline = pulls.deadline()
        now = max(now + 0.01, min(deadline, now + 0.02) if deadline else now)
    pytest.fail("the transfer never ended")


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("size", [1, 1024, 1025, 97_000, 490_281])
@pytest.mark.parametrize("length_known", [True, False])
def test_an_object_arrives_whole_whatever_is_lost(loss, size, length_known):
    data = random.Random(size).randbytes(size)
    done, _ = transfer(data, loss=loss, seed=size, length_known=length_known)
    assert done.data == data
    assert done.source == 1


def test_without_loss_every_chunk_is_sent_once():
    data = bytes(200_000)
    _, sent = transfer(data, loss=0.0, seed=1)
    assert sent == -(-len(data) // CHUNK_BYTES)


def test_at_ten_percent_loss_little_more_is_sent_than_was_lost():
    data = bytes(490_281)
    _, sent = transfer(data, loss=0.1, seed=1)
    assert sent < 1.25 * len(data) / CHUNK_BYTES


def test_a_peer_that_says_nothing_is_left_for_one_that_answers():
    done, _ = transfer(bytes(50_000), loss=0.0, seed=1, peers=3, dead={1, 2})
    assert done.source == 3


def test_a_peer_that_lacks_the_object_is_left_for_another():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.add_peer(2, Flow())
    pulls.want(ObjectKind.BLOCK, NAME, None, 1000, [1])
    assert [session for session, _ in pulls.pump(0.0)] == [1]
    pulls.absent(1, ObjectKind.BLOCK, NAME, 0.0)
    assert pulls.pump(0.1) == []
    pulls.want(ObjectKind.BLOCK, NAME, None, 1000, [1, 2])
    assert [session for session, _ in pulls.pump(0.2)] == [2]


def test_a_lost_session_hands_over_to_another():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(ObjectKind.PAYLOAD, NAME, 3000, 3000, [1])
    pulls.pump(0.0)
    pulls.drop_peer(1)
    assert pulls.pump(0.1) == []
    pulls.add_peer(2, Flow())
    pulls.want(ObjectKind.PAYLOAD, NAME, 3000, 3000, [2])
    assert pulls.pump(0.2) == [(2, GetChunks(ObjectKind.PAYLOAD, NAME, ((0, 3),)))]


def test_an_object_longer_than_its_limit_is_not_taken():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(ObjectKind.BLOCK, NAME, None, 2000, [1])
    pulls.pump(0.0)
    giant = Chunk(ObjectKind.BLOCK, NAME, 2**32 - 1, 0, bytes(1024))
    assert pulls.chunk(1, giant, 0.1) is None
    assert pulls.pump(0.2) == [], "that peer is left alone for a while"
    pulls.add_peer(2, Flow())
    pulls.want(ObjectKind.BLOCK, NAME, None, 2000, [2])
    assert [session for session, _ in pulls.pump(0.3)] == [2]
    assert pulls.chunk(2, Chunk(ObjectKind.BLOCK, NAME, 10, 0, bytes(10)), 0.4).data == bytes(10)


def test_a_peer_that_was_not_asked_cannot_spoil_an_object():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.add_peer(2, Flow())
    pulls.want(ObjectKind.BLOCK, NAME, None, 5000, [1])
    pulls.pump(0.0)
    assert pulls.chunk(2, Chunk(ObjectKind.BLOCK, NAME, 2000, 0, bytes(1024)), 0.1) is None
    done = pulls.chunk(1, Chunk(ObjectKind.BLOCK, NAME, 3, 0, b"abc"), 0.2)
    assert (done.data, done.source) == (b"abc", 1)


def test_a_peer_that_changes_its_mind_about_the_length_is_left():
    pulls = Pulls()
    for session in (1, 2):
        pulls.add_peer(session, Flow())
    pulls.want(ObjectKind.BLOCK, NAME, None, 5000, [1, 2])
    ((first, _),) = pulls.pump(0.0)
    assert pulls.chunk(first, Chunk(ObjectKind.BLOCK, NAME, 2000, 0, bytes(1024)), 0.1) is None
    assert pulls.chunk(first, Chunk(ObjectKind.BLOCK, NAME, 2001, 1, bytes(977)), 0.1) is None
    ((other, _),) = pulls.pump(0.2)
    assert other != first
    done = pulls.chunk(other, Chunk(ObjectKind.BLOCK, NAME, 3, 0, b"abc"), 0.3)
    assert (done.data, done.source) == (b"abc", other)


def test_what_is_not_wanted_any_more_is_not_pulled():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(ObjectKind.BLOCK, NAME, None, 5000, [1])
    pulls.pump(0.0)
    pulls.keep_only(set())
    assert len(pulls) == 0
    assert pulls.pump(10.0) == []


def test_long_objects_are_pulled_few_at_a_time():
    pulls = Pulls()
    for session in range(1, 9):
        pulls.add_peer(session, Flow())
    for n in range(8):
        name = bytes([n]) * 32
        pulls.want(ObjectKind.PAYLOAD, name, 16 << 20, 16 << 20, range(1, 9))
    assert len({request.id for _, request in pulls.pump(0.0)}) == 2


def test_chunks_nobody_asked_for_are_ignored():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    assert pulls.chunk(1, Chunk(ObjectKind.BLOCK, NAME, 10, 0, bytes(10)), 0.0) is None


def test_the_window_grows_without_loss_and_shrinks_with_it():
    flow = Flow()
    for index in range(5000):
        flow.ask((ObjectKind.PAYLOAD, NAME, index), again=False, now=index * 0.01)
        flow.receive((ObjectKind.PAYLOAD, NAME, index), index * 0.01 + 0.005)
    grown = flow.room
    assert 64 < grown <= LONGEST_WINDOW
    flow.ask((ObjectKind.PAYLOAD, NAME, 6000), again=False, now=100.0)
    assert flow.expire(200.0) == [(ObjectKind.PAYLOAD, NAME, 6000)]
    assert flow.room < grown


def test_what_the_chain_lacks_goes_before_offers_that_nobody_serves():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.add_peer(2, Flow())
    for n in range(100):
        pulls.want(ObjectKind.PAYLOAD, bytes([n]) * 32, 5000, 5000, [1], urgent=False)
    pulls.pump(0.0)
    pulls.want(ObjectKind.BLOCK, b"b" * 32, None, 5000, [1, 2])
    asked = [(s, r.kind) for t in range(1, 200) for s, r in pulls.pump(t / 10)]
    assert (2, ObjectKind.BLOCK) in asked


def test_a_sole_source_that_is_silent_gives_way_to_other_objects_and_is_tried_again():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    for n in range(5):
        pulls.want(ObjectKind.PAYLOAD, bytes([n]) * 32, 100_000, 100_000, [1])
    asked = [r.id for t in range(8000) for _, r in pulls.pump(t / 10)]
    assert len(set(asked)) == 5
    assert asked.count(asked[0]) > 1


def test_the_next_deadline_lies_ahead_once_all_that_can_be_asked_was_asked():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    for n in range(80):
        pulls.want(ObjectKind.PAYLOAD, bytes([n]) * 32, 5000, 5000, [1])
    pulls.pump(10.0)
    assert pulls.deadline() > 10.0


def test_of_two_lengths_that_updates_state_for_one_payload_neither_is_believed():
    data = bytes(range(250)) * 20
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(ObjectKind.PAYLOAD, NAME, 201, 201, [1], urgent=False)
    ((_, request),) = pulls.pump(0.0)
    for chunk in answer(request, data):
        assert pulls.chunk(1, chunk, 0.1) is None
    whole = []
    for now in (10.0, 10.1, 10.2):  # said again and again, as long as it is wanted
        pulls.want(ObjectKind.PAYLOAD, NAME, len(data), len(data), [1])
        pulls.want(ObjectKind.PAYLOAD, NAME, 201, 201, [1], urgent=False)
        for _, request in pulls.pump(now):
            for chunk in answer(request, data):
                whole += filter(None, [pulls.chunk(1, chunk, now)])
    assert whole
    assert {done.data for done in whole} == {data}


def test_a_peer_that_sends_a_chunk_now_and_then_does_not_keep_the_object_to_itself():
    data = bytes(99_165)
    pulls, now = Pulls(), 0.0
    pulls.add_peer(1, Flow())
    pulls.want(ObjectKind.PAYLOAD, NAME, len(data), len(data), [1])
    asked = {1: [], 2: []}
    for _ in range(200):
        for session, request in pulls.pump(now):
            asked[session] += answer(request, data)
        if asked[2]:
            break
        pulls.add_peer(2, Flow()) if now == 0.0 else None
        pulls.want(ObjectKind.PAYLOAD, NAME, len(data), len(data), [2])
        now = pulls.deadline()
        if asked[1]:
            pulls.chunk(1, asked[1].pop(), now - 1e-3)
    else:
        pytest.fail("the idle peer was never asked")


def test_nothing_is_queued_at_a_peer_that_may_be_silent():
    data, pulls, whole = bytes(3000), Pulls(), 0
    for session in (1, 2):
        pulls.add_peer(session, Flow())
    for n in range(20):
        pulls.want(ObjectKind.BLOCK, bytes([n]) * 32, None, 5000, [1, 2])
    while requests := pulls.pump(0.0):
        for session, request in requests:
            for chunk in answer(request, data) if session == 2 else []:
                whole += pulls.chunk(2, chunk, 0.0) is not None
    assert whole == 16, "all but those that the silent one was asked for at first"


def test_what_pauses_holds_no_more_bytes_than_may_be_pulled_at_a_time(monkeypatch):
    """Its sole source never sends the last chunk; the others have their turn, and end alike."""
    size, limit = 40 * CHUNK_BYTES, 100 * CHUNK_BYTES
    monkeypatch.setattr("edgenode.protocol.pulls.ACTIVE_BYTES", limit)
    pulls, now = Pulls(), 0.0
    names = [bytes([n]) * 32 for n in range(6)]
    pulls.add_peer(1, Flow())
    for name in names:
        pulls.want(ObjectKind.PAYLOAD, name, size, size, [1])
    begun = set()
    for _ in range(3000):
        for _, request in pulls.pump(now):
            for chunk in answer(request, bytes(size)):
                if chunk.index < 39:
                    pulls.chunk(1, chunk, now)
                    begun.add(chunk.id)
            assert pulls.received({(ObjectKind.PAYLOAD, name) for name in names}) <= limit
        now = max(now + 0.01, pulls.deadline() or now)
    assert begun == set(names)
