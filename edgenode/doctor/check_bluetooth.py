"""Whether the Bluetooth adapter that the collector uses is there and powered."""

from __future__ import annotations

from edgenode.doctor.facts import Facts, Unknown
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, skipped
from edgenode.services.config import NodeSettings

NAME = "bluetooth"

_KERNEL = "bluez:"


def check(facts: Facts) -> Finding:
    """Look for the adapter that the configuration names."""
    if not isinstance(facts.settings, NodeSettings):
        return skipped(NAME, "no configuration says whether it is expected")
    if facts.settings.collector is None:
        return skipped(NAME, "not expected: the configuration has no [collector]")
    adapter = facts.settings.collector.adapter
    if not adapter.startswith(_KERNEL):
        return skipped(NAME, f"{adapter} is no adapter of the kernel")
    name = adapter.removeprefix(_KERNEL)
    if isinstance(facts.adapters, Unknown):
        remark = fail(
            f"bluetoothd does not answer: {facts.adapters.why}",
            "systemctl status bluetooth dbus; journalctl -u bluetooth -n 50",
        )
        return concluded(NAME, [remark], "", {})
    values: dict[str, Value] = {
        "adapters": tuple(sorted(facts.adapters)), "powered": facts.adapters.get(name)
    }  # fmt: skip
    return concluded(
        NAME, _remarks(name, facts.adapters.get(name), sorted(facts.adapters)),
        f"{name} is powered", values,
    )  # fmt: skip


def _remarks(name: str, powered: bool | None, there: list[str]) -> list[Remark]:
    if powered is None:
        others = f"there are: {', '.join(there)}" if there else "there is none"
        return [
            fail(
                f"there is no adapter {name}; {others}",
                "is it plugged in? journalctl -k -g bluetooth; or name another one as "
                "[collector] adapter",
            )
        ]
    if not powered:
        return [
            fail(f"{name} is switched off", "sudo rfkill unblock bluetooth; bluetoothctl power on")
        ]
    return []
