"""`edgenode doctor` on boxes of real processes, well and broken."""

import json
import re
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.ward import SERVICES
from edgenode.doctor.examine import CHECKS
from tests.docs.markdown import DOCS
from tests.ward.test_full_disks import fill, small_disks
from tests.ward.wards import grown, until, ward_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

PROGRAM = Path(sys.executable).with_name("edgenode")


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def checks(self):
        return {check["name"]: check for check in json.loads(self.out)["checks"]}

    def status(self, name):
        return self.checks[name]["status"]


def doctor(config, *arguments):
    done = subprocess.run(
        [PROGRAM, "doctor", "--config", config, *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


def seen(config, wanted):
    """What the doctor says once it says what is wanted."""
    last = []

    def look():
        last[:] = [doctor(config, "--json")]
        return wanted(last[0])

    try:
        until(look, "the doctor to see it")
    except AssertionError:
        print(last[0].out)
        raise
    return last[0]


def test_a_ward_that_works_is_well_and_a_box_that_loses_its_services_is_not():
    # Blocks come slowly enough that a loaded machine does not make them late.
    with ward_of(2, spacing=6, services=("gossip", "miner", "exporter")) as ward:
        box, _ = ward.boxes
        grown(ward.boxes, 1)
        well = ("settings", "clock", "services", "peers", "chain")
        ran = seen(box.config, lambda ran: all(ran.status(name) == "ok" for name in well))
        assert {ran.status(name) for name in ("bluetooth", "sensors", "slot")} == {"skip"}
        # The state of this test may lie on a disk that fills up; its stores open all the same.
        assert ran.checks["storage"]["values"]["gossip_store_opens"] is True
        document = json.loads(ran.out)
        assert document["ok"] is (ran.code == 0)
        assert ran.checks["chain"]["values"]["height"] >= 1
        assert ran.checks["peers"]["values"] == {
            "peers": 1, "seeds": 1, "seeds_connected": 1, "seeds_unreachable": 0
        }  # fmt: skip

        ward.supervisor.stop([box.unit_name("miner")])
        ran = seen(box.config, lambda ran: ran.status("services") == "fail")
        assert "miner has been silent for" in ran.checks["services"]["detail"]
        assert (ran.code, json.loads(ran.out)["status"]) == (2, "fail")
        assert ran.status("chain") == "ok"

        ward.supervisor.stop([box.unit_name("gossip")], kill=True)
        ran = doctor(box.config)
        assert ran.code == 2
        lines = {line.split()[0]: line for line in ran.out.splitlines() if line.strip()}
        assert re.search(r"^services +FAIL +gossip does not answer: ", ran.out, re.MULTILINE)
        assert re.search(r"^services +it may still be starting; if not: ", ran.out, re.MULTILINE)
        assert lines["chain"].split(maxsplit=2)[1:] == ["SKIP", "the node does not answer"]
        # Its store opens without it, too.
        assert doctor(box.config, "--json").checks["storage"]["values"]["gossip_store_opens"]


def test_a_box_with_a_sensor_is_told_how_fresh_its_samples_are(recorded):
    with ward_of(1, spacing=6, people=[(1,)], recordings=recorded, services=SERVICES) as ward:
        (box,) = ward.boxes

        def fresh(ran):
            sensors = ran.checks["sensors"]
            return sensors["status"] == "ok" and sensors["values"]["stored_samples"]

        ran = seen(box.config, fresh)
        values = ran.checks["sensors"]["values"]
        assert (values["connected"], values["configured"]) == (1, 1)
        assert ran.status("bluetooth") == "skip", "a virtual radio is no adapter of the kernel"
        assert ran.checks["storage"]["values"]["samples_store_opens"] is True
        ward.supervisor.stop([box.unit_name("collector")])
        ran = seen(box.config, lambda ran: ran.status("sensors") == "skip")
        assert "collector has been silent for" in ran.checks["services"]["detail"]


def test_a_broken_configuration_is_one_finding_among_others():
    with ward_of(1, start=False, hash_rate=1000) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        box.config.write_text(box.config.read_text().replace("[miner]", "[minner]"))
        ran = doctor(box.config, "--json")
        assert ran.code == 2
        assert set(ran.checks) == set(CHECKS)
        settings = ran.checks["settings"]
        assert settings["status"] == "fail"
        assert 'did you mean "miner"?' in settings["detail"]
        assert ran.status("storage") in {"ok", "warn"}


def test_a_node_that_hangs_is_told_in_bounded_time(tmp_path):
    config = tmp_path / "edgenode.toml"
    config.write_text('[node]\nname = "bed-1"\nstate = "state"\napi = "s"\n')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        ran = doctor(config, "--json")
    assert ran.code == 2
    assert "did not answer GET /v1/status" in ran.checks["services"]["detail"]


def test_a_full_disk_and_one_that_was_made_read_only_are_told():
    with (
        small_disks() as disk,
        ward_of(1, before=lambda ward: disk(ward.boxes[0].directory / "state")) as ward,
    ):
        (box,) = ward.boxes
        grown([box], 1)
        fill(box.directory / "state")
        ran = doctor(box.config, "--json")
        assert (ran.code, ran.status("storage")) == (2, "fail")
        assert "is full, " in ran.checks["storage"]["detail"]
        ward.supervisor.stop([box.unit_name(name) for name in ("gossip", "miner")])
        subprocess.run(["mount", "-o", "remount,ro", box.directory / "state"], check=True)
        ran = doctor(box.config, "--json")
        assert "is mounted read-only" in ran.checks["storage"]["detail"]


def test_waiting_ends_when_all_is_well_or_the_time_is_up(tmp_path):
    config = tmp_path / "none.toml"
    assert doctor(config, "--wait", "0.1", "--json").code == 2
    assert doctor(config, "--wait", "-1").code == 2
    assert "SECONDS" in doctor(config, "--help").out


def test_every_check_has_its_section_in_the_manual():
    text = (DOCS / "doctor.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert sections == list(CHECKS)
