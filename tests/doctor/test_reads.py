"""What is found out of a box: from real disks, a real bus, real RAUC, and what systemd prints."""

import asyncio
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from dbus_fast import Variant

from edgenode.appliance.announcement import mistakes_json
from edgenode.appliance.boot_state import FACTORY, FILE_NAMES, Slot, encode
from edgenode.appliance.mistake import Mistake
from edgenode.appliance.units import Unit, units_in
from edgenode.doctor import command, gather, read_node
from edgenode.doctor.command import CommandError, output_of
from edgenode.doctor.facts import RaucSlot, Seed, Slots, Store, Unknown
from edgenode.doctor.read_adapters import read_adapters
from edgenode.doctor.read_node import read_node as ask_node
from edgenode.doctor.read_seeds import read_seeds
from edgenode.doctor.read_settings import read_mistakes, read_settings, read_ward
from edgenode.doctor.read_slots import rauc_status, read_slots
from edgenode.doctor.read_storage import read_disk, read_storage
from edgenode.doctor.read_units import SYSTEMD, read_units
from edgenode.ledger.genesis_file import format_genesis
from edgenode.storage import meta
from edgenode.storage.chain import SqliteChainStore
from edgenode.storage.format_check import check_chain_store, check_sample_store
from edgenode.storage.meta import STORE_FORMAT
from edgenode.storage.samples import SampleStore
from tests.api.ledger_node import LedgerNode
from tests.collector.bluez_stand_in import ADAPTER, ADAPTER1
from tests.conftest import require_root, require_tool
from tests.doctor.boxes import settings
from tests.ledger.builder import make_genesis

# Disks


@contextmanager
def small_disk(directory):
    mount = require_tool("mount", "mount")
    require_root("mount a small disk")
    directory.mkdir()
    options = "size=1m,nr_inodes=50,mode=0700"
    subprocess.run([mount, "-t", "tmpfs", "-o", options, "none", directory], check=True)
    try:
        yield lambda *more: subprocess.run([mount, *more, directory], check=True)
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def test_a_disk_is_seen_as_the_kernel_sees_it(tmp_path):
    with small_disk(tmp_path / "data") as mount:
        state = tmp_path / "data" / "state"
        state.mkdir()
        empty = read_disk(state / "gossip")
        assert (empty.directory, empty.kind, empty.total) == (state, "tmpfs", 1 << 20)
        assert (empty.total_files, empty.read_only) == (50, False)
        (state / "ballast").write_bytes(bytes(600_000))
        fuller = read_disk(state / "gossip")
        assert 600_000 <= empty.free - fuller.free < 700_000
        assert empty.free_files - fuller.free_files == 1
        mount("-o", "remount,ro")
        assert read_disk(state).read_only
    assert read_disk(state).directory == tmp_path / "data"


@contextmanager
def as_nobody():
    require_root("be somebody else")
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_who_may_not_look_into_the_state_still_sees_its_disk(genesis):
    with tempfile.TemporaryDirectory() as name:
        state = Path(name) / "state"
        gossip = state / "gossip"
        gossip.mkdir(parents=True)
        SqliteChainStore(gossip / "chain.db", genesis.id).close()
        Path(name).chmod(0o755)
        gossip.chmod(0o700)
        configured = settings(name, '[node]\nname = "a"\nstate = "state"\n')
        with as_nobody():
            found = read_storage(configured)
    assert found.disks["gossip"].directory == gossip
    assert found.stores["gossip"] == Store(None, "only root may look into chain.db")


# Stores


@pytest.fixture
def genesis():
    return make_genesis(time=1_700_000_000)


@pytest.fixture
def chain(tmp_path, genesis):
    """The file of a chain whose service runs."""
    store = SqliteChainStore(tmp_path / "chain.db", genesis.id)
    yield tmp_path / "chain.db", store
    store.close()


def test_a_chain_opens_while_its_service_writes_it_and_nothing_is_left_behind(chain, tmp_path):
    path, _ = chain
    before = sorted(tmp_path.iterdir())
    assert check_chain_store(path) == ""
    assert sorted(tmp_path.iterdir()) == before


def test_a_chain_that_the_service_found_damaged_is_told(chain):
    path, store = chain
    store.note_damage("block 00ab changed on the disk")
    assert check_chain_store(path) == f"{path} is damaged: block 00ab changed on the disk"


