"""The local API over HTTP on a Unix socket; docs/local-api.md is its manual."""

import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import NoReturn

import numpy as np
from aiohttp import web

from edgenode.api.block_shapes import block_of, summary_of
from edgenode.api.json_record import to_json
from edgenode.api.shapes import (
    REPORTING_SERVICES,
    AcceptedBlock,
    ServiceReport,
    ShapeError,
    Solution,
    WorkMessage,
    from_json,
)
from edgenode.gossip import views
from edgenode.gossip.clock import ClockBehindError
from edgenode.gossip.clock_watch import ClockUntrustedError
from edgenode.gossip.service import (
    NO_WORK,
    BaseUnknownError,
    CaptureRunsError,
    GossipService,
    ListensOnlyError,
    WorkStaleError,
)
from edgenode.gossip.ward_view import waiting_changes, ward_of
from edgenode.learning.fixed_point import to_bytes, to_float
from edgenode.ledger.block import Block
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import PARAMETERS_LIMIT
from edgenode.ledger.hashes import display, from_display
from edgenode.ledger.headers import Entry, UnknownParentError
from edgenode.ledger.keys import is_public_key
from edgenode.ledger.mempool import PoolFullError
from edgenode.ledger.rules import Rejected
from edgenode.ledger.store import AlteredError, MissingDataError
from edgenode.ledger.transaction import PAYOUTS_LIMIT, Transfer, decode_transaction
from edgenode.storage.chain import StoreError, StoreFullError

log = logging.getLogger(__name__)

LONGEST_WAIT = 60.0
BLOCKS_LIMIT = 100
REPORT_BYTES_LIMIT = 64 * 1024

