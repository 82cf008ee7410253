"""What a box costs: memory of its services, and what it writes to its card."""

import time

import pytest

from edgenode.appliance.units import SERVICES

MOST_PSS = 256 << 20
SECONDS = 1800
SECTOR = 512


def pss(box, service):
    """Bytes of memory of a service, what it shares with others divided among them."""
    group = f"/sys/fs/cgroup$(systemctl show --property=ControlGroup --value edgenode-{service})"
    return 1024 * int(
        box.out(
            f"sudo sh -c 'for pid in $(cat '{group}'/cgroup.procs); "
            "do cat /proc/$pid/smaps_rollup; done' | awk '/^Pss:/ {sum += $2} END {print sum}'"
        )
    )


def test_the_five_services_take_less_than_256_mib(box, record_property):
    box.wait_for_services()
    while box.status()["head"]["models"][0]["round"] < 1:
        time.sleep(2)
    taken = {service: pss(box, service) for service in SERVICES}
    for service, size in taken.items():
        record_property(f"PSS of {service}", f"{size / 1e6:.0f} MB")
    record_property("PSS of the five services", f"{sum(taken.values()) / 1e6:.0f} MB")
    assert all(taken.values())
    assert sum(taken.values()) < MOST_PSS


def test_how_long_it_boots(box, record_property):
    said = box.out("systemd-analyze time")
    record_property("boot under emulation", said.splitlines()[0].partition("in ")[2])
    box.out("systemd-analyze verify /usr/lib/systemd/system/edgenode*.service")


def written(box):
    """Bytes that the box has written to its card since it was started."""
    return SECTOR * int(box.out("cat /sys/block/vda/stat").split()[6])


def per_hour(box):
    """Bytes written in an hour, from what is written in a shorter while."""
    box.out("sync")
    before, began = written(box), time.monotonic()
    time.sleep(SECONDS)
    box.out("sync")
    return (written(box) - before) * 3600 / (time.monotonic() - began)


@pytest.mark.full
def test_what_is_written_to_the_card(box, record_property):
    box.wait_for_services()
    record_property("written in an hour, collecting and training", f"{per_hour(box) / 1e6:.0f} MB")
    box.out("sudo systemctl stop edgenode-collector edgenode-trainer")
    try:
        idle = per_hour(box)
    finally:
        box.out("sudo systemctl start edgenode-collector edgenode-trainer")
    record_property("written in an hour, mining without a wearable", f"{idle / 1e6:.0f} MB")
    box.wait_for_services()
