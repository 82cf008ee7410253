"""What the system says of its clock, asked in the ways that a service may and may not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import edgenode
from edgenode.gossip import system_clock
from edgenode.gossip.system_clock import (
    build_time,
    is_synchronised,
    kernel_synchronised,
    read_clocks,
)
from tests.conftest import require_tool

PROGRAM = r"""
#include <stdio.h>
#include <sys/timex.h>
int main(void) {
    struct timex t = {0};
    int result = adjtimex(&t);
    printf("%d", result != TIME_ERROR && !(t.status & STA_UNSYNC));
    return result < 0;
}
"""


def test_the_kernel_says_what_it_says_to_a_program_in_c(tmp_path):
    compiler = require_tool("gcc", "gcc")
    source, binary = tmp_path / "state.c", tmp_path / "state"
    source.write_text(PROGRAM)
    subprocess.run([compiler, source, "-o", binary], check=True)
    said = subprocess.run([binary], check=True, capture_output=True, text=True).stdout
    assert kernel_synchronised() is bool(int(said))


def confined(code):
    """What a process prints that may not ask the kernel for the state of its clock."""
    program = f"from tests.gossip.sandbox import without_the_clock; without_the_clock()\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()


def test_a_confined_service_may_not_ask_the_kernel_and_takes_the_time_services_word(tmp_path):
    code = f"""
from pathlib import Path
from edgenode.gossip.system_clock import is_synchronised, kernel_synchronised
file = Path({str(tmp_path / "synchronized")!r})
print(kernel_synchronised(), is_synchronised(file))
file.touch()
print(is_synchronised(file))
"""
    assert confined(code) == ["None", "False", "True"]


def test_the_time_services_file_counts_wherever_the_kernel_stands(tmp_path):
    file = tmp_path / "synchronized"
    assert is_synchronised(file) is kernel_synchronised()
    file.touch()
    assert is_synchronised(file)


def test_the_clocks_are_those_of_this_boot():
    before = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    reading = read_clocks()
    after = time.time(), time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before[0] <= reading.wall <= after[0]
    assert before[1] <= reading.since_boot <= after[1]
    assert reading.boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_the_build_is_the_later_of_the_package_and_the_image(tmp_path, monkeypatch):
    package = Path(edgenode.__file__).stat().st_mtime
    epoch = tmp_path / "clock-epoch"
    monkeypatch.setattr(system_clock, "EPOCH_FILE", epoch)
    assert build_time() == package
    epoch.touch()
    os.utime(epoch, (package + 5, package + 5))
    assert build_time() == package + 5
    os.utime(epoch, (1000, 1000))
    assert build_time() == package
