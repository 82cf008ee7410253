"""RAUC bundles: a release as one signed file, and the keys that sign it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from image.commands import BuildError, run

COMPATIBLE = "edgenode-arm64"
"""RAUC's name of what a bundle fits; /etc/rauc/system.conf on a box has the same."""

_FILES = {"rootfs": "root.img", "boot": "boot.img"}
_DAYS = "7300"


@dataclass(frozen=True, slots=True)
class UpdateKeys:
    """What bundles are signed with.

    Attributes:
        ca: Certificate that boxes trust; it becomes a part of the image.
        certificate: Certificate of the signing key, issued by the CA.
        key: The signing key.
    """

    ca: Path
    certificate: Path
    key: Path


def update_keys(folder: Path, log: Path) -> UpdateKeys:
    """The keys in a folder; where there is none, a development CA is made.

    Raises:
        BuildError: The folder has some of the three files but not all.
    """
    keys = UpdateKeys(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    here = [path for path in (keys.ca, keys.certificate, keys.key) if path.is_file()]
    if len(here) == 3:
        return keys
    if folder.exists():
        raise BuildError(
            f"{folder} must hold ca.pem, cert.pem and key.pem (docs/updates.md), or not exist"
        )
    half = folder.with_suffix(".part")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True, mode=0o700)
    name = "/O=edgenode development/CN="
    run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", half / "ca.key", "-out", half / "ca.pem", "-days", _DAYS,
         "-subj", f"{name}CA", "-addext", "basicConstraints=critical,CA:TRUE",
         "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        log=log,
    )  # fmt: skip
    run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", half / "key.pem", "-out", half / "request.pem", "-subj", f"{name}releases"],
        log=log,
    )  # fmt: skip
    extensions = half / "extensions"
    extensions.write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=codeSigning,emailProtection\n",
        encoding="utf-8",
    )
    run(
        ["openssl", "x509", "-req", "-in", half / "request.pem", "-CA", half / "ca.pem",
         "-CAkey", half / "ca.key", "-CAcreateserial", "-days", _DAYS, "-extfile", extensions,
         "-out", half / "cert.pem"],
        log=log,
    )  # fmt: skip
    half.rename(folder)
    return keys


def manifest(version: str) -> str:
    """RAUC's manifest: what the bundle fits and what goes to which slot."""
    lines = ["[update]", f"compatible={COMPATIBLE}", f"version={version}", "",
             "[bundle]", "format=verity", ""]  # fmt: skip
    for slot, file in _FILES.items():
        lines += [f"[image.{slot}]", f"filename={file}", ""]
    return "\n".join(lines)


def build(
    images: Mapping[str, Path],
    version: str,
    keys: UpdateKeys,
    *,
    work: Path,
    out: Path,
    log: Path,
) -> None:
    """Write a signed bundle.

    Args:
        images: File of each slot class, "rootfs" and "boot".
        version: The release's.
        keys: What it is signed with.
        work: Folder for its contents; emptied first.
        out: The bundle.
        log: Takes what RAUC prints.

    Raises:
        BuildError: RAUC refused.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    for slot, file in _FILES.items():
        os.link(images[slot], work / file)
    (work / "manifest.raucm").write_text(manifest(version), encoding="utf-8")
    out.unlink(missing_ok=True)
    run(
        ["rauc", f"--cert={keys.certificate}", f"--key={keys.key}", f"--keyring={keys.ca}",
         "bundle", work, out],
        log=log,
    )  # fmt: skip
