"""The module that mirrors a directory onto a box."""

import json

import pytest

from tests.ansible.programs import run_playbook
from tests.conftest import require_root

pytestmark = pytest.mark.usefixtures("root")


@pytest.fixture
def root():
    require_root("give files to root")


@pytest.fixture
def tree(tmp_path):
    source = tmp_path / "source"
    (source / "etc/deep").mkdir(parents=True)
    (source / "etc/plain").write_text("plain {{ colour }}\n")
    (source / "etc/deep/filled.conf.j2").write_text("colour={{ colour }}\n")
    (source / "etc/program").write_text("#!/bin/sh\n")
    (source / "etc/program").chmod(0o755)
    (source / "etc/link").symlink_to("plain")
    return source


def run(tmp_path, *arguments, **options):
    """Run one task that mirrors; returns the process and what the task said."""
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "vars": {"colour": "blue"},
            "tasks": [
                {"root_tree": options, "register": "said"},
                {"ansible.builtin.copy": {"content": "{{ said | to_json }}",
                                          "dest": str(tmp_path / "said"), "mode": "0644"},
                 "check_mode": False},
            ],
        }
    ]  # fmt: skip
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps(play))
    done = run_playbook(playbook, "-i", "localhost,", *arguments)
    said = json.loads((tmp_path / "said").read_text()) if done.returncode == 0 else {}
    return done, said


def mirror(tmp_path, tree, *arguments, **options):
    trees = [{"from": str(tree), "to": str(tmp_path / "box")}]
    return run(tmp_path, *arguments, trees=trees, **options)


def test_files_templates_and_links_arrive_with_their_modes(tmp_path, tree):
    box = tmp_path / "box"
    done, said = mirror(
        tmp_path, tree,
        modes={f"{box}/etc/plain": "0440"}, links={f"{box}/usr/bin/x": "../lib/x"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert (box / "etc/plain").read_text() == "plain {{ colour }}\n"
    assert (box / "etc/deep/filled.conf").read_text() == "colour=blue\n"
    assert (box / "etc/link").readlink().as_posix() == "plain"
    assert (box / "usr/bin/x").readlink().as_posix() == "../lib/x"
    modes = {
        name: (box / "etc" / name).stat().st_mode & 0o777
        for name in ("plain", "deep", "deep/filled.conf", "program")
    }
    assert modes == {"plain": 0o440, "deep": 0o755, "deep/filled.conf": 0o644, "program": 0o755}
    assert len(said["paths"]) == 5


def test_a_second_run_changes_nothing(tmp_path, tree):
    mirror(tmp_path, tree)
    done, said = mirror(tmp_path, tree)
    assert done.returncode == 0
    assert not said["changed"]


def test_what_was_changed_by_hand_is_put_right_and_nothing_else(tmp_path, tree):
    mirror(tmp_path, tree)
    box = tmp_path / "box"
    (box / "etc/plain").write_text("by hand\n")
    (box / "etc/program").chmod(0o700)
    (box / "etc/link").unlink()
    (box / "etc/link").symlink_to("elsewhere")
    (box / "etc/own").write_text("not of the tree\n")
    _, said = mirror(tmp_path, tree)
    assert sorted(said["paths"]) == [f"{box}/etc/{name}" for name in ("link", "plain", "program")]
    assert (box / "etc/own").read_text() == "not of the tree\n"


def test_a_check_says_what_would_change_and_changes_nothing(tmp_path, tree):
    done, said = mirror(tmp_path, tree, "--check", "--diff")
    assert done.returncode == 0
    assert said["changed"]
    assert not (tmp_path / "box").exists()
    assert "+colour=blue" in done.stdout


def test_only_what_matches_is_mirrored_and_a_star_stays_in_its_directory(tmp_path, tree):
    box = tmp_path / "box"
    only = [{"from": str(tree), "to": str(box), "only": ["etc/p*", "*"]}]
    run(tmp_path, trees=only)
    assert sorted(path.name for path in (box / "etc").iterdir()) == ["plain", "program"]


def test_a_mode_for_a_file_that_is_not_there_is_a_mistake(tmp_path, tree):
    done, _ = mirror(tmp_path, tree, modes={"/etc/plian": "0440"})
    assert done.returncode != 0
    assert "modes names no file: /etc/plian" in done.stdout + done.stderr


def test_a_file_where_a_link_belongs_is_left_alone(tmp_path, tree):
    box = tmp_path / "box"
    (box / "etc").mkdir(parents=True)
    (box / "etc/link").write_text("somebody's\n")
    done, _ = mirror(tmp_path, tree)
    assert done.returncode != 0
    assert "there is something that is no link" in done.stdout
    assert (box / "etc/link").read_text() == "somebody's\n"
