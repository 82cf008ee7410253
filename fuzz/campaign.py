"""Every target for some time, one after the other, each in a process of its own."""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fuzz.targets import FOLDER, LONGEST, corpus, dictionary

MEMORY_MIB = 1024
"""Of a whole process, Python and atheris among it: what no decoder may exceed."""

INPUT_SECONDS = 10
"""Of one input: far above the slowest, some milliseconds, on a machine that is busy."""

_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+) corp: (\d+)")
_EXECUTIONS = re.compile(r"stat::number_of_executed_units: +(\d+)")
_ARTIFACT = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True, slots=True)
class Clean:
    """Nothing was found in so many executions; `edges` of the code were reached."""

    name: str
    executions: int
    edges: int
    inputs: int

    def __str__(self) -> str:
        return (
            f"{self.name:14} {self.executions:>9} executions, coverage {self.edges:>5}, "
            f"{self.inputs:>4} inputs kept"
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """A target failed: `file` holds the input, if one did it; `tail` is what was said last."""

    name: str
    file: str | None
    tail: str

    def __str__(self) -> str:
        where = (
            f"the input is {self.file}; again: python -m fuzz {self.name} {self.file}"
            if self.file
            else "no input was written: the target did not run"
        )
        return f"{self.tail}\n{self.name:14} FAILED: {where}"


def campaign(names: Iterable[str], seconds: int, out: Path) -> Iterator[Clean | Finding]:
    """Fuzz each target for so many seconds; yields what came of it.

    New inputs that reach new code stay in out/NAME/corpus, where the next run goes on from them;
    findings come to lie in out/NAME.
    """
    out = out.resolve()
    for name in names:
        kept = out / name / "corpus"
        kept.mkdir(parents=True, exist_ok=True)
        words = dictionary(name)
        done = subprocess.run(
            [
                sys.executable, "-m", "fuzz", name,
                f"-max_total_time={seconds}",
                f"-max_len={LONGEST[name]}",
                f"-rss_limit_mb={MEMORY_MIB}",
                f"-timeout={INPUT_SECONDS}",
                f"-artifact_prefix={out / name}/",
                "-print_final_stats=1",
                *([f"-dict={words}"] if words else []),
                str(kept), str(corpus(name)),
            ],
            cwd=FOLDER.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )  # fmt: skip
        (out / name / "log").write_text(done.stdout, encoding="utf-8")
        yield judged(name, done.returncode, done.stdout)


def judged(name: str, status: int, said: str) -> Clean | Finding:
    """What a process of libFuzzer found, by its exit status and what it printed."""
    reached, executions = _COVERAGE.findall(said), _EXECUTIONS.findall(said)
    if status or not reached or not executions:
        artifact = _ARTIFACT.findall(said)
        return Finding(name, artifact[-1] if artifact else None, "\n".join(_told(said)[-30:]))
    edges, _, inputs = reached[-1]
    return Clean(name, int(executions[-1]), int(edges), int(inputs))


def _told(said: str) -> list[str]:
    """What a person reads of it: not each step of the search, nor the input byte by byte."""
    return [
        line
        for line in said.splitlines()
        if line and not line.startswith(("#", "stat::", "0x", "\\", "MS:"))
    ]
