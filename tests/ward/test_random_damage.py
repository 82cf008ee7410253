"""Damage at random places of a box's store, while it runs and while it is off.

Whatever it is, the box comes back to the ward's head, serves nothing that was altered, and what it
has found is in its log and is whole again afterwards.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgenode.api.client import ApiError, NodeUnavailableError
from tests.ward.wards import (
    MODEL,
    PATIENCE_S,
    Program,
    agreed,
    asked,
    assert_same_chain_bit_for_bit,
    chain_path,
    exact,
    grown,
    height,
    learned,
    log_of,
    seeded,
    start_mining,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

PAGE = 4096
STARTS_LIMIT = 3
"""Starts that one piece of damage may cost: one that meets it, one that mends it, one to spare."""

FOUND = ("is damaged", "changed on the disk", "was removed", "begins with genesis")
"""What the log says of it."""


@pytest.fixture(scope="module")
def ward():
    """Three boxes whose chain has some rounds; the first one's store is about to suffer."""
    with ward_of(3) as ward:
        grown(ward.boxes, 1)
        program = Program(ward.boxes[1], 1)
        for _ in range(5):
            learned(program)
        yield ward


@pytest.fixture(scope="module")
def rng():
    return seeded("the places of damage")


def flipped(path, rng):
    """Flip a bit at each of some offsets."""
    with path.open("r+b") as file:
        for _ in range(8):
            at = rng.randrange(path.stat().st_size)
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ 1 << rng.randrange(8)]))


def zeroed(path, rng):
    """Write zeros over a page."""
    with path.open("r+b") as file:
        file.seek(PAGE * rng.randrange(path.stat().st_size // PAGE))
        file.write(bytes(PAGE))


def cut(path, rng):
    """Cut the file off anywhere."""
    os.truncate(path, rng.randrange(path.stat().st_size))


def deleted(path, _rng):
    """Remove the file."""
    path.unlink()


RUNS, OFF = True, False

DAMAGE = {
    "bits of the database": (flipped, "chain.db", (RUNS, OFF)),
    "bits of the log": (flipped, "chain.db-wal", (RUNS,)),
    "a page of the database": (zeroed, "chain.db", (RUNS, OFF)),
    "the end of the database": (cut, "chain.db", (RUNS, OFF)),
    "the end of the log": (cut, "chain.db-wal", (RUNS, OFF)),
    "the database": (deleted, "chain.db", (RUNS, OFF)),
    "the log": (deleted, "chain.db-wal", (RUNS, OFF)),
    "the log's index": (deleted, "chain.db-shm", (RUNS,)),
}

CASES = [(what, runs) for what, (_, _, times) in DAMAGE.items() for runs in times]


@pytest.mark.parametrize(
    ("what", "runs"), CASES, ids=[f"{what}, {'runs' if runs else 'off'}" for what, runs in CASES]
)
def test_a_box_that_loses_part_of_its_store_is_whole_again(ward, rng, what, runs):
    start_mining(ward, ward.boxes)
    victim, other, _ = ward.boxes
    grown(ward.boxes, 1)
    learned(Program(other, rng.getrandbits(32)), [victim])
    harm, name, _ = DAMAGE[what]
    asides, logged = asides_of(victim), len(log_of(victim))
    unit = ward.supervisor.unit(victim.unit_name("gossip"))
    if not runs:
        ward.stop_box(victim, kill=True)
    starts = unit.starts
    harm(chain_path(victim).with_name(name), rng)
    if not runs:
        ward.start_box(victim)
    grown(ward.boxes, 2)
    # Blocks that both have by now: the box may be behind, and has the ends of its own branches.
    until(lambda: height(victim) >= height(other) - 3, "the box to catch up")
    refused = refusals(victim, other, height(other) - 6)
    until(lambda: agreed(ward), "one head and the same parameters")
    text = log_of(victim)[logged:]
    found = bool(refused) or unit.starts > starts + (not runs) or asides_of(victim) != asides
    # Of a database whose log is gone while it is off nothing says that there was one.
    found |= harm is deleted and (runs or name == "chain.db")
    assert not found or any(words in text for words in FOUND), f"{refused} refused; {text}"
    assert unit.starts - starts <= STARTS_LIMIT
    assert "Traceback" not in text
    for box in ward.boxes:
        assert "peer shunned" not in log_of(box), "nobody was given what is wrong"
    if refused:
        ward.stop_box(victim)
        ward.start_box(victim)
        until(lambda: assert_same_chain_bit_for_bit(victim, other), "all to be mended")


def test_what_nothing_has_met_is_named_by_a_look_at_everything_and_mended(ward, rng):
    """Most of a store is not read for days: bits that changed there wait for `chain verify`."""
    victim, other, _ = ward.boxes
    ward.stop_box(victim)
    while (ran := command(victim, "verify")).returncode == 0:
        flipped(chain_path(victim), rng)
    assert ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    assert command(victim, "repair", "--yes").returncode == 0
    ward.start_box(victim)
    until(lambda: agreed(ward), "one head and the same parameters")
    until(lambda: assert_same_chain_bit_for_bit(victim, other), "all to be mended")
    ward.stop_box(victim)
    ran = command(victim, "verify")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def command(box, *arguments):
    """Run `edgenode chain` on a box."""
    program = Path(sys.executable).with_name("edgenode")
    return subprocess.run(
        [program, "--config", box.config, "chain", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )


def asides_of(box):
    """The damaged files that were put aside."""
    return set(chain_path(box).parent.glob("chain.db.damaged-*[0-9]"))


def refusals(box, other, top):
    """Ask a box for all that it keeps of the chain; what it gives is what the other has.

    Returns:
        Heights of the blocks that it does not give.
    """
    refused = []
    # Not below: a store that lost a block far down goes on from a state above it.
    kept_from = asked(box.client.status).kept_from
    for h in range(kept_from, top + 1):
        given = answer(lambda h=h: box.client.raw_block(h))
        assert given in (None, other.client.raw_block(h)), f"the block at {h} is altered"
        if given is None:
            refused.append(h)
    for h in range(kept_from, top + 1, max(1, top // 8)):
        given = answer(lambda h=h: box.client.exact_parameters(MODEL, at=h).data)
        assert given in (None, exact(other, h)), f"the parameters at {h} are altered"
    return refused


def answer(request):
    """What the node answers; None if it refuses. One that starts again is waited for."""

    def answered():
        try:
            return (request(),)
        except NodeUnavailableError:
            return None
        except ApiError as error:
            if error.status not in {404, 503}:
                raise
            return (None,)

    (given,) = until(answered, "an answer")
    return given
