"""Ansible module: write many small files at once. The action plugin of the same name feeds it."""

from __future__ import annotations

import base64
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: root_tree
short_description: Mirror trees of files from the controller onto a host, in one step
description:
  - Each file and link below a tree is put at the same place below the tree's target. Files that
    end in C(.j2) are templates. Nothing is ever removed.
  - M(ansible.builtin.copy) runs two programs on the host for each file. Where programs start slowly
    (a root file system for another processor, a small box) that is several seconds a file; this
    module runs one for all of them.
  - Files and directories belong to root. A file is 0755 if its owner may execute it on the
    controller, else 0644.
options:
  trees:
    description:
      - What goes where. C(from) is a directory on the controller, C(to) one on the host, C(only) a
        list of shell patterns for paths below C(from), of which one must match.
      - Without it, the directory C(root) of the role is put over C(/).
    type: list
    elements: dict
  links:
    description: Symbolic links; the key is the path on the host, the value what it points to.
    type: dict
    default: {}
  modes:
    description: Modes that differ, by the path on the host, as strings such as C("0440").
    type: dict
    default: {}
"""

RETURN = r"""
paths:
  description: What was changed, or would be.
  type: list
  returned: always
"""


def main() -> None:
    """Compare each file and link with what is there, and replace those that differ."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str", "required": True},
                },
            },
            "links": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    paths: list[str] = []
    diff: list[dict[str, str]] = []
    for file in module.params["files"]:
        if _write(module, file, diff):
            paths.append(file["path"])
    for path, target in sorted(module.params["links"].items()):
        if _link(module, path, target, diff):
            paths.append(path)
    module.exit_json(changed=bool(paths), paths=paths, diff=diff)


def _write(module: AnsibleModule, file: dict[str, str], diff: list[dict[str, str]]) -> bool:
    path, content = file["path"], base64.b64decode(file["content"])
    before = _read(path)
    changed = before != content
    if changed:
        diff.append(_difference(path, before, content))
        if not module.check_mode:
            _make_parents(module, path)
            handle, half = tempfile.mkstemp(dir=module.tmpdir)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            module.atomic_move(half, path)
    if changed and module.check_mode:
        return True  # there may be no file whose mode could be looked at
    attributes = {
        "path": path,
        "mode": file["mode"],
        "owner": "root",
        "group": "root",
        "secontext": [None, None, None, None],
        "attributes": None,
    }
    result: bool = module.set_fs_attributes_if_different(attributes, changed)
    return result


def _link(module: AnsibleModule, path: str, target: str, diff: list[dict[str, str]]) -> bool:
    before = os.readlink(path) if os.path.islink(path) else None
    if before == target:
        return False
    if before is None and os.path.lexists(path):
        module.fail_json(msg=f"{path}: there is something that is no link; move it away")
    diff.append(_difference(path, (before or "").encode(), target.encode()))
    if not module.check_mode:
        _make_parents(module, path)
        half = f"{path}.new"
        if os.path.lexists(half):
            os.unlink(half)  # of a run that was cut off
        os.symlink(target, half)
        os.replace(half, path)
    return True


def _read(path: str) -> bytes | None:
    """Content of a regular file; None where there is something else, or nothing."""
    if os.path.islink(path) or not os.path.isfile(path):
        return None
    with open(path, "rb") as stream:
        return stream.read()


def _make_parents(module: AnsibleModule, path: str) -> None:
    parent = os.path.dirname(path)
    try:
        os.makedirs(parent, mode=0o755, exist_ok=True)
    except OSError as error:
        module.fail_json(msg=f"{parent}: cannot be made: {error.strerror}")


def _difference(path: str, before: bytes | None, after: bytes) -> dict[str, str]:
    return {
        "before_header": path,
        "after_header": path,
        "before": (before or b"").decode(errors="replace"),
        "after": after.decode(errors="replace"),
    }


if __name__ == "__main__":
    main()
