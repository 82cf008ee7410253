"""Objects come whole, whatever is lost, whoever lies or is silent, and from whoever has a part."""

import random

import pytest

from edgenode.ledger.encoding import u32
from edgenode.ledger.hashes import PIECE_BYTES, content_id
from edgenode.protocol import pulls as pulls_module
from edgenode.protocol.flow import Flow
from edgenode.protocol.pulls import HASHES_LIMIT, Pulls, Spoilt
from edgenode.protocol.serving import READS_AT_ONCE
from edgenode.protocol.wire import (
    CHUNK_BYTES,
    Chunk,
    GetChunks,
    Holding,
    Holdings,
    ObjectKind,
    chunk_count,
    chunk_span,
)
from tests.protocol.swarm import Swarm

NAME = bytes(32)
PAYLOAD, BLOCK = ObjectKind.PAYLOAD, ObjectKind.BLOCK


def made(size, seed=1):
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.4])
@pytest.mark.parametrize("size", [1, 1130, 1131, PIECE_BYTES, PIECE_BYTES + 1, 490_281])
@pytest.mark.parametrize("length", [True, False])
def test_an_object_arrives_whole_whatever_is_lost(loss, size, length):
    swarm = Swarm(2, loss=loss, seed=size)
    source, box = swarm.boxes
    source.has(data := made(size))
    name = swarm.want(box, data, [source], length=length)
    assert swarm.run(lambda: name in box.done)
    assert box.done[name].data == data
    pieced = size > PIECE_BYTES or not length
    assert box.done[name].source == (None if pieced else 0)
    assert len(box.pulls) == 0


def test_without_loss_every_chunk_is_sent_once():
    swarm = Swarm(2, delay=(0.002, 0.002))
    source, box = swarm.boxes
    source.has(data := made(490_281))
    name = swarm.want(box, data, [source])
    assert swarm.run(lambda: name in box.done)
    assert swarm.chunks == chunk_count(len(data)) + 1, "and one with the hashes"


@pytest.mark.parametrize("loss", [0.05, 0.2])
def test_with_loss_little_more_is_sent_than_was_lost(loss):
    swarm = Swarm(2, loss=loss)
    source, box = swarm.boxes
    source.has(data := made(1_000_000))
    name = swarm.want(box, data, [source])
    assert swarm.run(lambda: name in box.done)
    assert swarm.chunks < 1.1 * chunk_count(len(data)) / (1 - loss)


def test_many_boxes_pull_from_each_other_what_one_has():
    """The source sends little more than one copy, though eleven are made."""
    swarm = Swarm(12, rate=1000, delay=(0.002, 0.002))
    source, *others = swarm.boxes
    source.has(data := made(980_562))
    for box in others:
        name = swarm.want(box, data, [source])
    assert swarm.run(lambda: all(name in box.done for box in others))
    assert all(box.done[name].data == data for box in others)
    copies = source.sent / chunk_count(len(data))
    assert copies < 3
    assert swarm.chunks < 1.03 * len(others) * chunk_count(len(data))
    alone = len(others) * chunk_count(len(data)) / 1000
    assert swarm.now < alone / 2


def test_a_box_that_asks_later_hears_who_has_what():
    swarm = Swarm(4, rate=1000)
    source, first, second, late = swarm.boxes
    source.has(data := made(490_281))
    for box in (first, second):
        name = swarm.want(box, data, [source])
    assert swarm.run(lambda: name in first.done and name in second.done)
    sent = source.sent
    swarm.want(late, data, [source])
    assert swarm.run(lambda: name in late.done)
    assert source.sent - sent < 0.7 * chunk_count(len(data))


def test_who_has_a_part_serves_it_before_it_has_all():
    swarm = Swarm(3)
    source, half, box = swarm.boxes
    source.has(data := made(4 * PIECE_BYTES))
    name = swarm.want(half, data, [source])
    transfer = half.pulls._transfers[PAYLOAD, name]
    assert swarm.run(lambda: len(transfer.pieces) >= 2)
    source.dead = True
    swarm.want(box, data, [half])
    assert not swarm.run(lambda: name in box.done, limit=30)
    assert len(transfer.pieces) >= 2
    assert box.pulls._transfers[PAYLOAD, name].pieces == transfer.pieces
    source.dead = False
    assert swarm.run(lambda: name in box.done and name in half.done)


