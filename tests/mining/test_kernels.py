"""The miner hashes with the kernel that it is told, or with the fastest that the machine has."""

import pytest

from edgenode.mining import kernels
from edgenode.mining.settings import MinerSettings

ELSEWHERE = [name for name in kernels.KERNELS if name not in kernels.RUNS_HERE]


@pytest.mark.parametrize("name", kernels.RUNS_HERE)
def test_a_kernel_that_runs_here_can_be_chosen_by_name(name):
    assert kernels.choose(name) == name


@pytest.mark.parametrize("name", ELSEWHERE)
def test_one_for_another_processor_is_refused_with_those_that_run_here(name):
    with pytest.raises(
        kernels.KernelError, match=f"^this machine cannot run the kernel {name}, only port"
    ):
        kernels.choose(name)
    assert MinerSettings(kernel=name).kernel == name  # the file may be for another machine


@pytest.mark.parametrize("name", ["", "Portable", "cuda"])
def test_one_that_does_not_exist_is_refused_with_all_that_do(name):
    listed = ", ".join(("auto", *kernels.KERNELS))
    with pytest.raises(kernels.KernelError, match=f'^there is no kernel "{name}", only {listed}$'):
        kernels.choose(name)
    with pytest.raises(ValueError, match=f'^kernel: there is no kernel "{name}"'):
        MinerSettings(kernel=name)


def test_the_trial_measures_every_kernel_that_runs_here_and_no_other():
    rates = kernels.measured()
    assert tuple(rates) == kernels.RUNS_HERE
    assert all(rate > 0 for rate in rates.values())


@pytest.mark.parametrize("winner", kernels.RUNS_HERE)
def test_auto_takes_the_fastest_and_the_process_tries_once(winner, monkeypatch):
    trials = []

    def measured():
        trials.append(winner)
        return {name: 2e6 if name == winner else 1e6 for name in kernels.RUNS_HERE}

    monkeypatch.setattr(kernels, "measured", measured)
    kernels.fastest.cache_clear()
    try:
        assert [kernels.choose("auto") for _ in range(3)] == [winner] * 3
        assert len(trials) == 1
    finally:
        kernels.fastest.cache_clear()
