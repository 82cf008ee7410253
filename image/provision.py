"""From Debian's root file system to a box's: the Ansible roles, then what only an image has."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from image.commands import BuildError, ansible_playbook, output_of, run

# Left by package management and by the roles; none of it is wanted on a box, all of it differs
# from build to build.
_LEFT_OVERS = (
    "etc/.pwd.lock",
    "etc/hostname",
    "root/.ansible",
    "tmp/*",
    "var/cache/apt/*",
    "var/cache/debconf/*-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists/*",
    "var/lib/dpkg/*-old",
    "var/lib/systemd/random-seed",
    "var/log/*.log",
    "var/log/apt",
    "var/tmp/*",
    "etc/*-",
)

# Where the initramfs mounts what is not in the slot.
_MOUNT_POINTS = ("boot/firmware", "data", "volatile", "var/log/ring", "var/lib/edgenode-setup")

_ENABLED = ("systemd-networkd.service", "edgenode-grow.service", "edgenode-ring.timer",
            "edgenode-ring-last.service")  # fmt: skip
"""A plain Debian box keeps the network that it has; a flashed one gets it from its settings."""

_SECRETS = ("etc/ssh/ssh_host_*", "etc/edgenode/*.key", "var/lib/edgenode/*/*")
"""What each box makes for itself: none of it may be in an image."""


def unpack(tar: Path, root: Path, log: Path) -> None:
    """Debian's root, in place of what was there.

    Raises:
        BuildError: Something is mounted below it, or tar failed.
    """
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    mounted = [line.split()[1] for line in mounts if line.split()[1].startswith(f"{root}/")]
    if mounted:
        raise BuildError(f"still mounted, unmount it first: {', '.join(mounted)}")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    run(["tar", "--numeric-owner", "--xattrs", "-C", root, "-xpf", tar], log=log)
    # Installing openssh-server makes keys, which every box would share.
    for key in root.glob("etc/ssh/ssh_host_*"):
        key.unlink()


def apply_roles(root: Path, repository: Path, tree: Path, epoch: int, log: Path) -> None:
    """Run the same roles that provision a plain Debian box, against the folder.

    Args:
        root: The root file system; aarch64 programs in it run under emulation.
        repository: The checkout.
        tree: The tar of image.python_tree.
        epoch: Unix seconds that stand for now.
        log: Takes what Ansible prints.

    Raises:
        BuildError: A task failed.
    """
    # A mount namespace of its own: whatever happens, nothing stays mounted. /proc is what some
    # programs need; services cannot be started by accident, since there is no systemd to ask.
    script = 'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev" && shift && exec "$@"'
    run(
        ["unshare", "--mount", "--fork", "sh", "-ec", script, "sh", root,
         ansible_playbook(), "-i", "image,", "-e", f"ansible_host={root}",
         "-e", f"node_tree={tree}", "-e", f"image_epoch={epoch}",
         repository / "ansible" / "image.yml"],
        log=log,
        directory=repository / "ansible",
        environment={"ANSIBLE_CONFIG": str(repository / "ansible" / "ansible.cfg")},
    )  # fmt: skip


def add_image_files(root: Path, here: Path, log: Path) -> None:
    """What only an image has: image/rootfs, units, mount points, no identity.

    Raises:
        BuildError: A unit is missing.
    """
    shutil.copytree(here / "rootfs", root, dirs_exist_ok=True, symlinks=True)
    for folder, _, names in os.walk(here / "rootfs"):
        for name in (*names, ""):
            target = root / Path(folder).relative_to(here / "rootfs") / name
            os.chown(target, 0, 0, follow_symlinks=False)
    for name in _MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    # systemctl of this side writes the links that it would write there.
    run(["systemctl", f"--root={root}", "enable", *_ENABLED], log=log)
    # Empty, not "uninitialized": the first start makes an id and is otherwise like any other.
    (root / "etc/machine-id").write_bytes(b"")
    (root / "var/lib/dbus/machine-id").unlink(missing_ok=True)


def make_initramfs(root: Path, out: Path, epoch: int, log: Path) -> None:
    """The initramfs of the root's kernel, compressed on this side of the emulation.

    Raises:
        BuildError: mkinitramfs failed, or there is not exactly one kernel.
    """
    versions = sorted(path.name for path in (root / "usr/lib/modules").iterdir())
    if len(versions) != 1:
        raise BuildError(f"{root} has modules for {len(versions)} kernels, not for one")
    _stamp(root, epoch)
    script = (
        'mount -t proc proc "$1/proc" && mount -t sysfs sys "$1/sys" && '
        'mount -t tmpfs tmp "$1/tmp" && '
        'chroot "$1" mkinitramfs -o /tmp/initrd "$2" && zstd -qdf "$1/tmp/initrd" -o "$3"'
    )
    plain = out.with_suffix(".cpio")
    run(
        ["unshare", "--mount", "sh", "-ec", script, "sh", root, versions[0], plain],
        log=log,
        environment={
            "SOURCE_DATE_EPOCH": str(epoch),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        },
    )
    run(["zstd", "-q", "-19", "-T0", "-f", plain, "-o", out], log=log)
    plain.unlink()


def _stamp(root: Path, epoch: int) -> None:
    """Give all files one time, as the root file system will: archives keep that of a checkout."""
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            os.utime(Path(folder) / name, (epoch, epoch), follow_symlinks=False)


def mark_release(root: Path, version: str, epoch: int, ca: Path) -> None:
    """What the release calls itself, whose bundles it accepts, and what time it is at least.

    systemd takes the modification time of clock-epoch for the earliest time that can be.
    """
    (root / "usr/lib/edgenode/release").write_text(f"{version}\n", encoding="utf-8")
    floor = root / "usr/lib/clock-epoch"
    floor.touch()
    os.utime(floor, (epoch, epoch))
    keyring = root / "etc/rauc/keyring.pem"
    keyring.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ca, keyring)


def clean(root: Path) -> None:
    """Remove what no box needs.

    Raises:
        BuildError: The root holds a secret, which every box of this image would share.
    """
    for pattern in _LEFT_OVERS:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    # systemd-resolved and edgenode-setup write the ones that count.
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    (root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    secrets = [path for pattern in _SECRETS for path in root.glob(pattern)]
    if secrets:
        raise BuildError(f"every box would have the same: {', '.join(map(str, secrets))}")


def debian_versions(root: Path) -> dict[str, str]:
    """Installed packages with their versions."""
    text = output_of(
        ["dpkg-query", f"--admindir={root / 'var/lib/dpkg'}", "-W",
         "-f", "${db:Status-Abbrev}\t${Package}\t${Version}\n"]
    )  # fmt: skip
    lines = (line.split("\t") for line in text.splitlines())
    return {name: version for status, name, version in lines if status.strip() == "ii"}