def test_a_peer_that_says_nothing_is_left_for_one_that_answers():
    swarm = Swarm(4)
    *silent, source, box = swarm.boxes
    for each in silent:
        each.dead = True
    source.has(data := made(50_000))
    name = swarm.want(box, data, [*silent, source])
    assert swarm.run(lambda: name in box.done)
    source.has(block := made(900, 2), BLOCK)
    name = swarm.want(box, block, [*silent, source], BLOCK, length=False)
    assert swarm.run(lambda: name in box.done)
    assert box.done[name].source == source.number


def test_where_one_peer_grows_silent_the_others_send_its_part():
    swarm = Swarm(4, rate=500)
    *sources, box = swarm.boxes
    data = made(490_281)
    for source in sources:
        source.has(data)
    name = swarm.want(box, data, sources)
    transfer = box.pulls._transfers[PAYLOAD, name]
    assert swarm.run(lambda: len(transfer.pieces) > 3)
    sources[0].dead = sources[1].dead = True
    sources[0].objects.clear()
    sources[1].objects.clear()
    assert swarm.run(lambda: name in box.done, limit=swarm.now + 30)


def test_a_slow_peer_is_helped_with_what_it_was_asked_for():
    swarm = Swarm(3)
    slow, quick, box = swarm.boxes
    data = made(4 * PIECE_BYTES)
    slow.has(data)
    quick.has(data)
    answer = slow.answer
    slow.answer = lambda request, now: (
        answer(request, now)[:1] if request.kind is PAYLOAD else answer(request, now)
    )
    name = swarm.want(box, data, [slow, quick])
    assert swarm.run(lambda: name in box.done, limit=20)
    assert box.spoilt == []


def test_a_peer_that_lacks_the_object_is_left_for_another():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.add_peer(2, Flow())
    pulls.want(BLOCK, NAME, None, 1000, [1])
    assert [session for session, _ in pulls.pump(0.0)] == [1]
    pulls.absent(1, BLOCK, NAME, 0.0)
    assert pulls.pump(0.1) == []
    pulls.want(BLOCK, NAME, None, 1000, [1, 2])
    assert [session for session, _ in pulls.pump(0.2)] == [2]
    pulls.absent(2, BLOCK, NAME, 0.2)
    assert pulls.deadline() is None or pulls.pump(0.3) == []
    assert [session for session, _ in pulls.pump(5.3)] == [1], "after a while it may have it"


def test_a_lost_session_hands_over_to_another():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(PAYLOAD, NAME, 3000, 3000, [1])
    pulls.pump(0.0)
    pulls.drop_peer(1)
    assert pulls.pump(0.1) == []
    pulls.add_peer(2, Flow())
    pulls.want(PAYLOAD, NAME, 3000, 3000, [2])
    assert pulls.pump(0.2) == [(2, GetChunks(PAYLOAD, NAME, 1, ((0, 3),)))]


def asked(pulls, now):
    """The only request."""
    ((_, request),) = pulls.pump(now)
    return request


def test_an_object_longer_than_its_limit_is_not_taken():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(BLOCK, NAME, None, 2000, [1])
    tag = asked(pulls, 0.0).tag
    assert pulls.chunk(1, Chunk(tag, 0, 2**32 - 1, 0, bytes(CHUNK_BYTES)), 0.1) == []
    assert pulls.pump(0.2) == [], "that peer is left alone for a while"
    pulls.add_peer(2, Flow())
    pulls.want(BLOCK, NAME, None, 2000, [2])
    tag = asked(pulls, 0.3).tag
    (done,) = pulls.chunk(2, Chunk(tag, 0, 10, 0, bytes(10)), 0.4)
    assert done.data == bytes(10)


def test_a_list_of_hashes_longer_than_any_is_not_taken():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(ObjectKind.STATE, NAME, None, 32 << 20, [1])
    tag = asked(pulls, 0.0).tag
    assert pulls.chunk(1, Chunk(tag, 0, HASHES_LIMIT + 1, 0, bytes(CHUNK_BYTES)), 0.1) == []
    assert pulls.pump(0.2) == []


def test_a_peer_that_was_not_asked_cannot_spoil_an_object():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.add_peer(2, Flow())
    pulls.want(BLOCK, NAME, None, 5000, [1])
    tag = asked(pulls, 0.0).tag
    assert pulls.chunk(2, Chunk(tag, 0, 2000, 0, bytes(CHUNK_BYTES)), 0.1) == []
    assert pulls.chunk(1, Chunk(tag + 1, 0, 2000, 0, bytes(CHUNK_BYTES)), 0.1) == []
    (done,) = pulls.chunk(1, Chunk(tag, 0, 3, 0, b"abc"), 0.2)
    assert (done.data, done.source) == (b"abc", 1)


