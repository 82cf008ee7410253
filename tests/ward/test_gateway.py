"""Boxes without any network take part through a gateway, whose own node is one of the ward."""

import subprocess

import pytest

from edgenode.gossip.gateway import BOXES_LIMIT, FIRST_PORT
from edgenode.protocol.mappings import NotCarried
from tests.ward.network import network
from tests.ward.wards import agreed, asked, grown, height, log_of, until, ward_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]


def with_lines(box, table, *lines):
    text = box.config.read_text()
    if f"[{table}]" not in text:
        text += f"\n[{table}]\n"
    box.config.write_text(text.replace(f"[{table}]", "\n".join([f"[{table}]", *lines])))


def behind(ward, net, box, name, gateway):
    """Take a box's network away, and give it a gateway."""
    subprocess.run(["ip", "-n", name, "link", "delete", "eth0"], check=True)
    ward.configure(box)
    lines = box.config.read_text().splitlines()
    box.config.write_text(
        "\n".join(line for line in lines if not line.startswith(("seeds", "sync", "broadcast")))
    )
    with_lines(box, "gossip", f'gateway = "{gateway}"')


def reported(box, value):
    report = asked(box.client.services).get("gateway")
    return 0 if report is None else report.values[value]


def linked(gate, boxes):
    until(lambda: reported(gate, "boxes") == boxes, f"{boxes} boxes to be linked")


def test_boxes_without_a_network_follow_and_mine_through_one_gateway():
    """The link is a Unix socket, which leads from a namespace without a network to another."""
    with (
        network(4) as net,
        ward_of(4, before=lambda ward: net.place(ward.boxes), start=False) as ward,
    ):
        gate, other, *lone = ward.boxes
        link = f"unix:{ward.plan.directory / 'gateway.sock'}"
        for box in (gate, other):
            ward.configure(box)
            ward.start_box(box)
        with_lines(gate, "gateway", f'listen = ["{link}"]')
        gateway = ward._unit(gate, "gateway")
        ward.supervisor.start(gateway)
        for box, name in zip(lone, net.names[2:], strict=True):
            behind(ward, net, box, name, link)
            ward.start_box(box)

        linked(gate, 2)
        for box in lone:
            until(lambda box=box: len(box.client.peers()) >= 2, "a session with each node")
        grown(ward.boxes, 3)
        for box in lone:
            until(lambda box=box: box.client.status().blocks_mined > 0, "it to mine a block")
        addresses = {peer.address for peer in asked(other.client.peers)}
        ports = {f"{gate.host}:{FIRST_PORT + n}" for n in range(0, 2 * BOXES_LIMIT, 2)}
        through = addresses & ports
        assert len(through) == 2, f"they are where the gateway's ports are: {addresses}"
        agreed(ward)

        # The gateway is killed and comes back: the boxes are where they were, and go on.
        ward.supervisor.stop([gateway.name], kill=True)
        until(lambda: "no link to the gateway" in log_of(lone[0]), "the box to miss its gateway")
        for box in ward.boxes:
            ward.supervisor.start(ward.supervisor.unit(box.unit_name("miner")))
        ward.supervisor.start(ward.supervisor.unit(gateway.name))
        linked(gate, 2)
        grown(ward.boxes, 3)
        assert through <= {peer.address for peer in asked(other.client.peers)}
        agreed(ward)
        assert reported(gate, "to_boxes_total") > 0
        assert reported(gate, "from_boxes_total") > 0
        assert reported(gate, f"dropped_{NotCarried.NO_GOSSIP}_total") == 0


def test_a_box_of_another_ward_is_not_let_in_and_says_so():
    with ward_of(1, start=False) as ward, ward_of(1, start=False) as stranger:
        (gate,), (box,) = ward.boxes, stranger.boxes
        link = f"unix:{ward.plan.directory / 'gateway.sock'}"
        ward.configure(gate)
        with_lines(gate, "gateway", f'listen = ["{link}"]')
        ward.start_box(gate)
        ward.supervisor.start(ward._unit(gate, "gateway"))
        stranger.configure(box)
        with_lines(box, "gossip", f'gateway = "{link}"')
        stranger.start_box(box)
        until(lambda: "the gateway refused: not of the ward" in log_of(box), "it to be refused")
        until(lambda: reported(gate, "refused_total") >= 1, "it to be counted")
        assert reported(gate, "boxes") == 0
        grown([box], 1)  # alone it works
        assert height(box) > 0
