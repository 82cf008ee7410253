"""A local API over a real chain in memory, for the clients' own tests.

It serves what docs/local-api.md says from a `Bench`: blocks that a miner hands in are validated
and added by the ledger itself. The gossip service has its own server and its own tests.
"""

import hashlib
import json
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from edgenode.api.block_shapes import block_of, models_of, summary_of
from edgenode.api.shapes import (
    AdoptionTimes,
    AllTraffic,
    ClockStatus,
    Finality,
    Head,
    LastReport,
    MempoolCounts,
    Messages,
    ModelSummary,
    Peer,
    ServiceReport,
    Solution,
    Status,
    Traffic,
    WorkMessage,
    from_json,
    to_json,
)
from edgenode.gossip.views import membership_of
from edgenode.gossip.ward_view import waiting_changes, ward_of
from edgenode.learning.fixed_point import to_bytes, to_float
from edgenode.ledger.hashes import display, from_display
from edgenode.ledger.headers import expected_target
from edgenode.ledger.rules import Rejected
from edgenode.ledger.target import expand, work
from edgenode.ledger.template import build_template
from edgenode.ledger.transaction import decode_transaction
from tests.api.unix_server import Reply, Request, serve
from tests.ledger.builder import ALICE, NOW, Bench

PEER_ADDRESS = "10.9.8.7:7070"
PEER = Peer(
    address=PEER_ADDRESS,
    member="ab" * 32,
    name="bed-7",
    role="member",
    knocked=True,
    sync=True,
    broadcast=False,
    height=3,
    round_trip=0.004,
    loss=0.0,
    queue=0.002,
    rate=1_200_000.0,
    silent=1.5,
    connected=1_700_000_000,
    datagrams_sent=10,
    datagrams_received=9,
)


