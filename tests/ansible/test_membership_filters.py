"""How enroll.yml decides who is to be enrolled, and who cannot be."""

import importlib.util
import json

import pytest

from tests.ansible.programs import HERE

_FILE = HERE / "plugins" / "filter" / "membership.py"


@pytest.fixture(scope="module")
def filters():
    spec = importlib.util.spec_from_file_location("membership", _FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FilterModule().filters()


KEYS = {"bed-1": "k1", "bed-2": "k2", "bed-4": "k4", "bed-5": "k5"}
FOUNDED = {
    "ward": "ward-3a",
    "members": [{"name": "bed-1", "key": "k1"}, {"name": "bed-2", "key": "k2"}],
    "authorities": [{"name": "matron", "key": "a1"}],
}


def listed(*members, changes=0, waiting=()):
    return json.dumps(
        {
            "changes": changes,
            "members": [{"name": n, "key": k, "since": 0, "until": u} for n, k, u in members],
            "waiting": [{"sequence": s, "key": k, "name": n} for s, k, n in waiting],
        }
    )


OF_GENESIS = (("bed-1", "k1", None), ("bed-2", "k2", None))


@pytest.fixture
def plan(filters):
    return lambda **said: filters["enrolments"](KEYS, FOUNDED, said)


def test_keys_are_those_of_the_boxes_that_have_one(filters):
    said = {"bed-1": '{"public": "k1"}', "bed-2": "", "bed-3": None}
    assert filters["member_keys"](said) == {"bed-1": "k1"}


def test_a_ward_without_authorities_never_takes_a_box_in(filters):
    never = filters["never_members"](KEYS, {**FOUNDED, "authorities": []})
    assert set(never) == {"bed-4", "bed-5"}
    assert "ward ward-3a, and never will be" in never["bed-4"]
    assert filters["never_members"](KEYS, FOUNDED) == {}


def test_boxes_that_nobody_enrolled_get_the_next_sequences(plan):
    made = plan(**{"bed-1": listed(*OF_GENESIS, changes=7), "bed-2": ""})
    assert made["late"] == ["bed-4", "bed-5"]
    assert made["voice"] == "bed-1"
    assert made["missing"] == [
        {"name": "bed-4", "key": "k4", "sequence": 7},
        {"name": "bed-5", "key": "k5", "sequence": 8},
    ]
    assert made["hindered"] == {}
    assert made["members"] == {"bed-1": "k1", "bed-2": "k2"}


def test_who_is_enrolled_or_waits_for_it_is_not_enrolled_again(plan):
    said = listed(*OF_GENESIS, ("bed-4", "k4", None), changes=1, waiting=((3, "k5", "bed-5"),))
    made = plan(**{"bed-1": said})
    assert made["missing"] == []
    assert made["members"] == {"bed-1": "k1", "bed-2": "k2", "bed-4": "k4", "bed-5": "k5"}


def test_a_sequence_stands_behind_all_that_wait(plan):
    said = listed(*OF_GENESIS, ("bed-4", "k4", None), changes=1, waiting=((3, "k9", None),))
    assert plan(**{"bed-1": said})["missing"] == [{"name": "bed-5", "key": "k5", "sequence": 4}]


def test_the_box_that_has_seen_most_speaks_for_the_ward(plan):
    behind = listed(*OF_GENESIS)
    ahead = listed(*OF_GENESIS, ("bed-4", "k4", None), changes=1)
    assert plan(**{"bed-1": behind, "bed-2": ahead})["voice"] == "bed-2"
    assert plan(**{"bed-4": behind, "bed-1": behind})["voice"] == "bed-1", (
        "bed-4 is no member there"
    )


def test_without_a_members_node_nobody_can_tell(plan):
    made = plan(**{"bed-4": listed(*OF_GENESIS)})
    assert (made["voice"], made["missing"]) == ("", [])
    assert set(made["hindered"]) == {"bed-4", "bed-5"}
    assert "run this for the whole ward" in made["hindered"]["bed-4"]


def test_a_name_or_a_key_that_is_taken_is_told_and_the_others_go_on(plan):
    said = listed(*OF_GENESIS, ("bed-4", "old", None), ("bed-9", "k5", 70), changes=2)
    made = plan(**{"bed-1": said})
    assert made["missing"] == []
    assert "edgenode member revoke bed-4" in made["hindered"]["bed-4"]
    assert "a key that ward ward-3a has revoked" in made["hindered"]["bed-5"]