def test_a_chain_of_a_newer_program_is_told(chain):
    path, store = chain
    meta.write(store._db, "format", 99)
    assert f"{path} has format 99, this program reads {STORE_FORMAT}" in check_chain_store(path)


@pytest.mark.parametrize("check", [check_chain_store, check_sample_store])
def test_a_file_that_is_no_store_is_told(tmp_path, check):
    path = tmp_path / "any.db"
    path.write_bytes(b"no database" * 1000)
    assert check(path) == f"{path} does not open: file is not a database"


def test_samples_open_while_they_are_written_and_those_of_a_newer_program_are_told(tmp_path):
    path = tmp_path / "samples" / "samples.db"
    store = SampleStore.open(path, max_bytes=1 << 20)
    assert check_sample_store(path) == ""
    store._connection.execute("PRAGMA user_version = 99")
    assert "no sample store of version 1" in check_sample_store(path)
    store.close()


def test_the_state_of_a_box_is_found_by_its_configuration(tmp_path, genesis):
    configured = settings(
        tmp_path,
        '[node]\nname = "a"\nstate = "state"\n[collector]\nadapter = "bluez:hci0"\n'
        'sensors = ["F0:0E:00:00:00:01"]\n',
    )
    found = read_storage(configured)
    assert {name: disk.directory for name, disk in found.disks.items()} == {
        "gossip": tmp_path, "samples": tmp_path
    }  # fmt: skip
    assert {store.note for store in found.stores.values()} == {
        "chain.db is not there yet", "samples.db is not there yet"
    }  # fmt: skip
    (tmp_path / "state" / "gossip").mkdir(parents=True)
    SqliteChainStore(tmp_path / "state" / "gossip" / "chain.db", genesis.id).close()
    found = read_storage(configured)
    assert found.disks["gossip"].directory == tmp_path / "state" / "gossip"
    assert (found.stores["gossip"].opens, found.stores["samples"].opens) == (True, None)


# Programs


def test_a_program_is_run_for_what_it_prints():
    assert output_of("printf", "%s", "a b") == "a b"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("no-such-program",), "there is no program no-such-program"),
        (("sh", "-c", "echo first >&2; echo why >&2; exit 3"), "sh: why"),
        (("sh", "-c", "exit 3"), "sh: exit status 3"),
        (("/",), "/ cannot be run: Permission denied"),
    ],
)
def test_a_program_that_does_not_do_it_says_why(arguments, text):
    with pytest.raises(CommandError) as failed:
        output_of(*arguments)
    assert str(failed.value) == text


def test_a_program_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(command, "TIMEOUT_S", 0.2)
    with pytest.raises(CommandError, match="sleep did not end within 0 s"):
        output_of("sleep", "1000")


# systemd

SHOWN = """\
Result=success
ExecMainStatus=0
NRestarts=2
Id=edgenode-gossip.service
LoadState=loaded
ActiveState=active
SubState=running

Result=exit-code
ExecMainStatus=5
NRestarts=0
Id=edgenode-trainer.service
LoadState=loaded
ActiveState=failed
SubState=failed
ConditionResult=yes
ConditionTimestampMonotonic=12345

Result=success
ExecMainStatus=0
NRestarts=0
Id=edgenode-collector.service
LoadState=loaded
ActiveState=inactive
SubState=dead
ConditionResult=no
ConditionTimestampMonotonic=12345

Result=success
ExecMainStatus=0
NRestarts=0
Id=edgenode-exporter.service
LoadState=loaded
ActiveState=inactive
SubState=dead
ConditionResult=no
ConditionTimestampMonotonic=0

Result=success
ExecMainStatus=0
NRestarts=0
Id=edgenode-miner.service
LoadState=not-found
ActiveState=inactive
SubState=dead
"""


def test_units_are_read_as_systemctl_shows_them():
    assert units_in(SHOWN) == {
        "gossip": Unit("active", "running", "success", 0, 2),
        "trainer": Unit("failed", "failed", "exit-code", 5, 0),
        "collector": Unit("inactive", "dead", "success", 0, 0, unmet=True),
        "exporter": Unit("inactive", "dead", "success", 0, 0),
    }
    assert units_in("") == {}
    assert units_in("rubbish\n\n=\n\nId=\nLoadState=loaded") == {"": Unit("", "", "", 0, 0)}


def test_without_systemd_there_are_no_units(tmp_path):
    assert read_units(tmp_path / "none") == {}


