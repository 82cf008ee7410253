"""What can be said of the playbooks without running them."""

import re
import subprocess

import pytest
import yaml

from tests.ansible.programs import HERE, ansible_program, environment, run_playbook

PLAYBOOKS = sorted(path.name for path in HERE.glob("*.yml"))
ROLES = sorted(path.name for path in (HERE / "roles").iterdir())


def _load(path):
    return yaml.safe_load((HERE / path).read_text())


def test_the_linter_finds_nothing_at_its_strictest():
    done = subprocess.run(
        [ansible_program("ansible-lint"), "--offline", "--nocolor"],
        cwd=HERE,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Profile 'production' was required, and it passed" in done.stdout + done.stderr


def test_the_linter_is_told_to_overlook_nothing():
    assert _load(".ansible-lint") == {"profile": "production", "strict": True, "offline": True}
    looked_over = [
        path
        for path in HERE.rglob("*")
        if path.suffix in {".yml", ".j2"} and re.search(r"#\s*noqa", path.read_text())
    ]
    assert looked_over == []


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_a_playbook_is_well_formed(playbook):
    done = run_playbook(HERE / playbook, "--syntax-check", "-i", "inventory.example/hosts.yml")
    assert done.returncode == 0, done.stderr


def test_the_image_is_made_by_the_roles_that_provision_a_box():
    (image,) = _load("image.yml")
    boxes, _ = _load("site.yml")
    assert image["roles"] == boxes["roles"]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_says_what_it_takes_and_what_it_is(role):
    spec = _load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]
    defaults = _load(f"roles/{role}/defaults/main.yml")
    assert set(defaults) <= set(spec["options"])
    without_default = set(spec["options"]) - set(defaults)
    assert all(spec["options"][name].get("required") for name in without_default)
    for name, option in spec["options"].items():
        if "default" in option:
            assert option["default"] == defaults[name], name
    assert (
        _load(f"roles/{role}/meta/main.yml")["galaxy_info"]["description"]
        == (spec["short_description"])
    )


def test_what_the_roles_install_is_in_the_image():
    lines = (HERE.parent / "image" / "packages.txt").read_text().splitlines()
    listed = {line.partition("#")[0].strip() for line in lines}
    # The watcher is no box.
    for role in set(ROLES) - {"monitoring", "packages"}:
        assert set(_load(f"roles/{role}/defaults/main.yml")[f"{role}_packages"]) <= listed, role


def test_each_program_of_a_node_gets_a_name():
    project = (HERE.parent / "pyproject.toml").read_text()
    scripts = project.partition("[project.scripts]\n")[2].partition("\n[")[0]
    declared = re.findall(r"^([\w-]+) = ", scripts, re.MULTILINE)
    assert sorted(declared) == _load("roles/node/defaults/main.yml")["node_programs"]


def test_the_readme_names_each_playbook_and_role():
    text = (HERE / "README.md").read_text()
    for playbook in PLAYBOOKS:
        assert f"| `{playbook}` |" in text
    for role in ROLES:
        spec = _load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]
        assert f"| `{role}` | {spec['short_description']} |" in text


def test_no_secret_is_in_the_open():
    """A key is 64 hexadecimal digits; none stands in these files."""
    for path in HERE.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert not re.search(r"\b[0-9a-fA-F]{64}\b", path.read_text()), path
