"""Whether a box runs a service is decided by its configuration, where that can be read."""

import subprocess
import sys

import pytest

from edgenode.services.wanted import NOT_WANTED, OPTIONAL, WANTED, main


@pytest.fixture
def asked(tmp_path):
    def ask(service, text):
        path = tmp_path / "edgenode.toml"
        if text is not None:
            path.write_bytes(text.encode("latin-1"))
        return main([service, "--config", str(path)])

    return ask


@pytest.mark.parametrize("service", OPTIONAL)
@pytest.mark.parametrize("form", ["[{}]", "[ {} ]  # a box with sensors", "{} = {{}}", "[{}.x]"])
def test_a_service_with_a_table_is_wanted_however_it_is_written(asked, service, form):
    assert asked(service, form.format(service)) == WANTED


@pytest.mark.parametrize("service", OPTIONAL)
@pytest.mark.parametrize("text", ["", "[node]\n", "# [{}]\n", 'name = "[{}]"\n'])
def test_a_service_without_a_table_is_not_and_the_log_says_so(asked, capsys, service, text):
    assert asked(service, text.format(service)) == NOT_WANTED
    assert f"has no [{service}] table: this box runs no {service}" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, "[node", "\xff"])
def test_a_file_that_cannot_be_read_leaves_it_to_the_service_to_say_so(asked, text):
    assert asked("collector", text) == WANTED


@pytest.mark.parametrize(
    ("lines", "unit"),
    [
        ("", "miner"),
        ("share = 0.5", "miner"),
        ("pool = []", "miner"),
        ('stratum = "10.0.0.7:3333"', "pool"),
        ('pool = ["10.0.0.8:3333"]', "pool"),
        ('stratum = "10.0.0.7:3333"\npool = ["10.0.0.8:3333"]', "pool"),
    ],
)
def test_a_miner_runs_with_a_network_or_without_one_and_never_twice(asked, capsys, lines, unit):
    text = f"[miner]\n{lines}\n"
    wanted = {name: asked(name, text) == WANTED for name in ("miner", "pool")}
    assert wanted == {"miner": unit == "miner", "pool": unit == "pool"}
    assert "in [miner]: the miner" in capsys.readouterr().out


def test_a_box_without_a_miner_has_none_with_a_network_either(asked, capsys):
    assert asked("pool", "[node]\n") == NOT_WANTED
    assert "has no [miner] table" in capsys.readouterr().out


@pytest.mark.parametrize("text", [None, "[miner", "\xff"])
def test_which_miner_a_file_wants_that_cannot_be_read_is_left_to_both(asked, text):
    assert (asked("miner", text), asked("pool", text)) == (WANTED, WANTED)


def test_nobody_asks_about_a_service_that_every_node_runs(asked):
    with pytest.raises(SystemExit) as ended:
        asked("gossip", "")
    assert ended.value.code == 2


def test_it_loads_nothing_that_a_slow_board_would_feel():
    program = "import sys, edgenode.services.wanted; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    assert "tomllib" in loaded
    assert not {"numpy", "aiohttp", "asyncio", "edgenode.services.config"} & set(loaded)