def test_a_peer_that_changes_its_mind_about_the_length_is_left():
    pulls = Pulls()
    for session in (1, 2):
        pulls.add_peer(session, Flow())
    pulls.want(BLOCK, NAME, None, 5000, [1, 2])
    ((first, request),) = pulls.pump(0.0)
    assert pulls.chunk(first, Chunk(request.tag, 0, 2000, 0, bytes(1130)), 0.1) == []
    assert pulls.chunk(first, Chunk(request.tag, 1, 2001, 0, bytes(871)), 0.1) == []
    ((other, request),) = pulls.pump(0.2)
    assert other != first
    (done,) = pulls.chunk(other, Chunk(request.tag, 0, 3, 0, b"abc"), 0.3)
    assert (done.data, done.source) == (b"abc", other)


# Lies


def lying(swarm, liar, data, wrong):
    """Have a box serve `wrong` for the pieces of `data`."""
    answer = liar.answer

    def lie(request, now):
        chunks = answer(request, now)
        if request.kind is not PAYLOAD:
            return chunks
        return [
            Chunk(c.tag, c.index, c.length, c.sent, wrong[slice(*chunk_span(len(data), c.index))])
            for c in chunks
        ]

    liar.answer = lie


def test_who_sends_a_wrong_piece_is_named_and_the_object_comes_from_others():
    swarm = Swarm(3)
    liar, honest, box = swarm.boxes
    data = made(6 * PIECE_BYTES)
    liar.has(data)
    honest.has(data)
    lying(swarm, liar, data, bytes(len(data)))
    name = swarm.want(box, data, [liar, honest])
    assert swarm.run(lambda: name in box.done)
    assert box.done[name].data == data
    assert set(box.spoilt) <= {liar.number}


def test_chunks_of_two_that_do_not_fit_blame_nobody_who_was_right():
    """The liar helps with pieces of the honest one; these are pulled once more, from one."""
    for seed in range(20):
        swarm = Swarm(3, seed=seed, loss=0.1, rate=300)
        liar, honest, box = swarm.boxes
        data = made(3 * PIECE_BYTES, seed)
        liar.has(data)
        honest.has(data)
        lying(swarm, liar, data, bytes(len(data)))
        name = swarm.want(box, data, [honest, liar])
        assert swarm.run(lambda name=name, box=box: name in box.done)
        assert box.done[name].data == data
        assert set(box.spoilt) <= {liar.number}


@pytest.mark.parametrize("wrong", [u32(70_000) + bytes(96), bytes(100)])
def test_who_sends_wrong_hashes_is_named(wrong):
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(PAYLOAD, NAME, 70_000, 70_000, [1])
    tag = asked(pulls, 0.0).tag
    (spoilt,) = pulls.chunk(1, Chunk(tag, 0, len(wrong), 0, wrong), 0.1)
    assert spoilt == Spoilt(PAYLOAD, NAME, 1)
    assert pulls.pump(0.2) == []


def test_hashes_of_another_length_than_the_objects_are_not_taken():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(PAYLOAD, NAME, 70_000, 70_000, [1])
    tag = asked(pulls, 0.0).tag
    assert pulls.chunk(1, Chunk(tag, 0, 132, 0, bytes(132)), 0.1) == []
    assert pulls.pump(0.2) == []


def test_an_update_that_states_another_length_than_its_payload_has_is_never_pulled():
    swarm = Swarm(2)
    source, box = swarm.boxes
    source.has(data := made(70_000))
    name = content_id(data)
    box.pulls.want(PAYLOAD, name, 80_000, 80_000, [0])
    assert not swarm.run(lambda: name in box.done, limit=30)
    box.pulls.want(PAYLOAD, name, 70_000, 70_000, [0])
    assert swarm.run(lambda: name in box.done), "two state two lengths: the hashes decide"


def test_who_claims_pieces_that_it_does_not_have_is_left():
    swarm = Swarm(3)
    boaster, source, box = swarm.boxes
    source.has(data := made(6 * PIECE_BYTES))
    name = swarm.want(box, data, [source])
    swarm.send(boaster, box, Holdings((Holding(PAYLOAD, name, 6, 0b111111),)))
    assert swarm.run(lambda: name in box.done, limit=20)


