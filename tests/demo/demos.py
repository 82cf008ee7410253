"""The demo as a process of its own, with a ward of one box so that a test can have many."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE_S = 120.0
"""Only so that a test that hangs ends; no test measures time."""

_ONE_BOX = """\
import sys
import demo.__main__ as demo
demo.PEOPLE = ((1, 2),)
sys.exit(demo.main(sys.argv[1:]))
"""


def until(condition, what):
    """Wait until `condition()` gives something true and return it."""
    end = time.monotonic() + PATIENCE_S
    while not (result := condition()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.05)
    return result


class Demo:
    """A running demo; `process` is its first process."""

    def __init__(self, directory, recordings, *options):
        # All that it starts inherits the mark, whoever its parent becomes.
        self._mark = f"EDGENODE_TEST_MARK={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        command = [sys.executable, "-c", _ONE_BOX, "--recordings", str(recordings)]
        self.process = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, name: value, "TMPDIR": directory},
            start_new_session=True,
        )

    def running(self):
        """Command lines of its processes by process id, without that of the demo itself."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (path / "environ").read_bytes().split(b"\0"):
                    found[int(path.name)] = (path / "cmdline").read_bytes().decode()
            except OSError:
                continue  # it ended, or is not ours
        found.pop(self.process.pid, None)
        return found

    def find(self, part):
        """Process id of the one whose command line has this part, once it runs."""

        def found():
            assert self.process.poll() is None, self.ended()
            # Before that it is `setpriv`, with the same id.
            return [
                pid
                for pid, line in self.running().items()
                if part in line and not line.startswith("setpriv")
            ]

        (pid,) = until(found, part)
        return pid

    def ended(self):
        """Its exit status and what it said on stdout and stderr, once it has ended."""
        said, complained = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said, complained


@contextmanager
def demo_of_one_box(recordings, *options):
    """A demo that has started its last process."""
    # Unix sockets want short paths, which those of pytest's own directories are not always.
    directory = tempfile.mkdtemp(prefix="demo-")
    demo = Demo(directory, recordings, *options)
    try:
        demo.find("demo.baselines")
        yield demo
    finally:
        demo.process.kill()
        demo.process.communicate()
        for pid in demo.running():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)
