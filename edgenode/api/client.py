"""The client of the local API: one typed method for each request of docs/local-api.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlencode

import numpy as np
from numpy.typing import NDArray

from edgenode.api.block_shapes import BlockShape, BlockSummary
from edgenode.api.json_record import ShapeError, from_json, to_json
from edgenode.api.shapes import (
    AcceptedBlock,
    ClockStatus,
    Head,
    LastReport,
    Membership,
    ModelSummary,
    Peer,
    ServiceReport,
    Solution,
    Status,
    WardState,
    WorkMessage,
)
from edgenode.api.unix_http import Answer, NodeUnavailableError, exchange
from edgenode.ledger.block import BLOCK_BYTES_LIMIT
from edgenode.ledger.genesis import PARAMETERS_LIMIT

__all__ = ["ApiError", "NodeClient", "NodeUnavailableError", "Parameters"]

Record = TypeVar("Record")

LONGEST_WAIT_S = 60
"""The longest that a request may ask to wait; the server's bound."""

# A decoded block is the longest JSON: 593 transactions of less than 2 kB each.
_JSON_LIMIT = 4 << 20
# Twice what the server holds.
_CAPTURE_LIMIT = 16 << 20
_PARAMETERS_LIMIT = 4 * PARAMETERS_LIMIT


class ApiError(Exception):
    """The node refused a request.

    Attributes:
        status: HTTP status; 200 if the answer was meant as a success but is not of its shape.
        name: Name of the error or of the rule that was violated; "bad_answer" in that case.
        detail: What was wrong, for people.
    """

    def __init__(self, status: int, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}" if detail else name)
        self.status = status
        self.name = name
        self.detail = detail


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """A model's parameters at a block.

    Attributes:
        values: float32 (n,).
        block: Block id.
        height: The block's height.
        round: Aggregations of the model up to this block.
        root: Content id of the exact integers.
    """

    values: NDArray[np.float32]
    block: str
    height: int
    round: int
    root: str


@dataclass(frozen=True, slots=True)
class ExactParameters:
    """A model's parameters at a block: little-endian int32, as they are hashed to the root."""

    data: bytes
    block: str