RECOMPUTED_LIMIT = 256
"""Blocks that one request may have computed again: gossip waits meanwhile. Snapshots lie closer."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_HEIGHT = re.compile(r"[0-9]{1,10}")


class _Failure(Exception):  # noqa: N818  (an answer, not an error of the service)
    def __init__(self, status: int, name: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.name, self.detail = status, name, detail


def build_app(service: GossipService) -> web.Application:
    """The web application that serves this node."""
    api = _Api(service)
    app = web.Application(
        middlewares=[_errors], client_max_size=4 * PARAMETERS_LIMIT + REPORT_BYTES_LIMIT
    )
    app[SERVICE] = service
    app.add_routes(
        [
            web.get("/v1/status", api.status),
            web.get("/v1/clock", api.clock),
            web.put("/v1/clock", api.accept_clock),
            web.get("/v1/head", api.head),
            web.get("/v1/blocks", api.blocks),
            web.get("/v1/blocks/{block}", api.block),
            web.get("/v1/models", api.models),
            web.get("/v1/models/{name}/parameters", api.parameters),
            web.post("/v1/models/{name}/updates", api.submit_update),
            web.get("/v1/work", api.work),
            web.post("/v1/work/{id}", api.submit_work),
            web.post("/v1/transactions", api.submit_transaction),
            web.get("/v1/mempool", api.mempool),
            web.get("/v1/members", api.members),
            web.get("/v1/ward", api.ward),
            web.get("/v1/peers", api.peers),
            web.get("/v1/capture", api.capture),
            web.get("/v1/services", api.services),
            web.put("/v1/services/{name}", api.report),
        ]
    )
    return app


SERVICE: web.AppKey[GossipService] = web.AppKey("service", GossipService)


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        status, name, detail = (
            error.status,
            _HTTP_NAMES.get(error.status, "bad_request"),
            error.reason,
        )
    except (
        _Failure,
        ClockUntrustedError,
        ListensOnlyError,
        Rejected,
        StoreError,
        AlteredError,
        PoolFullError,
        MissingDataError,
    ) as error:
        status, name, detail = _described(error)
        if isinstance(error, AlteredError):
            # Only this request needs it: the node goes on, and its next start mends it.
            log.error("a record changed on the disk", extra={"error": error})
            request.app[SERVICE].note_damage(str(error))
        elif name == "store_failed":
            request.app[SERVICE].fail(error)
    return _answer({"error": name, "detail": detail}, status)


_HTTP_NAMES = {404: "not_found", 413: "too_large"}


def _described(error: Exception) -> tuple[int, str, str]:
    """Status, name and detail of a refusal."""
    described = (503, "store_failed", str(error))
    match error:
        case _Failure():
            described = (error.status, error.name, error.detail)
        case ClockUntrustedError():
            described = (503, "clock_untrusted", str(error))
        case ListensOnlyError():
            described = (409, "listens_only", str(error))
        case Rejected():
            described = (422, error.rule.value, error.detail)
        case StoreFullError() | PoolFullError():
            described = (507, "full", str(error))
        case MissingDataError():
            described = (404, "not_found", str(error))
    return described


class _Api:
    def __init__(self, service: GossipService) -> None:
        self._service = service
        self._chain = service.chain

    async def status(self, _request: web.Request) -> web.Response:
        return _answer(to_json(views.status_of(self._service)))

    async def clock(self, _request: web.Request) -> web.Response:
        return _answer(to_json(views.clock_of(self._service.clock.verdict())))

    async def accept_clock(self, request: web.Request) -> web.Response:
        body = await _json(request)
        if body != {"accepted": True}:
            _bad('the body must be {"accepted": true}, which says that the clock is right')
        try:
            verdict = self._service.clock.accept()
        except ClockBehindError as error:
            raise _Failure(409, "clock_behind", f"{error}: set the clock first") from None
        return _answer(to_json(views.clock_of(verdict)))

    async def head(self, request: web.Request) -> web.Response:
        if "not" in request.query:
            unlike = _block_id(request.query["not"])
            await self._service.wait_for_head(unlike, _wait(request))
        return _answer(to_json(views.head_of(self._chain)))

    async def blocks(self, request: web.Request) -> web.Response:
        count = _number(request, "count", 20, 1, BLOCKS_LIMIT)
        tip = self._chain.head.height
        start = _number(request, "from", max(0, tip - count + 1), 0, 2**32)
        found = (self._chain.at(height) for height in range(start, start + count))
        return _answer(
            [
                to_json(summary_of(self._block_at(entry), views.interval(self._chain, entry)))
                for entry in found
                if entry is not None and self._is_kept(entry)
            ]
        )

    async def block(self, request: web.Request) -> web.Response:
        entry = self._entry(request.match_info["block"])
        block = self._block_at(entry)
        if request.headers.get("Accept") == "application/octet-stream":
            return web.Response(body=block.encode(), content_type="application/octet-stream")
        interval = views.interval(self._chain, entry)
        return _answer(to_json(block_of(self._chain.genesis, block, interval)))

    async def models(self, _request: web.Request) -> web.Response:
        return _answer([to_json(model) for model in views.models_at_head(self._chain)])

    async def parameters(self, request: web.Request) -> web.Response:
        index = self._model(request)
        entry = self._chain.head
        if "at" in request.query:
            entry = self._entry(request.query["at"])
        state = self._block_at(entry).coinbase.models[index]
        headers = {
            "ETag": f'"{display(entry.id)}"',
            "Edgenode-Height": str(entry.height),
            "Edgenode-Round": str(state.round),
            "Edgenode-Root": state.root.hex(),
        }
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        fixed = self._chain.parameters_at(entry, RECOMPUTED_LIMIT)[index]
        match request.query.get("format", "float"):
            case "float":
                scale_bits = self._chain.genesis.models[index].scale_bits
                body = to_float(fixed, scale_bits).astype("<f4", copy=False).tobytes()
            case "fixed":
                body = to_bytes(fixed)
            case other:
                _bad(f"format {other!r} is neither float nor fixed")
        return web.Response(body=body, headers=headers, content_type="application/octet-stream")

    async def submit_update(self, request: web.Request) -> web.Response:
        self._model(request)
        base = _block_id(_required(request, "base"))
        examples = _number(request, "examples", None, 0, 2**32 - 1)
        body = await request.read()
        if len(body) % 4:
            _bad(f"the body of {len(body)} bytes is no float32 vector")
        try:
            update = self._service.submit_parameters(
                request.match_info["name"], base, examples, np.frombuffer(body, "<f4")
            )
        except BaseUnknownError as error:
            raise _Failure(409, "base_unknown", str(error)) from None
        except ValueError as error:
            _bad(str(error))
        return _answer({"id": update.id.hex()}, 202)

    async def work(self, request: web.Request) -> web.Response:
        service = self._service
        if service.settings.sync is None or not service.clock.verdict().trusted:
            return web.Response(status=204)
        found = await self._service.wait_for_work(
            request.query.get("not", NO_WORK),
            _wait(request) if "not" in request.query else 0.0,
            _shared(request),
        )
        if found is None:
            return web.Response(status=204)
        return _answer(WorkMessage(*found).to_json())

    async def submit_work(self, request: web.Request) -> web.Response:
        try:
            solution = Solution.from_json(await _json(request))
        except ShapeError as error:
            _bad(str(error))
        try:
            block = self._service.submit_solution(request.match_info["id"], solution)
        except (WorkStaleError, UnknownParentError) as error:
            raise _Failure(409, "work_stale", str(error)) from None
        return _answer(to_json(AcceptedBlock(display(block.id), block.coinbase.height)), 201)

    async def submit_transaction(self, request: web.Request) -> web.Response:
        try:
            transaction = decode_transaction(await request.read())
        except MalformedError as error:
            _bad(str(error))
        if not isinstance(transaction, Transfer | Enrolment | Revocation):
            _bad(
                "only transfers, enrolments and revocations are taken here; updates go to "
                "/v1/models/{name}/updates, endorsements are the node's own"
            )
        self._service.submit(transaction)
        return _answer({"id": transaction.id.hex()}, 202)

    async def mempool(self, _request: web.Request) -> web.Response:
        return _answer([transaction.hex() for transaction in self._service.node.mempool.ids()])

    async def members(self, _request: web.Request) -> web.Response:
        pool = self._service.node.mempool
        waiting = waiting_changes(map(pool.get, pool.ids()))
        return _answer(to_json(replace(views.membership_of(self._chain), waiting=waiting)))

    async def ward(self, _request: web.Request) -> web.Response:
        member = self._service.member_key.public
        return _answer(to_json(ward_of(self._chain, member, int(time.time()))))

    async def peers(self, _request: web.Request) -> web.Response:
        return _answer([to_json(peer) for peer in views.peers_of(self._service)])

    async def capture(self, request: web.Request) -> web.Response:
        seconds = _number(request, "seconds", None, 1, int(LONGEST_WAIT))
        try:
            file = await self._service.capture(seconds)
        except CaptureRunsError as error:
            raise _Failure(409, "capture_runs", str(error)) from None
        return web.Response(body=file, content_type="application/octet-stream")

    async def services(self, _request: web.Request) -> web.Response:
        reports = self._service.reports()
        return _answer({name: to_json(report) for name, report in reports.items()})

    async def report(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in REPORTING_SERVICES:
            raise _Failure(404, "not_found", f"no service {name!r} reports here")
        try:
            report = from_json(ServiceReport, await _json(request))
        except ShapeError as error:
            _bad(str(error))
        self._service.report(name, report)
        return web.Response(status=204)

    def _model(self, request: web.Request) -> int:
        try:
            return self._chain.genesis.model_index(request.match_info["name"])
        except KeyError as error:
            raise _Failure(404, "not_found", str(error.args[0])) from None

    def _entry(self, text: str) -> Entry:
        """The block of the chain, or beside it, that an id or height names."""
        if _HEIGHT.fullmatch(text):
            entry = self._chain.at(int(text))
        else:
            entry = self._chain.tree.get(_block_id(text))
        if entry is not None and not self._is_kept(entry):
            raise _Failure(
                404,
                "not_kept",
                f"block {text} is let go: this node keeps blocks from height {self._chain.floor} "
                'on; one with [gossip] keep = "all" has it',
            )
        if entry is None or self._chain.served.true_block(entry.id) is None:
            raise _Failure(404, "not_found", f"there is no block {text}")
        return entry

    def _is_kept(self, entry: Entry) -> bool:
        return entry.height == 0 or entry.height >= self._chain.floor

    def _block_at(self, entry: Entry) -> Block:
        block = self._chain.served.true_block(entry.id)
        if block is None:
            raise MissingDataError(f"block {display(entry.id)} is not in the store")
        return block


def _answer(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status)


def _bad(detail: str) -> NoReturn:
    raise _Failure(400, "bad_request", detail)


def _required(request: web.Request, name: str) -> str:
    if name not in request.query:
        _bad(f"the query lacks {name}")
    return request.query[name]


def _number(request: web.Request, name: str, default: int | None, low: int, high: int) -> int:
    if default is not None and name not in request.query:
        return default
    text = _required(request, name)
    if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
        _bad(f"{name} must be an integer from {low} to {high}, not {text!r}")
    return int(text)


def _wait(request: web.Request) -> float:
    text = request.query.get("wait", str(LONGEST_WAIT))
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text):
        _bad(f"wait must be a number of seconds up to {LONGEST_WAIT:.0f}, not {text!r}")
    return min(LONGEST_WAIT, float(text))


def _shared(request: web.Request) -> tuple[tuple[bytes, int], ...]:
    """The keys with weights that the query wants the reward split by."""
    asked = request.query.getall("pay", [])
    if len(asked) >= PAYOUTS_LIMIT:
        _bad(f"at most {PAYOUTS_LIMIT - 1} others can be paid")
    shared = {}
    for text in asked:
        if not re.fullmatch(r"[0-9a-f]{64}:[1-9][0-9]{0,18}", text):
            _bad(f"pay must be a public key and a weight such as 4cb5…:3, not {text!r}")
        key = bytes.fromhex(text[:64])
        if not is_public_key(key):
            _bad(f"{text[:64]} is no public key")
        shared[key] = int(text[65:])
    return tuple(sorted(shared.items()))


def _block_id(text: str) -> bytes:
    try:
        return from_display(text)
    except ValueError:
        _bad(f"{text!r} is no block id of 64 hexadecimal digits")


async def _json(request: web.Request) -> object:
    body = await request.read()
    if len(body) > REPORT_BYTES_LIMIT:
        raise _Failure(413, "too_large", f"at most {REPORT_BYTES_LIMIT} bytes")
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        _bad(f"the body is not JSON: {error}")
    return value
