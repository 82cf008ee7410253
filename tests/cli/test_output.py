"""Where the output goes: to a pipe, a terminal, a full disk, an old terminal, or nowhere."""

import json
import os
import pty
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from edgenode.api.block_shapes import BlockSummary
from edgenode.api.json_record import to_json
from edgenode.api.shapes import ModelSummary, ServiceReport
from tests.api.unix_server import Reply, serve
from tests.cli.test_command import EDGENODE, run
from tests.ledger.builder import ALICE


def on_a_terminal(*arguments, cwd, columns):
    """What a terminal of so many columns is sent."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [*EDGENODE, *arguments],
        cwd=cwd,
        stdout=follower,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
    ) as process:
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 4096):
                shown += piece
        except OSError:  # how Linux says that the other end is closed
            pass
        assert process.wait() == 0
    os.close(leader)
    return shown.decode()


def test_a_terminal_gets_a_table_and_a_pipe_gets_every_digit(tmp_path):
    member = f"bed-1={ALICE.public.hex()}"
    arguments = ("genesis", "create", "--name", "w", "--member", member, "--out", "g")
    assert run(*arguments, cwd=tmp_path).returncode == 0
    piped = run("genesis", "check", "g", cwd=tmp_path, COLUMNS="20").stdout
    assert ALICE.public.hex() in piped
    shown = on_a_terminal("genesis", "check", "g", cwd=tmp_path, columns=120)
    assert "\x1b[1m" in shown  # a heading in bold
    assert ALICE.public.hex() in shown


def test_a_terminal_of_80_columns_gets_a_line_for_each_block(tmp_path):
    old = BlockSummary(
        id="00" * 8 + "ab" * 24, height=9_999_999, time=1_700_000_000, interval=86_400,
        target="1effff00", miner="cd" * 32, updates=64, transfers=64, examples=262_144, size=99_999,
    )  # fmt: skip
    body = json.dumps([to_json(old), to_json(old)]).encode()
    with serve(tmp_path / "node.sock", lambda _: Reply(body=body)):
        arguments = ("chain", "list", "--socket", "node.sock")
        shown = on_a_terminal(*arguments, cwd=tmp_path, columns=80)
    lines = shown.splitlines()
    assert len(lines) == 3
    for line in lines[1:]:
        assert line.split() == [
            "9999999", "…abababab", "2023-11-14", "22:13:20Z", "86400", "s", "64", "262144",
            "cdcdcdcd…",
        ]  # fmt: skip


def test_a_terminal_of_80_columns_gets_a_line_for_each_model(tmp_path):
    old = ModelSummary(
        name="activity", parameters=123_456, scale_bits=24, rule="fedavg", codec="int32",
        graph="ab" * 32, round=9_999_999, updates=64, examples=262_144, examples_cap=4096,
        root="cd" * 32,
    )  # fmt: skip
    body = json.dumps([to_json(old)]).encode()
    with serve(tmp_path / "node.sock", lambda _: Reply(body=body)):
        arguments = ("model", "list", "--socket", "node.sock")
        shown = on_a_terminal(*arguments, cwd=tmp_path, columns=80)
    heading, *lines = shown.splitlines()
    assert "root" in heading
    assert [line.split() for line in lines] == [
        ["activity", "123456", "9999999", "64", "262144", "fedavg", "int32", "…cdcdcdcd"]
    ]


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("status", "--json"), ("chain", "list"), ("completion", "bash"), ("--help",),
     ("status", "--help")],
    ids=" ".join,
)  # fmt: skip
def test_an_output_that_is_full_is_code_5(node, tmp_path, arguments):
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*EDGENODE, "--socket", tmp_path / "node.sock", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    reason = "edgenode: the output cannot be written: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (5, reason)


def test_a_pipe_that_nobody_reads_any_more_is_code_141_and_quiet(node, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with closing(os.fdopen(writing, "w")) as pipe:
        ran = subprocess.run(
            [*EDGENODE, "--socket", tmp_path / "node.sock", "status"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (141, "")
    assert "141  who read the output closed the pipe" in run("--help", cwd=tmp_path).stdout


def test_without_an_output_nothing_is_done_and_that_is_code_5(tmp_path):
    ran = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *EDGENODE, "key", "create", "--file", "m"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (ran.returncode, list(tmp_path.iterdir())) == (5, [])
    assert ran.stderr == "edgenode: the output is closed; to see nothing, send it to /dev/null\n"


def test_a_terminal_that_lacks_a_letter_shows_a_question_mark(node, tmp_path):
    arguments = ("chain", "list", "--socket", "node.sock", "--count", "1")
    ran = run(*arguments, cwd=tmp_path, PYTHONIOENCODING="latin-1")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[1].split()[1].startswith("?")


def test_json_says_the_same_in_every_encoding(node, tmp_path):
    node.reports["trainer"] = (ServiceReport("waiting for Zoë’s sensor", {}), 0.0)
    arguments = ("status", "--socket", "node.sock", "--json")
    for encoding in ("latin-1", "ascii", "utf-8"):
        ran = run(*arguments, cwd=tmp_path, PYTHONIOENCODING=encoding)
        document = json.loads(ran.stdout)
        assert document["services"]["trainer"]["state"] == "waiting for Zoë’s sensor"
