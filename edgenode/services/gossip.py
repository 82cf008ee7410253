"""The gossip service: the ledger, the two UDP sockets and the local API."""

from __future__ import annotations

import asyncio
import logging
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from edgenode.gossip.api_server import build_app
from edgenode.gossip.service import GossipService
from edgenode.gossip.settings import GossipSettings
from edgenode.gossip.start_up import (
    StartError,
    genesis_parameters,
    noting_damage,
    open_chain,
    take_lock,
)
from edgenode.ledger.genesis import GenesisError
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.membership import is_member
from edgenode.services import notify
from edgenode.services.config import start
from edgenode.services.credentials import read_secret_key
from edgenode.services.ending import EXIT_BAD_FILE, EXIT_TRY_AGAIN, give_up
from edgenode.storage.chain import ForeignStoreError, StoreError
from edgenode.storage.genesis import read_genesis
from edgenode.storage.keyfile import KeyFileError

log = logging.getLogger("edgenode.gossip")

API_SOCKET_MODE = 0o660
"""The services of the node share a group; nobody else has business here."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the gossip service until SIGTERM or SIGINT.

    Raises:
        SystemExit: always in the end; status 0 when it was told to stop, 5 when a file that it
            needs is unusable, 1 when another start may help.
    """
    settings = start("gossip", argv).gossip
    try:
        service = _prepare(settings)
        asyncio.run(_serve(service))
    except (StartError, GenesisError, KeyFileError, ForeignStoreError) as error:
        give_up("gossip", error, EXIT_BAD_FILE)
    except (StoreError, OSError) as error:
        # Another start may help: damage is salvaged then, an address may be there, a disk freed.
        give_up("gossip", error, EXIT_TRY_AGAIN)


def _prepare(settings: GossipSettings) -> GossipService:
    take_lock(settings.directory)
    ward_key = read_secret_key(settings.ward_key, "ward")
    member_key = MemberKey(read_secret_key(settings.member_key))
    genesis = read_genesis(settings.genesis)
    chain, store = open_chain(settings, genesis, genesis_parameters(genesis), notify.starting)
    with noting_damage(store):
        if not is_member(chain.state.records, member_key.public):
            log.warning(
                "this node's key is no member of the ward: it follows the chain, but its blocks "
                "and updates are refused until the ward's authorities enrol it (edgenode member "
                "enrol)",
                extra={"member": member_key.public.hex(), "ward": genesis.name},
            )
        log.info("chain loaded", extra={"ward": genesis.name, "height": chain.head.height})
        return GossipService(settings, chain, store, ward_key, member_key)


async def _serve(service: GossipService) -> None:
    settings = service.settings
    settings.api.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    # Long polls would hold up the end for as long as they wait.
    runner = web.AppRunner(build_app(service), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    _make_room(settings.api)
    await web.UnixSite(runner, str(settings.api)).start()
    settings.api.chmod(API_SOCKET_MODE)
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    notify.ready()
    try:
        await service.run(notify.alive)
    except asyncio.CancelledError:
        log.info("stopping")
    finally:
        notify.stopping()
        await runner.cleanup()


def _make_room(api: Path) -> None:
    """Remove the socket of a process that was killed, which is in the way of its successor.

    Raises:
        StartError: something else is there.
    """
    try:
        mode = api.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise StartError(f"{api} is no socket; move it away, or name another path as [node] api")
    api.unlink()


if __name__ == "__main__":
    main()
