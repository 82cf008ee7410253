"""The file that comes on the card is right as it is, and with each of its examples."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from edgenode.appliance.box_settings import BoxSettings, read_box
from edgenode.appliance.box_tables import BOX_TABLES
from edgenode.services.config import TABLES
from tests.appliance.boxes import GENESIS_TEXT

TEMPLATE = Path(__file__).parents[2] / "image" / "edgenode.toml"
TEXT = TEMPLATE.read_text(encoding="utf-8")
MANUAL = (TEMPLATE.parents[1] / "docs" / "flashing.md").read_text(encoding="utf-8")

EXAMPLE = re.compile(r"^#(?=[^# \n])", re.MULTILINE)
SET_BY_THE_BOX = {
    "node": {"state", "api", "genesis", "clock"},
    "gossip": {"ward_key", "member_key"},
}


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "edgenode.toml"
        path.write_text(text, encoding="utf-8")
        (tmp_path / "genesis.toml").write_text(GENESIS_TEXT)
        return read_box(path)

    return read


def test_as_it_comes_it_is_a_box_with_dhcp():
    reading = read_box(TEMPLATE)
    assert reading.mistakes == ()
    node = {"node": {}, "gossip": {}, "miner": {}, "exporter": {}}
    assert reading.settings == BoxSettings(node=node)


def test_with_every_example_switched_on_every_table_is_right(read):
    reading = read(EXAMPLE.sub("", TEXT))
    assert reading.mistakes == ()
    assert reading.right == (*BOX_TABLES, *TABLES)
    settings = reading.settings
    assert settings.ethernet is not None
    assert settings.wifi is not None
    assert len(settings.ssh_keys) == 1
    assert settings.genesis == GENESIS_TEXT


# A key is switched on with its table's name, if that is an example, too.
LINES = TEXT.split("\n")
NUMBERS = [number for number, line in enumerate(LINES) if EXAMPLE.match(line)]
NEEDED = {
    "gateway": ["address"],
    "dns": ["address"],
    "country": ["ssid", "passphrase"],
    "ssid": ["country", "passphrase"],
    "passphrase": ["country", "ssid"],
    "[wifi]": ["country", "ssid", "passphrase"],
    "[trainer]": ["model"],
    "[gateway]": ["listen"],
    "ports": ["listen"],
    "boxes": ["listen"],
}


def first_word(line):
    return line.removeprefix("#").split(" ")[0]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: first_word(LINES[number]))
def test_each_example_works_with_no_more_than_it_needs(read, number):
    header = max(n for n in range(number + 1) if LINES[n].removeprefix("#").startswith("["))
    end = next((n for n in range(header + 1, len(LINES)) if LINES[n].lstrip("#").startswith("[")),
               len(LINES))  # fmt: skip
    needed = {*NEEDED.get(first_word(LINES[number]), ())}
    if LINES[header] == "#[collector]":
        needed |= {"adapter", "sensors"}
    if LINES[header] == "#[trainer]":
        needed |= {"model"}
    lines = [
        line.removeprefix("#")
        if n in (number, header) or (header < n < end and first_word(line) in needed)
        else line
        for n, line in enumerate(LINES)
    ]
    assert read("\n".join(lines)).mistakes == ()


def test_every_key_that_a_person_may_set_stands_in_it():
    written = EXAMPLE.sub("", TEXT)
    for table, keys in {**BOX_TABLES, **TABLES}.items():
        _, separator, section = written.partition(f"\n[{table}]\n")
        assert separator, table
        section = re.split(r"^\[", section, maxsplit=1, flags=re.MULTILINE)[0]
        for key in set(keys) - SET_BY_THE_BOX.get(table, set()):
            assert re.search(rf"^(#   )?{key} = ", section, re.MULTILINE), f"[{table}] {key}"


def test_every_setting_is_explained_in_the_lines_above_it():
    setting = re.compile(r"#\S|\w+ =")
    for before, line in pairwise(LINES):
        if setting.match(line):  # some are explained together and follow each other
            assert before.startswith("# ") or setting.match(before), line


def test_it_is_plain_text_that_every_editor_shows_on_one_screen():
    assert max(map(len, LINES)) <= 110
    assert "\t" not in TEXT
    assert "\r" not in TEXT


# docs/flashing.md


def test_the_manuals_example_is_right(read):
    (example,) = re.findall(r"^```toml\n(.*?)^```", MANUAL, re.MULTILINE | re.DOTALL)
    reading = read(example)
    assert reading.mistakes == ()
    assert reading.right == ("box", "ethernet", "ssh")


def test_the_manual_lists_every_table_and_key():
    rows = dict(re.findall(r"^\| `\[(\w+)\]` \| (.*)$", MANUAL, re.MULTILINE))
    assert tuple(rows) == tuple(BOX_TABLES)
    for table, keys in BOX_TABLES.items():
        assert all(f"`{key}`" in rows[table] for key in keys), table


def test_the_manual_shows_what_a_missing_quote_looks_like(read):
    text = TEXT
    for line in ("[wifi]", "country = ", "ssid = ", "passphrase = "):
        text = text.replace(f"#{line}", line, 1)
    (mistake,) = read(text.replace('"Ward 7"', '"Ward 7')).mistakes
    assert f"  {mistake}\n" in MANUAL
