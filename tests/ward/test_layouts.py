"""Boxes that find each other without seeds, remember each other, and have one socket of the two."""

import subprocess

import pytest

from tests.ward.network import network
from tests.ward.wards import agreed, asked, grown, until, ward_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]


def configured(ward, box, **values):
    """Write a box's configuration with other values in [gossip]; None takes a line out."""
    ward.configure(box)
    lines = box.config.read_text().splitlines()
    for key, value in values.items():
        lines = [line for line in lines if not line.startswith(f"{key} = ")]
        if value is not None:
            lines.insert(lines.index("[gossip]") + 1, f"{key} = {value}")
    box.config.write_text("\n".join(lines))


def know_each_other(boxes, others):
    until(
        lambda: all(len(box.client.peers()) == others for box in boxes),
        f"each box to have {others} peers",
    )


@pytest.mark.parametrize("version", [4, 6])
def test_boxes_on_one_network_find_each_other_and_remember(version):
    """None is told an address; those of IPv6 have those alone that their kernel gives them."""
    with network(3) as net, ward_of(3, before=lambda ward: net.place(ward.boxes), start=False) as w:
        for box, name in zip(w.boxes, net.names, strict=True):
            if version == 6:
                ip = ["ip", "-n", name, "-4", "address", "flush", "dev", "eth0"]
                subprocess.run(ip, check=True)
            host = "0.0.0.0" if version == 4 else "[::]"
            configured(w, box, sync=f'"{host}:{box.sync}"', broadcast=f'"{host}:{box.broadcast}"',
                       seeds=None)  # fmt: skip
            w.start_box(box)
        know_each_other(w.boxes, 2)
        grown(w.boxes, 2)
        agreed(w)
        for box in w.boxes:
            w.stop_box(box)
            text = box.config.read_text().replace("[gossip]", "[gossip]\ndiscovery = false")
            box.config.write_text(text)
        for box in w.boxes:
            w.start_box(box)
        know_each_other(w.boxes, 2)
        grown(w.boxes, 2)


def test_a_box_that_only_listens_and_one_that_does_not_broadcast_follow_the_chain():
    with ward_of(4, start=False) as ward:
        listener, quiet = ward.boxes[2:]
        for box in ward.boxes:
            configured(ward, box)
        configured(ward, listener, sync='"off"')
        configured(ward, quiet, broadcast='"off"')
        for box in ward.boxes:
            ward.start_box(box)
        grown(ward.boxes, 3)
        agreed(ward, ward.boxes)
        assert asked(listener.client.status).blocks_mined == 0
        sync, broadcast = (
            getattr(asked(quiet.client.status).traffic, name) for name in ("sync", "broadcast")
        )
        assert sync.datagrams_received
        assert not broadcast.datagrams_sent + broadcast.datagrams_received
        traffic = asked(listener.client.status).traffic
        assert not traffic.sync.datagrams_sent + traffic.sync.datagrams_received
        assert traffic.broadcast.datagrams_received


def test_boxes_of_a_group_speak_with_one_box_alone():
    with ward_of(4, start=False) as ward:
        gate, *group = ward.boxes[1:]
        for box in ward.boxes:
            configured(ward, box)
        for box in group:
            seeds = f'["{gate.host}:{gate.sync}"]'
            configured(ward, box, seeds=seeds, peers='"seeds"')
        for box in ward.boxes:
            ward.start_box(box)
        grown(ward.boxes, 3)
        agreed(ward)
        for box in group:
            assert [peer.address for peer in asked(box.client.peers)] == [
                f"{gate.host}:{gate.sync}"
            ]
