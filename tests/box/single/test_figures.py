"""What a box costs: memory of its services, and the time that it boots."""

import time

from edgenode.appliance.units import SERVICES

MOST_PSS = 256 << 20


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
    record_property("boot under emulation", said.splitlines()[0].partition("in ")[2].strip())
