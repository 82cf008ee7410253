"""Instructions of a 64-bit ARM processor for each hash, of our kernels and of pooler's minerd.

    python -m bench.arm_instructions [--minerd-source FOLDER]

Needs gcc-aarch64-linux-gnu and qemu-user-static. The folder is a checkout of pooler/cpuminer; by
default EDGENODE_MINERD_SOURCE; without it minerd is left out. QEMU runs each program one
instruction at a time and logs them; two runs of different length tell what one hash takes. How
long an instruction takes, only a board can say.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMPILER = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64-static"
FEW, MANY = 32, 96  # multiples of all kernels' lanes
MINERD_OPTIONS = ["-O3"]  # which its README recommends


def build_kernels(program: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (module,) = (
        module
        for module in project["tool"]["setuptools"]["ext-modules"]
        if module["name"] == "edgenode.native._kernels"
    )
    with_python = ("/_kernels.c", "_python.c")
    sources = [ROOT / name for name in module["sources"] if not name.endswith(with_python)]
    subprocess.run(
        [COMPILER, "-static", *module["extra-compile-args"], f"-I{ROOT / 'edgenode' / 'native'}",
         *sources, ROOT / "bench" / "arm" / "kernel.c", "-o", program],
        check=True,
    )  # fmt: skip


def build_minerd(source: Path, program: Path) -> None:
    folder = program.parent / "minerd-source"
    folder.mkdir()
    for file in (source / "sha2.c", *(ROOT / "bench" / "arm").glob("miner*.[ch]")):
        shutil.copy(file, folder)
    (folder / "cpuminer-config.h").touch()  # its assembler is for other processors
    subprocess.run(
        [COMPILER, "-static", *MINERD_OPTIONS, folder / "sha2.c", folder / "minerd.c",
         "-o", program],
        check=True,
    )  # fmt: skip


def instructions(program: Path, name: str, count: int) -> int:
    """Instructions of the whole program while it tries so many nonces."""
    log = program.with_suffix(".log")
    subprocess.run(
        [EMULATOR, "-cpu", "max", one_by_one(), "-d", "exec,nochain", "-D", log, program, name,
         str(count)],
        check=True,
    )  # fmt: skip
    with log.open("rb") as lines:
        return sum(line.startswith(b"Trace") for line in lines)


def one_by_one() -> str:
    """QEMU's option for translating one instruction at a time, which has had two names."""
    usage = subprocess.run([EMULATOR, "-h"], capture_output=True, text=True, check=False).stdout
    return "-one-insn-per-tb" if "one-insn-per-tb" in usage else "-singlestep"


def per_hash(program: Path, name: str) -> float:
    few, many = (instructions(program, name, count) for count in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--minerd-source", type=Path, default=os.environ.get("EDGENODE_MINERD_SOURCE")
    )
    source = parser.parse_args().minerd_source
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build_kernels(folder / "kernel")
        counts = {
            kernel: per_hash(folder / "kernel", kernel) for kernel in ("portable", "neon", "armv8")
        }
        if source is not None:
            build_minerd(source, folder / "minerd")
            counts["minerd"] = per_hash(folder / "minerd", "minerd")
    print("aarch64 instructions for each SHA-256d of an 80-byte header")
    for kernel, count in counts.items():
        ratio = f"   {count / counts['minerd']:5.2f} of minerd's" if "minerd" in counts else ""
        print(f"  {kernel:10} {count:8.1f}{ratio}")


if __name__ == "__main__":
    main()
