"""Where links lead: what is written in the configuration, and streams that are opened there."""

import asyncio
import socket
import sys

import pytest

from edgenode.gossip.streams import RFCOMM_CHANNEL, Place, connect, listen


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rfcomm:B8:27:EB:00:00:01", Place("rfcomm", "B8:27:EB:00:00:01", RFCOMM_CHANNEL)),
        ("rfcomm:*", Place("rfcomm", "*", RFCOMM_CHANNEL)),
        ("tcp:192.0.2.1:7073", Place("tcp", "192.0.2.1", 7073)),
        ("tcp:[fd00::1]:7073", Place("tcp", "fd00::1", 7073)),
        ("unix:/run/gateway.sock", Place("unix", "/run/gateway.sock")),
    ],
)
def test_a_place_is_read_as_it_is_written(text, place):
    assert Place.parse(text) == place
    assert str(place) == text


def test_a_radios_address_may_be_in_small_letters():
    assert Place.parse("rfcomm:b8:27:eb:00:00:01").host == "B8:27:EB:00:00:01"


@pytest.mark.parametrize(
    "text",
    ["", "rfcomm:", "rfcomm:B8:27:EB:00:00", "rfcomm:hci0", "tcp:host", "tcp:host:0",
     "tcp:host:65536", "tcp::7073", "unix:", "udp:host:1", "B8:27:EB:00:00:01"],
)  # fmt: skip
def test_what_is_no_place_is_refused_in_words(text):
    with pytest.raises(ValueError, match=r"is neither rfcomm:AA:BB:CC:DD:EE:FF nor tcp"):
        Place.parse(text)


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_bytes_go_both_ways(kind, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    place = Place("tcp", "127.0.0.1", port) if kind == "tcp" else Place(kind, f"{tmp_path}/s")

    async def echo(reader, writer):
        writer.write(await reader.readexactly(5))

    for _ in range(2):  # a socket that a killed process left is in nobody's way
        stop = await listen(place, echo)
        reader, writer = await connect(place)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        stop()


async def test_what_is_no_socket_is_not_removed(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="in use"):
        await listen(Place("unix", str(tmp_path / "file")), asyncio.sleep)
    assert (tmp_path / "file").read_text() == "mine"


async def test_without_pybluez_a_bluetooth_link_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bluetooth", None)
    with pytest.raises(OSError, match="install python3-bluez"):
        await connect(Place.parse("rfcomm:B8:27:EB:00:00:01"))
    with pytest.raises(OSError, match="install python3-bluez"):
        await listen(Place.parse("rfcomm:*"), asyncio.sleep)