def test_a_systemd_that_does_not_answer_is_told(tmp_path):
    require_tool("systemctl", "systemd")
    found = read_units(tmp_path)  # as if it ran here
    assert isinstance(found, Unknown) is not SYSTEMD.is_dir()


# Bluetooth


async def test_adapters_are_those_of_bluetoothd(bluez):
    daemon = await bluez()
    assert await asyncio.to_thread(read_adapters) == {"hci0": True}
    off = {ADAPTER: {ADAPTER1: {"Powered": Variant("b", False)}}, "/org/bluez/hci7": {ADAPTER1: {}}}
    daemon._objects = lambda: off
    assert await asyncio.to_thread(read_adapters) == {"hci0": False, "hci7": False}


async def test_a_bluetoothd_that_is_not_there_is_told(bus):
    found = await asyncio.to_thread(read_adapters)
    assert isinstance(found, Unknown)
    assert "NameHasNoOwner" in found.why or "ServiceUnknown" in found.why


async def test_a_bluetoothd_that_hangs_is_told(bluez, monkeypatch):
    daemon = await bluez()
    daemon.hold("GetManagedObjects")
    monkeypatch.setattr("edgenode.doctor.read_adapters.TIMEOUT_S", 0.2)
    found = await asyncio.to_thread(read_adapters)
    assert found == Unknown("no answer within 0 s")


def test_a_machine_without_a_bus_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    found = read_adapters()
    assert isinstance(found, Unknown)
    assert found.why.startswith("the system D-Bus: ")


# Seeds


def test_seeds_are_looked_up_and_nothing_is_sent():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        port = listener.getsockname()[1]
        # Without SO_BROADCAST the kernel refuses the broadcast address to anybody.
        found = read_seeds([("127.0.0.1", port), ("255.255.255.255", 7070), ("x" * 64, 7070)])
        with pytest.raises(BlockingIOError):
            listener.recv(1)
    assert found[0] == Seed(f"127.0.0.1:{port}", ("127.0.0.1",), "")
    assert found[1].problem == "cannot be reached: Permission denied"
    assert found[2].problem.startswith("is not found: ")
    assert read_seeds([("::1", 7070)])[0].address == "[::1]:7070"


# Settings


def test_what_setup_writes_is_what_is_read(tmp_path):
    path = tmp_path / "errors.json"
    assert read_mistakes(path) == ()
    path.write_text(mistakes_json([Mistake("edgenode.toml:3", "no such key")]))
    assert read_mistakes(path) == (Mistake("edgenode.toml:3", "no such key"),)
    path.write_text(mistakes_json([]))
    assert read_mistakes(path) == ()


@pytest.mark.parametrize("text", ["", "{", "3", "[3]", '[{"where": "x"}]', "[" * 100_000])
def test_a_list_of_mistakes_that_is_none_is_told(tmp_path, text):
    path = tmp_path / "errors.json"
    path.write_text(text)
    found = read_mistakes(path)
    assert isinstance(found, Unknown)
    assert str(path) in found.why


def test_a_configuration_is_missed_unless_a_socket_was_named(tmp_path):
    path = tmp_path / "edgenode.toml"
    assert read_settings(path, optional=True) is None
    assert "no such file" in read_settings(path, optional=False).why
    path.write_text("[node\n")
    assert "not TOML" in read_settings(path, optional=True).why


def test_the_time_between_blocks_is_that_of_genesis(tmp_path, genesis):
    configured = settings(tmp_path, '[node]\nname = "a"\n')
    assert "no such file" in read_ward(configured).why
    (tmp_path / "genesis.toml").write_text(format_genesis(genesis))
    ward = read_ward(configured)
    assert (ward.spacing, ward.future_bound) == (genesis.spacing, genesis.future_bound)
    assert isinstance(read_ward(None), Unknown)


# Slots


@pytest.fixture
def box_files(tmp_path):
    """A kernel's command line and a boot folder."""
    cmdline = tmp_path / "cmdline"
    cmdline.write_text("console=ttyAMA0 rauc.slot=A quiet\n")
    folder = tmp_path / "firmware"
    folder.mkdir()
    return cmdline, folder


def test_a_machine_whose_kernel_names_no_slot_has_none(tmp_path):
    (tmp_path / "cmdline").write_text("quiet rauc.slot=C\n")
    assert read_slots(tmp_path / "cmdline", tmp_path) is None


