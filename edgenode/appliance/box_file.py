"""A box's file, taken apart into its tables so that a mistake in one leaves the others.

Usually the file is TOML as a whole. Where it is not (a quote is missing), it is cut at the lines
that begin a known table, and each piece is read alone.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgenode.appliance.card_file import CardFileError, as_text, read_card_file
from edgenode.appliance.mistake import Mistake, mistake_in
from edgenode.services.toml_table import ConfigError, TomlFile

# A box's file has some 150 lines, and a pasted genesis some 40 kB.
_FILE_BYTES_LIMIT = 1 << 20
# There are a dozen tables; a file with more pieces repeats them.
_PIECES_LIMIT = 32
_TYPOGRAPHIC_QUOTES = re.compile("[“”„«»‘’]")


@dataclass(frozen=True, slots=True)
class FoundTable:
    """One table of the file.

    Attributes:
        file: The file that holds it, for its values by type and for errors with their line.
        values: Its values as they stand.
    """

    file: TomlFile
    values: Mapping[str, Any]


@dataclass(slots=True)
class BoxFile:
    """What could be read of a box's file.

    Attributes:
        text: The text; empty where it cannot be read.
        tables: The tables that are there and are TOML.
        wrong: Names of tables that are there and are not.
        complete: Whether all that stands in the file was understood. If not, a table that is
            missing may be one whose name is misspelt, so nothing follows from its absence.
        mistakes: What is wrong, in the order of the file.
    """

    text: str = ""
    tables: dict[str, FoundTable] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    complete: bool = True
    mistakes: list[Mistake] = field(default_factory=list)


def open_box_file(path: Path, known: Collection[str], scratch: Path) -> BoxFile:
    """Read a box's file as far as it can be read; what is wrong in it is in the result.

    Args:
        path: The file.
        known: Names of the tables that there are.
        scratch: A directory for copies, whose name is not shown to anybody.
    """
    box = BoxFile()
    try:
        box.text = as_text(read_card_file(path, _FILE_BYTES_LIMIT))
    except FileNotFoundError:
        _give_up(box, path, "there is no such file; docs/flashing.md says what stands in it")
        return box
    except CardFileError as error:
        _give_up(box, path, str(error))
        return box
    copy = scratch / path.name
    try:
        _take_tables(box, _parse(copy, box.text), known)
    except ConfigError as error:
        box.complete = False
        whole = _with_hint(mistake_in(copy, error), box.text)
        _read_pieces(box, copy, known, whole)
    return box


def _give_up(box: BoxFile, path: Path, what: str) -> None:
    box.complete = False
    box.mistakes.append(Mistake(path.name, what))


@dataclass(frozen=True, slots=True)
class _Parsed:
    file: TomlFile
    document: Mapping[str, Any]


def _parse(copy: Path, text: str) -> _Parsed:
    copy.write_text(text, encoding="utf-8", newline="")
    file = TomlFile(copy)  # the same text, read by what knows how to report an error
    return _Parsed(file, tomllib.loads(text))


def _take_tables(box: BoxFile, parsed: _Parsed, known: Collection[str]) -> None:
    file = parsed.file

    def refuse(error: ConfigError) -> None:
        box.mistakes.append(mistake_in(file.path, error))

    for name, value in parsed.document.items():
        if name in known and isinstance(value, dict):
            box.tables[name] = FoundTable(file, value)
        elif name in known and isinstance(value, list):
            box.wrong.add(name)
            refuse(file.error(name, None, f"write [{name}] once, not [[{name}]]"))
        elif not isinstance(value, dict | list):
            box.complete = False
            refuse(file.error("", name, "stands in no table; it must come below a [table] line"))
        else:
            box.complete = False
            close = difflib.get_close_matches(name, known, n=1)
            meant = f' (did you mean "{close[0]}"?)' if close else ""
            there_are = ", ".join(f"[{table}]" for table in known)
            refuse(
                file.error(
                    name, None, f"there is no such table{meant}; there are {there_are}"
                )
            )  # fmt: skip


def _read_pieces(box: BoxFile, copy: Path, known: Collection[str], whole: Mistake) -> None:
    pieces = _pieces(box.text, known)
    if len(pieces) > _PIECES_LIMIT:
        box.mistakes.append(whole)
        return
    for name, line, text in pieces:
        padded = "\n" * (line - 1) + text  # its lines keep their numbers
        try:
            parsed = _parse(copy, padded)
        except ConfigError as error:
            box.wrong.add(name)
            mistake = _with_hint(mistake_in(copy, error, line=line), box.text)
            box.mistakes.append(
                Mistake(mistake.where, f"[{name}]: {mistake.what}" if name else mistake.what)
            )
            continue
        for table in box.tables.keys() & parsed.document.keys():
            box.wrong.add(table)
            twice = parsed.file.error(table, None, "stands twice in the file; write it once")
            box.mistakes.append(mistake_in(copy, twice))
        _take_tables(box, parsed, known)
    for name in box.wrong:
        box.tables.pop(name, None)
    if not box.mistakes:
        box.mistakes.append(whole)


def _pieces(text: str, known: Collection[str]) -> list[tuple[str, int, str]]:
    """Name of the first table, number of the first line, and text of each piece."""
    names = "|".join(map(re.escape, known))
    # The bracket that closes may be what is missing.
    begins = re.compile(rf"""[ \t]*\[\[?[ \t]*["']?({names})(?![A-Za-z0-9_-])""")
    pieces: list[tuple[str, int, list[str]]] = [("", 1, [])]
    for number, line in enumerate(text.split("\n"), 1):
        if match := begins.match(line):
            pieces.append((match[1], number, []))
        pieces[-1][2].append(line)
    return [(name, number, "\n".join(lines)) for name, number, lines in pieces if lines]


def _with_hint(mistake: Mistake, text: str) -> Mistake:
    """Say what an office program's editor has done, where it has."""
    _, _, number = mistake.where.rpartition(":")
    lines = text.split("\n")
    if number.isdecimal() and _TYPOGRAPHIC_QUOTES.search(lines[int(number) - 1]):
        return Mistake(
            mistake.where, f'{mistake.what}; the line has typographic quotes, write plain ones: "'
        )
    return mistake
