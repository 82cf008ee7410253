"""What arguments and options of several commands may be: a file, a block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenode.ledger.keys import is_public_key

_HIGHEST = 2**32 - 1
"""A coinbase has 32 bits for its height."""


class _File(click.Path):
    def convert(
        self,
        value: Any,  # noqa: ANN401  (click's signature)
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401
        if not str(value):
            self.fail("an empty text names no file", param, ctx)
        return super().convert(value, param, ctx)


# Whether a file can be opened is said by who opens it, with the exit code for files.
FILE = _File(dir_okay=False, readable=False, path_type=Path)
"""A file, as a Path."""

BLOCK_METAVAR = "ID|HEIGHT"


def block_named(text: str) -> str | int:
    """A block: its height, or its id in lower case. Digits alone are a height.

    Raises:
        click.BadParameter: It is neither.
    """
    if text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _HIGHEST:
        return int(text)
    if len(text) == 64 and all(c in "0123456789abcdef" for c in text.lower()):
        return text.lower()
    raise click.BadParameter(
        f"{text!r} is neither a height nor a block id of 64 hexadecimal digits; heights end at "
        f"{_HIGHEST}"
    )


def named_key(text: str, hint: str) -> tuple[str, str]:
    """A name and the text of a key, from NAME=KEY.

    Raises:
        click.BadParameter: There is no = in it; `hint` is the option or argument.
    """
    name, separator, key = text.rpartition("=")
    if not separator:
        raise click.BadParameter(
            f"{text!r} is not NAME=KEY, such as bed-1=<64 hexadecimal digits>", param_hint=hint
        )
    return name, key


def public_key(text: str) -> bytes:
    """A public key, 32 bytes.

    Raises:
        click.BadParameter: The text is none.
    """
    digits = len(text) == 64 and all(c in "0123456789abcdef" for c in text.lower())
    if not digits or not is_public_key(bytes.fromhex(text)):
        raise click.BadParameter(f"{text!r} is no public key; see: edgenode key show")
    return bytes.fromhex(text)
