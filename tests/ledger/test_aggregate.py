"""What the updates of a block make of its models, and what it takes to find out."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from edgenode.learning import update_codec
from edgenode.learning.aggregation import (
    DISCOUNT_ONE,
    HELD_BYTES,
    HELD_UPDATES,
    WeightedUpdate,
    fedavg,
)
from edgenode.learning.fixed_point import to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger.hashes import content_id
from edgenode.ledger.keys import SIGNATURE_BYTES
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import ModelState, Update
from edgenode.ledger.validation import evolve
from tests.ledger.builder import ALICE, make_genesis

EXAMPLES = 50


def ward(*sizes):
    """A genesis with a model of each size, and the models' states and parameters."""
    (model,) = make_genesis().models
    parameters = tuple(np.arange(size, dtype=np.int32) for size in sizes)
    roots = [content_id(to_bytes(p)) for p in parameters]
    models = tuple(
        replace(model, name=f"m{i}", parameters=len(p), root=root.hex())
        for i, (p, root) in enumerate(zip(parameters, roots, strict=True))
    )
    states = tuple(ModelState(7, 0, 0, root) for root in roots)
    return make_genesis(models=models), states, parameters


def update_of(model, payload):
    return Update(
        model=model,
        member=ALICE.public,
        base=bytes(32),
        examples=EXAMPLES,
        payload_length=len(payload),
        payload=content_id(payload),
        signature=bytes(SIGNATURE_BYTES),
    )


def coded(values):
    return update_codec.encode(np.array(values, np.int32), Codec.INT32)


class Payloads:
    """Payloads that are made anew whenever they are asked for, as a store reads them."""

    def __init__(self, count, size):
        self._seeds = {}
        self._size = size
        for seed in range(count):
            self._seeds[content_id(self._made(seed))] = seed
        self.updates = [(update_of(0, self[name]), 0) for name in self._seeds]

    def _made(self, seed):
        values = np.random.default_rng(seed).integers(-1000, 1000, self._size, np.int32)
        return update_codec.encode(values, Codec.INT32)

    def __getitem__(self, name):
        return self._made(self._seeds[name])


def peak(count, size):
    """Bytes at most in use while so many updates are counted, above those before."""
    genesis, states, parameters = ward(size)
    payloads = Payloads(count, size)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        evolve(genesis, states, parameters, payloads.updates, payloads.__getitem__)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def test_many_updates_take_no_more_memory_than_a_few():
    size = 50_000
    payload = update_codec.payload_lengths(size, Codec.INT32).most
    few, many = peak(HELD_UPDATES, size), peak(64, size)
    assert few > (2 + HELD_UPDATES) * payload, "the sums alone are as large as two payloads"
    assert many < few + 3 * payload // 2


def test_of_a_large_model_one_payload_is_held():
    size = HELD_BYTES // 4
    payload = update_codec.payload_lengths(size, Codec.INT32).most
    assert peak(HELD_UPDATES, size) < peak(1, size) + 3 * payload // 2


def test_updates_of_several_models_in_any_order_are_counted_for_their_own():
    genesis, states, parameters = ward(3, 2, 1)
    payloads = [coded(values) for values in ([1, 2, 3], [10, 20], [5, 6, 7])]
    updates = [(update_of(model, p), 0) for model, p in zip((0, 1, 0), payloads, strict=True)]
    at_hand = {content_id(payload): payload for payload in payloads}
    models, new = evolve(genesis, states, parameters, updates, at_hand.__getitem__)
    weight = EXAMPLES * DISCOUNT_ONE
    assert [p.tolist() for p in new] == [[3, 5, 7], [10, 21], [0]]
    assert (
        new[0].tolist()
        == fedavg(
            parameters[0],
            [WeightedUpdate(np.array(d, np.int32), weight) for d in ([1, 2, 3], [5, 6, 7])],
        ).tolist()
    )
    assert models == (
        ModelState(8, 2, 2 * EXAMPLES, content_id(to_bytes(new[0]))),
        ModelState(8, 1, EXAMPLES, content_id(to_bytes(new[1]))),
        states[2],
    )


def test_the_first_payload_in_block_order_that_violates_a_rule_is_named():
    genesis, states, parameters = ward(3, 2)
    good, other, strange = coded([1, 2, 3]), coded([4, 5]), b"\x07" + coded([1, 2, 3])[1:]
    wrong_hash = replace(update_of(1, other), payload=bytes(32))
    wrong_coding = update_of(0, strange)
    at_hand = {content_id(good): good, bytes(32): other, content_id(strange): strange}
    asked = []

    def payload(name):
        asked.append(name)
        return at_hand[name]

    def refused(*updates):
        asked.clear()
        with pytest.raises(Rejected) as caught:
            evolve(genesis, states, parameters, [(u, 0) for u in updates], payload)
        return caught.value.rule, len(asked)

    first = update_of(0, good)
    assert refused(first, wrong_hash, wrong_coding) == (Rule.PAYLOAD_HASH, 2)
    assert refused(first, wrong_coding, wrong_hash) == (Rule.PAYLOAD_CODING, 2)
