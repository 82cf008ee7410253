"""The gateway service: the network of boxes that have Bluetooth only."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence

from edgenode.api.client import NodeClient
from edgenode.gossip.gateway import TURN, Gateway
from edgenode.ledger.genesis import GenesisError
from edgenode.protocol.gateway_door import Door
from edgenode.services import notify
from edgenode.services.config import NodeSettings, start
from edgenode.services.credentials import read_secret_key
from edgenode.services.ending import EXIT_BAD_FILE, EXIT_TRY_AGAIN, give_up
from edgenode.services.reporter import Heartbeat, Reporter
from edgenode.storage.genesis import read_genesis
from edgenode.storage.keyfile import KeyFileError

log = logging.getLogger("edgenode.gateway")

HANGS_AFTER_S = 10 * TURN


def main(argv: Sequence[str] | None = None) -> None:
    """Run the gateway until SIGTERM or SIGINT.

    Raises:
        SystemExit: always in the end; status 0 when it was told to stop, 5 when a file that it
            needs is unusable, 1 when another start may help.
    """
    settings = start("gateway", argv)
    try:
        ward_key = read_secret_key(settings.gossip.ward_key, "ward")
        door = Door(ward_key, read_genesis(settings.gossip.genesis).id)
        node = settings.gossip.sync
        if settings.gossip.gateway is not None:
            log.warning("this box has its own sockets from a gateway: it is on no network itself")
            node = None
        asyncio.run(_serve(settings, Gateway(settings.for_gateway(), door, node)))
    except (GenesisError, KeyFileError) as error:
        give_up("gateway", error, EXIT_BAD_FILE)
    except OSError as error:
        give_up("gateway", error, EXIT_TRY_AGAIN)


async def _serve(settings: NodeSettings, gateway: Gateway) -> None:
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    heartbeat = Heartbeat(HANGS_AFTER_S)
    with Reporter("gateway", NodeClient(settings.api), lambda: ("ok", gateway.values()), heartbeat):
        notify.ready()
        try:
            await gateway.run(heartbeat.beat)
        except asyncio.CancelledError:
            log.info("stopping")
        finally:
            notify.stopping()


if __name__ == "__main__":
    main()
