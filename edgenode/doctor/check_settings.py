"""Whether the configuration, and on a box the settings on its card, can be used."""

from __future__ import annotations

from edgenode.doctor.facts import Facts, Unknown
from edgenode.doctor.finding import Finding, concluded, fail, skipped, warn

NAME = "settings"


def check(facts: Facts) -> Finding:
    """Tell each mistake: what is wrong stands in the error, with file and line."""
    settings, mistakes = facts.settings, facts.mistakes
    if settings is None and mistakes == ():
        return skipped(NAME, "a socket was named, so no configuration is read")
    remarks = []
    if isinstance(settings, Unknown):
        remarks.append(fail(settings.why, "mend the file, then: edgenode config check"))
    if isinstance(mistakes, Unknown):
        remarks.append(
            warn(
                f"what edgenode-setup found cannot be told: {mistakes.why}",
                "run it again: systemctl restart edgenode-setup",
            )
        )
        told: tuple[str, ...] = ()
    else:
        told = tuple(f"{mistake.where}: {mistake.what}" for mistake in mistakes)
        remarks += [
            fail(text, "mend edgenode.toml on the card's FAT partition and start the box again")
            for text in told
        ]
    return concluded(NAME, remarks, "no mistakes", {"mistakes": told})
