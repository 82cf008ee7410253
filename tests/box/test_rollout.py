"""A release that does not run is brought to a ward: it stops at the first box, the others work on.

Two full guests: the canary, and one of the rest. How batches follow each other is the subject of
`tests/ansible/test_rollout.py`, with boxes that are no guests.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from qemu import founding
from qemu.box import Box
from qemu.network import Switched
from qemu.patience import BOOT_PATIENCE, await_it
from qemu.ssh import OPERATOR, SSH_PORT, make_key
from qemu.ward import Ward, WardPlan
from tests.ansible.programs import HERE, run_playbook
from tests.box.bundles import GOSSIP_FAILS

pytestmark = pytest.mark.full


def roll_out(
    ward: Ward, network: Switched, folder: Path, bundle: Path
) -> subprocess.CompletedProcess[str]:
    """Run the playbook against a ward of guests."""
    hosts = {
        box.name: {
            "ansible_host": "127.0.0.1",
            "ansible_port": network.router.forward(number, SSH_PORT),
            "ansible_user": OPERATOR,
            "ansible_ssh_private_key_file": str(ward.plan.key),
            "ansible_ssh_common_args": (
                "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
            ),
        }
        for number, box in enumerate(ward.boxes, 1)
    }
    inventory = folder / "hosts.json"
    inventory.write_text(json.dumps({"boxes": {"hosts": hosts}}))
    return run_playbook(
        HERE / "rollout.yml", "-i", str(inventory), "--timeout", "120",
        variables={"bundle": str(bundle)},
    )  # fmt: skip


def confirmed(box: Box) -> bool:
    """Whether its node was healthy in this boot."""
    said = box.run("sudo edgenode-bootslot show")
    return "slot A: good, 3 starts left" in said.stdout


def test_a_release_whose_gossip_fails_stops_at_the_first_box(image, bundles, tmp_path):
    key = make_key(tmp_path / "key")
    plan = WardPlan(image, tmp_path / "ward", key, recordings=None, spacing=15)
    with Switched(tmp_path / "network") as network, Ward(plan, network) as ward:
        ward.start()
        ward.wait()
        ward.found()
        for box in ward.boxes:
            await_it(
                lambda box=box: confirmed(box) or None,
                BOOT_PATIENCE, lambda: "a slot was not confirmed", pause=5,
            )  # fmt: skip
        canary, other = ward.boxes
        boots = [box.ssh.boot_id() for box in ward.boxes]
        broken = bundles.make(bundles.newer(7), root=bundles.root_with(GOSSIP_FAILS))

        done = roll_out(ward, network, tmp_path, broken)

        assert done.returncode != 0
        assert "did not keep the release and went back to slot A" in " ".join(done.stdout.split())
        for box in ward.boxes:
            assert "rauc.slot=A" in box.run("cat /proc/cmdline").stdout
        assert canary.ssh.boot_id() != boots[0]
        assert other.ssh.boot_id() == boots[1]
        founding.accept_clock(canary)
        height = founding.status(other)["head"]["height"]
        await_it(
            lambda: founding.status(canary)["head"]["height"] > height or None,
            BOOT_PATIENCE, lambda: "the canary mines no more", pause=5,
        )  # fmt: skip
