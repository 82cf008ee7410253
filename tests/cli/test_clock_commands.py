"""What the command says of the box's clock."""

import time

from edgenode.api.shapes import ClockStatus
from tests.cli.test_node_commands import field

UNTRUSTED = ClockStatus(False, "unsynchronised", "not synchronised yet, nor accepted by hand")


def test_a_clock_that_is_not_trusted_stands_out_in_status(ask, node):
    assert field(ask("status"), "clock") == "synchronised"
    node.clock = UNTRUSTED
    assert field(ask("status"), "clock") == f"NOT TRUSTED, no mining: {UNTRUSTED.reason}"
    assert ask("--json", "status").document["clock"]["trusted"] is False


def test_the_time_is_shown_with_whether_it_is_trusted(ask, node):
    node.clock = UNTRUSTED
    ran = ask("clock", "show")
    assert ran.code == 0
    assert field(ran, "clock").startswith("NOT TRUSTED")
    before = int(time.time())
    document = ask("--json", "clock", "show").document
    assert before <= document.pop("time") <= time.time()
    assert document == {
        "trusted": False, "state": "unsynchronised", "reason": UNTRUSTED.reason
    }  # fmt: skip


def test_a_clock_is_accepted_by_hand(ask, node):
    node.clock = UNTRUSTED
    ran = ask("clock", "accept")
    assert (ran.code, field(ran, "clock")) == (0, "accepted by hand for this boot")
    assert node.clock.state == "accepted"


def test_a_clock_that_is_certainly_wrong_is_refused(ask, node):
    node.clock = ClockStatus(False, "behind", "1970-01-01 is before this release was built")
    ran = ask("clock", "accept")
    assert (ran.code, ran.out) == (4, "")
    assert "1970-01-01 is before this release was built" in ran.err
    assert not node.clock.trusted
