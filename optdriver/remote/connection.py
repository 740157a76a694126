"""Requests to a server, and the messages about one study of it."""

from __future__ import annotations

import http.client
import io
import itertools
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

import numpy as np

from optdriver import errors
from optdriver.errors import InputError, OptDriverError, ServerError, UnknownIdError
from optdriver.messages import encoded
from optdriver.reading import real_number

LOG: Final = logging.getLogger("optdriver")

WAIT: Final = 20.0
"""Seconds that the server is asked to wait for a suggestion."""

_IN_PATHS: Final = "/%:@!$&'()*+,;=~"
"""What stands in the path of an address as it is."""

_BODILESS: Final = (b"204", b"304")
"""Statuses after which no body comes, whatever the head says."""


class Messages:
    """The messages about one study, as they come from one process."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self.tickets: frozenset[str] = frozenset()
        """Requests that the server takes with a ticket, so that sent again they count once."""
        self._ticket = uuid.uuid4().hex
        self._tickets = itertools.count()
        self._path = f"/studies/{quote(name, safe='')}"

    def get(self, request: str, query: str = "") -> dict[str, Any]:
        """Look at something."""
        return self.connection.send("GET", f"{self._path}/{request}{query}")

    def post(self, request: str, /, **params: Any) -> dict[str, Any]:
        """Request what may change the study."""
        if request in self.tickets and "ticket" not in params:
            params["ticket"] = self.ticket()
        return self.connection.send("POST", f"{self._path}/{request}", params)

    def ticket(self) -> str:
        """Return what no other request has."""
        return f"{self._ticket}-{next(self._tickets)}"

    def asking(self, n: int, wait: float, lease: float | None) -> dict[str, Any]:
        """Return the parameters of an ask, which may be sent again where its answer was lost."""
        given: dict[str, Any] = {"n": n, "worker": self.worker, "ticket": self.ticket()}
        if wait:
            given["wait"] = wait
        if lease is not None:
            given["lease"] = lease
        return given

    def told(self, id: int, number: Any, **more: Any) -> dict[str, Any]:
        """Tell a value or residuals; None is a failure."""
        if number is None:
            more = {
                key: item
                for key, item in more.items()
                if key not in ("gradient", "unit", "outputs", "uncertainty")
            }
            reason = "the evaluation reported no value"
            return self.post("fail", id=whole(id), reason=reason, **more)
        return self.post("tell", id=whole(id), value=number, **more)


def whole(id: Any) -> int:
    """Return an id."""
    if isinstance(id, bool) or not hasattr(id, "__index__"):
        raise UnknownIdError(f"unknown suggestion id {id!r}")
    return int(id)


def listed(gradient: Any) -> Any:
    """Return a gradient as JSON knows it."""
    if isinstance(gradient, Mapping):
        return {name: real_number(f"the derivative by {name!r}", v) for name, v in gradient.items()}
    return np.asarray(gradient, dtype=float).tolist()


class Connection:
    """Requests to one server, over one connection for each thread."""

    def __init__(self, url: str, token: str | None, patience: float) -> None:
        parts = urlsplit(url if isinstance(url, str) else "")
        if parts.scheme not in ("http", "https") or not parts.hostname or not _is_port(parts):
            raise InputError(f"the address of a server is as http://host:8787, not {url!r}")
        self.url = url.rstrip("/")
        self._place = parts.netloc.rpartition("@")[2]
        self._secure = parts.scheme == "https"
        self._base = quote(parts.path.rstrip("/"), safe=_IN_PATHS)
        self._patience = patience
        token = token if token is not None else os.environ.get("OPTDRIVER_TOKEN")
        host = self._place if self._place.isascii() else self._place.encode("idna").decode()
        self._headers = f"Host: {host}\r\nUser-Agent: optdriver\r\n"
        if token:
            if not token.isascii() or not token.isprintable():
                raise InputError("a token has printable characters of ASCII only")
            self._headers += f"Authorization: Bearer {token}\r\n"
        self._own = threading.local()

    def send(self, method: str, path: str, params: Any = None) -> dict[str, Any]:
        """Send a request, again where no answer came: whatever is sent twice counts once."""
        request = self._request(method, path, None if params is None else _json(params))
        deadline, pause, said = time.monotonic() + self._patience, 0.05, False
        while True:
            try:
                status, data = self._once(method, request)
                break
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                if time.monotonic() + pause > deadline:
                    raise ServerError(
                        f"the server at {self.url} does not answer ({type(error).__name__}: "
                        f"{error}); what was told before is kept there"
                    ) from error
                if pause > 1.0 and not said:  # nothing came for more than a second
                    said = True
                    LOG.warning(
                        "the server at %s does not answer (%s: %s); trying again for %.0f s",
                        self.url, type(error).__name__, error, deadline - time.monotonic(),
                    )  # fmt: skip
            time.sleep(pause)
            pause = min(2.0 * pause, 2.0)
        return self._read(status, data)

    def _request(self, method: str, path: str, body: bytes | None) -> bytes:
        """Return a request as it is sent: in one packet, so that the server reads it at once."""
        head = f"{method} {self._base}{path} HTTP/1.1\r\n{self._headers}"
        if body is None:
            return f"{head}\r\n".encode("ascii")
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return (head + kind).encode("ascii") + body

    def _once(self, method: str, request: bytes) -> tuple[int, bytes]:
        line = self._line()
        line.connection.sock.sendall(request)
        status, data = line.answer(method)
        if line.ended:
            self._drop()
        if status in (408, 502, 503, 504) and not data.startswith(b'{"error"'):
            raise http.client.HTTPException(f"status {status}")
        return status, data

    def _line(self) -> _Line:
        found: _Line | None = getattr(self._own, "line", None)
        if found is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            found = self._own.line = _Line(kind(self._place, timeout=WAIT + 60.0))
        return found

    def _drop(self) -> None:
        found: _Line | None = getattr(self._own, "line", None)
        if found is not None:
            found.close()
        self._own.line = None

    def _read(self, status: int, data: bytes) -> dict[str, Any]:
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ServerError(f"{self.url} answered with status {status}, and is no such server")
        if "error" not in found:
            return found
        error = found["error"]
        kind, message = str(error.get("type")), str(error.get("message"))
        known = getattr(errors, kind, None)
        if isinstance(known, type) and issubclass(known, OptDriverError):
            raise known(message)
        raise ServerError(f"{self.url} refused with status {status}: {message}")


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


class _Line:
    """One connection, which ends with the thread that has it, or with its client.

    An answer whose head has come whole, and that says how long it is, is read here; any other one,
    in parts say, is read by `http.client`, whose reading of heads as those of mail takes longer
    than all the rest of a request.
    """

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection
        self.ended = False
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader: io.BufferedReader = connection.sock.makefile("rb")

    def answer(self, method: str) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        found = _simple(self.reader.peek())
        if found is None:
            return self._any_answer(method)
        status, end, length = found
        self.reader.read(end)
        body = self.reader.read(length)
        if len(body) < length:
            raise http.client.IncompleteRead(body, length - len(body))
        return status, body

    def _any_answer(self, method: str) -> tuple[int, bytes]:
        found: Any = SimpleNamespace(makefile=lambda _mode: self.reader)
        answer = http.client.HTTPResponse(found, method=method)
        answer.begin()
        data = answer.read()
        if not data and answer.status < 400:  # the head has ended early, and with it all
            raise http.client.IncompleteRead(data)
        self.ended = answer.will_close
        self.reader = self.connection.sock.makefile("rb")  # the former one was closed
        return answer.status, data

    def close(self) -> None:
        """End."""
        self.reader.close()
        self.connection.close()

    def __del__(self) -> None:
        if hasattr(self, "reader"):
            self.close()


def _simple(start: bytes) -> tuple[int, int, int] | None:
    """Return the status of an answer, where its head ends, and the length of its body.

    None if the head is not there whole, or says anything else of the body or the connection.
    """
    end = start.find(b"\r\n\r\n")
    head = start[: end + 2].lower()
    if end < 0 or head[:9] != b"http/1.1 " or head[9:12] in _BODILESS or head[9:10] == b"1":
        return None
    before, _, after = head.partition(b"\r\ncontent-length:")
    length = after[: after.find(b"\r\n")].strip()
    others = before + after
    if b"\r\ncontent-length:" in others or b"\r\ntransfer-encoding:" in others:
        return None
    if not length.isdigit() or b"\r\nconnection:" in others:
        return None
    status = head[9:12]
    return (int(status), end + 4, int(length)) if status.isdigit() else None


def _json(value: Any) -> bytes:
    try:
        return encoded(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"this cannot be sent to a server: {error}") from None
