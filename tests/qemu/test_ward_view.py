"""What a person sees of a ward, and when its boxes count as agreed."""

from qemu.ward_view import agreed, lines


def status(height: int, head: str) -> dict:
    models = [{"name": "activity", "round": height // 2}]
    return {"head": {"id": head, "height": height, "models": models}}


A, B = "0" * 52 + "aaaaaaaaaaaa", "0" * 52 + "bbbbbbbbbbbb"


def test_each_box_has_a_line_that_shows_where_it_is():
    told = lines(["bed-1", "bed-2"], [status(7, A), None])
    assert told == [
        "bed-1    height    7  aaaaaaaaaaaa  activity round 3",
        "bed-2    does not answer",
    ]


def test_boxes_agree_on_one_head_of_all_that_answer():
    assert agreed([status(7, A), status(7, A)]) == 7
    assert agreed([status(7, A), status(7, B)]) is None
    assert agreed([status(7, A), status(8, B)]) is None
    assert agreed([status(7, A), None]) is None