@pytest.mark.parametrize("pieces", [0, 5, 7, 1024])
def test_holdings_of_another_number_of_pieces_are_passed_over(pieces):
    swarm = Swarm(3)
    boaster, source, box = swarm.boxes
    source.has(data := made(6 * PIECE_BYTES))
    name = swarm.want(box, data, [source])
    transfer = box.pulls._transfers[PAYLOAD, name]
    assert swarm.run(lambda: transfer.hashes is not None)
    holding = Holding(PAYLOAD, name, pieces, (1 << pieces) - 1)
    assert box.pulls.holding(boaster.number, holding, swarm.now)
    assert boaster.number not in transfer.holdings
    assert swarm.run(lambda: name in box.done)


# Bounds


def test_objects_that_nobody_gives_let_others_have_their_turn(monkeypatch):
    monkeypatch.setattr(pulls_module, "ACTIVE_LIMIT", 4)
    swarm = Swarm(2)
    source, box = swarm.boxes
    source.answer = lambda request, now, answer=source.answer: (
        [] if source.find(request.kind, request.id) is None else answer(request, now)
    )
    for n in range(8):
        box.pulls.want(PAYLOAD, content_id(bytes([n])), 1000, 1000, [0])
    source.has(data := made(5000))
    name = swarm.want(box, data, [source])
    assert swarm.run(lambda: name in box.done, limit=300)


def test_what_takes_too_much_memory_waits_and_what_came_of_it_goes(monkeypatch):
    monkeypatch.setattr(pulls_module, "ACTIVE_BYTES", 300_000)
    swarm = Swarm(2, rate=2000)
    source, box = swarm.boxes
    objects = [made(200_000, seed) for seed in range(4)]
    for data in objects:
        source.has(data)
    names = [swarm.want(box, data, [source]) for data in objects]
    most = 0

    def all_here():
        nonlocal most
        held = sum(t.received for t in box.pulls._transfers.values())
        most = max(most, held)
        return all(name in box.done for name in names)

    assert swarm.run(all_here)
    assert most <= 300_000


def test_a_request_asks_for_no_more_than_a_window(monkeypatch):
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    for n in range(10):
        pulls.want(BLOCK, bytes([n]) * 32, None, 10**6, [1])
    requests = [request for _, request in pulls.pump(0.0)]
    assert sum(count for r in requests for _, count in r.ranges) <= 16


def test_cancelled_objects_are_not_asked_for_again():
    pulls = Pulls()
    pulls.add_peer(1, Flow())
    pulls.want(BLOCK, NAME, None, 5000, [1])
    tag = asked(pulls, 0.0).tag
    pulls.keep_only(set())
    assert len(pulls) == 0
    assert pulls.deadline() is None
    assert pulls.chunk(1, Chunk(tag, 0, 3, 0, b"abc"), 0.1) == []
    assert pulls.pump(10.0) == []


# What a review found


def test_who_has_an_object_of_another_length_than_a_liar_stated_is_not_blamed():
    swarm = Swarm(3)
    *sources, box = swarm.boxes
    data = made(70_000)
    for source in sources:
        source.has(data)
    box.pulls.want(PAYLOAD, content_id(data), 80_000, 80_000, [0, 1])
    box.pulls.want(ObjectKind.PARAMETERS, content_id(data), 90_000, 90_000, [0, 1])
    assert not swarm.run(lambda: box.done, limit=30)
    assert box.spoilt == []


@pytest.mark.parametrize(
    ("size", "kind"), [(900, BLOCK), (20_000, PAYLOAD), (70_000, PAYLOAD), (490_281, PAYLOAD)]
)
@pytest.mark.parametrize("how", ["one chunk a request", "nothing of this object"])
def test_a_peer_that_trickles_or_withholds_does_not_keep_an_object_from_coming(size, kind, how):
    swarm = Swarm(3, rate=2000)
    bad, honest, box = swarm.boxes
    data, other = made(size), made(5_000_000, 9)
    for source in (bad, honest):
        source.has(data, kind)
        source.objects[kind, NAME] = data
    bad.has(other)
    answer = bad.answer

    def badly(request, now):
        if request.id != content_id(data):
            return answer(request, now)
        return answer(request, now)[:1] if how == "one chunk a request" else []

    bad.answer = badly
    swarm.want(box, other, [bad])  # it brings this one, so it is not silent
    name = swarm.want(box, data, [bad, honest], kind, length=kind is PAYLOAD)
    assert swarm.run(lambda: name in box.done, limit=60)


