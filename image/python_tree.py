"""The Python part of a node: wheels and edgenode itself for aarch64, made without emulation.

The result is a tar with `site-packages/` and `bin/`, which the role `node` unpacks to
/usr/lib/edgenode. A box needs neither pip nor a compiler.
"""

from __future__ import annotations

import compileall
import configparser
import py_compile
import shutil
import tarfile
import tomllib
import zipfile
from pathlib import Path

from image.commands import BuildError, run

INSTALLED_AT = Path("/usr/lib/edgenode")
"""Where the tree stands on a box."""

_PLATFORMS = ("manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux_2_17_aarch64")
"""What Debian 12 (glibc 2.36) can run; pip wants each one named."""

_LEFT_OUT = ("tests", "SelfTest", "__pycache__")
"""Folders of the wheels that no node needs: a sixth of their size."""

_LAUNCHER = """\
#!/usr/bin/python3 -I
import sys

sys.path.insert(0, "{packages}")
from {module} import {function}

sys.exit({function}())
"""


def build(repository: Path, *, headers: Path, pip: Path, work: Path, out: Path, epoch: int) -> None:
    """Make the tree and pack it.

    Args:
        repository: The checkout; requirements/node.lock names the wheels.
        headers: Folder with CPython's headers for aarch64, as Debian's libpython3.11-dev has
            them below usr/include.
        pip: The program `pip` of a CPython 3.11.
        work: Folder for what is made on the way; emptied first.
        out: The tar.
        epoch: Unix seconds that every file gets.

    Raises:
        BuildError: A wheel does not match the lock file, the kernel does not compile.
    """
    shutil.rmtree(work, ignore_errors=True)
    packages = work / "tree" / "site-packages"
    packages.mkdir(parents=True)
    log = work / "log"
    _install_wheels(repository / "requirements" / "node.lock", pip, packages, log)
    wheel = _own_wheel(repository, pip, work, log)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)  # noqa: S202
    _replace_extension(repository, headers, packages, log)
    launchers = _write_launchers(packages, work / "tree" / "bin")
    if "edgenode" not in launchers:
        raise BuildError(f"{wheel} declares no program edgenode")
    _leave_out(packages)
    _compile(packages)
    _pack(work / "tree", out, epoch)


def _install_wheels(lock: Path, pip: Path, packages: Path, log: Path) -> None:
    platforms = [f"--platform={platform}" for platform in _PLATFORMS]
    run(
        [pip, "install", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
         "--require-hashes", *platforms, "--implementation=cp", "--python-version=3.11",
         "--no-compile", "--target", packages, "-r", lock],
        log=log,
    )  # fmt: skip


def _own_wheel(repository: Path, pip: Path, work: Path, log: Path) -> Path:
    """The wheel of this package, for the machine that builds: its Python files are anyone's."""
    # A copy: setuptools leaves build/ and *.egg-info where it works, and packs what it finds.
    source = work / "source"
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(repository / "edgenode", source / "edgenode", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, source)
    run(
        [pip, "wheel", "--disable-pip-version-check", "--no-deps", "--wheel-dir", work, source],
        log=log,
    )
    wheels = list(work.glob("edgenode-*.whl"))
    if len(wheels) != 1:
        raise BuildError(f"pip made {len(wheels)} wheels of edgenode in {work}")
    return wheels[0]


def _replace_extension(repository: Path, headers: Path, packages: Path, log: Path) -> None:
    """Compile the miner's kernel for aarch64, in place of that of the machine that builds."""
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    for module in project["tool"]["setuptools"]["ext-modules"]:
        folder = packages / Path(*module["name"].split(".")[:-1])
        name = module["name"].rpartition(".")[2]
        for native in folder.glob(f"{name}.*.so"):
            native.unlink()
        run(
            ["aarch64-linux-gnu-gcc", "-shared", "-fPIC", "-s", "-Wl,--build-id=none",
             f"-I{headers / 'python3.11'}", f"-I{headers}", *module["extra-compile-args"],
             *module["sources"], "-o", folder / f"{name}.cpython-311-aarch64-linux-gnu.so"],
            log=log,
            directory=repository,
        )  # fmt: skip
    for record in packages.glob("edgenode-*.dist-info/RECORD"):
        record.unlink()  # it names the replaced file


def _write_launchers(packages: Path, folder: Path) -> list[str]:
    """A program for each entry point of edgenode; returns their names."""
    folder.mkdir()
    (declared,) = packages.glob("edgenode-*.dist-info/entry_points.txt")
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read(declared, encoding="utf-8")
    names = []
    for name, target in parser["console_scripts"].items():
        module, function = target.split(":")
        launcher = folder / name
        launcher.write_text(
            _LAUNCHER.format(
                packages=INSTALLED_AT / "site-packages", module=module, function=function
            ),
            encoding="utf-8",
        )
        launcher.chmod(0o755)
        names.append(name)
    return names


def _leave_out(packages: Path) -> None:
    shutil.rmtree(packages / "bin", ignore_errors=True)
    for folder in [path for path in packages.rglob("*") if path.name in _LEFT_OUT]:
        shutil.rmtree(folder, ignore_errors=True)


def _compile(packages: Path) -> None:
    """Byte code, which a box with a read-only root could not keep.

    It is never compared with its source: the two are always replaced together.
    """
    done = compileall.compile_dir(
        packages,
        quiet=2,
        stripdir=str(packages),
        prependdir=str(INSTALLED_AT / "site-packages"),
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )
    if not done:
        raise BuildError(f"some file below {packages} is no Python 3.11")


def _pack(tree: Path, out: Path, epoch: int) -> None:
    """A tar in which only names, modes and contents count."""

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mtime = epoch
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    out.parent.mkdir(parents=True, exist_ok=True)
    half = out.with_suffix(".part")
    with tarfile.open(half, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in sorted(tree.rglob("*")):
            archive.add(path, path.relative_to(tree).as_posix(), recursive=False, filter=plain)
    half.replace(out)
