"""An update reaches everybody, whoever offers it first and whatever that one does then."""

import numpy as np
import pytest

from edgenode.learning import update_codec
from edgenode.learning.update_codec import Codec
from edgenode.ledger.hashes import content_id
from edgenode.ledger.keys import SIGNATURE_BYTES
from edgenode.ledger.transaction import Update
from edgenode.protocol.wire import Socket
from tests.sim.test_branches import QuietWard


@pytest.mark.parametrize("then", ["it serves nothing", "it loses power"])
def test_who_only_says_that_it_has_an_update_is_a_source_as_well(then):
    ward = QuietWard(4)
    member, _, first, victim = ward.boxes
    ward.run(30)
    post = ward._post
    # The victim hears of the update from one box only.
    ward._post = lambda sender, datagram: (
        None
        if datagram.socket is Socket.BROADCAST
        and datagram.address.host == victim.host
        and sender is not first
        else post(sender, datagram)
    )
    first.running._serve = lambda *_: None
    update, payload = signed_update(ward, member)
    member.running.submit_update(update, payload, ward.instant)
    ward._after(member)
    relay = victim.running._relay
    assert ward.run_until(lambda: update.id in relay.offers, 10)
    ward._post = post
    if then == "it loses power":
        ward.switch_off(first)
    assert ward.run_until(lambda: update.id in victim.running.mempool, 30)


def signed_update(ward, box):
    payload = update_codec.encode(np.arange(10, dtype=np.int32), Codec.INT32)
    update = Update(
        model=0,
        member=box.key.public,
        base=box.running.chain.head.id,
        examples=5,
        payload_length=len(payload),
        payload=content_id(payload),
        signature=bytes(SIGNATURE_BYTES),
    )
    return update.signed(box.key, ward.genesis.id), payload
