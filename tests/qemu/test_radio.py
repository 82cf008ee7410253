"""The radio of guests: Bluetooth controllers on Unix sockets, driven by a real host stack."""

import signal
import socket

import pytest

from demo.radio import wearable_address
from qemu import sockets
from qemu.errors import QemuError
from qemu.radio import Place
from qemu.radio_process import RadioProcess

RESET = bytes([1, 0x03, 0x0C, 0])
RESET_DONE = bytes([4, 0x0E, 4])
SET_SCAN = bytes([1, 0x0B, 0x20, 7, 1, 0x10, 0, 0x10, 0, 0, 0])
SCAN_ON = bytes([1, 0x0C, 0x20, 2, 1, 0])
ADVERTISING_REPORT = bytes([4, 0x3E])
PATIENCE = 60.0


@pytest.mark.parametrize("text", ["people=1,2 socket=/a b/radio.sock", "socket=radio.sock"])
def test_a_place_is_read_as_it_is_written(text):
    assert str(Place.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "people=1,2", "socket=", "people=1 port=3", "people=0 socket=x", "1 socket=x"]
)
def test_a_place_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match=r"is not like people=1,2 socket=|people must be numbers"):
        Place.parse(text)


@pytest.fixture
def radio(tmp_path, recorded):
    places = [Place((1, 2), tmp_path / "radio-1.sock"), Place((), tmp_path / "radio-2.sock")]
    made = RadioProcess(places, tmp_path / "radio.log", recordings=recorded, speed=8)
    yield made
    made.stop()


def heard(connection: socket.socket, what: bytes) -> bytes:
    """All that a controller says until it has said something."""
    said = b""
    while what not in said:
        data = connection.recv(4096)
        assert data, "the controller hung up"
        said += data
    return said


def test_each_box_has_a_controller_that_hears_the_wearables(radio, tmp_path):
    assert radio.start() == [[wearable_address(1)], []]
    for number in (1, 2):
        with sockets.connect(tmp_path / f"radio-{number}.sock", PATIENCE) as guest:
            guest.sendall(RESET)
            heard(guest, RESET_DONE)
            guest.sendall(SET_SCAN + SCAN_ON)
            said = heard(guest, ADVERTISING_REPORT)
            address = bytes.fromhex(wearable_address(1).replace(":", ""))[::-1]
            while address not in said:
                said += guest.recv(4096)


def test_a_machine_that_comes_back_finds_its_controller_again(radio, tmp_path):
    radio.start()
    for _ in range(3):
        with sockets.connect(tmp_path / "radio-1.sock", PATIENCE) as guest:
            guest.sendall(RESET[:2])  # switched off in the middle of a command
        with sockets.connect(tmp_path / "radio-1.sock", PATIENCE) as guest:
            guest.sendall(RESET)
            heard(guest, RESET_DONE)


def test_a_radio_may_go_and_come(radio, tmp_path):
    radio.start()
    radio.stop(signal.SIGKILL)
    with pytest.raises(OSError, match="refused"):
        sockets.connect(tmp_path / "radio-1.sock", PATIENCE)
    radio.start()
    with sockets.connect(tmp_path / "radio-1.sock", PATIENCE) as guest:
        guest.sendall(RESET)
        heard(guest, RESET_DONE)


def test_a_radio_that_does_not_come_up_says_why(tmp_path):
    place = Place((1,), tmp_path / "radio.sock")
    radio = RadioProcess([place], tmp_path / "radio.log", recordings=tmp_path / "missing.npz")
    with pytest.raises(QemuError, match=r"missing\.npz"):
        radio.start()
