"""Which release runs, whether it is there to stay, and what the next start takes."""

from __future__ import annotations

from edgenode.appliance.boot_state import BootState, SlotState
from edgenode.doctor.facts import Facts, Slots, Unknown
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, skipped, warn

NAME = "slot"

_HEALTH = "see what keeps it: journalctl -u edgenode-health -u edgenode-trial -n 50"
_UPDATE = "install the release again: rauc install"


def check(facts: Facts) -> Finding:
    """Compare the slot that runs with the boot state and with RAUC's view."""
    slots = facts.slots
    if slots is None:
        return skipped(NAME, "not an appliance: it has no slots")
    if isinstance(slots, Unknown):
        hint = "edgenode-bootslot show"
        return concluded(NAME, [warn(f"it cannot be told: {slots.why}", hint)], "", {})
    remarks = [*_rauc(slots), *_boot(slots)]
    values: dict[str, Value] = {"running": slots.running.value}
    fine = f"{slots.running.value} runs"
    if isinstance(slots.boot, BootState):
        fine += " and was found healthy"
        values |= {
            "next": slots.boot.primary.value,
            "state": slots.boot.record(slots.running).state.value,
            "other_state": slots.boot.record(slots.running.other).state.value,
        }
    return concluded(NAME, remarks, fine, values)


def _boot(slots: Slots) -> list[Remark]:
    if slots.boot is None:
        return []
    if isinstance(slots.boot, Unknown):
        return [fail(f"the boot state: {slots.boot.why}", "edgenode-bootslot show")]
    running, other = slots.running, slots.running.other
    remarks = []
    match slots.boot.record(running).state:
        case SlotState.TRIAL:
            remarks.append(warn(f"{running.value} runs on trial", f"{_HEALTH}; it takes a minute"))
        case SlotState.BAD:
            remarks.append(fail(f"{running.value} runs, but was given up", _UPDATE))
    if slots.boot.primary is not running:
        remarks.append(
            warn(f"the next start takes {other.value}", "start the box again when it suits")
        )
    record = slots.boot.record(other)
    if record.state is SlotState.TRIAL and not record.left:
        remarks.append(
            warn(
                f"{other.value} was tried, did not get healthy, and the box went back",
                f"the update failed; {_UPDATE} once it is mended",
            )
        )
    return remarks


def _rauc(slots: Slots) -> list[Remark]:
    if isinstance(slots.rauc, Unknown):
        return [warn(f"RAUC does not answer: {slots.rauc.why}", "systemctl status rauc")]
    if slots.booted is not None and slots.booted != slots.running.value:
        text = f"RAUC believes that {slots.booted} runs, not {slots.running.value}"
        return [fail(text, "systemctl restart rauc; see /etc/rauc/system.conf")]
    return []
