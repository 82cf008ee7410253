"""The bill of materials of an image: CycloneDX 1.5, every Debian package and every wheel."""

from __future__ import annotations

import importlib.metadata
import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path


def write(
    version: str, epoch: int, debian: Mapping[str, str], site_packages: Path, out: Path
) -> None:
    """Write the document; the same contents give the same bytes.

    Args:
        version: The release's.
        epoch: Unix seconds that stand as its time.
        debian: Versions of Debian packages.
        site_packages: Folder with the wheels' .dist-info.
        out: The file.
    """
    components = [
        {
            "type": "library",
            "name": name,
            "version": number,
            "purl": f"pkg:deb/debian/{name}@{number}?arch=arm64&distro=bookworm",
        }
        for name, number in sorted(debian.items())
    ]
    wheels = importlib.metadata.distributions(path=[str(site_packages)])
    components += [
        {
            "type": "library",
            "name": wheel.name,
            "version": wheel.version,
            "purl": f"pkg:pypi/{wheel.name.lower()}@{wheel.version}",
        }
        for wheel in sorted(wheels, key=lambda wheel: wheel.name)
    ]
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'edgenode {version}')}",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch)),
            "component": {"type": "operating-system", "name": "edgenode", "version": version},
        },
        "components": components,
    }
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
