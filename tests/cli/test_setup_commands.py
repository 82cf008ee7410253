"""Keys, genesis, configuration: what a ward needs before its first block."""

import os
import resource
import stat
import subprocess
import sys
from dataclasses import replace

import pytest

from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.genesis import GenesisError, Member
from edgenode.ledger.genesis_file import format_genesis, parse_genesis
from edgenode.ledger.hashes import display
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.target import expand, work
from edgenode.storage.keyfile import read_key
from tests.ledger.builder import ALICE

KEY = ALICE.public.hex()
CREATE = ("genesis", "create", "--name", "ward 7", "--member", f"bed-1={KEY}")


def test_a_member_key_is_created_for_its_owner_and_shown_in_public_only(edgenode, tmp_path):
    created = edgenode("key", "create", "--file", "member.key")
    assert created.code == 0
    path = tmp_path / "member.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    seed = read_key(path)
    assert created.out.strip() == MemberKey(seed).public.hex()
    assert seed.hex() not in created.out + created.err
    assert edgenode("key", "show", "--file", "member.key").out == created.out
    document = edgenode("--json", "key", "show", "--file", "member.key").document
    assert document == {"file": "member.key", "public": created.out.strip()}


def test_a_key_is_never_written_over(edgenode, tmp_path):
    edgenode("key", "create", "--file", "member.key")
    before = (tmp_path / "member.key").read_bytes()
    ran = edgenode("key", "create", "--file", "member.key")
    assert (ran.code, ran.out) == (5, "")
    assert "member.key: there is a file already, and a lost key cannot be made again" in ran.err
    assert (tmp_path / "member.key").read_bytes() == before


@pytest.mark.parametrize(
    "arguments",
    [("key", "create", "--file"), ("key", "create", "ward", "--file"), ("key", "show", "--file"),
     ("genesis", "check"), (*CREATE, "--out"), ("status", "--config"), ("status", "--socket"),
     ("model", "export", "activity", "--force", "--out")],
)  # fmt: skip
def test_an_empty_text_names_no_file(edgenode, tmp_path, arguments):
    ran = edgenode(*arguments, "")
    assert (ran.code, ran.out) == (2, "")
    assert "an empty text names no file" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_ward_key_is_created_and_not_shown(edgenode, tmp_path):
    ran = edgenode("key", "create", "ward", "--file", "ward.key")
    assert ran.code == 0
    assert read_key(tmp_path / "ward.key").hex() not in ran.out + ran.err


def test_keys_go_where_the_configuration_says(edgenode, tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "edgenode.toml").write_text(
        '[node]\nname = "bed-1"\n[gossip]\nmember_key = "keys/m"\nward_key = "keys/w"\n'
    )
    assert edgenode("--config", "edgenode.toml", "key", "create").code == 0
    assert edgenode("--config", "edgenode.toml", "key", "create", "ward").code == 0
    assert read_key(tmp_path / "keys/m") != read_key(tmp_path / "keys/w")
    assert edgenode("--config", "edgenode.toml", "key", "show").code == 0


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [(None, 0o600, "there is no such file"), ("00" * 32, 0o644, "chmod 600"),
     ("secret", 0o600, "is no key file")],
)  # fmt: skip
def test_a_key_file_that_is_unusable_is_code_5(edgenode, tmp_path, content, mode, reason):
    if content:
        (tmp_path / "m").write_text(content)
        (tmp_path / "m").chmod(mode)
    ran = edgenode("key", "show", "--file", "m")
    assert (ran.code, ran.out) == (5, "")
    assert reason in ran.err


def test_a_ward_is_founded_and_its_file_passes_the_check(edgenode, tmp_path):
    ran = edgenode(*CREATE, "--time", 1_700_000_000, "--out", "genesis.toml")
    assert ran.code == 0
    genesis = parse_genesis((tmp_path / "genesis.toml").read_text())
    assert display(genesis.id) in ran.out
    assert (genesis.name, genesis.time, genesis.spacing) == ("ward 7", 1_700_000_000, 90)
    assert genesis.members == (Member("bed-1", KEY),)
    checked = edgenode("genesis", "check", "genesis.toml")
    assert checked.code == 0
    assert display(genesis.id) in checked.out
    document = edgenode("--json", "genesis", "check", "genesis.toml").document
    assert document["genesis"] == display(genesis.id)
    assert document["members"] == [{"name": "bed-1", "key": KEY}]


