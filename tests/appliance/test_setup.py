"""The card's settings become a box's files, whatever is wrong and whenever the power fails."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from edgenode.appliance import rendering, setup
from edgenode.appliance.box_settings import read_box
from edgenode.ledger.genesis import Member
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.keys import MemberKey
from edgenode.services.config import load
from edgenode.storage.keyfile import read_key, write_key
from tests.appliance.boxes import COMPLETE, GENESIS_TEXT, KEY, OTHER_KEY, WARD_KEY
from tests.appliance.power import files_below, run_until_cut
from tests.conftest import require_root, require_tool
from tests.ledger.builder import make_genesis

LOGINS = f"{rendering.HEAD}{KEY}\n{OTHER_KEY}\n"


class Box:
    """A root directory with a card in it."""

    def __init__(self, root):
        self.root = root
        self.card = root / "boot/firmware"
        self.card.mkdir(parents=True)
        self.write(COMPLETE)

    def write(self, text):
        (self.card / "edgenode.toml").write_text(text)

    def boot(self):
        """Power on: what is volatile is gone, and edgenode-setup runs."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        for path in (self.root / "etc").glob("*"):
            if path.is_dir() and path.name != "edgenode":
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
        return self.run()

    def run(self):
        require_tool("ssh-keygen", "openssh-client")
        return setup.Setup(self.root).run()

    def text(self, path):
        return (self.root / path).read_text()

    @property
    def errors(self):
        return json.loads(self.text("run/edgenode-setup/errors.json"))


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path / "root")


