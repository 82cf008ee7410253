"""Fuzz with atheris: `python -m fuzz` all targets in turn, `python -m fuzz NAME ...` one of them.

What follows a name goes to libFuzzer as it is: a file to run it once, `-max_total_time=60`.
"""

import argparse
import importlib
import sys
from pathlib import Path

from fuzz.campaign import Finding, campaign
from fuzz.targets import LONGEST, target


def main() -> int:
    """The exit status: 0 if nothing was found."""
    if len(sys.argv) > 1 and sys.argv[1] in LONGEST:
        _fuzz(sys.argv[1], [f"fuzz {sys.argv[1]}", *sys.argv[2:]])
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for each target (default: 20)")
    parser.add_argument("--out", type=Path, default=Path("var/fuzz"), help="what is found and kept")
    parser.add_argument("--target", action="append", choices=LONGEST, help="only this one; repeat")
    options = parser.parse_args()
    findings = 0
    for result in campaign(options.target or list(LONGEST), options.seconds, options.out):
        print(result, flush=True)
        findings += isinstance(result, Finding)
    return 1 if findings else 0


def _fuzz(name: str, arguments: list[str]) -> None:
    """Hand this process over to libFuzzer."""
    atheris = importlib.import_module("atheris")  # only who fuzzes needs it
    with atheris.instrument_imports(include=["edgenode", "fuzz", "tomllib"]):
        trial = target(name)

    def one_input(data: bytes) -> None:
        trial(data)

    atheris.Setup(arguments, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
