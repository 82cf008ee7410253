"""The controller's part of `root_tree`: reads the trees, fills in the templates, sends it all."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.loader import lookup_loader

from ansible.plugins.action import ActionBase

_TEMPLATE = ".j2"
_TREE_KEYS = {"from", "to", "only"}


class ActionModule(ActionBase):  # type: ignore[misc]
    """Gathers what the module of the same name writes; see its documentation."""

    _VALID_ARGS = frozenset(("trees", "links", "modes"))
    _supports_check_mode = True
    _supports_diff = True

    def run(
        self, tmp: str | None = None, task_vars: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Read, render, and run the module once."""
        super().run(tmp, task_vars)
        variables = task_vars or {}
        modes = dict(self._task.args.get("modes") or {})
        links = dict(self._task.args.get("links") or {})
        files: dict[str, dict[str, str]] = {}
        for tree in self._trees():
            source, target = Path(tree["from"]), Path(tree["to"])
            for found in _below(source, tree.get("only")):
                path = target / found.relative_to(source)
                if found.is_symlink():
                    links[str(path)] = os.readlink(found)
                    continue
                content = found.read_bytes()
                if path.suffix == _TEMPLATE:
                    path = path.with_suffix("")
                    content = self._filled_in(found, variables)
                executable = found.stat().st_mode & 0o100
                files[str(path)] = {
                    "path": str(path),
                    "content": base64.b64encode(content).decode(),
                    "mode": modes.pop(str(path), "0755" if executable else "0644"),
                }
        if modes:
            raise AnsibleActionFail(f"root_tree: modes names no file: {', '.join(sorted(modes))}")
        result: dict[str, Any] = self._execute_module(
            module_name="root_tree",
            module_args={"files": [files[path] for path in sorted(files)], "links": links},
            task_vars=task_vars,
        )
        return result

    def _trees(self) -> list[dict[str, Any]]:
        trees = self._task.args.get("trees")
        if trees is None:
            role = self._task._role
            if role is None:
                raise AnsibleActionFail("root_tree: outside a role, say which trees")
            return [{"from": str(Path(role._role_path) / "root"), "to": "/"}]
        for tree in trees:
            unknown = set(tree) - _TREE_KEYS
            if unknown or not {"from", "to"} <= set(tree):
                raise AnsibleActionFail(
                    f"root_tree: a tree has from, to and perhaps only; this one: {tree}"
                )
            if not Path(tree["from"]).is_dir():
                raise AnsibleActionFail(f"root_tree: {tree['from']} is no directory")
        return list(trees)

    def _filled_in(self, template: Path, variables: dict[str, Any]) -> bytes:
        lookup = lookup_loader.get(
            "ansible.builtin.template", loader=self._loader, templar=self._templar
        )
        (text,) = lookup.run([str(template)], variables=variables)
        return str(text).encode()


def _below(source: Path, patterns: list[str] | None) -> Iterator[Path]:
    """Files and links below a directory of which one pattern matches the path, in order."""
    for found in sorted(source.rglob("*")):
        if found.is_dir() and not found.is_symlink():
            continue
        parts = found.relative_to(source).parts
        if patterns is None or any(_matches(parts, pattern) for pattern in patterns):
            yield found


def _matches(parts: tuple[str, ...], pattern: str) -> bool:
    """As a shell would: a star does not go past a slash."""
    wanted = pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
