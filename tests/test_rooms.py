"""The house's plan, held against the code: floors, cycles, sizes, rooms without I/O."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "edgenode"

FLOORS = (
    "native",
    "learning",
    "ledger",
    "protocol",
    "tasks",
    "storage",
    "training",
    "collector",
    "mining",
    "api",
    "gossip",
    "exporter",
    "services",
    "appliance",
    "doctor",
    "cli",
    "sim",
)
"""The rooms; one imports only from those before it."""

ALLOWED_TO_SIM = {"sim", "learning", "ledger", "protocol", "storage"}
"""A simulation runs the state machines and the store, and nothing that waits for the world."""

SANS_IO = ("learning", "ledger", "protocol", "tasks", "sim")
IO_MODULES = {"socket", "sqlite3", "asyncio", "subprocess", "time", "threading"}

LONGEST_FILE = 600
"""Lines. What is longer has more than one reason to change."""


def _source_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in _source_files()}


def _imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, anywhere in it, with the line."""
    package = _name(path) if path.name == "__init__.py" else _name(path).rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            for alias in node.names:
                # `from package import module` imports the module; `from module import name`
                # imports the module that has the name.
                inner = f"{base}.{alias.name}"
                yield (inner if inner in MODULES else base), node.lineno


def _room(module: str) -> str | None:
    """The room of a module of the package; None for what is not in a room."""
    parts = module.split(".")
    return parts[1] if parts[0] == "edgenode" and len(parts) > 1 else None


def test_the_list_of_rooms_is_that_of_the_folders():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert folders == set(FLOORS)
    loose = {path.name for path in PACKAGE.glob("*.py")} - {"__init__.py"}
    assert loose == set(), "a file of the package lies in no room"


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_imports_only_from_earlier_floors(room):
    allowed = set(FLOORS[: FLOORS.index(room) + 1]) if room != "sim" else ALLOWED_TO_SIM
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for module, line in _imported(path)
        if (other := _room(module)) is not None and other not in allowed
    ]
    assert wrong == []


def test_the_package_imports_nothing_but_itself_of_this_repository():
    others = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"edgenode"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in _source_files()
        for module, line in _imported(path)
        if module.split(".")[0] in others
    ]
    assert wrong == []


def _cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of some import cycle, the first one repeated at the end; empty if none."""
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> list[str]:
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        path.append(module)
        for other in sorted(graph[module]):
            if found := visit(other):
                return found
        path.pop()
        done.add(module)
        return []

    for module in sorted(graph):
        if found := visit(module):
            return found
    return []


def test_no_modules_import_each_other_in_a_circle():
    graph = {
        module: {other for other, _ in _imported(path) if other in MODULES and other != module}
        for module, path in MODULES.items()
    }
    assert _cycle(graph) == []


def test_a_circle_would_be_found():
    assert _cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["b", "c", "b"]


def test_no_file_is_too_long():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (*_source_files(), *PACKAGE.rglob("*.c"), *PACKAGE.rglob("*.h"))
    }
    assert {path: n for path, n in lengths.items() if n > LONGEST_FILE} == {}


@pytest.mark.parametrize("room", SANS_IO)
def test_a_room_without_io_imports_no_module_that_does_io(room):
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for module, line in _imported(path)
        if module.split(".")[0] in IO_MODULES
    ]
    assert wrong == []
