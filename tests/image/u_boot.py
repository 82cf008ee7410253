"""Runs the boot script without U-Boot: a shell with functions for the commands that it uses.

What U-Boot's hush understands of these scripts, bash understands the same way. A script that passes
here is one that counts and chooses right; whether a board's U-Boot has the commands is another
question, so those that a board lacks can be left out.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_PRELUDE = r"""
setenv() {
  local __name=$1
  shift
  if (($#)); then printf -v "$__name" %s "$*"; else unset "$__name"; fi
}
run() { eval "${!1}"; }
test() { if [ "${2-}" = -gt ]; then (($1 > $3)); else builtin test "$@"; fi; }
load() { cp "$CARD/$4" "$MEMORY/$3" 2>/dev/null; }
fatwrite() { cp "$MEMORY/$3" "$CARD/$4"; }
sleep() { :; }
reset() { exit 3; }
source() { printf 'slot=%s args=%s\n' "$slot" "${slot_args-}"; exit 0; }
booti() { printf '%s\n%s\n' "$bootargs" "$3"; exit 0; }
env() {
  local __values
  case $1 in
  delete) shift; unset "$@" ;;
  import) __values=$("$PYTHON" -c "$IMPORT" "$MEMORY/$3") || return 1; eval "$__values" ;;
  export) shift 4; for __values in "${@:2}"; do echo "$__values=${!__values}"; done |
    "$PYTHON" -c "$EXPORT" "$MEMORY/$1" ;;
  esac
}
scriptaddr=script ramdisk_addr_r=ramdisk kernel_addr_r=kernel fdt_addr_r=tree fdt_addr=vendors_tree
devtype=mmc devnum=1 distro_bootpart=1 board= filesize=1 extra_bootargs= slot_args=
"""

SETEXPR = r"""
setexpr() { printf -v "$1" %x $((0x${2#0x} $3 $4)); }
"""
"""The command that a Jetson Nano's U-Boot lacks."""

_IMPORT = """
import shlex, sys, zlib
raw = open(sys.argv[1], "rb").read()
assert len(raw) == 512 and zlib.crc32(raw[4:]) == int.from_bytes(raw[:4], "little")
for part in raw[4:].split(b"\\0\\0")[0].split(b"\\0"):
    name, value = part.decode().split("=")
    print(f"{name}={shlex.quote(value)}")
"""

_EXPORT = """
import sys, zlib
data = sys.stdin.read().replace("\\n", "\\0").encode().ljust(508, b"\\0")
open(sys.argv[1], "wb").write(zlib.crc32(data).to_bytes(4, "little") + data)
"""


@dataclass(frozen=True)
class Ran:
    """What a script did.

    Attributes:
        said: Lines on the console, the last of which tell how it ended.
        status: 0 when something was started, 3 after a reset.
    """

    said: list[str]
    status: int


def run_script(text: str, card: Path, memory: Path, *, commands: str = "", before: str = "") -> Ran:
    """Run a script.

    Args:
        text: The script as text.
        card: Folder that stands for every partition.
        memory: Folder for what is loaded.
        commands: Shell functions in addition.
        before: Shell variables that are set beforehand.
    """
    memory.mkdir(exist_ok=True)
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", _PRELUDE + commands
         + before + "\n" + text],
        env={
            "PATH": "/usr/bin:/bin", "CARD": str(card), "MEMORY": str(memory),
            "PYTHON": sys.executable, "IMPORT": _IMPORT, "EXPORT": _EXPORT,
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert "command not found" not in done.stderr, done.stderr
    return Ran(done.stdout.splitlines(), done.returncode)
