"""A configuration file is read in full, and a mistake in it is reported with its place."""

import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from edgenode.services.config import TABLES, ConfigError, load, start
from edgenode.tasks.registry import TASKS

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"

COMPLETE = """\
[node]
name = "bed-1"
state = "state"
api = "run/node.sock"
genesis = "ward/genesis.toml"
clock = "synchronised"

[gossip]
sync = "127.0.0.1:7170"
broadcast = "[::1]:7171"
seeds = ["10.0.0.7:7070", "bed-2.ward:7070", "[fe80::1]:7070"]
ward_key = "keys/ward.key"
member_key = "/keys/member.key"

# what this box does
[collector]
adapter = "bluez:hci0"
sensors = ["F0:0E:00:00:00:01"]
max_bytes = 2000000
max_age_s = 3600
commit_within_s = 2

[trainer]
model = "activity"
runtime = "litert"
threads = 2
reservoir = 1000
steps = 7
learning_rate = 0.5
momentum_factor = 0

[miner]
threads = 3
share = 1
kernel = "portable"

[exporter]
listen = "0.0.0.0:9999"
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "edgenode.toml"
        path.write_text(text)
        return path

    return write


def test_every_key_reaches_the_settings(write, tmp_path):
    settings = load(write(COMPLETE))

    assert settings.name == settings.gossip.name == "bed-1"
    assert settings.api == settings.gossip.api == tmp_path / "run/node.sock"
    gossip = settings.gossip
    assert gossip.directory == tmp_path / "state/gossip"
    assert gossip.genesis == tmp_path / "ward/genesis.toml"
    assert (gossip.sync, gossip.broadcast) == (("127.0.0.1", 7170), ("::1", 7171))
    assert gossip.seeds == (("10.0.0.7", 7070), ("bed-2.ward", 7070), ("fe80::1", 7070))
    assert gossip.ward_key == tmp_path / "keys/ward.key"
    assert gossip.member_key == Path("/keys/member.key")
    assert gossip.clock == "synchronised"
    collector = settings.for_collector()
    assert collector.database == tmp_path / "state/samples/samples.db"
    assert collector.sensors == ("F0:0E:00:00:00:01",)
    assert (collector.max_bytes, collector.max_age_s) == (2000000, 3600.0)
    assert collector.commit_within_s == 2.0
    trainer = settings.for_trainer()
    assert trainer.samples == collector.database
    assert (trainer.model, trainer.runtime, trainer.threads) == ("activity", "litert", 2)
    assert trainer.reservoir == 1000
    assert trainer.schedule.steps == 7
    assert (trainer.schedule.learning_rate, trainer.schedule.momentum_factor) == (0.5, 0.0)
    assert (settings.miner.threads, settings.miner.share) == (3, 1.0)
    assert settings.miner.kernel == "portable"
    assert settings.exporter.listen == ("0.0.0.0", 9999)


def test_a_name_is_enough_for_a_node_without_sensors(write):
    path = write('[node]\nname = "gateway"\n')
    settings = load(path)
    assert settings.gossip.ward_key == path.parent / "ward.key"
    assert settings.api == Path("/run/edgenode/node.sock")
    with pytest.raises(ConfigError, match=r"no \[collector\] table.*adapter and sensors"):
        settings.for_collector()
    with pytest.raises(ConfigError, match=r"no \[trainer\] table"):
        settings.for_trainer()


def test_the_task_chooses_what_the_trainer_is_not_told(write):
    trainer = load(write('[node]\nname = "a"\n[trainer]\nmodel = "activity"\n')).for_trainer()
    assert trainer.schedule == TASKS["activity"].schedule


@pytest.mark.parametrize(
    ("old", "new", "line", "text"),
    [
        ("[collector]", "[colector]", 16, r'\[colector\].*did you mean "collector"'),
        ("adapter =", "adaptor =", 17, r'adaptor.*did you mean "adapter"\?.*there are: adapter, '),
        ('"bed-1"', "1", 2, r"\[node\] name: must be a string.* not 1$"),
        ('"bed-1"', '"bed 1"', 2, r"'bed 1' is not 1 to 64 letters"),
        ('name = "bed-1"', "", 1, r"\[node\]: name is missing"),
        ('"run/node.sock"', '"' + "x" * 120 + '"', 4, r"api: .* at most 107"),
        ('"synchronised"', '"ntp"', 6, 'clock: \'ntp\' is neither "any" nor "synchronised"'),
        ("127.0.0.1:7170", "127.0.0.1", 9, r'sync: \'127.0.0.1\' is no address; write "host:port"'),
        ("127.0.0.1:7170", "127.0.0.1:70700", 9, "sync: port 70700 is not in 1..65535"),
        ("127.0.0.1:7170", "127.0.0.1:-1", 9, "is no address"),
        ("127.0.0.1:7170", "ward.example:7170", 9, "no IP address of this machine"),
        ("[::1]:7171", "::1:7171", 10, "is no address"),
        ("[::1]:7171", "127.0.0.1:7170", 10, "port 7170 is also that of sync"),
        ('"bed-2.ward:7070"', "7070", 11, "must hold strings only"),
        ('ward_key = "keys/ward.key"', 'keep = "some"', 12, 'neither "recent" nor "all"'),
        ('ward_key = "keys/ward.key"', "keep_blocks = 511", 12, "511 is below 512"),
        (
            'ward_key = "keys/ward.key"',
            'gateway = "hci0"',
            12,
            "gateway: 'hci0' is neither rfcomm:",
        ),
        ('ward_key = "keys/ward.key"', 'gateway = "rfcomm:*"', 12, "names no gateway"),
        ('ward_key = "keys/ward.key"', "keep_bytes = 1", 12, "1 is below 268435456"),
        ('["F0:0E:00:00:00:01"]', '"F0:0E:00:00:00:01"', 18, "must be an array of strings"),
        ('sensors = ["F0:0E:00:00:00:01"]', "", 16, "sensors: the list is empty"),
        ("[collector]", '["collector"]\nadaptr = 1', 17, r"\[collector\] adaptr"),
        ("[miner]", "[miner.pace]\n[miner]", 32, r"\[miner\] pace: there is no such key"),
        ("[miner]", "[[miner]]", 32, r"\[miner\]: write \[miner\] once, not \[\[miner\]\]"),
        ("[exporter]\nlisten", "[exporter]\nlisten.on", 38, "must be a string.* not a table"),
        ('["F0:0E:00:00:00:01"]', "[]", 18, "sensors: the list is empty"),
        ('"F0:0E:00:00:00:01"', '"F0:0E:00:00:00"', 18, "is no address such as"),
        ("max_bytes = 2000000", "max_bytes = 2e6", 19, "must be an integer, not 2000000.0"),
        ("max_bytes = 2000000", "max_bytes = 3", 19, "3 is below 1048576"),
        ('model = "activity"', 'model = "activty"', 24, r'no task "activty"; there are: "activi'),
        ('model = "activity"', 'model = "cifar10"', 24, '"cifar10" do not come from sensors; th'),
        ('"litert"', '"torch"', 25, 'neither "tflite" nor "litert"'),
        ("threads = 2", "threads = true", 26, "must be an integer, not True"),
        ("reservoir = 1000", "reservoir = 1", 27, "1 is not in 64..32768"),
        ("steps = 7", "steps = 0", 28, "0 is not in 1..100000"),
        ("learning_rate = 0.5", "learning_rate = nan", 29, "nan is not above 0"),
        ("momentum_factor = 0", "momentum_factor = 1", 30, "1.0 is not in 0..1"),
        ("threads = 3", "threads = 0", 33, r"\[miner\] threads: 0 is not in 1..64"),
        ("share = 1", "share = 1.5", 34, "1.5 is not in 0.01..1"),
        ("share = 1", "share = nan", 34, "nan is not in"),
        ("share = 1", "ceiling_celsius = 20", 34, "ceiling_celsius: 20 is not in 30..110"),
        ("share = 1", "ceiling_celsius = 70.5", 34, "must be an integer"),
        ("share = 1", "watts = -0.5", 34, "watts: -0.5 is not in 0..100"),
        ("share = 1", "watts = nan", 34, "nan is not in"),
        ("share = 1", f"share = {'9' * 400}", 34, "share: the number has more than 64 bits"),
        (
            '"portable"',
            '"cuda"',
            35,
            r'\[miner\] kernel: there is no kernel "cuda", only auto',
        ),
        ("threads = 3", f"threads = 0x{'f' * 5000}", 33, "the number has more than 64 bits"),
        ('"litert"', f"[0x{'f' * 5000}]", 25, "must be a string.* not an array"),
        ("0.0.0.0:9999", "localhost:9999", 38, "listen: 'localhost' is no IP address"),
    ],
)
def test_a_mistake_is_reported_with_line_key_and_what_is_allowed(write, old, new, line, text):
    assert COMPLETE.count(old) == 1
    path = write(COMPLETE.replace(old, new))
    with pytest.raises(ConfigError, match=text) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[gossip]\n", r"there is no \[node\] table"),
        ("[node\n", "not TOML: .*line 1"),
        ('name = "x"\n', "toml:1: name: stands in no table"),
        ('[[node]]\nname = "x"\n', r"toml:1: \[node\]: write \[node\] once, not \[\[node\]\]"),
        ("node = [1]\n", r"toml:1: \[node\]: write \[node\] once"),
        ('[node]\nname = "x"\n[node.more]\n', r"toml:3: \[node\] more: there is no such key"),
        ('\nnode = { nam = "x" }\n', r"toml:2: \[node\] nam: there is no such key"),
        ('\nnode.name = "a b"\n', r"toml:2: \[node\] name: 'a b' is not"),
        (f"[node]\nname = {'9' * 5000}\n", "an integer in it has too many digits"),
        (f"[node]\nname = {'[' * 3000}{']' * 3000}\n", "nested too deep"),
        ('[node]\nname = "a"\nname = "b"\n', "not TOML"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(write, text, reason):
    with pytest.raises(ConfigError, match=reason):
        load(write(text))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "edgenode.toml"
    path.write_bytes(b'[node]\nname = "\xff"\n')
    with pytest.raises(ConfigError, match="not UTF-8 at byte 15"):
        load(path)


def test_a_missing_file_is_reported_with_what_to_do(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no such file; name the node's edgenode.toml with --con"
    ):
        load(tmp_path / "none.toml")


def test_a_fifo_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "edgenode.toml")
    with pytest.raises(ConfigError, match="is no regular file"):
        load(tmp_path / "edgenode.toml")


def test_a_directory_is_no_configuration(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_service_ends_with_status_5_and_the_reason(write, capsys):
    with pytest.raises(SystemExit) as ended:
        start("miner", ["--config", str(write(COMPLETE.replace("share", "shared")))])
    assert ended.value.code == 5
    assert "edgenode-miner: " in (error := capsys.readouterr().err)
    assert 'did you mean "share"?' in error


def test_a_trainer_without_its_table_does_not_start(write, capsys):
    path = write('[node]\nname = "gateway"\n')
    assert start("gossip", ["--config", str(path)]).name == "gateway"
    with pytest.raises(SystemExit) as ended:
        start("trainer", ["--config", str(path)])
    assert ended.value.code == 5
    assert "no [trainer] table" in capsys.readouterr().err


def test_the_file_is_found_through_the_environment(write, monkeypatch):
    monkeypatch.setenv("EDGENODE_CONFIG", str(write(COMPLETE)))
    assert start("miner", []).name == "bed-1"


def example():
    return DOCS.read_text().split("```toml\n")[1].split("```")[0]


def test_the_documentation_shows_every_key_with_a_value_that_is_accepted(write):
    shown = {table: tuple(keys) for table, keys in tomllib.loads(example()).items()}
    assert shown == TABLES
    assert load(write(example())).name == "bed-1"


def test_the_documentation_shows_the_defaults(write):
    shown = load(write(example()))
    bare = load(
        write(
            '[node]\nname = "bed-1"\n[collector]\nadapter = "bluez:hci0"\n'
            'sensors = ["F0:0E:00:00:00:01"]\n[trainer]\nmodel = "activity"\n'
            '[gateway]\nlisten = ["rfcomm:*"]\n'
        )
    )
    assert replace(shown.gossip, seeds=(), gateway=None, keep_bytes=None) == bare.gossip
    assert replace(shown.for_collector(), max_age_s=None) == bare.collector
    task_chooses = replace(
        shown.for_trainer(), steps=None, learning_rate=None, momentum_factor=None
    )
    assert task_chooses == bare.trainer
    assert replace(shown.miner, stratum=None, pool=()) == bare.miner
    assert shown.exporter == bare.exporter
    assert shown.gateway == bare.gateway


def test_reading_the_configuration_loads_no_runtime_and_no_radio():
    # A miner that imports TensorFlow Lite or a Bluetooth stack costs each box memory.
    heavy = "{'tflite_runtime', 'ai_edge_litert', 'bleak', 'bumble', 'aiohttp'}"
    code = f"import sys, edgenode.services.config; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("listen = []", 'listen: names no place, such as "rfcomm:\\*"'),
        ('listen = ["hci0"]', "listen: 'hci0' is neither rfcomm:"),
        ('listen = ["rfcomm:*"]\nboxes = 8', r"boxes: 8 is not in 1\.\.7"),
        ('listen = ["rfcomm:*"]\nports = 65530', "ports: 65530 is no first of 14 ports"),
        ('listen = ["rfcomm:*"]\nports = 80', "ports: 80 is no first of 14 ports"),
        ('listen = ["rfcomm:*"]\nport = 80', 'port.*did you mean "ports"'),
    ],
)
def test_a_gateway_that_cannot_be_is_refused_in_words(write, lines, text):
    with pytest.raises(ConfigError, match=rf"\[gateway\] .*{text}"):
        load(write(f'[node]\nname = "a"\n[gateway]\n{lines}\n'))


def test_a_gateway_without_its_table_does_not_start(write, capsys):
    with pytest.raises(SystemExit) as ended:
        start("gateway", ["--config", str(write('[node]\nname = "a"\n'))])
    assert ended.value.code == 5
    assert "no [gateway] table; the gateway needs one with listen" in capsys.readouterr().err
