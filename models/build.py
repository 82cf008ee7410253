"""Build the committed model files, or check that they are what the sources give.

python -m models.build            write edgenode/tasks/*/{model*.tflite,parameters.bin}
python -m models.build --check    build in memory, compare, change nothing
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from models.architectures import ARCHITECTURES, Architecture
from models.genesis import genesis_parameters
from models.graph import convert

TASKS = Path(__file__).parent.parent / "edgenode" / "tasks"


def files(architecture: Architecture) -> dict[Path, bytes]:
    """The model's files, by their places in the tree."""
    folder = TASKS / architecture.name
    return {
        folder / "model.tflite": convert(architecture, "conv"),
        folder / "model-matmul.tflite": convert(architecture, "matmul"),
        folder / "parameters.bin": genesis_parameters(architecture),
    }


def main(arguments: list[str] | None = None) -> int:
    """Build or check; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m models.build", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("task", nargs="*", default=sorted(ARCHITECTURES), help="default: all")
    options = parser.parse_args(arguments)
    different = 0
    for task in options.task:
        for path, content in files(ARCHITECTURES[task]).items():
            same = path.is_file() and path.read_bytes() == content
            if not options.check and not same:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            different += not same
            state = "as it was" if same else "DIFFERS" if options.check else "written"
            digest = hashlib.sha256(content).hexdigest()
            print(f"{path.relative_to(TASKS)}: {len(content)} bytes, sha256 {digest}, {state}")
    return 1 if options.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
