"""A real gossip service with its API on a Unix socket, in this process, beside the test."""

import asyncio
import concurrent.futures
import http.client
import json
import secrets
import socket
import threading
from contextlib import contextmanager

import numpy as np
from aiohttp import web

from demo.ward import free_ports
from edgenode.api.client import NodeClient
from edgenode.gossip.api_server import build_app
from edgenode.gossip.clock import Policy
from edgenode.gossip.clock_watch import ClockWatch
from edgenode.gossip.service import GossipService
from edgenode.gossip.settings import GossipSettings
from edgenode.ledger.chain import Chain
from edgenode.storage.chain import SqliteChainStore
from tests.ledger.builder import ALICE, PARAMETERS, initial_parameters


class LiveNode:
    """The service, and clients for it."""

    def __init__(self, service, api, running):
        self.service = service
        self.running = running
        self.api = api
        self.client = NodeClient(api)

    def ask(self, method, target, body=None, headers=None):
        """A raw request: status, JSON body if it is one, headers."""
        connection = http.client.HTTPConnection("node", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(30)
        connection.sock.connect(str(self.api))
        connection.request(method, target, body, headers or {})
        answer = connection.getresponse()
        raw = answer.read()
        is_json = answer.headers.get_content_type() == "application/json"
        connection.close()
        return answer.status, json.loads(raw) if is_json else raw, answer.headers

    def run_inside(self, act):
        """Call something on the service's own thread."""
        done = concurrent.futures.Future()
        self.running.get_loop().call_soon_threadsafe(lambda: done.set_result(act()))
        return done.result(30)

    def mine(self):
        """Find a nonce for the current work and hand it in."""
        message = self.client.work()
        extranonce = secrets.token_bytes(8)
        nonce = 0
        work = message.work
        while int.from_bytes(work.header(extranonce, nonce).id, "little") > work.target_number:
            nonce += 1
        body = {"extranonce": extranonce.hex(), "nonce": nonce, "time": work.time}
        return self.ask("POST", f"/v1/work/{message.id}", json.dumps(body))

    def update(self, base, values=None, examples=10):
        """Submit trained parameters."""
        values = np.full(PARAMETERS, 0.25, "<f4") if values is None else values
        target = f"/v1/models/activity/updates?base={base}&examples={examples}"
        return self.ask("POST", target, values.astype("<f4").tobytes())


@contextmanager
def live_node(directory, genesis, key=ALICE, clocks=None, parameters=None, keep="recent"):
    """Run a node for as long as the block lasts.

    Args:
        directory: For its files.
        genesis: The ward's.
        key: The member's.
        clocks: Reads the clocks of a box that wants a synchronised one; None for any clock.
        parameters: Those of genesis; None for the builder's.
        keep: As in its settings.
    """
    sync, broadcast = free_ports(2)
    settings = GossipSettings(
        name="bed-1",
        directory=directory,
        api=directory / "node.sock",
        genesis=directory / "genesis.toml",
        ward_key=directory / "ward.key",
        member_key=directory / "member.key",
        sync=("127.0.0.1", sync),
        broadcast=("127.0.0.1", broadcast),
        keep=keep,
    )
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    stop = asyncio.Event()
    held = {}

    async def serve():
        store = SqliteChainStore(directory / "chain.db", genesis.id)
        retention = settings.retention(disk_bytes=10**9)
        chain = Chain(genesis, parameters or (initial_parameters(),), store, retention)
        clock = None
        if clocks is not None:
            clock = ClockWatch(
                Policy.SYNCHRONISED,
                directory / "clock.json",
                lambda: chain.head.header.time - genesis.future_bound,
                read=clocks,
                build=genesis.time - 1000,
            )
        service = GossipService(settings, chain, store, bytes(32), key, clock=clock)
        runner = web.AppRunner(build_app(service), access_log=None)
        await runner.setup()
        await web.UnixSite(runner, str(settings.api)).start()
        running = asyncio.create_task(service.run(lambda: None))
        held["service"], held["running"] = service, running
        ready.set()
        await stop.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await runner.cleanup()
        store.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield LiveNode(held["service"], settings.api, held["running"])
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)
        loop.close()