class LedgerNode:
    """A node of one, whose member is Alice.

    SQLite wants one thread: the chain lives on a thread of its own, and whoever asks waits there.
    """

    def __init__(self, genesis=None):
        self._ledger = ThreadPoolExecutor(1)
        self.changed = threading.Condition()
        self.bench = self.run(lambda: Bench(genesis))
        self.reports = {}
        self.updates = []
        self.transactions = []
        self.posted_work = 0
        self.pay = []  # how each request for work wanted the reward split
        self.refuses_pay = False
        self.has_work = True
        self.is_resting = False  # as after its share of the blocks
        self.refusal = None
        self.clock = ClockStatus(True, "synchronised", "synchronised")
        self.update_refusals = []  # status and name for each of the next updates
        self._templates = {}
        self._name = secrets.token_hex(4)

    # What tests do

    def run(self, action):
        """Do something with the bench, on the ledger's thread."""
        return self._ledger.submit(action).result()

    def grow(self, count):
        self.run(lambda: self.bench.grow(count))
        self._notify()

    def round(self, *members):
        self.run(lambda: self.bench.round(*members))
        self._notify()

    def add(self, *transactions):
        self.run(lambda: self.bench.add(self.bench.block(*transactions)))
        self.transactions = [each for each in self.transactions if each not in transactions]
        self._notify()

    @property
    def height(self):
        return self.bench.chain.head.height

    def wait_for_height(self, height, timeout=60):
        with self.changed:
            return self.changed.wait_for(lambda: self.height >= height, timeout)

    def wait_for_report(self, service, wanted=lambda _: True, timeout=60):
        with self.changed:
            assert self.changed.wait_for(
                lambda: service in self.reports and wanted(self.reports[service][0]), timeout
            ), self.reports
            return self.reports[service][0]

    @contextmanager
    def serving(self, path):
        with serve(path, self.answer) as server:
            yield server

    # What the local API does

    def answer(self, request: Request) -> Reply:
        parts = request.path.strip("/").split("/")[1:]
        if "not" in request.query:
            seen, wait = request.query["not"], float(request.query["wait"])
            is_work = parts == ["work"]
            current = partial(self._work_name, _pay(request)) if is_work else self._head_name
            with self.changed:
                # Who still has work hears at once that there is none.
                self.changed.wait_for(lambda: (current() or "none") != seen, wait)
        try:
            return self.run(lambda: self._answer(request, parts))
        except (LookupError, ValueError) as error:
            return problem(404, "not_found", str(error))

    def _notify(self):
        with self.changed:
            self.changed.notify_all()

    def _head_name(self):
        return display(self.bench.chain.head.id)

    def _work_name(self, pay=()):
        split = hashlib.sha256(repr(pay).encode()).hexdigest()[:4]
        return f"{self._name}-{self.height}-{split}" if self.has_work else None

    def _answer(self, request, parts):
        match request.method, *parts:
            case "GET", "status":
                return document(to_json(self.status()))
            case "GET", "clock":
                return document(to_json(self.clock))
            case "PUT", "clock":
                if self.clock.state == "behind":
                    return problem(409, "clock_behind", self.clock.reason)
                self.clock = ClockStatus(True, "accepted", "accepted by hand for this boot")
                return document(to_json(self.clock))
            case "GET", "head":
                return document(to_json(self.head()))
            case "GET", "blocks":
                return document(self._summaries(request.query))
            case "GET", "blocks", which:
                entry = self._entry(which)
                block = self.bench.chain.block(entry.id)
                if request.headers["accept"] == "application/octet-stream":
                    return Reply(body=block.encode())
                return document(
                    to_json(block_of(self.bench.genesis, block, interval(self.bench.chain, entry)))
                )
            case "GET", "models":
                return document([to_json(model) for model in self._models()])
            case "GET", "models", name, "parameters":
                return self._parameters(request, name)
            case "POST", "models", _, "updates" if self.update_refusals:
                return problem(*self.update_refusals.pop(0), "so it was set")
            case "POST", "models", _, "updates":
                self.updates.append(request)
                return document({"id": "ab" * 20}, 202)
            case "GET", "members":
                waiting = waiting_changes(self.transactions)
                membership = replace(membership_of(self.bench.chain), waiting=waiting)
                return document(to_json(membership))
            case "GET", "ward":
                ward = ward_of(self.bench.chain, ALICE.public, NOW)
                return document(to_json(replace(ward, resting=ward.resting or self.is_resting)))
            case "GET", "work" if self.has_work:
                self.pay.append([value for name, value in request.pairs if name == "pay"])
                if self.pay[-1] and self.refuses_pay:
                    return problem(422, "coinbase_payouts", "so it was set")
                return document(self._work(_pay(request)).to_json())
            case "GET", "work":
                return Reply(204)
            case "POST", "work", name:
                return self._solved(name, request)
            case "POST", "transactions":
                self.transactions.append(decode_transaction(request.body))
                return document({"id": self.transactions[-1].id.hex()}, 202)
            case "GET", "mempool":
                return document([])
            case "GET", "peers":
                return document([to_json(PEER)])
            case "GET", "capture":
                return Reply(200, b"a capture", {"Content-Type": "application/octet-stream"})
            case "GET", "services":
                now = time.monotonic()
                return document(
                    {
                        name: to_json(LastReport.of(report, now - when))
                        for name, (report, when) in self.reports.items()
                    }
                )
            case "PUT", "services", name:
                report = from_json(ServiceReport, json.loads(request.body))
                self.reports[name] = (report, time.monotonic())
                self._notify()
                return Reply(204)
        return problem(404, "not_found", f"there is no {request.path}")

    def head(self):
        genesis, entry = self.bench.genesis, self.bench.chain.head
        target = expected_target(genesis, entry, self.bench.chain.tree.get)
        return Head(
            id=display(entry.id),
            height=entry.height,
            time=entry.header.time,
            target=f"{entry.header.target:08x}",
            difficulty=work(expand(target)) / work(genesis.limit),
            work=hex(entry.work),
            expected_hashes=work(expand(target)),
            next_target=f"{target:08x}",
            interval=interval(self.bench.chain, entry),
            models=models_of(genesis, self.bench.chain.block(entry.id)),
        )

    def status(self):
        chain = self.bench.chain
        return Status(
            node="bed-1",
            version="0.1.0",
            ward=self.bench.genesis.name,
            genesis=display(self.bench.genesis.id),
            member=ALICE.public.hex(),
            enrolled=True,
            time=NOW,
            clock=self.clock,
            started=NOW - 100,
            head=self.head(),
            finality=Finality(justified=0, final=0),
            best_header_height=chain.best_header().height,
            kept_from=chain.floor,
            syncing=False,
            mempool=MempoolCounts(0, 0, 0, 0),
            peers=1,
            balance=self.bench.balance(ALICE),
            blocks_mined=chain.head.height,
            reorganisations=0,
            traffic=AllTraffic(
                Traffic(1, 2, 3, 4, {"replayed": 5}), Traffic(6, 7, 8, 9, {"moved": 10})
            ),
            messages=Messages({"status": 3}, {"chunk": 2}, {"offer": 1}),
            adoptions=AdoptionTimes(2, 3.5, 0.5),
            refused={"update_base_stale": 2},
        )

    def _models(self):
        for model, state in zip(self.bench.genesis.models, self.head().models, strict=True):
            yield ModelSummary(
                name=model.name,
                parameters=model.parameters,
                scale_bits=model.scale_bits,
                rule=str(model.rule),
                codec=model.codec.name.lower(),
                graph=model.graph,
                round=state.round,
                updates=state.updates,
                examples=state.examples,
                examples_cap=self.bench.genesis.examples_cap,
                root=state.root,
            )

    def _entry(self, which):
        chain = self.bench.chain
        entry = chain.at(int(which)) if len(which) < 20 else chain.tree.get(from_display(which))
        if entry is None:
            raise LookupError(f"there is no block {which}")
        return entry

    def _summaries(self, query):
        chain, count = self.bench.chain, int(query["count"])
        first = int(query.get("from", max(0, chain.head.height - count + 1)))
        entries = [chain.at(height) for height in range(first, first + count)]
        return [
            to_json(summary_of(chain.block(entry.id), interval(chain, entry)))
            for entry in entries
            if entry
        ]

    def _parameters(self, request, name):
        chain, genesis = self.bench.chain, self.bench.genesis
        index = genesis.model_index(name)
        entry = self._entry(request.query["at"]) if "at" in request.query else chain.head
        etag = f'"{display(entry.id)}"'
        if request.headers.get("if-none-match") == etag:
            return Reply(304)
        values = chain.parameters_at(entry)[index]
        state = chain.block(entry.id).coinbase.models[index]
        floats = to_float(values, genesis.models[index].scale_bits).astype("<f4").tobytes()
        return Reply(
            body=to_bytes(values) if request.query.get("format") == "fixed" else floats,
            headers={
                "ETag": etag,
                "Edgenode-Height": str(entry.height),
                "Edgenode-Round": str(state.round),
                "Edgenode-Root": state.root.hex(),
            },
        )

    def _work(self, pay):
        chain = self.bench.chain
        name = self._work_name(pay)
        if name not in self._templates:
            self._templates[name] = build_template(
                self.bench.genesis,
                chain.state,
                (),
                miner=ALICE.public,
                now=chain.head.header.time + 90,
                lookup=chain.tree.get,
                payload=lambda _: b"",
                shared=pay,
            )
        return WorkMessage(name, self._templates[name].work)

    def _solved(self, name, request):
        self.posted_work += 1
        solution = Solution.from_json(json.loads(request.body))
        if self.refusal is not None:
            return problem(507 if self.refusal == "full" else 422, self.refusal, "so it was set")
        template = self._templates[name]
        if template.work.previous != self.bench.chain.head.id:
            return problem(409, "work_stale", "the head has moved on")
        block = template.block(
            solution.extranonce, solution.nonce, solution.time, ALICE, self.bench.genesis.id
        )
        try:
            self.bench.add(block)
        except Rejected as rejected:
            return problem(422, rejected.rule, rejected.detail)
        self._notify()
        return document({"id": display(block.id), "height": template.work.height}, 201)


def _pay(request):
    pairs = [value.split(":") for name, value in request.pairs if name == "pay"]
    return tuple((bytes.fromhex(key), int(weight)) for key, weight in pairs)


def interval(chain, entry):
    parent = chain.tree.parent(entry)
    return entry.header.time - parent.header.time if parent else 0


def document(value, status=200):
    return Reply(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


def problem(status, name, detail):
    return document({"error": str(name), "detail": detail}, status)
