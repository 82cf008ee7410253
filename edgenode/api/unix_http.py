"""HTTP/1.1 over a Unix socket: one request, one bounded answer."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class NodeUnavailableError(Exception):
    """The local API does not answer; the text says where it was sought and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, complete; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("node", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def exchange(
    path: Path,
    method: str,
    target: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str],
    timeout: float,
    limit: int,
) -> Answer:
    """Send one request on a connection of its own and read the answer.

    A connection for each request costs some 50 microseconds on a Unix socket, and spares every
    caller the question of what to do with one that broke.

    Args:
        path: The socket.
        method: "GET", "POST" or "PUT".
        target: Path and query.
        body: Body to send, if any.
        headers: Headers to send.
        timeout: Seconds that the other side may stay silent.
        limit: Bytes that the answer's body may have.

    Raises:
        NodeUnavailableError: There is no socket, nobody listens, the answer is late, breaks off,
            is no HTTP, or is too long.
    """
    connection = _UnixConnection(path, timeout)
    try:
        connection.request(method, target, body=body, headers=dict(headers))
        response = connection.getresponse()
        content = response.read(limit + 1)
        if len(content) > limit:
            raise NodeUnavailableError(
                f"the node at {path} answers {method} {target} with more than {limit} bytes; "
                "is it of another version?"
            )
        if response.length:  # http.client takes an early end of the stream for the end of the body
            raise http.client.IncompleteRead(content, response.length)
        return Answer(
            response.status, {key.lower(): v for key, v in response.getheaders()}, content
        )
    except FileNotFoundError:
        raise NodeUnavailableError(
            f"there is no socket {path}; start the node's service edgenode-gossip, or name "
            "another node with --config or --socket"
        ) from None
    except ConnectionRefusedError:
        raise NodeUnavailableError(
            f"nobody listens on {path}; start the node's service edgenode-gossip"
        ) from None
    except PermissionError:
        raise NodeUnavailableError(
            f"this user may not open {path}; its group may: see `ls -l {path}`"
        ) from None
    except TimeoutError:
        raise NodeUnavailableError(
            f"the node at {path} did not answer {method} {target} within {timeout:g} s; "
            "see the log of edgenode-gossip"
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # ValueError: http.client raises it on some malformed chunk lengths and headers.
        reason = str(error) or type(error).__name__
        raise NodeUnavailableError(
            f"the node at {path} broke off its answer to {method} {target}: {reason}"
        ) from None
    finally:
        connection.close()
