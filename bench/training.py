"""Training speed and memory: the node's runtimes beside TensorFlow and PyTorch.

    python -m bench.training [--task cifar10] [--threads 1] [--seconds 4] [--repeats 3]

Each runtime trains the same network on the same batches in a process of its own. The runtimes take
turns, so that other work on the machine meets them all; the median over the turns is printed, with
its ratio to TensorFlow where that is there. TensorFlow is looked for in .venv-models, PyTorch in
.venv-bench; what is missing is said to be missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.training_child import BATCH

ROOT = Path(__file__).parent.parent
PYTHONS = {
    "tflite": Path(sys.executable),
    "litert": Path(sys.executable),
    "tensorflow": ROOT / ".venv-models" / "bin" / "python",
    "torch": ROOT / ".venv-bench" / "bin" / "python",
}
# The first steps' losses agree to float32 rounding if the networks and the data are the same.
SAME_LOSS = 1e-3


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """One turn of one runtime, or why it is missing."""
    python = PYTHONS[name]
    if not python.exists():
        return {"missing": f"{python.relative_to(ROOT)} does not exist"}
    environment = os.environ | {
        "OMP_NUM_THREADS": str(options.threads),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [str(python), "-m", "bench.training_child", name, options.task]
    command += [str(options.threads), str(options.seconds)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return {"missing": f"failed: {done.stderr.strip().splitlines()[-1]}"}
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> int:
    """Measure and print a table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--task", default="cifar10", choices=["cifar10", "activity"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=4, help="of each turn")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each runtime")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in PYTHONS}
    for _ in range(options.repeats):
        for name, results in turns.items():
            results.append(measure(name, options))
    if options.json:
        print(json.dumps(turns))
        return 0
    print(f"{options.task}, batch {BATCH}, {options.threads} thread(s), SGD with momentum")
    print("runtime      samples/s  ratio   CPU ms/step  peak MB  ratio   ready s  loss of 16 steps")
    table = {
        name: {
            key: float(np.median([result[key] for result in results]))
            for key in ("wall", "cpu", "memory", "ready")
        }
        for name, results in turns.items()
        if "missing" not in results[0]
    }
    peer = table.get("tensorflow")
    expected = turns["tflite"][0].get("losses")
    for name, results in turns.items():
        if name not in table:
            print(f"{name:12} missing: {results[0]['missing']}")
            continue
        row = table[name]
        losses = results[0]["losses"]
        same = expected is None or np.allclose(losses, expected, atol=SAME_LOSS)
        speed = f"{peer['wall'] / row['wall']:5.2f}" if peer else "    -"
        memory = f"{row['memory'] / peer['memory']:5.2f}" if peer else "    -"
        print(
            f"{name:12} {BATCH / row['wall']:9.0f}  {speed}   {1e3 * row['cpu']:11.2f}  "
            f"{row['memory'] / 2**20:7.0f}  {memory}   {row['ready']:7.2f}  "
            f"{losses[0]:.4f} .. {losses[-1]:.4f}{'' if same else '  DIFFERS'}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
