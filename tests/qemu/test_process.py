"""A QEMU process and its monitor, with a real QEMU that has no machine: it is up in a moment."""

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from qemu import sockets
from qemu.errors import GuestEndedError, PatienceError, QemuError
from qemu.hardware import QEMU
from qemu.process import MONITOR, MORTAL, QemuProcess
from qemu.qmp import Monitor, MonitorError
from tests.conftest import require_tool

NOTHING = [QEMU, "-M", "none", "-nodefaults", "-display", "none", *MONITOR]


@pytest.fixture
def process(tmp_path: Path):
    require_tool(QEMU, "qemu-system-arm")
    # A path that no socket's address would hold.
    made = QemuProcess("nothing", tmp_path / ("long-" * 25))
    yield made
    made.kill()


def test_it_runs_until_it_is_told_to_end(process):
    assert not process.running
    process.start(NOTHING)
    assert process.running
    assert process.monitor.execute("query-status")["status"] in {"running", "prelaunch"}
    assert process.monitor.execute("query-name") == {}
    process.quit()
    assert not process.running
    assert "ended with status 0" in process.ended()


def test_it_can_be_started_again_after_a_kill(process):
    process.start(NOTHING)
    first = process.pid
    process.kill()
    with pytest.raises(GuestEndedError, match="status -9"):
        _ = process.monitor
    process.start(NOTHING)
    assert process.pid != first


def test_it_is_started_once_only(process):
    process.start(NOTHING)
    with pytest.raises(QemuError, match="is on already"):
        process.start(NOTHING)


def test_what_qemu_refuses_is_told_in_its_words(process):
    with pytest.raises(GuestEndedError, match="unsupported machine type"):
        process.start([QEMU, "-M", "toaster", *MONITOR])


def test_a_command_that_qemu_refuses_is_an_error_and_the_monitor_goes_on(process):
    process.start(NOTHING)
    with pytest.raises(MonitorError, match="make-coffee"):
        process.monitor.execute("make-coffee")
    assert process.monitor.execute("query-version")["qemu"]["major"] >= 7


def test_events_are_waited_for_however_early_they_came(process):
    process.start(NOTHING)
    process.monitor.execute("stop")
    process.monitor.execute("query-status")
    assert process.monitor.wait_for_event("STOP", 60)["event"] == "STOP"
    with pytest.raises(PatienceError):
        process.monitor.wait_for_event("STOP", 0.1)


def test_a_qemu_that_dies_is_noticed_by_who_waits_for_it(process):
    process.start(NOTHING)
    monitor, pid = process.monitor, process.pid
    threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
    with pytest.raises(GuestEndedError):
        monitor.wait_for_event("RESET", 60)


def test_a_qemu_ends_with_who_started_it(process):
    started = threading.Event()
    over = threading.Event()

    def start() -> None:
        process.start(NOTHING)
        started.set()
        over.wait()

    thread = threading.Thread(target=start)
    thread.start()
    started.wait(60)
    assert process.running
    over.set()
    thread.join()
    process.wait(60)
    assert not process.running
    assert MORTAL[0] == "setpriv"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b'{"hello": 1}\n', "not the socket of a QEMU monitor"),
        (b"SSH-2.0-OpenSSH\r\n", "what is not JSON"),
        (b"[1]\n", "what is no object"),
        (b"", "QEMU ended"),
        (b"x" * (5 << 20), "more than"),
    ],
)
def test_a_monitor_that_is_none_is_refused(tmp_path, said, error):
    listening = sockets.listen(tmp_path / "monitor.sock")

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            try:
                connection.sendall(said)
                connection.shutdown(socket.SHUT_WR)
                connection.recv(1)
            except OSError:
                return

    thread = threading.Thread(target=serve)
    thread.start()
    with pytest.raises(QemuError, match=error):
        Monitor(tmp_path / "monitor.sock")
    thread.join()
    listening.close()
