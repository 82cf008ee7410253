"""The order of events in a rollout: one box, a tenth, the rest; stop at the first failure."""

import json
import re

import pytest
import yaml

from edgenode.appliance.boot_state import STARTS_ON_TRIAL
from tests.ansible import box_programs
from tests.ansible.boxes import boxes
from tests.ansible.programs import HERE, run_playbook

NAMES = [f"bed-{number}" for number in range(1, 5)]
UPDATED = [["rauc", "info"], ["rauc", "install"], ["systemctl", "reboot"]]


@pytest.fixture
def ward(tmp_path):
    folder = tmp_path / "boxes"
    folder.mkdir()
    with boxes(NAMES, folder) as made:
        for name in NAMES:
            box_programs.install(made, name)
        yield made


def roll_out(ward, bundle, *arguments):
    return ward.run(
        HERE / "rollout.yml",
        *arguments,
        variables={
            "bundle": str(bundle), "rollout_delay": 0, "rollout_retries": 4,
            "rollout_staging": "/box/update",
        },
    )  # fmt: skip


def said(process):
    """What Ansible printed, as one line."""
    return re.sub(r"\s+", " ", process.stdout)


def batches(process):
    """Boxes in the order in which they got the bundle, one list for each batch."""
    plays = process.stdout.split("\nPLAY [Bring the release")[1:]
    found = []
    for play in plays:
        copied = play.partition("TASK [Copy the bundle]")[2].partition("\nTASK")[0]
        found.append(sorted(re.findall(r"^(?:changed|ok): \[([\w-]+)\]", copied, re.MULTILINE)))
    return found


def test_a_good_release_goes_to_one_box_then_to_a_tenth_then_to_the_rest(ward, tmp_path):
    done = roll_out(ward, box_programs.bundle(tmp_path))
    assert done.returncode == 0, done.stdout
    assert batches(done) == [["bed-1"], ["bed-2"], ["bed-3", "bed-4"]]
    for name in NAMES:
        assert box_programs.calls(ward, name) == UPDATED
        assert box_programs.release(ward, name) == "2"
        assert not list(ward.path(name, "/box/update").iterdir()), "the bundle was left behind"


def test_a_box_that_has_the_release_is_not_started_again(ward, tmp_path):
    bundle = box_programs.bundle(tmp_path, version="1")
    done = roll_out(ward, bundle, "--limit=bed-1")
    assert done.returncode == 0, done.stdout
    assert box_programs.calls(ward, "bed-1") == [["rauc", "info"]]


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (box_programs.GOES_BACK, "did not keep the release and went back to slot A"),
        (box_programs.SICK_SENSORS, "not as well as before: sensors: sensors is fail"),
        (box_programs.STUCK_CHAIN, "Wait for another block"),
    ],
)
def test_a_release_that_fails_on_the_canary_leaves_the_others_untouched(
    ward, tmp_path, does, reason
):
    done = roll_out(ward, box_programs.bundle(tmp_path, does))
    assert done.returncode != 0
    assert reason in said(done)
    assert box_programs.calls(ward, "bed-1") == UPDATED
    for name in NAMES[1:]:
        assert box_programs.calls(ward, name) == []
        assert box_programs.release(ward, name) == "1"


def test_a_bundle_that_is_not_signed_is_not_installed(ward, tmp_path):
    done = roll_out(ward, box_programs.bundle(tmp_path, signed=False))
    assert done.returncode != 0
    assert "signature verification failed" in said(done)
    assert box_programs.calls(ward, "bed-1") == [["rauc", "info"]]
    assert not list(ward.path("bed-1", "/box/update").iterdir())
    assert box_programs.calls(ward, "bed-2") == []


def test_a_later_box_that_fails_stops_what_comes_after_it(ward, tmp_path):
    box_programs.install(ward, "bed-2", storage="fail")
    done = roll_out(ward, box_programs.bundle(tmp_path))
    assert done.returncode != 0
    assert "bed-2 is left alone. storage: storage is fail" in said(done)
    assert box_programs.release(ward, "bed-1") == "2"
    for name in NAMES[1:]:
        assert box_programs.calls(ward, name) == []


def test_a_sensor_that_was_off_before_does_not_hold_up_a_rollout(ward, tmp_path):
    box_programs.install(ward, "bed-1", sensors="fail")
    done = roll_out(ward, box_programs.bundle(tmp_path), "--limit=bed-1")
    assert done.returncode == 0, done.stdout
    assert box_programs.release(ward, "bed-1") == "2"


def test_a_rollout_without_a_bundle_says_how_to_name_one(ward):
    done = ward.run(HERE / "rollout.yml")
    assert done.returncode != 0
    assert "say which bundle: -e bundle=FILE.raucb" in said(done)


def test_a_box_may_be_lost_sight_of_as_often_as_a_release_on_trial_is_started():
    tasks = yaml.safe_load((HERE / "rollout/try_release.yml").read_text())
    (look,) = (task for task in tasks if task["name"] == "Look until the box has decided")
    assert len(look["loop"]) == STARTS_ON_TRIAL


def test_a_box_that_is_lost_sight_of_is_no_error_to_the_others():
    look, _ = yaml.safe_load((HERE / "rollout/look_past_a_restart.yml").read_text())
    applied = look["ansible.builtin.include_tasks"]["apply"]
    assert (applied["ignore_unreachable"], applied["any_errors_fatal"]) == (True, False)


def test_a_box_that_is_lost_sight_of_is_waited_for(tmp_path):
    include = {"ansible.builtin.include_tasks": str(HERE / "rollout/look_past_a_restart.yml")}
    play = {"hosts": "all", "gather_facts": False, "any_errors_fatal": True, "tasks": [include]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    hosts = {"bed-1": {"ansible_host": "127.0.0.1", "ansible_port": 1}}  # where nobody listens
    (tmp_path / "hosts.json").write_text(json.dumps({"boxes": {"hosts": hosts}}))
    done = run_playbook(
        tmp_path / "play.yml", "-i", str(tmp_path / "hosts.json"),
        variables={"rollout_retries": 1, "rollout_delay": 0, "rollout_start_s": 1},
    )  # fmt: skip
    assert re.search(r"bed-1 .*unreachable=0 +failed=1 .*ignored=1", done.stdout), done.stdout
