"""An x86-64 node among the boxes: the gossip service of this checkout, on their network."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from edgenode.api.client import NodeClient, NodeUnavailableError
from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.keys import MemberKey
from edgenode.storage.keyfile import write_key
from qemu.network import HOST, Bridge, address
from qemu.patience import PROCESS_PATIENCE, Clock
from qemu.process import MORTAL
from qemu.settings import SYNC_PORT

NAME = "desk"


class HostNode:
    """The node.

    Attributes:
        member: What a genesis says of it.
        client: Its local API.
    """

    def __init__(self, folder: Path, network: Bridge) -> None:
        folder.mkdir()
        self._folder = folder
        self._network = network
        self._key = MemberKey.generate()
        self._process: subprocess.Popen[bytes] | None = None
        self.member = Member(NAME, self._key.public.hex())
        self.client = NodeClient(folder / "node.sock")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PROCESS_PATIENCE)

    def exported(self, model: str) -> tuple[str, str]:
        """The block at its head, and the SHA-256 of the parameters that it exports there."""
        out = self._folder / "model"
        socket = self._folder / "node.sock"
        words = ["--json", "--socket", str(socket), "model", "export", model]
        said = subprocess.run(
            [sys.executable, "-m", "edgenode.cli", *words, "--force", "--out", str(out)],
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(said.stdout)["block"], hashlib.sha256(out.read_bytes()).hexdigest()

    def start(self, genesis: Genesis, ward_key: bytes) -> None:
        """Start it; it knows one box's address, and nothing of the chain."""
        write_key(self._folder / "ward.key", ward_key, "the ward's key")
        write_key(self._folder / "member.key", self._key.seed, f"member key of {NAME}")
        (self._folder / "genesis.toml").write_text(format_genesis(genesis))
        config = self._folder / "edgenode.toml"
        config.write_text(
            f"""\
[node]
name = "{NAME}"
state = "state"
api = "node.sock"
genesis = "genesis.toml"

[gossip]
sync = "{HOST}:7070"
broadcast = "{HOST}:7071"
seeds = ["{address(1).ip}:{SYNC_PORT}"]
ward_key = "ward.key"
member_key = "member.key"
"""
        )
        words = [*self._network.inside, *MORTAL, sys.executable, "-m", "edgenode.services.gossip"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*words, "--config", str(config)], stdout=log, stderr=subprocess.STDOUT
            )
        clock = Clock(PROCESS_PATIENCE)
        while True:
            try:
                self.client.status()
            except NodeUnavailableError:
                assert clock.left, (self._folder / "log").read_text()
                time.sleep(0.2)
            else:
                return
