"""A box whose disk is full refuses clearly, corrupts nothing, and goes on when there is room."""

import contextlib
import subprocess
from contextlib import contextmanager

import pytest

from edgenode.api.client import ApiError
from tests.conftest import require_root, require_tool
from tests.ward.wards import (
    Payer,
    Program,
    agreed,
    asked,
    assert_no_update_counts_twice,
    assert_same_chain_bit_for_bit,
    assert_sound,
    chain_of,
    chain_path,
    counted,
    fold_log,
    grown,
    height,
    learned,
    log_of,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

NO_ROOM = "no room left on the disk"


@contextmanager
def small_disks():
    """Gives what mounts a disk of 12 MB at a directory; unmounts in the end."""
    mount = require_tool("mount", "mount")
    require_root("mount a small disk")
    mounted = []

    def make(directory):
        directory.mkdir()
        command = [mount, "-t", "tmpfs", "-o", "size=12m,mode=0700", "none", directory]
        subprocess.run(command, check=True)
        mounted.append(directory)

    try:
        yield make
    finally:
        for directory in mounted:
            subprocess.run(["umount", "--lazy", directory], check=False)


def fill(directory):
    """Leave no room on the disk."""
    with (directory / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(bytes(size))
    return directory / "ballast"


@pytest.mark.parametrize("meanwhile", ["it runs on", "it is killed", "it is started"])
def test_a_full_disk_refuses_clearly_and_the_box_goes_on_when_there_is_room(meanwhile):
    with (
        small_disks() as disk,
        ward_of(2, before=lambda ward: disk(ward.boxes[0].directory / "state")) as ward,
    ):
        box, other = ward.boxes
        program, others_program = Program(box, 1), Program(other, 2)
        kept = learned(program, [other])
        grown(ward.boxes, 3)
        ballast = fill(box.directory / "state")

        pays = Payer(ward, box)

        def refused():
            # Transfers as well: where the head cannot move any more, an update only repeats
            # another one on the same base, and nothing new would be asked of the disk.
            try:
                program.submit()
                others_program.submit()
                pays.one_coin()
            except ApiError as error:
                return error
            return None

        error = until(refused, "the full disk to be refused", pause=0.05)
        assert (error.status, error.name) == (507, "full"), error
        assert "no room" in error.detail
        until(lambda: NO_ROOM in log_of(box), "the log to say it")
        # The rest of the ward goes on, and the full box goes on answering.
        grown([other], 3)
        until(others_program.submit, "the other box to take an update")
        stuck = asked(box.client.head)
        assert stuck.height <= height(other)
        unit = ward.supervisor.unit(box.unit_name("gossip"))
        starts = unit.starts
        if meanwhile == "it is killed":
            ward.supervisor.kill(unit.name)
            until(lambda: unit.starts > starts, "the service to be started again")
            until(box.client.head, "the box to answer")
        if meanwhile == "it is started":
            ward.supervisor.stop([unit.name])
            ballast.unlink()
            fold_log(chain_path(box))
            fill(box.directory / "state")
            ward.supervisor.start(unit)
            until(lambda: unit.starts > starts + 2, "the service to be tried again and again")
            assert "no room left" in log_of(box).splitlines()[-1]
        ballast.unlink()
        grown(ward.boxes, 2)
        learned(program, [other])
        agreed(ward)
        assert_same_chain_bit_for_bit(box, other)
        assert_no_update_counts_twice(chain_of(box))
        assert counted(box, kept)
        assert_sound(box)
        assert not list((box.directory / "state").glob("**/*damaged*"))
        assert "Traceback" not in log_of(box)