def run_program(root, *options):
    return subprocess.run(
        [sys.executable, "-m", "edgenode.appliance.setup", "--root", root, *options],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_first_boot_makes_a_box(box):
    (box.card / "genesis.toml").write_text(GENESIS_TEXT)
    require_tool("ssh-keygen", "openssh-client")
    ran = run_program(box.root)
    assert ran.returncode == 0
    assert "ERROR" not in ran.stderr
    assert f"file written path=/{rendering.AUTHORIZED_KEYS}\n" in ran.stderr

    assert box.text("etc/hostname") == "bed-1\n"
    assert box.text("etc/ssh/authorized_keys.d/operator") == LOGINS
    assert "Address=10.0.0.21/24\n" in box.text(rendering.ETHERNET)
    assert "ssid=5761726420" in box.text(rendering.WPA_SUPPLICANT)
    assert "NTP=ntp.hospital.example 10.0.0.4\n" in box.text(rendering.TIMESYNCD)
    node = load(box.root / "etc/edgenode/edgenode.toml")
    assert (node.name, node.miner.share) == ("bed-one", 0.5)
    assert read_key(node.gossip.ward_key, "ward") == WARD_KEY
    assert node.gossip.genesis.read_text() == GENESIS_TEXT

    member = MemberKey(read_key(node.gossip.member_key)).public.hex()
    listed = subprocess.run(
        ["ssh-keygen", "-l", "-f", box.root / "etc/ssh/ssh_host_ed25519_key.pub"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    fingerprint = listed[1]
    for shown in (ran.stdout, box.text("etc/issue.d/edgenode.issue")):
        assert shown.startswith("edgenode box bed-1\n")
        assert f"  member key  {member}\n" in shown
        assert f"  SSH host    {fingerprint} (ED25519)\n" in shown
        assert (
            "  waits for   a genesis.toml that lists the member key above: this ward has no "
            "authorities who could enrol it (edgenode member)\n"
        ) in shown
    assert box.errors == []
    modes = {path: mode for path, (mode, _) in files_below(box.root / "etc").items()}
    assert {path for path, mode in modes.items() if mode == 0o600} == {
        "edgenode/member.key",
        "edgenode/ward.key",
        "ssh/ssh_host_ed25519_key",
        "wpa_supplicant/wpa_supplicant-wlan0.conf",
    }
    assert (box.root / "var/lib/edgenode-setup").stat().st_mode & 0o777 == 0o700


def test_a_second_boot_makes_nothing_anew(box):
    first = box.boot()
    before = files_below(box.root)
    kept = [box.root / path for path in (setup.LAST_RIGHT, setup.KEPT_HOST_KEY, setup.MEMBER_KEY)]
    times = [path.stat().st_mtime_ns for path in kept]
    assert box.boot() == first
    assert files_below(box.root) == before
    assert [path.stat().st_mtime_ns for path in kept] == times


def test_a_box_whose_key_the_ward_lists_waits_for_nothing(box):
    key = box.boot().member_key
    assert key is not None
    genesis = make_genesis(members=(Member("bed-1", key.hex()),))
    (box.card / "genesis.toml").write_text(format_genesis(genesis))
    assert box.boot().waits_for == ()


def test_a_genesis_that_came_another_way_and_is_spoilt_is_told(box):
    path = box.root / rendering.GENESIS
    path.parent.mkdir(parents=True)
    path.write_text("format = 0")
    assert [str(mistake) for mistake in box.boot().mistakes] == [
        "/etc/edgenode/genesis.toml: format 0 is unknown; this program reads 2"
    ]
    assert path.read_text() == "format = 0"


def test_a_box_without_a_word_from_anybody_says_what_it_waits_for(box):
    box.write("")
    told = box.boot()
    assert told.mistakes == []
    assert [text.split(" (")[0].split(",")[0] for text in told.waits_for] == [
        "an SSH key of its operator",
        "the ward's key",
        "the ward's genesis.toml",
    ]
    assert "DHCP=yes" in box.text(rendering.ETHERNET)
    assert box.text(rendering.AUTHORIZED_KEYS) == rendering.HEAD
    assert load(box.root / rendering.NODE).name == "edgenode"


def test_a_typo_is_told_everywhere_and_leaves_the_box_reachable(box):
    box.write(COMPLETE.replace("10.0.0.21/24", "10.0.0.21").replace('"DE"', '"Deutschland\\\\"'))
    require_tool("ssh-keygen", "openssh-client")
    ran = run_program(box.root)
    assert ran.returncode == 0
    log = ran.stderr.replace("__main__", "edgenode.appliance.setup")
    assert [error["where"] for error in box.errors] == ["edgenode.toml:5", "edgenode.toml:10"]
    assert "[ethernet] address: '10.0.0.21' is no IP address with" in box.errors[0]["what"]
    for error in box.errors:
        shown = f"{error['where']}: {error['what']}"
        assert (
            f"ERROR edgenode.appliance.setup: wrong in the settings where={error['where']}" in log
        )
        assert shown in ran.stdout
        assert shown.replace("\\", "\\\\") in box.text(setup.ISSUE)
    assert "DHCP=yes" in box.text(rendering.ETHERNET)
    assert box.text(rendering.AUTHORIZED_KEYS) == LOGINS


def test_a_typo_of_a_later_day_changes_nothing_else(box):
    box.boot()
    before = files_below(box.root / "etc")
    box.write(
        COMPLETE.replace("10.0.0.21/24", "10.0.0.21").replace(KEY, "x").replace(OTHER_KEY, "y")
    )
    told = box.boot()
    assert len(told.mistakes) == 3
    after = files_below(box.root / "etc")
    assert {path for path in before if before[path] != after[path]} == {"issue.d/edgenode.issue"}
    box.boot()  # and a mistake does not become what was last right
    assert files_below(box.root / "etc") == after


@pytest.mark.parametrize("content", [b"\xff", b"[", b"[wfii]\n", b"hostname = 1\n", None])
def test_a_spoilt_card_takes_nothing_from_a_box(box, content):
    box.boot()
    before = files_below(box.root / "etc")
    (box.card / "edgenode.toml").unlink()
    if content is not None:
        (box.card / "edgenode.toml").write_bytes(content)
    told = box.boot()
    assert told.mistakes
    after = files_below(box.root / "etc")
    assert {path for path in before if before[path] != after.get(path)} == {
        "issue.d/edgenode.issue"
    }


def test_an_error_in_the_program_itself_leaves_what_was_right(box, monkeypatch, capfd):
    box.boot()
    before = files_below(box.root / "etc")

    def failing(path, last_right=None, scratch=None):
        if path.name == "edgenode.toml":
            raise RuntimeError("a fault")
        return read_box(path, last_right, scratch)

    monkeypatch.setattr(setup, "read_box", failing)
    assert setup.main(["--root", str(box.root)]) == 0
    assert "cannot be read for an error in edgenode-setup itself" in box.errors[0]["what"]
    after = files_below(box.root / "etc")
    assert {path for path in before if before[path] != after[path]} == {"issue.d/edgenode.issue"}


def test_what_the_settings_no_longer_ask_for_goes(box):
    box.run()
    box.write(f'[ssh]\nkeys = ["{KEY}"]\n')
    box.run()
    for path in rendering.OPTIONAL:
        assert not (box.root / path).exists(), path
    assert box.text(rendering.AUTHORIZED_KEYS) == f"{rendering.HEAD}{KEY}\n"
    assert (
        read_key(box.root / rendering.WARD_KEY, "ward") == WARD_KEY
    )  # only another one replaces it


def test_a_configuration_of_somebody_else_stays_if_the_card_has_none(box):
    path = box.root / rendering.NODE
    path.parent.mkdir(parents=True)
    path.write_text('[node]\nname = "theirs"\n')
    box.write('[box]\nhostname = "bed-1"\n')
    box.run()
    assert load(path).name == "theirs"
    box.write("[miner]\n")
    box.run()
    assert load(path).name == "edgenode"


# Keys


def test_a_host_key_that_is_there_is_adopted_and_kept(box):
    first = box.boot().fingerprint
    (box.root / setup.KEPT_HOST_KEY).unlink()
    assert box.run().fingerprint == first
    assert box.boot().fingerprint == first


@pytest.mark.parametrize("content", [b"", b"no key", None])
def test_a_spoilt_host_key_is_made_anew(box, content):
    first = box.boot().fingerprint
    kept = box.root / setup.KEPT_HOST_KEY
    kept.write_bytes(kept.read_bytes()[:200] if content is None else content)
    told = box.boot()
    assert told.fingerprint is not None
    assert told.fingerprint != first
    assert box.boot().fingerprint == told.fingerprint


def test_without_ssh_keygen_a_key_that_is_there_is_left_alone(box, monkeypatch):
    box.boot()
    before = (box.root / setup.KEPT_HOST_KEY).read_bytes()
    monkeypatch.setenv("PATH", "/nowhere")
    run = setup.Setup(box.root)
    told = run.run()
    assert str(told.mistakes[0]) == (
        "/etc/ssh/ssh_host_ed25519_key: ssh-keygen is not installed (Debian's package "
        "openssh-client)"
    )
    assert not run.is_reachable
    assert (box.root / setup.KEPT_HOST_KEY).read_bytes() == before


def test_a_spoilt_member_key_is_told_and_never_replaced(box):
    box.boot()
    path = box.root / setup.MEMBER_KEY
    path.write_text("spoilt\n")
    told = box.boot()
    assert told.member_key is None
    assert str(told.mistakes[0]).startswith("/etc/edgenode/member.key: is no key file")
    assert path.read_text() == "spoilt\n"


def test_a_member_key_that_is_there_is_used(box):
    path = box.root / setup.MEMBER_KEY
    path.parent.mkdir(parents=True)
    write_key(path, b"k" * 32, "mine")
    assert box.boot().member_key == MemberKey(b"k" * 32).public


def test_an_image_gets_no_keys(box):
    ran = run_program(box.root, "--without-keys")
    assert ran.returncode == 0
    files = files_below(box.root)
    assert not [path for path in files if ("host" in path and "key" in path) or "member" in path]
    assert "member key  none\n" in ran.stdout


# A disk that is full, or cannot be written


def test_a_full_data_partition_leaves_the_box_reachable(box):
    require_root("mount")
    box.write(COMPLETE)
    state = box.root / setup.STATE
    state.mkdir(parents=True)
    mount = require_tool("mount", "mount")
    arguments = [mount, "-t", "tmpfs", "-o", "size=4k", "full", str(state)]
    if subprocess.run(arguments, check=False).returncode != 0:
        pytest.skip("no mounts here")
    try:
        (state / "rest").write_bytes(b"x" * 4096)
        run = setup.Setup(box.root)
        told = run.run()
        assert run.is_reachable
        assert {mistake.where for mistake in told.mistakes} == {
            f"/{setup.KEPT_HOST_KEY}", f"/{setup.LAST_RIGHT}"
        }  # fmt: skip
        assert "No space left on device" in told.mistakes[0].what
        assert box.text(rendering.AUTHORIZED_KEYS) == LOGINS
        assert told.fingerprint is not None
        assert box.errors
    finally:
        subprocess.run(["umount", str(state)], check=True)


def test_a_box_that_nobody_can_reach_ends_with_an_error(box):
    (box.root / "etc").mkdir()
    (box.root / "etc/ssh").write_text("in the way")
    require_tool("ssh-keygen", "openssh-client")
    ran = run_program(box.root)
    assert ran.returncode == 1
    assert 'where=/etc/ssh/authorized_keys.d/operator what="cannot be written' in ran.stderr
    assert box.text(rendering.HOSTNAME) == "bed-1\n"


# Power cuts


def every_cut(box, prepare):
    """Prepare, run with the power failing before each step in turn, and yield after each."""
    steps, cut = 0, True
    while cut:
        prepare()
        cut = run_until_cut(lambda: setup.Setup(box.root).run(), steps)
        shutil.rmtree(box.root / "run", ignore_errors=True)  # it is in memory
        yield steps
        steps += 1
    assert steps > 20


def clear(box):
    for path in ("etc", "var", "run"):
        shutil.rmtree(box.root / path, ignore_errors=True)


def own_keys_apart(files):
    """The files without what differs from box to box."""
    own = ("ssh_host_ed25519_key", "member.key", "edgenode.issue")
    return {path: file for path, file in files.items() if not any(name in path for name in own)}


def test_a_first_boot_is_completed_whenever_the_power_failed(box):
    (box.card / "genesis.toml").write_text(GENESIS_TEXT)
    box.run()
    complete = files_below(box.root)
    for _ in every_cut(box, lambda: clear(box)):
        files = files_below(box.root)
        # Whatever is there under its name is there as a whole.
        for path, file in own_keys_apart(files).items():
            if "/." not in path and not path.startswith("run/"):
                assert file == complete[path], path
        told = box.run()
        assert told.mistakes == []
        after = files_below(box.root)
        assert own_keys_apart(after) == own_keys_apart(complete)
        assert after.keys() == complete.keys()
        assert box.run() == told  # keys that were shown stay


def test_a_change_of_the_operator_never_locks_everybody_out(box):
    new_logins = f"{rendering.HEAD}{OTHER_KEY}\n"
    changed = COMPLETE.replace(f'  "{KEY}",\n', "").replace("bed-1", "bed-2")

    def prepare():
        clear(box)
        box.write(COMPLETE)
        box.run()
        box.write(changed)

    seen = set()
    for _ in every_cut(box, prepare):
        logins = box.text(rendering.AUTHORIZED_KEYS)
        assert logins in (LOGINS, new_logins)
        seen.add(logins)
        fingerprint = box.run().fingerprint
        assert box.text(rendering.AUTHORIZED_KEYS) == new_logins
        assert box.text(rendering.HOSTNAME) == "bed-2\n"
        assert not list((box.root / "etc").rglob(".*"))
        assert box.boot().fingerprint == fingerprint
    assert seen == {LOGINS, new_logins}


def test_two_runs_at_once_take_turns(box):
    box.run()
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "edgenode.appliance.setup", "--root", box.root],
            stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]  # fmt: skip
    outputs = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(outputs) == 1


# The console


def test_what_cannot_be_shown_on_the_console_costs_nothing(tmp_path, caplog):
    setup._show_on(tmp_path / "none", "text")
    assert caplog.messages == ["not shown"]
    console, terminal = os.openpty()
    setup._show_on(tmp_path.parent / os.ttyname(terminal), "edgenode box\n")
    assert os.read(console, 100) == b"edgenode box\r\n"
    os.close(console)
    os.close(terminal)
