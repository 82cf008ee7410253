"""What a process of libFuzzer says is told as nothing found, or as a finding with its input."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from fuzz.campaign import Clean, Finding, judged
from fuzz.targets import FOLDER

GOOD = """\
INFO: Running with entropic power schedule (0xFF, 100).
#2\tINITED cov: 60 ft: 61 corp: 1/1b exec/s: 0 rss: 90Mb
#466803\tDONE   cov: 76 ft: 92 corp: 17/1204b lim: 256 exec/s: 77800 rss: 120Mb
Done 466803 runs in 6 second(s)
stat::number_of_executed_units: 466803
"""
BAD = """\
#2\tINITED cov: 60 ft: 61 corp: 1/1b exec/s: 0 rss: 90Mb
 === Uncaught Python exception: ===
IndexError: index out of range
artifact_prefix='var/fuzz/wire/'; Test unit written to var/fuzz/wire/crash-0a
stat::number_of_executed_units: 12
"""


def test_a_run_that_found_nothing_says_how_far_it_came():
    assert judged("header", 0, GOOD) == Clean("header", 466803, 76, 17)


def test_a_finding_names_its_input_and_how_to_run_it_again():
    found = judged("wire", 77, BAD)
    assert isinstance(found, Finding)
    assert found.file == "var/fuzz/wire/crash-0a"
    assert "IndexError" in str(found)
    assert "python -m fuzz wire var/fuzz/wire/crash-0a" in str(found)


@pytest.mark.parametrize(("status", "said"), [(1, "No module named 'atheris'"), (0, ""), (1, GOOD)])
def test_a_target_that_did_not_run_is_a_failure(status, said):
    found = judged("wire", status, said)
    assert isinstance(found, Finding)
    assert found.file is None


def test_a_campaign_without_a_fuzzer_does_not_look_clean(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fuzz", "--seconds", "1", "--target", "merkle", "--out", tmp_path],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    installed = find_spec("atheris") is not None
    assert done.returncode == (0 if installed else 1)
    assert ("executions" if installed else "merkle         FAILED") in done.stdout
