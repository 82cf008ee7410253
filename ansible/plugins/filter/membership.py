"""Filters for who is and who becomes a member of a ward: enroll.yml goes by them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

_NO_AUTHORITIES = (
    "is no member of ward {ward}, and never will be: the ward was founded without authorities, so "
    "its members are those of its genesis for ever. To take the box in, found a new ward (move "
    "genesis.toml away and run this again, with ward_authorities this time; the chain begins "
    "anew), or take the box out of this inventory group."
)
_NOBODY_ANSWERS = (
    "is not in the genesis of ward {ward}, and no member's node in this run says who else belongs "
    "to it: run this for the whole ward while boxes of it are on, and look at them with `edgenode "
    "doctor`."
)
_NAME_TAKEN = (
    "has the key {key}, but {host} is the name of another member of ward {ward}, perhaps this "
    "box's before it lost its key. Revoke that one (`edgenode member revoke {host}`), and run this "
    "again when `edgenode member list` shows it no more: once the revocation is final, half an "
    "hour or so."
)
_REVOKED = (
    "has a key that ward {ward} has revoked. Take the box out of this inventory group; or run this "
    "again when `edgenode member list` shows the key no more, and it is enrolled anew."
)


def member_keys(said: Mapping[str, str | None]) -> dict[str, str]:
    """The public keys of boxes by their names; without those that have none yet.

    Args:
        said: What `edgenode --json key show` printed, by box.
    """
    found = {box: _parsed(text) for box, text in said.items()}
    return {box: answer["public"] for box, answer in found.items() if "public" in answer}


def never_members(keys: Mapping[str, str], founded: Mapping[str, Any]) -> dict[str, str]:
    """Boxes that can be no members of their ward, each with the reason as a sentence.

    Args:
        keys: Public keys by box.
        founded: What `edgenode --json genesis check` says.
    """
    if founded["authorities"]:
        return {}
    return {box: _NO_AUTHORITIES.format(ward=founded["ward"]) for box in _late(keys, founded)}


def enrolments(
    keys: Mapping[str, str], founded: Mapping[str, Any], said: Mapping[str, str | None]
) -> dict[str, Any]:
    """Which boxes are to be enrolled, and which cannot be.

    Args:
        keys: Public keys by box.
        founded: What `edgenode --json genesis check` says.
        said: What `edgenode --json member list` printed, by box; empty where it was not asked.

    Returns:
        `late`: boxes that genesis does not know. `voice`: a member's box that knows the ward; empty
        if there is none. `missing`: name, key and sequence of each enrolment that nobody has handed
        in. `hindered`: why a box cannot be enrolled, as a sentence, by box. `members`: keys by
        names of members, and of those whose enrolment waits.
    """
    late = _late(keys, founded)
    voice, ward = _heard(keys, said)
    members = {member["name"]: member["key"] for member in founded["members"]}
    plan: dict[str, Any] = {
        "late": late, "voice": voice, "missing": [], "hindered": {}, "members": members,
    }  # fmt: skip
    if not voice:
        plan["hindered"] = {box: _NOBODY_ANSWERS.format(ward=founded["ward"]) for box in late}
        return plan
    waiting = [each for each in ward["waiting"] if each["name"] is not None]
    active = [each for each in ward["members"] if each["until"] is None]
    plan["members"] = {each["name"]: each["key"] for each in (*active, *waiting)}
    taken = {each["name"] for each in (*ward["members"], *waiting)}
    revoked = {each["key"] for each in ward["members"] if each["until"] is not None}
    sequence = max([ward["changes"], *(each["sequence"] + 1 for each in ward["waiting"])])
    for box in late:
        key = keys[box]
        if key in plan["members"].values():
            continue
        reason = _REVOKED if key in revoked else _NAME_TAKEN if box in taken else ""
        if reason:
            plan["hindered"][box] = reason.format(ward=founded["ward"], host=box, key=key)
            continue
        plan["missing"].append({"name": box, "key": key, "sequence": sequence})
        sequence += 1
    return plan


def _late(keys: Mapping[str, str], founded: Mapping[str, Any]) -> list[str]:
    known = {member["key"] for member in founded["members"]}
    return [box for box, key in keys.items() if key not in known]


def _heard(
    keys: Mapping[str, str], said: Mapping[str, str | None]
) -> tuple[str, Mapping[str, Any]]:
    """The member's box that has seen most changes, and what it says; "" if none answers."""
    heard = {}
    for box, text in said.items():
        answer = _parsed(text)
        active = {each["key"] for each in answer.get("members", []) if each["until"] is None}
        if keys.get(box) in active:
            heard[box] = answer
    if not heard:
        return "", {}
    voice = max(heard, key=lambda box: heard[box]["changes"] + len(heard[box]["waiting"]))
    return voice, heard[voice]


def _parsed(text: str | None) -> Mapping[str, Any]:
    """A JSON object; an empty one where nothing was said."""
    return json.loads(text) if text else {}


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {
            "enrolments": enrolments,
            "member_keys": member_keys,
            "never_members": never_members,
        }
