"""A box on which all is well, to be spoilt by a test."""

from dataclasses import replace
from pathlib import Path

from edgenode.api.shapes import (
    AdoptionTimes,
    AllTraffic,
    ClockStatus,
    Finality,
    Head,
    LastReport,
    MempoolCounts,
    Messages,
    Peer,
    Status,
    Traffic,
)
from edgenode.appliance.boot_state import BootState, Slot, SlotRecord, SlotState
from edgenode.doctor.examine import CHECKS, examine
from edgenode.doctor.facts import (
    Clock,
    Disk,
    Facts,
    Node,
    RaucSlot,
    Seed,
    Slots,
    Storage,
    Store,
    Unit,
    Ward,
)
from edgenode.services.config import load

NOW = 1_800_000_000
GB = 10**9

CONFIG = """\
[node]
name = "bed-1"
[gossip]
seeds = ["10.0.0.7:7070"]
[collector]
adapter = "bluez:hci0"
sensors = ["F0:0E:00:00:00:01", "F0:0E:00:00:00:02"]
[trainer]
model = "activity"
[miner]
"""

STATUS = Status(
    node="bed-1",
    version="0.1.0",
    ward="demo",
    genesis="ab" * 32,
    member="ef" * 32,
    enrolled=True,
    time=NOW,
    clock=ClockStatus(True, "synchronised", "synchronised"),
    started=NOW - 3600,
    head=Head("ab" * 32, 812, NOW - 40, "1effff00", 1.0, "0x1", 65537, "1effff00", 87, ()),
    finality=Finality(justified=808, final=800),
    best_header_height=812,
    kept_from=0,
    syncing=False,
    mempool=MempoolCounts(0, 0, 0, 0),
    peers=1,
    balance=0,
    blocks_mined=4,
    reorganisations=0,
    traffic=AllTraffic(Traffic(), Traffic()),
    messages=Messages({"status": 3}, {"chunk": 2}, {"offer": 1}),
    adoptions=AdoptionTimes(2, 3.5, 0.5),
    refused={},
)

PEER = Peer(
    address="10.0.0.7:7070",
    member="ab" * 32,
    name="bed-7",
    role="member",
    knocked=True,
    sync=True,
    broadcast=True,
    height=812,
    round_trip=0.01,
    loss=0.0,
    queue=None,
    rate=None,
    silent=1.0,
    connected=NOW - 3000,
    datagrams_sent=1,
    datagrams_received=1,
)

SAMPLING = {
    "connected_sensors": 2.0,
    "last_sample_timestamp_seconds": NOW - 0.5,
    "stored_samples_total": 1000.0,
    "dropped_samples_total": 0.0,
}

RUNNING = Unit("active", "running", "success", 0, 0)
SKIPPED = Unit("inactive", "dead", "exec-condition", 0, 0)
GOOD, EMPTY = SlotRecord(SlotState.GOOD, 3), SlotRecord(SlotState.BAD, 0)


def reports(**changed):
    """Reports of all services; `collector=None` leaves one out."""
    found = {
        "collector": LastReport("ok", 0.5, SAMPLING),
        "trainer": LastReport("ok", 0.5, {}),
        "miner": LastReport("ok", 0.5, {}),
        "exporter": LastReport("ok", 0.5, {}),
    } | changed
    return {name: report for name, report in found.items() if report is not None}


def node(*, peers=(PEER,), services=None, **status):
    """A node that answers so."""
    return Node(
        replace(STATUS, **status), tuple(peers), reports() if services is None else services
    )


def settings(directory, text=CONFIG):
    """The settings of a configuration."""
    path = Path(directory) / "edgenode.toml"
    path.write_text(text)
    return load(path)


def disk(**changed):
    """A data partition with room."""
    return replace(
        Disk(Path("/var/lib/edgenode/gossip"), 7, "ext4", 20 * GB, 28 * GB, 900_000, 1_000_000,
             read_only=False),
        **changed,
    )  # fmt: skip


def storage(**changed):
    """Storage on one disk, with a store that opens."""
    return Storage({"gossip": disk(**changed), "samples": disk(**changed)},
                   {"gossip": Store(True, ""), "samples": Store(True, "")})  # fmt: skip


def boot(*, running=GOOD, other=EMPTY, order=(Slot.A, Slot.B)):
    """A boot state; A runs."""
    return BootState(5, order, running, other)


def slots(state=None, **changed):
    """Slots of a box that runs A."""
    found = Slots(Slot.A, boot() if state is None else state, "A",
                  (RaucSlot("A", "good"), RaucSlot("B", "bad")))  # fmt: skip
    return replace(found, **changed)


def healthy(directory):
    """What is known of a box on which all is well."""
    return Facts(
        settings=settings(directory),
        mistakes=(),
        node=node(),
        clock=Clock(NOW, NOW - 1e6, synchronised=True),
        storage=storage(),
        units=dict.fromkeys(("collector", "trainer", "gossip", "miner", "exporter"), RUNNING),
        adapters={"hci0": True},
        seeds=(Seed("10.0.0.7:7070", ("10.0.0.7",), ""),),
        ward=Ward(90, 600),
        slots=slots(),
    )


def finding(facts, name):
    """What one check finds."""
    return CHECKS[name](facts)


def statuses(facts):
    """Each check's status."""
    return {found.name: found.status for found in examine(facts).findings}
