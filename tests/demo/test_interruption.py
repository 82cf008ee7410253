"""The first interruption counts; what is being ended is not interrupted."""

import signal

import pytest

from demo.interruption import INTERRUPTIONS, interruptible, undisturbed


@pytest.mark.parametrize("number", INTERRUPTIONS)
def test_only_the_first_interruption_is_raised(number):
    def interrupted():
        with interruptible():
            try:
                signal.raise_signal(number)
            finally:
                for later in INTERRUPTIONS:
                    signal.raise_signal(later)

    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", INTERRUPTIONS)
def test_nothing_disturbs_what_must_not_be_disturbed(number):
    with interruptible():
        with undisturbed():
            signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_what_the_caller_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
