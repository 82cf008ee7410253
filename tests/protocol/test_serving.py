"""What a node keeps at hand of what it serves."""

from edgenode.protocol import serving
from edgenode.protocol.wire import ObjectKind
from edgenode.sim.ward import Ward


def test_objects_at_hand_are_bounded_in_bytes_and_the_last_one_stays(monkeypatch):
    ward = Ward(1, 1)
    for _ in range(7):
        ward.mine_now(ward.boxes[0])
    node = ward.boxes[0].running
    names = [node.chain.at(height).id for height in range(1, 7)]
    length = len(node._object(ObjectKind.BLOCK, names[-1]))
    for limit, kept in ((3 * length, 3), (length // 2, 1)):
        monkeypatch.setattr(serving, "SERVED_BYTES", limit)
        node._serving._at_hand.clear()
        for name in names:
            assert node._object(ObjectKind.BLOCK, name) is not None
        assert [name for _, name in node._serving._at_hand] == names[-kept:]