def test_without_a_file_the_genesis_goes_to_stdout(edgenode):
    assert parse_genesis(edgenode(*CREATE).out).name == "ward 7"
    assert parse_genesis(edgenode("--json", *CREATE).document["toml"]).name == "ward 7"


def test_the_same_options_found_the_same_ward(edgenode):
    assert edgenode(*CREATE, "--time", 5).out == edgenode(*CREATE, "--time", 5).out


def test_a_genesis_is_never_written_over(edgenode, tmp_path):
    (tmp_path / "genesis.toml").write_text("precious")
    ran = edgenode(*CREATE, "--out", "genesis.toml")
    assert (ran.code, ran.out) == (5, "")
    assert "there is a file already; a ward whose genesis is lost is lost" in ran.err
    assert (tmp_path / "genesis.toml").read_text() == "precious"


def test_a_genesis_that_the_disk_does_not_take_leaves_nothing(tmp_path):
    def take_little():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    command = [sys.executable, "-m", "edgenode.cli", *CREATE, "--out", "genesis.toml"]
    ran = subprocess.run(
        command, cwd=tmp_path, preexec_fn=take_little, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (5, "")
    assert "genesis.toml: cannot be written: File too large" in ran.stderr
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--member", "bed-2"), "'bed-2' is not NAME=KEY"),
        (("--member", "bed-2=00"), "key of member bed-2 must be 64"),
        (("--member", f"bed-1={KEY}"), "member name bed-1 occurs twice"),
        (("--model", "mnist"), "'mnist' is not one of 'activity', 'cifar10'"),
        (("--spacing", "0"), "--spacing"),
        (("--hash-rate", "0"), "--hash-rate"),
        (("--hash-rate", "nan"), "hash rate"),
        (("--hash-rate", "1e300"), "hash rate"),
        (("--examples-cap", "200000"), "examples_cap"),
        (("--half-life", "1"), "half_life is 1"),
        (("--time", "-1"), "time is -1"),
    ],
)
def test_constants_that_make_no_ward_are_wrong_usage(edgenode, arguments, reason):
    ran = edgenode(*CREATE, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert reason in ran.err


def founded(**changes):
    arguments = {"name": "w", "time": 1, "members": [Member("a", KEY)], "models": ["activity"]}
    return new_genesis(**(arguments | changes))


@pytest.mark.parametrize("hash_rate", [1e3, 1e6, 3e8, 1e12])
def test_the_first_blocks_take_the_spacing_at_the_wards_hash_rate(hash_rate):
    genesis = founded(hash_rate=hash_rate, spacing=90)
    assert work(expand(genesis.target_start)) / hash_rate == pytest.approx(90, rel=0.01)


def test_a_single_box_of_a_large_ward_keeps_the_spacing_alone():
    genesis = founded(hash_rate=4000 * 60_000)  # 4000 Pi 3 that spend a fifth of a core
    assert work(genesis.limit) / 60_000 < genesis.spacing


def test_even_the_smallest_ward_has_to_hash():
    genesis = founded(hash_rate=0.001, spacing=1)
    assert work(genesis.limit) == work(expand(genesis.target_start)) == 16


def test_an_impossible_hash_rate_is_refused():
    with pytest.raises(GenesisError, match="hash rate"):
        founded(hash_rate=float("nan"))


def test_several_models_keep_their_order():
    assert [m.name for m in founded(models=["cifar10", "activity"]).models] == [
        "cifar10",
        "activity",
    ]


def test_a_genesis_of_other_parameters_is_refused_with_both_hashes(edgenode, tmp_path):
    genesis = founded()
    other = replace(genesis.models[0], root="ab" * 32)
    (tmp_path / "g").write_text(format_genesis(replace(genesis, models=(other,))))
    ran = edgenode("genesis", "check", "g")
    assert (ran.code, ran.out) == (5, "")
    assert f"root is {'ab' * 32}, this release has {genesis.models[0].root}" in ran.err


def test_a_genesis_of_an_unknown_task_is_refused(edgenode, tmp_path):
    text = format_genesis(founded())
    (tmp_path / "g").write_text(text.replace('name = "activity"', 'name = "sleep"'))
    ran = edgenode("genesis", "check", "g")
    assert ran.code == 5
    assert "model sleep: this release has no such task; it has activity, cifar10" in ran.err


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no such file; get it from the ward's founder"), (b"x", "not TOML"),
     (b"\xff", "not UTF-8"), (b"format = 0", "format 0 is unknown"), (b"format = 2", "is missing"),
     (b"format = " + b"9" * 5000, "an integer in it has too many digits"),
     (b"format = 0x" + b"f" * 5000, "format in genesis has more than 64 bits"),
     (b"format = [0x" + b"f" * 5000 + b"]", "format in genesis must be an integer, not an array"),
     (b"format = " + b"[" * 3000 + b"]" * 3000, "nested too deep")],
)  # fmt: skip
def test_a_genesis_file_that_is_unusable_is_code_5(edgenode, tmp_path, content, reason):
    if content:
        (tmp_path / "g").write_bytes(content)
    ran = edgenode("genesis", "check", "g")
    assert (ran.code, ran.out) == (5, "")
    assert ran.err.startswith("edgenode: g: ")
    assert reason in ran.err


