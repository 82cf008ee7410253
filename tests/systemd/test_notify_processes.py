"""Each service as systemd starts it: it says when it is ready, that it is alive, when it ends."""

import signal
import socket
import subprocess
import sys

import pytest

from tests.services.debian_systemd import with_debians_library
from tests.systemd.units import NODE
from tests.ward.wards import ward_of

pytestmark = pytest.mark.processes

TURNS = 3
"""How often a service must be heard of: once could be another place than its loop."""


@pytest.fixture(scope="module")
def configured():
    """A box with all five services and no adapter for its sensors; none of them runs."""
    with ward_of(1, start=False, hash_rate=1000) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        tables = (
            '[collector]\nadapter = "bluez:hci9"\nsensors = ["F0:0E:00:00:00:01"]\n\n'
            '[trainer]\nmodel = "activity"\n'
        )
        box.config.write_text(f"{box.config.read_text()}\n{tables}")
        yield box


@pytest.mark.parametrize("service", NODE)
def test_systemd_hears_that_a_service_is_ready_alive_and_ending(configured, tmp_path, service):
    environment = with_debians_library(tmp_path)
    environment["DBUS_SYSTEM_BUS_ADDRESS"] = "unix:path=/nonexistent"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
        (tmp_path / "stderr").open("w+") as stderr,
    ):
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        process = subprocess.Popen(
            [sys.executable, "-m", f"edgenode.services.{service}", "--config", configured.config],
            env=environment,
            stderr=stderr,
        )
        try:
            heard = [systemd.recv(100).decode()]
            while heard.count("WATCHDOG=1") < TURNS:
                heard.append(systemd.recv(100).decode())
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in heard:
                heard.append(systemd.recv(100).decode())
            assert process.wait(60) == 0, (stderr.seek(0), stderr.read())
        finally:
            process.kill()
            process.wait()
    assert heard[0] == "READY=1"
    assert set(heard) == {"READY=1", "WATCHDOG=1", "STOPPING=1"}