def test_the_boot_state_is_read_from_the_card(box_files):
    cmdline, folder = box_files
    found = read_slots(cmdline, folder)
    assert isinstance(found, Slots)
    assert isinstance(found.boot, Unknown)
    (folder / FILE_NAMES[0]).write_bytes(encode(FACTORY))
    found = read_slots(cmdline, folder)
    assert (found.running, found.boot) == (Slot.A, FACTORY)


BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={directory}/bus</listen>
<policy context="default"><allow own="*"/><allow send_destination="*"/>
<allow receive_sender="*"/></policy></busconfig>
"""

RAUC = """\
[system]
compatible=edgenode-test
bootloader=custom
statusfile={directory}/status
[handlers]
bootloader-custom-backend={directory}/backend
[keyring]
path={directory}/ca.pem
[slot.boot.0]
device={directory}/boot-a
type=raw
parent=rootfs.0
[slot.rootfs.0]
device={directory}/root-a
type=raw
bootname=A
[slot.rootfs.1]
device={directory}/root-b
type=raw
bootname=B
"""

BACKEND = """\
#!/bin/sh
case "$1 $2" in "get-state B") echo bad;; get-state*) echo good;; *) echo A;; esac
"""


@contextmanager
def rauc_service(directory, monkeypatch):
    """RAUC's own service, with slots that are files, on a bus of its own."""
    rauc, daemon = require_tool("rauc", "rauc"), require_tool("dbus-daemon", "dbus-daemon")
    openssl = require_tool("openssl", "openssl")
    for name, text in (("bus.conf", BUS), ("system.conf", RAUC), ("backend", BACKEND)):
        (directory / name).write_text(text.format(directory=directory) if "{d" in text else text)
    (directory / "backend").chmod(0o755)
    for name in ("boot-a", "root-a", "root-b"):
        (directory / name).write_bytes(bytes(4096))
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=test", "-keyout", directory / "key.pem", "-out", directory / "ca.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={directory}/bus")
    with subprocess.Popen(
        [daemon, f"--config-file={directory}/bus.conf", "--nofork", "--print-address"],
        stdout=subprocess.PIPE,
    ) as bus:
        assert bus.stdout.readline()
        service = subprocess.Popen(
            [rauc, "service", f"--conf={directory}/system.conf", "--override-boot-slot=A"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield
        finally:
            service.kill()
            service.wait()
            bus.terminate()


def test_raucs_own_answer_is_understood(tmp_path, box_files, monkeypatch):
    with rauc_service(tmp_path, monkeypatch):
        end = time.monotonic() + 60
        # RAUC takes its name on the bus before it has looked which slot runs.
        while (found := read_slots(*box_files)).booted is None:
            assert time.monotonic() < end, found.rauc
            time.sleep(0.1)
    assert found.booted == "A"
    assert sorted(found.rauc, key=lambda slot: slot.bootname) == [
        RaucSlot("A", "good"), RaucSlot("B", "bad")
    ]  # fmt: skip


def test_a_rauc_that_does_not_answer_is_told(tmp_path, box_files, monkeypatch):
    require_tool("rauc", "rauc")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    assert "Could not connect" in read_slots(*box_files).rauc.why


@pytest.mark.parametrize(
    "document", [[], {}, {"booted": "A", "slots": 3}, {"booted": "A", "slots": [{"x": {}}]}]
)
def test_an_answer_that_is_not_raucs_is_no_status(document):
    with pytest.raises(ValueError, match="not as expected"):
        rauc_status(json.dumps(document))


# The node


def test_a_node_is_asked_for_all_that_it_tells(tmp_path):
    node = LedgerNode()
    with node.serving(tmp_path / "node.sock"):
        found = ask_node(tmp_path / "node.sock")
    assert found.status == node.run(node.status)
    assert len(found.peers) == 1
    assert found.services == {}


def test_a_node_that_accepts_and_never_answers_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(read_node, "TIMEOUT_S", 0.2)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "node.sock"))
        server.listen()
        found = ask_node(tmp_path / "node.sock")
    assert isinstance(found, Unknown)
    assert "did not answer" in found.why


def test_what_hangs_is_told_and_not_waited_for():
    never = threading.Event()
    question = gather._Question(never.wait)
    assert question.answer(time.monotonic()) == Unknown("no answer within 20 s")
    never.set()


def test_what_breaks_is_told_with_its_name():
    question = gather._Question(lambda: 1 / 0)
    assert question.answer(time.monotonic() + 60) == Unknown("ZeroDivisionError: division by zero")
