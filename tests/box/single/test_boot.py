"""A flashed box, switched on: everything runs, and nothing that must not be possible is."""

import pytest

from edgenode.appliance.units import SERVICES


def test_no_unit_has_failed(box):
    assert box.failed_units() == ""


def test_no_units_wait_for_each_other(box):
    journal = box.out("sudo journalctl --boot --output=cat --identifier=systemd")
    assert "edgenode" in journal
    assert "ordering cycle" not in journal


def test_all_five_services_run(box):
    for name in SERVICES:
        box.wait_until(f"systemctl is-active --quiet edgenode-{name}")
        box.out(f"test $(systemctl show --property=NRestarts --value edgenode-{name}) = 0")


def test_the_box_mines(box):
    box.wait_for_a_block()


def test_the_root_is_read_only_and_state_is_on_the_card(box):
    assert box.out("findmnt -no FSTYPE,OPTIONS /").startswith("squashfs ro")
    for folder in ("/etc/edgenode", "/var/lib/edgenode", "/var/log/ring"):
        assert box.out(f"findmnt -no FSTYPE {folder}") == "ext4"
    assert box.out("findmnt -no FSTYPE /etc") == "overlay"


def test_the_data_partition_has_grown_to_the_end_of_the_card(box):
    size = int(box.out("df --output=size --block-size=1M /data | tail -n 1"))
    assert size > 2500


def test_the_slot_is_confirmed_once_the_node_is_healthy(box):
    box.wait_until("sudo edgenode-bootslot show | grep -q 'slot A: good, 3 starts left'")


def test_collecting_goes_before_training_and_training_before_mining(box):
    weights = {
        name: box.out(
            f"cd /sys/fs/cgroup/edgenode.slice/edgenode-{name}.slice && cat cpu.idle cpu.weight"
        ).split()
        for name in ("collecting", "training", "mining")
    }
    assert weights["mining"][0] == "1"
    assert weights["training"] == ["0", "100"]
    assert weights["collecting"] == ["0", "1000"]


INTERNET_SOCKET = "python3 -c 'import socket; socket.socket(socket.AF_INET)'"
SAMPLES = "ls /var/lib/edgenode/samples"
HIDDEN = "No such file or directory"


@pytest.mark.parametrize(
    ("unit", "command", "refusal"),
    [
        ("collector", SAMPLES, None),
        ("trainer", SAMPLES, None),
        ("gossip", SAMPLES, HIDDEN),
        ("exporter", SAMPLES, HIDDEN),
        ("miner", SAMPLES, HIDDEN),
        ("gossip", INTERNET_SOCKET, None),
        ("collector", INTERNET_SOCKET, "Address family not supported"),
        ("trainer", INTERNET_SOCKET, "Address family not supported"),
        ("miner", INTERNET_SOCKET, "Address family not supported"),
    ],
)
def test_what_a_service_may_do_is_what_the_kernel_says(box, unit, command, refusal):
    # The unit's own sandbox around another program: its settings, its user, its name spaces.
    lines = box.out(f"cat /usr/lib/systemd/system/edgenode-{unit}.service").splitlines()
    dropped = ("ExecCondition=", "ExecStart=", "Type=", "WatchdogSec=", "Restart", "OnFailure=")
    kept = [line for line in lines if not line.startswith(dropped)]
    at = kept.index("[Service]") + 1
    # The folder of gossip's socket is its RuntimeDirectory, which would end with the probe.
    kept[at:at] = ["Type=oneshot", f'ExecStart=/bin/sh -c "{command}"',
                   "RuntimeDirectoryPreserve=yes"]  # fmt: skip
    box.run("sudo tee /run/systemd/system/probe.service >/dev/null", text="\n".join(kept) + "\n")
    box.out("sudo systemctl daemon-reload")
    outcome = box.run("sudo systemctl start probe.service", check=False)
    said = box.out(
        "sudo journalctl --output=cat _SYSTEMD_INVOCATION_ID="
        "$(systemctl show --property=InvocationID --value probe.service)"
    )
    box.run("sudo systemctl reset-failed probe.service", check=False)
    if refusal is None:
        assert outcome.status == 0, said
    else:
        box.out("sudo ls /var/lib/edgenode/samples")  # it is there, for others
        assert outcome.status != 0
        assert refusal in said
