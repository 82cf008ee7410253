"""What a lossy codec leaves out is sent later, and once."""

import numpy as np
import pytest

from edgenode.learning.error_feedback import CARRIED_LIMIT, ErrorFeedback
from edgenode.learning.update_codec import Codec, decode

COUNT = 500


def differences(rounds, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.laplace(0, 1, (rounds, COUNT)) * 1000).astype(np.int32)


@pytest.mark.parametrize("codec", Codec)
def test_what_was_said_and_what_is_carried_are_all_that_was_learnt(codec):
    feedback = ErrorFeedback(codec)
    said = np.zeros(COUNT, np.int64)
    learnt = differences(30)
    for base, delta in enumerate(learnt):
        said += decode(feedback.encode(bytes([base]), delta), COUNT, codec)
        feedback.sent()
    left = learnt.sum(axis=0) - said
    # The rest goes bit by bit, the furthest first, while nothing new is learnt.
    for base in range(400):
        payload = feedback.encode(base.to_bytes(2), np.zeros(COUNT, np.int32))
        left -= decode(payload, COUNT, codec)
        feedback.sent()
    assert not left.any()


def test_a_difference_that_is_always_rounded_away_arrives_all_the_same():
    """One large parameter sets the step; the others move by less than half of it each round."""
    delta = np.ones(COUNT, np.int32)
    delta[0] = 64
    feedback, alone = ErrorFeedback(Codec.INT4), ErrorFeedback(Codec.INT4)
    said = np.zeros(COUNT, np.int64)
    without = np.zeros(COUNT, np.int64)
    for base in range(64):
        said += decode(feedback.encode(bytes([base]), delta), COUNT, Codec.INT4)
        feedback.sent()
        without += decode(alone.encode(bytes([base]), delta), COUNT, Codec.INT4)
    assert not without[1:].any(), "else this test shows nothing"
    assert np.abs(said - 64 * delta.astype(np.int64)).max() <= 16


def test_an_update_that_was_refused_is_not_counted_as_said():
    first, second = differences(2)
    tried, never = ErrorFeedback(Codec.TOP1), ErrorFeedback(Codec.TOP1)
    tried.encode(b"1", first)  # and not sent
    assert tried.encode(b"2", second) == never.encode(b"2", second)


def test_an_update_that_is_asked_for_again_is_the_same_and_counts_once():
    first, second = differences(2)
    again, once = ErrorFeedback(Codec.TOP1), ErrorFeedback(Codec.TOP1)
    payload = once.encode(b"1", first)
    once.sent()
    for _ in range(3):
        assert again.encode(b"1", first) == payload
        again.sent()
    assert again.encode(b"2", second) == once.encode(b"2", second)
    again.sent()
    once.sent()
    assert again.encode(b"3", second) != again.encode(b"2", second), "on another base it is new"


def test_an_update_that_was_sent_counts_though_another_one_was_tried_in_between():
    first, second = differences(2)
    tried, never = ErrorFeedback(Codec.TOP1), ErrorFeedback(Codec.TOP1)
    for feedback in (tried, never):
        feedback.encode(b"1", first)
        feedback.sent()
    tried.encode(b"1", second)  # refused: one on this base waits
    for feedback in (tried, never):
        feedback.encode(b"1", first)
        feedback.sent()
    assert tried.encode(b"2", second) == never.encode(b"2", second)


def test_what_is_carried_stays_bounded():
    """Else sums would leave 64 bits, years on. What is left shows once nothing is learnt."""
    feedback = ErrorFeedback(Codec.TOP1)
    furthest, nothing = np.full(3, 2**31 - 1, np.int32), np.zeros(3, np.int32)
    rounds = 2 * CARRIED_LIMIT // 2**31
    for base in range(rounds):
        feedback.encode(base.to_bytes(2), furthest)
        feedback.sent()
    said = np.zeros(3, np.int64)
    for base in range(10 * rounds):
        said += decode(feedback.encode(b"n" + base.to_bytes(4), nothing), 3, Codec.TOP1)
        feedback.sent()
    assert said.max() == CARRIED_LIMIT