def test_what_an_honest_peer_has_is_asked_for_although_it_lacks_much_else():
    swarm = Swarm(2, delay=(0.25, 0.25))
    source, box = swarm.boxes
    for n in range(28):
        box.pulls.want(BLOCK, bytes([n]) * 32, None, 10_000, [0])
    source.has(data := made(900), BLOCK)
    name = swarm.want(box, data, [source], BLOCK, length=False)
    assert swarm.run(lambda: name in box.done, limit=60)


def test_a_state_of_unknown_length_keeps_no_block_from_coming():
    swarm = Swarm(3)
    trickler, source, box = swarm.boxes
    trickler.answer = lambda request, now: []
    box.pulls.want(ObjectKind.STATE, NAME, None, 32 << 20, [0])
    box.pulls.want(ObjectKind.STATE, bytes([1]) * 32, None, 32 << 20, [])
    source.has(data := made(900), BLOCK)
    name = swarm.want(box, data, [source], BLOCK, length=False)
    assert swarm.run(lambda: name in box.done, limit=5)


def test_who_claims_pieces_of_blocks_takes_no_turn():
    swarm = Swarm(3)
    boaster, source, box = swarm.boxes
    for n in range(40):
        box.pulls.want(BLOCK, bytes([n]) * 32, None, 10_000, [])
        box.pulls.holding(boaster.number, Holding(BLOCK, bytes([n]) * 32, 8, 255), 0.0)
    source.has(data := made(900), BLOCK)
    name = swarm.want(box, data, [source], BLOCK, length=False)
    assert swarm.run(lambda: name in box.done, limit=5)


def test_who_only_helps_with_wrong_chunks_is_found_out_when_the_right_ones_are_here():
    found = 0
    for seed in range(20):
        swarm = Swarm(3, seed=seed, rate=400)
        liar, honest, box = swarm.boxes
        data = made(PIECE_BYTES + 1, seed)
        liar.has(data)
        honest.has(data)
        lying(swarm, liar, data, bytes(len(data)))
        name = swarm.want(box, data, [honest, liar])
        assert swarm.run(lambda name=name, box=box: name in box.done)
        assert set(box.spoilt) <= {liar.number}
        found += bool(box.spoilt)
    assert found > 10


def test_nothing_of_an_object_is_held_once_it_is_handed_over():
    swarm = Swarm(2)
    source, box = swarm.boxes
    source.has(data := made(8 * PIECE_BYTES))
    name = swarm.want(box, data, [source])
    transfer = box.pulls._transfers[PAYLOAD, name]
    assert swarm.run(lambda: len(transfer.pieces) == 4)
    units = list(transfer.units.values())
    held = transfer.received
    assert held <= len(data) * 5 / 8
    assert swarm.run(lambda: name in box.done)
    assert transfer.received == 0
    assert not any(unit.chunks for unit in units)


def test_words_about_pieces_are_not_forgotten_while_chunks_come():
    swarm = Swarm(3, rate=200)
    source, one, other = swarm.boxes
    source.has(data := made(20 * PIECE_BYTES))
    name = swarm.want(one, data, [source])
    swarm.want(other, data, [source])
    told = []
    send = swarm.send

    def noted(sender, receiver, message):
        if sender is one and receiver is other and isinstance(message, Holdings):
            told.append(swarm.now)
        send(sender, receiver, message)

    swarm.send = noted
    assert swarm.run(lambda: name in one.done)
    assert len(told) > 5


def test_a_peer_reads_no_more_of_the_disk_than_its_budget_allows():
    swarm = Swarm(2)
    source, _ = swarm.boxes
    reads = []
    find = source.find

    def noted(kind, name):
        reads.append(name)
        return find(kind, name)

    for n in range(1000):
        request = GetChunks(PAYLOAD, n.to_bytes(32), n, ((0, 1),))
        source.serving.answer(request, 1, noted, 0.0)
    assert len(reads) == READS_AT_ONCE
    source.serving.answer(GetChunks(PAYLOAD, bytes(32), 1, ((0, 1),)), 2, noted, 0.0)
    assert len(reads) == READS_AT_ONCE + 1, "others have their own"
