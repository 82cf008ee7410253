"""Boxes to run playbooks against: private copies of this machine's root file system.

Each is an overlay of the root in a mount namespace, so that nothing written there stays, and has a
boot id of its own. Ansible enters it by chroot, as the build of the image does.
"""

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path

from tests.ansible.programs import run_playbook
from tests.conftest import missing, require_root, require_tool

# The repository may be another mount than the root, which an overlay of the root does not show.
_MAKE = """
set -e
base=$1 repository=$2; shift 2
mount -t tmpfs tmpfs "$base"
for name in "$@"; do
    mkdir -p "$base/$name.upper" "$base/$name.work" "$base/$name"
    mount -t overlay overlay \
        -o "lowerdir=/,upperdir=$base/$name.upper,workdir=$base/$name.work" "$base/$name"
    mkdir -p "$base/$name$repository"
    mount --bind "$repository" "$base/$name$repository"
    mount --bind /dev "$base/$name/dev"
    mount -t tmpfs tmpfs "$base/$name/run"
    mount --bind /proc "$base/$name/proc"
    echo "first boot of $name" >"$base/$name.boot_id"
    mount --bind "$base/$name.boot_id" "$base/$name/proc/sys/kernel/random/boot_id"
done
echo ready
exec sleep infinity
"""


@contextmanager
def boxes(names, folder):
    """Boxes of these names; `folder` is an empty directory for them."""
    require_root("mount")
    unshare = require_tool("unshare", "util-linux")
    require_tool("nsenter", "util-linux")
    with subprocess.Popen(
        [unshare, "--mount", "--propagation=private", "sh", "-c", _MAKE, "sh",
         str(folder), str(Path(__file__).resolve().parents[2]), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as holder:  # fmt: skip
        try:
            if holder.stdout.readline() != "ready\n":
                missing(f"no overlay file systems can be mounted here: {holder.stderr.read()}")
            yield Boxes(holder.pid, names, folder)
        finally:
            holder.kill()


class Boxes:
    def __init__(self, process, names, folder):
        self.names = names
        self._folder = folder
        self._process = process

    def path(self, box, inside):
        """A path inside a box, as this process sees it."""
        return Path(f"/proc/{self._process}/root{self._folder}/{box}{inside}")

    def write(self, box, inside, text, mode=0o644):
        path = self.path(box, inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def read(self, box, inside):
        return self.path(box, inside).read_text()

    def run(self, playbook, *arguments, variables=None, host_variables=None, groups=None):
        """Run a playbook against all boxes, which are the group `boxes`.

        Args:
            playbook: Its file.
            arguments: More of the command line.
            variables: Extra variables, of any type.
            host_variables: Variables by the box's name.
            groups: More groups of the inventory, as Ansible reads them.

        Returns:
            The finished process, with its output as text.
        """
        hosts = {
            name: {
                "ansible_connection": "community.general.chroot",
                "ansible_host": f"{self._folder}/{name}",
                "ansible_become": False,
                **(host_variables or {}).get(name, {}),
            }
            for name in self.names
        }
        inventory = self._folder.with_name("hosts.json")
        inventory.write_text(json.dumps({"boxes": {"hosts": hosts}, **(groups or {})}))
        return run_playbook(
            playbook,
            *("-i", str(inventory), *arguments),
            variables=variables,
            prefix=("nsenter", f"--target={self._process}", "--mount", "--wd=."),
        )
