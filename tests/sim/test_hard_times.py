"""What hospitals do to a ward: boxes come and go, sleep, are busy, and hear each other badly."""

import pytest

from edgenode.sim.ward import Conditions, Ward
from tests.sim.test_ward import check_invariants, settle


def trained_by(ward, chain, start=1):
    """The boxes whose updates the chain counts, from a height on."""
    index = {box.key.public: box.index for box in ward.boxes}
    return {
        index[update.member]
        for height in range(start, chain.head.height + 1)
        for update in chain.block(chain.at(height).id).updates
    }


class Relieved(Ward):
    """Twelve members, of whom the last four have no box yet; everybody knows two others."""

    def _seeds(self, box):
        return [self.boxes[(box.index + step) % len(self.boxes)] for step in (1, 5)]


@pytest.mark.parametrize("seed", range(2))
def test_half_of_the_boxes_are_replaced_within_ten_rounds(seed):
    ward = Relieved(12, seed, Conditions(loss=0.05))
    for box in ward.boxes[8:]:
        ward.switch_off(box)
    ward.run(900)
    chain = ward.boxes[7].running.chain
    start = chain.head.height
    for old, new in zip(ward.boxes[:4], ward.boxes[8:], strict=True):
        ward.switch_off(old)
        ward.switch_on(new)
        ward.run(200)
    assert chain.head.height <= start + 16, "about ten rounds"
    ward.run(1200)
    settle(ward)
    assert trained_by(ward, chain, start + 1) >= set(range(4, 12)), "all who are there take part"
    assert chain.state.models[0].round > start + 5


class Acquainted(Ward):
    """Each box knows where it has met the others."""

    def _seeds(self, box):
        return [other for other in self.boxes if other is not box]


def test_with_one_in_ten_awake_at_any_time_the_model_still_learns():
    """Twenty boxes, two of which are on for ten minutes, then two others, and so on."""
    ward = Acquainted(20, 1, Conditions(loss=0.05, parameters=200))
    ward.run(300)
    before = ward.boxes[0].running.chain.state.models[0].round
    for box in ward.boxes:
        ward.switch_off(box)
        box.hash_rate = 10.0  # by now the target has followed those who are awake
    shifts = [ward.boxes[n : n + 2] for n in range(0, 20, 2)]
    for number, shift in enumerate(shifts):
        for box in shift:
            ward.switch_on(box)
        ward.run(120)  # they hear from those who go what was learnt
        for box in shifts[number - 1] if number else ():
            ward.switch_off(box)
        assert len(ward.on()) == 2
        ward.run(480)
    check_invariants(ward)
    chain = ward.boxes[18].running.chain
    assert chain.state.models[0].round >= before + 20
    assert len(trained_by(ward, chain)) >= 15, "what each has learnt is in it"
    for box in ward.boxes[:8]:
        ward.switch_on(box)
    settle(ward)


class Busy(Ward):
    """A box gets no processor time until `busy_until`; what it should do waits."""

    busy_until = 0.0

    def _is_busy(self, box):
        return box.index == 0 and self.now < self.busy_until

    def _deliver(self, box, node, datagram, source):
        if self._is_busy(box):
            self._later(box, self.busy_until - self.now,
                        lambda n: super(Busy, self)._deliver(box, n, datagram, source))  # fmt: skip
        else:
            super()._deliver(box, node, datagram, source)

    def _schedule_tick(self, box):
        if self._is_busy(box):
            epoch = box.epoch
            self._at(self.busy_until, lambda: box.epoch == epoch and self._after(box))
        else:
            super()._schedule_tick(box)


@pytest.mark.parametrize("seed", range(3))
def test_a_box_that_gets_no_processor_for_ten_seconds_is_not_declared_dead(seed):
    ward = Busy(5, seed, Conditions(loss=0.05))
    ward.run(300)

    def sessions():
        return {
            (box.index, peer.member, peer.session)
            for box in ward.boxes
            for peer in box.running.links.peers.values()
        }

    before = sessions()
    assert len(before) == 20
    for _ in range(5):
        ward.busy_until = ward.now + 10
        ward.run(40)
    assert sessions() == before, "no session had to be made anew"
    settle(ward)


def test_two_seconds_and_two_in_five_lost_each_way_is_slow_and_still_converges():
    ward = Ward(4, 1, Conditions(loss=0.4, delay=(0.9, 1.1), parameters=10_000))
    ward.run(3600)
    settle(ward)
    chain = ward.boxes[0].running.chain
    assert chain.state.models[0].round >= 10
    assert trained_by(ward, chain) == {0, 1, 2, 3}
