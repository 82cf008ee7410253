"""The command as a process: its exit codes, its streams, its completion."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import click
import pytest

from edgenode.cli.main import cli

EDGENODE = (sys.executable, "-m", "edgenode.cli")


def run(*arguments, cwd, **environment):
    return subprocess.run(
        [*EDGENODE, *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_wrong_option_is_code_2_on_stderr(tmp_path):
    ran = run("status", "--nonsense", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--nonsense" in ran.stderr


def test_a_missing_node_is_code_3_on_stderr(tmp_path):
    ran = run("--socket", "none.sock", "status", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert ran.stderr.startswith("edgenode: there is no socket none.sock; start the node")


def test_a_missing_file_is_code_5_on_stderr(tmp_path):
    ran = run("key", "show", "--file", "none.key", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (5, "")
    assert "Traceback" not in ran.stderr


def test_help_says_what_the_exit_codes_mean(tmp_path):
    ran = run("--help", cwd=tmp_path)
    assert ran.returncode == 0
    assert "3  the node does not answer" in ran.stdout


INTERRUPTING = """\
import os, signal, sys

class Interrupting:
    # Asked for each module that is imported and not loaded yet.
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting)
"""


@pytest.mark.parametrize(
    "command", [EDGENODE, (str(Path(sys.executable).with_name("edgenode")),)], ids=["-m", "script"]
)
def test_ctrl_c_while_the_command_is_loaded_is_code_130_and_quiet(tmp_path, command):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING)
    ran = subprocess.run(
        [*command, "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@contextmanager
def waiting_for_a_node(tmp_path, **options):
    """The command while it waits for a node that says nothing."""
    with socket.socket(socket.AF_UNIX) as node:
        node.bind(str(tmp_path / "node.sock"))
        node.listen()
        with subprocess.Popen(
            [*EDGENODE, "status", "--socket", "node.sock"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        ) as process:
            connection, _ = node.accept()
            with connection:
                yield process


def test_ctrl_c_while_a_node_is_waited_for_is_code_130_and_quiet(tmp_path):
    with waiting_for_a_node(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (130, "", "")
    assert "130  interrupted by Ctrl-C" in run("--help", cwd=tmp_path).stdout


def test_a_command_that_was_told_to_ignore_ctrl_c_ignores_it(tmp_path):
    def ignore():
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with waiting_for_a_node(tmp_path, preexec_fn=ignore) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM


def commands(group=cli, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", [*commands()], ids=" ".join)
def test_every_command_takes_the_global_options_and_says_so(tmp_path, command):
    options = ("--config", "c", "--socket", "s", "--json")
    shown = run(*command, *options, "--help", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    for option in ("--config FILE", "--socket FILE", "--json"):
        assert option in shown.stdout


def test_a_ward_of_one_is_set_up_by_commands_alone(tmp_path):
    (tmp_path / "edgenode.toml").write_text('[node]\nname = "bed-1"\n')
    assert run("--config", "edgenode.toml", "key", "create", "ward", cwd=tmp_path).returncode == 0
    made = run("--config", "edgenode.toml", "--json", "key", "create", cwd=tmp_path)
    member = f"bed-1={json.loads(made.stdout)['public']}"
    arguments = ("genesis", "create", "--name", "w", "--member", member, "--out", "genesis.toml")
    assert run(*arguments, cwd=tmp_path).returncode == 0
    checked = run("config", "check", cwd=tmp_path, EDGENODE_CONFIG="edgenode.toml")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed_for_each_shell(tmp_path, shell):
    ran = run("completion", shell, cwd=tmp_path)
    assert ran.returncode == 0
    assert "_EDGENODE_COMPLETE" in ran.stdout


def test_bash_completes_commands_and_options(tmp_path):
    bash = shutil.which("bash")
    assert bash is not None
    scripts = Path(sys.executable).parent
    (tmp_path / "completion").write_text(run("completion", "bash", cwd=tmp_path).stdout)
    script = (
        "source completion; COMP_WORDS=(edgenode chain s); COMP_CWORD=2; "
        "_edgenode_completion edgenode; echo ${COMPREPLY[@]}"
    )
    ran = subprocess.run(
        [bash, "--norc", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == ["show"], ran.stderr