class NodeClient:
    """Talks to one node. Any number of threads may use it at once.

    Each method raises `NodeUnavailableError` if the node does not answer, and `ApiError` if it
    refuses.
    """

    def __init__(self, socket_path: Path, timeout: float = 10.0) -> None:
        """Nothing is opened yet; `timeout` in seconds comes on top of what a request waits."""
        self.socket_path = socket_path
        self._timeout = timeout

    # The chain

    def status(self) -> Status:
        """The node at a glance."""
        return self._get(Status, "/v1/status")

    def head(self, *, unlike: str | None = None, wait: float = 0) -> Head:
        """The head; with `unlike`, waits up to `wait` seconds for another one than that."""
        return self._get(Head, "/v1/head", _wait(unlike, wait), wait=wait)

    def blocks(self, *, start: int | None = None, count: int = 20) -> tuple[BlockSummary, ...]:
        """Summaries from height `start` up; without it, of the last `count` blocks."""
        query = {"count": count} if start is None else {"from": start, "count": count}
        return self._get_all(BlockSummary, "/v1/blocks", query)

    def block(self, which: str | int) -> BlockShape:
        """One block by id or height, decoded."""
        return self._get(BlockShape, f"/v1/blocks/{_part(which)}")

    def raw_block(self, which: str | int) -> bytes:
        """One block by id or height, as the network carries it."""
        target = f"/v1/blocks/{_part(which)}"
        return self._ask("GET", target, accept=_BINARY, limit=BLOCK_BYTES_LIMIT).body

    # Models

    def models(self) -> tuple[ModelSummary, ...]:
        """The ward's models at the head."""
        return self._get_all(ModelSummary, "/v1/models")

    def parameters(
        self, model: str, *, at: str | int | None = None, unless: str | None = None
    ) -> Parameters | None:
        """A model's parameters, at the head or at another block.

        Returns:
            The parameters, or None if the head still is the block `unless`.
        """
        headers = {"If-None-Match": f'"{unless}"'} if unless else {}
        target = f"/v1/models/{_part(model)}/parameters"
        query: dict[str, object] = {} if at is None else {"at": at}
        answer = self._ask(
            "GET", target, query, headers=headers, accept=_BINARY, limit=_PARAMETERS_LIMIT
        )
        if answer.status == 304:
            return None
        if len(answer.body) % 4:
            raise ApiError(200, "bad_answer", f"{len(answer.body)} bytes are no float32 vector")
        try:
            return Parameters(
                values=np.frombuffer(answer.body, "<f4").astype(np.float32),
                block=answer.headers["etag"].strip('"'),
                height=int(answer.headers["edgenode-height"]),
                round=int(answer.headers["edgenode-round"]),
                root=answer.headers["edgenode-root"],
            )
        except (KeyError, ValueError) as error:
            raise ApiError(
                200, "bad_answer", f"a header is missing or no number: {error}"
            ) from None

    def exact_parameters(self, model: str, *, at: str | int | None = None) -> ExactParameters:
        """A model's parameters as the chain has them, at the head or at another block."""
        target = f"/v1/models/{_part(model)}/parameters"
        query: dict[str, object] = {"format": "fixed"}
        if at is not None:
            query["at"] = at
        answer = self._ask("GET", target, query, accept=_BINARY, limit=_PARAMETERS_LIMIT)
        if "etag" not in answer.headers:
            raise ApiError(200, "bad_answer", "the header ETag is missing")
        return ExactParameters(answer.body, answer.headers["etag"].strip('"'))

    def submit_update(
        self, model: str, base: str, examples: int, values: NDArray[np.float32]
    ) -> str:
        """Submit what training made of the parameters at the block `base`.

        Args:
            model: Name of the model.
            base: Id of the block that was trained from.
            examples: Number of distinct examples trained on.
            values: float32 (n,), the new parameters.

        Returns:
            The update's id; the node keeps it durably.
        """
        body = values.astype("<f4", copy=False).tobytes()
        target = f"/v1/models/{_part(model)}/updates"
        query: dict[str, object] = {"base": base, "examples": examples}
        headers = {"Content-Type": _BINARY}
        return self._identifier(self._ask("POST", target, query, body=body, headers=headers))

    # Mining and transactions

    def members(self) -> Membership:
        """Who belongs to the ward, and who may change it."""
        return self._get(Membership, "/v1/members")

    def ward(self) -> WardState:
        """How the ward stands, and this node's member in it."""
        return self._get(WardState, "/v1/ward")

    def work(
        self,
        *,
        unlike: str | None = None,
        wait: float = 0,
        pay: Sequence[tuple[bytes, int]] = (),
    ) -> WorkMessage | None:
        """What to search a nonce for; waits as `head` does.

        None while the node has no work, or leaves the next block to others. `pay` are public keys
        with weights, at most 11, that the reward is split by.
        """
        query = {"pay": [f"{key.hex()}:{weight}" for key, weight in pay]} if pay else {}
        answer = self._ask("GET", "/v1/work", query | _wait(unlike, wait), wait=wait)
        if answer.status == 204:
            return None
        try:
            return WorkMessage.from_json(_parsed(answer))
        except ShapeError as error:
            raise ApiError(200, "bad_answer", str(error)) from None

    def submit_solution(self, work_id: str, solution: Solution) -> AcceptedBlock:
        """Hand in a nonce; returns once the block is durable and announced."""
        body = json.dumps(solution.to_json()).encode()
        return _record(AcceptedBlock, self._ask("POST", f"/v1/work/{_part(work_id)}", body=body))

    def submit_transaction(self, raw: bytes) -> str:
        """Submit a signed raw transaction; returns its id."""
        headers = {"Content-Type": _BINARY}
        return self._identifier(self._ask("POST", "/v1/transactions", body=raw, headers=headers))

    def mempool(self) -> tuple[str, ...]:
        """Ids of the waiting transactions."""
        return self._strings(self._ask("GET", "/v1/mempool"))

    # The node

    def clock(self) -> ClockStatus:
        """How the box's clock stands."""
        return self._get(ClockStatus, "/v1/clock")

    def accept_clock(self) -> ClockStatus:
        """Vouch for the box's clock, until it is set again or the box restarts."""
        body = json.dumps({"accepted": True}).encode()
        return _record(ClockStatus, self._ask("PUT", "/v1/clock", body=body))

    def peers(self) -> tuple[Peer, ...]:
        """The peers."""
        return self._get_all(Peer, "/v1/peers")

    def capture(self, seconds: int) -> bytes:
        """A pcapng file of what goes through the node's sockets in that time, opened."""
        query = {"seconds": seconds}
        return self._ask("GET", "/v1/capture", query, wait=seconds, limit=_CAPTURE_LIMIT).body

    def services(self) -> dict[str, LastReport]:
        """The last report of each service that has reported."""
        value = _parsed(self._ask("GET", "/v1/services"))
        if not isinstance(value, dict):
            raise ApiError(200, "bad_answer", "the services are no object")
        try:
            return {name: from_json(LastReport, report, name) for name, report in value.items()}
        except ShapeError as error:
            raise ApiError(200, "bad_answer", str(error)) from None

    def report(self, service: str, report: ServiceReport) -> None:
        """Report as a service of this node."""
        body = json.dumps(to_json(report)).encode()
        self._ask("PUT", f"/v1/services/{_part(service)}", body=body)

    # How it is asked

    def _ask(
        self,
        method: str,
        target: str,
        query: Mapping[str, object] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accept: str = "application/json",
        wait: float = 0,
        limit: int = _JSON_LIMIT,
    ) -> Answer:
        sent = {"Accept": accept, "Connection": "close"}
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        answer = exchange(
            self.socket_path,
            method,
            f"{target}?{urlencode(query, doseq=True)}" if query else target,
            body=body,
            headers=sent,
            timeout=self._timeout + wait,
            limit=limit,
        )
        if not (200 <= answer.status < 300 or answer.status == 304):
            raise _refusal(answer)
        return answer

    def _get(
        self,
        record: type[Record],
        target: str,
        query: Mapping[str, object] | None = None,
        *,
        wait: float = 0,
    ) -> Record:
        return _record(record, self._ask("GET", target, query, wait=wait))

    def _get_all(
        self, record: type[Record], target: str, query: Mapping[str, object] | None = None
    ) -> tuple[Record, ...]:
        values = _parsed(self._ask("GET", target, query))
        if not isinstance(values, list):
            raise ApiError(200, "bad_answer", f"{target} is no array")
        try:
            return tuple(from_json(record, value, f"[{i}]") for i, value in enumerate(values))
        except ShapeError as error:
            raise ApiError(200, "bad_answer", str(error)) from None

    @staticmethod
    def _identifier(answer: Answer) -> str:
        value = _parsed(answer)
        if not (isinstance(value, dict) and isinstance(value.get("id"), str)):
            raise ApiError(answer.status, "bad_answer", "the answer has no id")
        return str(value["id"])

    @staticmethod
    def _strings(answer: Answer) -> tuple[str, ...]:
        value = _parsed(answer)
        if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise ApiError(answer.status, "bad_answer", "the answer is no array of strings")
        return tuple(value)


_BINARY = "application/octet-stream"


def _wait(unlike: str | None, wait: float) -> dict[str, object]:
    return {} if unlike is None else {"not": unlike, "wait": f"{min(wait, LONGEST_WAIT_S):.3f}"}


def _part(name: str | int) -> str:
    return quote(str(name), safe="")


def _parsed(answer: Answer) -> object:
    try:
        value: object = json.loads(answer.body)
    except (ValueError, RecursionError):
        raise ApiError(answer.status, "bad_answer", "the answer is no JSON") from None
    return value


def _record(record: type[Record], answer: Answer) -> Record:
    try:
        return from_json(record, _parsed(answer))
    except ShapeError as error:
        raise ApiError(answer.status, "bad_answer", str(error)) from None


def _refusal(answer: Answer) -> ApiError:
    try:
        value = json.loads(answer.body)
        return ApiError(answer.status, str(value["error"]), str(value.get("detail", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ApiError(answer.status, "bad_answer", f"HTTP status {answer.status}")
