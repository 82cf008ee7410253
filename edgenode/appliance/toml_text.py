"""Writing TOML 1.0: what tomllib reads back as the same values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# TOML promises no larger integer. tomllib reads thousands of digits in hexadecimal, which has no
# sign, and Python writes so many in hexadecimal only.
_LARGEST = (1 << 63) - 1


def document_text(tables: Mapping[str, Mapping[str, object]]) -> str:
    """Tables of plain values as a TOML document.

    Raises:
        TypeError: A value is none that tomllib gives.
    """
    return "\n".join(
        "".join(
            [f"[{_key(name)}]\n", *(f"{_key(key)} = {value_text(values[key])}\n" for key in values)]
        )
        for name, values in tables.items()
    )


def value_text(value: object) -> str:
    """One value on one line, whatever it holds.

    Raises:
        TypeError: It is none that tomllib gives.
    """
    match value:
        case bool():
            text = "true" if value else "false"
        case int():
            text = f"0x{value:x}" if value > _LARGEST else str(value)
        case float():
            text = repr(value)  # inf and nan are TOML's words, too
        case str():
            text = _string(value)
        case list() | tuple():
            text = f"[{', '.join(map(value_text, value))}]"
        case dict():
            inner = (f"{_key(key)} = {value_text(inner)}" for key, inner in value.items())
            text = f"{{{', '.join(inner)}}}"
        case datetime() | date() | time():
            text = value.isoformat()
        case _:
            raise TypeError(f"{type(value).__name__} is no type of TOML")
    return text


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    # A basic string is JSON's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
