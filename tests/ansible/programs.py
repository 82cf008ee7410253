"""Where Ansible is, and how the tests run it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import missing

HERE = Path(__file__).resolve().parents[2] / "ansible"
"""The playbooks."""

REPOSITORY = HERE.parent


_FOLDERS = (Path(sys.executable).parent, REPOSITORY / ".venv-ansible" / "bin")


def ansible_program(name):
    """Path of a program of one of the environments that make prepares, or of PATH."""
    folders = [*map(str, _FOLDERS), os.environ.get("PATH", os.defpath)]
    found = shutil.which(name, path=":".join(folders))
    if found is None:
        missing(f"{name} is not installed (make .venv-ansible/stamp)")
    return found


def environment(**more):
    """What Ansible's programs get: the project's settings, plain text, no colours."""
    beside = Path(ansible_program("ansible-playbook")).parent
    return {
        **os.environ,
        "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "0",
        "PATH": f"{beside}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        **more,
    }


def run_playbook(playbook, *arguments, variables=None, prefix=()):
    """Run a playbook to its end.

    Args:
        playbook: Its file.
        arguments: More of the command line.
        variables: Extra variables, of any type.
        prefix: What is put before the command.

    Returns:
        The finished process, with its output as text.
    """
    given = ["-e", json.dumps(variables)] if variables else []
    return subprocess.run(
        [*prefix, ansible_program("ansible-playbook"), *given, *arguments, str(playbook)],
        cwd=HERE,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def changes(process):
    """Number of changes of each host, from the recap."""
    counts = {}
    for line in process.stdout.partition("PLAY RECAP")[2].splitlines():
        name, colon, rest = line.partition(":")
        if colon and "changed=" in rest:
            fields = dict(field.split("=") for field in rest.split())
            counts[name.strip()] = int(fields["changed"])
    return counts
