"""How the rollout reads `edgenode doctor --json`: against what the real doctor says."""

import importlib.util
import json

import pytest
import yaml

from edgenode.api.json_record import to_json
from edgenode.appliance.boot_state import FACTORY, Slot, SlotState, confirmed, on_trial
from edgenode.doctor.examine import CHECKS, examine
from edgenode.doctor.facts import Facts, Slots, Unknown
from tests.ansible.programs import HERE

_spec = importlib.util.spec_from_file_location("doctor", HERE / "plugins/filter/doctor.py")
filters = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(filters)


def said(slots):
    """What the doctor prints of a box of which only the slots are known."""
    unknown = Unknown("not looked at")
    facts = Facts(None, *[unknown] * 8, slots)
    return json.dumps({"checks": to_json(examine(facts).findings)})


def checks(**statuses):
    return {name: {"status": status, "detail": f"is {status}"} for name, status in statuses.items()}


def variables():
    (play,) = yaml.safe_load((HERE / "rollout.yml").read_text())
    return play["vars"]


@pytest.mark.parametrize("name", ["rollout_needed", "rollout_gate"])
def test_what_the_rollout_asks_for_the_doctor_tells(name):
    assert set(variables()[name]) <= set(CHECKS)


@pytest.mark.parametrize(
    ("boot", "running", "state"),
    [
        (FACTORY, Slot.A, SlotState.GOOD),
        (on_trial(FACTORY, Slot.B), Slot.B, SlotState.TRIAL),
        (confirmed(on_trial(FACTORY, Slot.B), Slot.B), Slot.B, SlotState.GOOD),
    ],
)
def test_the_doctor_tells_which_slot_runs_and_whether_it_is_committed(boot, running, state):
    told = filters.doctor_checks(said(Slots(running, boot, running.value, ())))
    values = told["slot"]["values"]
    assert values["running"] == running.value
    assert values["state"] == state.value


def test_a_machine_without_slots_names_none():
    told = filters.doctor_checks(said(None))
    assert "running" not in told["slot"]["values"]
    assert "no slots" in told["slot"]["detail"]


@pytest.mark.parametrize("text", [None, "", "Traceback", "[]", "{}", '{"checks": [1]}'])
def test_a_doctor_that_cannot_speak_tells_nothing(text):
    assert filters.doctor_checks(text) == {}


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        ("ok", "ok", False),
        ("ok", "warn", True),
        ("ok", "fail", True),
        ("ok", "skip", True),
        ("warn", "ok", False),
        ("warn", "warn", False),
        ("warn", "fail", True),
        ("fail", "warn", False),
        ("fail", "skip", True),
        ("skip", "skip", False),
        ("skip", "ok", False),
        ("skip", "warn", True),
    ],
)
def test_worse_is_what_was_better(before, now, worse):
    found = filters.doctor_worse(checks(chain=now), checks(chain=before), ["chain"])
    assert found == ([f"chain: is {now}"] if worse else [])


def test_what_is_not_told_counts_against_the_box():
    assert filters.doctor_worse({}, checks(chain="ok"), ["chain"]) == ["chain: not told"]
    assert filters.doctor_ill({}, ["chain"]) == ["chain: not told"]


def test_only_a_failure_that_counts_makes_a_box_ill():
    now = checks(chain="warn", storage="fail", sensors="fail", slot="ok")
    assert filters.doctor_ill(now, ["chain", "storage", "slot"]) == ["storage: is fail"]
