"""What a box tells who stands before it: its name, its keys, and what is to be mended. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from edgenode.appliance.mistake import Mistake


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is told.

    Attributes:
        hostname: The box's name.
        member_key: Public part of the member's key; None if there is none.
        fingerprint: Fingerprint of the SSH server's key; None if there is none.
        waits_for: What the box still needs before it can do its work; no mistakes.
        mistakes: What is wrong.
    """

    hostname: str
    member_key: bytes | None
    fingerprint: str | None
    waits_for: Sequence[str]
    mistakes: Sequence[Mistake]


def console_text(told: Announcement) -> str:
    """Lines for a console, in printable ASCII."""
    lines = [
        f"edgenode box {told.hostname}",
        f"  member key  {told.member_key.hex() if told.member_key else 'none'}",
        f"  SSH host    {f'{told.fingerprint} (ED25519)' if told.fingerprint else 'no key'}",
        *(f"  waits for   {text}" for text in told.waits_for),
    ]
    if told.mistakes:
        lines.append("To be mended on the card, in its FAT partition; then start the box again:")
        lines += [f"  {mistake}" for mistake in told.mistakes]
    return "".join(f"{_printable(line)}\n" for line in lines)


def issue_text(told: Announcement) -> str:
    r"""The same for /etc/issue.d, with the box's addresses, which agetty knows by then.

    agetty(8) takes a backslash for the beginning of a sequence, so it is written twice.
    """
    head, rest = console_text(told).replace("\\", "\\\\").split("\n", 1)
    return f"{head}\n  address     \\4  \\6\n{rest}\n"


def mistakes_json(mistakes: Sequence[Mistake]) -> str:
    """The mistakes as a JSON array of {"where": …, "what": …}."""
    return json.dumps([{"where": m.where, "what": m.what} for m in mistakes], indent=2) + "\n"


def _printable(line: str) -> str:
    # A serial line or a console early in the boot may know no other character.
    return "".join(c if " " <= c <= "~" else "?" for c in line.replace("…", "..."))