def test_a_fifo_is_no_genesis_file_and_holds_nobody_up(edgenode, tmp_path):
    os.mkfifo(tmp_path / "g")
    ran = edgenode("genesis", "check", "g")
    assert (ran.code, ran.err) == (5, "edgenode: g: is no regular file\n")


@pytest.fixture
def ready(edgenode, tmp_path):
    """A directory in which everything is as a node needs it."""
    (tmp_path / "edgenode.toml").write_text(
        '[node]\nname = "bed-1"\n[trainer]\nmodel = "activity"\n'
    )
    edgenode("key", "create", "ward", "--file", "ward.key")
    public = edgenode("key", "create", "--file", "member.key").out.strip()
    edgenode(
        "genesis", "create", "--name", "w", "--member", f"bed-1={public}", "--out", "genesis.toml"
    )
    return lambda *more: edgenode("--config", "edgenode.toml", *more, "config", "check")


def test_a_node_that_is_ready_passes(ready):
    ran = ready()
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 6
    assert ready("--json").document["ok"] is True


def test_a_typo_is_reported_with_its_line(ready, tmp_path):
    with (tmp_path / "edgenode.toml").open("a") as file:
        file.write("[minner]\nthreads = 1\n")
    ran = ready()
    assert (ran.code, ran.out) == (5, "")
    assert 'edgenode.toml:5: [minner]: there is no such table (did you mean "miner"?)' in ran.err


def test_all_that_is_wrong_is_reported_at_once(ready, tmp_path):
    (tmp_path / "ward.key").chmod(0o644)
    (tmp_path / "member.key").unlink()
    ran = ready()
    assert ran.code == 5
    assert "chmod 600" in ran.err
    assert "member.key: there is no such file" in ran.err
    assert "ok  " in ran.out


def test_a_key_that_is_no_member_is_reported(ready, edgenode, tmp_path):
    (tmp_path / "member.key").unlink()
    edgenode("key", "create", "--file", "member.key")
    ran = ready()
    assert ran.code == 5
    assert "is no member of the ward" in ran.err


def test_a_model_that_the_ward_does_not_train_is_reported(ready, tmp_path):
    path = tmp_path / "genesis.toml"
    path.write_text(path.read_text().replace('name = "activity"', 'name = "sleep"'))
    ran = ready()
    assert ran.code == 5
    assert "the ward does not train activity; it trains sleep" in ran.err


def test_a_runtime_that_is_not_installed_is_reported(ready, tmp_path, monkeypatch):
    with (tmp_path / "edgenode.toml").open("a") as file:
        file.write('runtime = "litert"\n')
    assert ready().code == 0
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)  # importing it now fails
    ran = ready()
    assert ran.code == 5
    assert 'edgenode.toml: [trainer]: runtime = "litert" needs ai_edge_litert' in ran.err
    assert "install it from the checkout: .venv/bin/pip install -e '.[litert]'" in ran.err


def test_keys_that_are_missing_are_reported_with_what_makes_each(ready, edgenode, tmp_path):
    (tmp_path / "ward.key").unlink()
    (tmp_path / "member.key").unlink()
    errors = ready().err
    ward, member = tmp_path / "ward.key", tmp_path / "member.key"
    assert f"on the first node make it with: edgenode key create ward --file {ward}\n" in errors
    assert f"make it with: edgenode key create --file {member}\n" in errors


def test_failed_checks_as_json_name_each_problem(ready, tmp_path, edgenode):
    (tmp_path / "ward.key").unlink()
    ran = ready("--json")
    assert ran.code == 5
    assert '"ok": false' in ran.out
    assert "ward.key: there is no such file" in ran.out
