"""Requests to a server, and the messages about one study of it."""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import numpy as np

from optdriver import errors
from optdriver.errors import InputError, OptDriverError, ServerError, UnknownIdError
from optdriver.messages import plain
from optdriver.reading import real_number

LOG: Final = logging.getLogger("optdriver")

WAIT: Final = 20.0
"""Seconds that the server is asked to wait for a suggestion."""


class Messages:
    """The messages about one study, as they come from one process."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.connection = connection
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self._path = f"/studies/{quote(name, safe='')}"

    def get(self, request: str, query: str = "") -> dict[str, Any]:
        """Look at something."""
        return self.connection.send("GET", f"{self._path}/{request}{query}")

    def post(self, request: str, /, **params: Any) -> dict[str, Any]:
        """Request what may change the study."""
        return self.connection.send("POST", f"{self._path}/{request}", params)

    def asking(self, n: int, wait: float, lease: float | None) -> dict[str, Any]:
        """Return the parameters of an ask, which may be sent again where its answer was lost."""
        given: dict[str, Any] = {"n": n, "worker": self.worker, "ticket": uuid.uuid4().hex}
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
                if key not in ("gradient", "unit", "outputs")
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
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"the address of a server is as http://host:8787, not {url!r}")
        self.url = url.rstrip("/")
        self._place = parts.netloc.rpartition("@")[2]
        self._secure = parts.scheme == "https"
        self._base = parts.path.rstrip("/")
        self._patience = patience
        token = token if token is not None else os.environ.get("OPTDRIVER_TOKEN")
        self._headers = {"User-Agent": "optdriver"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._own = threading.local()

    def send(self, method: str, path: str, params: Any = None) -> dict[str, Any]:
        """Send a request, again where no answer came: whatever is sent twice counts once."""
        body = None if params is None else _json(params)
        deadline, pause, said = time.monotonic() + self._patience, 0.05, False
        while True:
            try:
                status, data = self._once(method, path, body)
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

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = self._headers
        if body is not None:
            headers = headers | {"Content-Type": "application/json"}
        connection = self._connection()
        connection.request(method, self._base + path, body=body, headers=headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status in (408, 502, 503, 504) and not data.startswith(b'{"error"'):
            raise http.client.HTTPException(f"status {answer.status}")
        return answer.status, data

    def _connection(self) -> http.client.HTTPConnection:
        found: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if found is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            found = kind(self._place, timeout=WAIT + 60.0)
            self._own.connection = found
            self._own.ending = _Ending(found)
            found.connect()
            if found.sock is not None:  # a request is two small packets
                found.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found

    def _drop(self) -> None:
        found: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if found is not None:
            found.close()
        self._own.connection = None

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


class _Ending:
    """Closes the connection of a thread that has ended, or of a client that is gone."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


def _json(value: Any) -> bytes:
    try:
        return json.dumps(plain(value), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"this cannot be sent to a server: {error}") from None
