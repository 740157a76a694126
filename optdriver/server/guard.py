"""What stands before every request: who may come in, and how much they may bring."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

JSON: Final = (b"content-type", b"application/json")

LONGEST: Final = 4 * 2**20
"""Bytes of the body of a request."""

HELD: Final = 64 * 2**20
"""Bytes of all bodies that are being read at a time."""

SLOWEST: Final = 20.0
"""Seconds in which a body must have come."""

OPEN_TO_ALL: Final = ("/", "/favicon.ico")
"""Paths without anything that is a study's: they need no token."""

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")

ONCE: Final = (
    b"host", b"origin", b"authorization", b"content-type", b"content-length", b"sec-fetch-site",
)  # fmt: skip
"""Headers that are looked at: which of two would count is not left to chance."""

SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Refused(Exception):
    """A request that is not let in: the status, and what is said."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """An ASGI application round another one.

    A page of another site can neither read nor drive a study: the `Host` must be a name of this
    server (a name that somebody lets point here is none), and an `Origin`, which browsers send,
    must be this server too.  What changes a study must say that it is JSON, which no form can.

    Parameters
    ----------
    app : ASGI application
        With a method `at_once`, if it is asked for that.
    token : str or None
        What requests must bring as ``Authorization: Bearer ...``.
    hosts : iterable of str
        Names of this server.
    any_address : bool
        Whether any address in numbers is one too: those cannot be made to point elsewhere.
    forms : bool
        Whether bodies may be forms, as those of the other dialect's client are; that client sends
        a token always, which no form of a page can.
    """

    def __init__(
        self,
        app: Any,
        *,
        token: str | None,
        hosts: Iterable[str],
        any_address: bool = False,
        forms: bool = False,
    ) -> None:
        self.app = app
        self.token = token
        self.hosts = frozenset(host.lower() for host in hosts)
        self.any_address = any_address
        self.forms = forms
        self.held = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or refuse to."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            headers = _headers(scope["headers"])
            self._check(scope, headers)
            body = await self._body(headers, receive)
        except Refused as refused:
            await _refuse(send, refused)
            return
        try:
            await self.app(scope, _given(body, receive), _safe(send))
        finally:
            self.held -= len(body)

    def at_once(self, scope: Message, body: bytes) -> tuple[int, Headers, bytes] | None:
        """Return status, headers and body of the answer to a request that has come whole.

        None where it has to be answered as any other, since somebody has to wait or it is refused.
        """
        try:
            self._check(scope, _headers(scope["headers"]))
        except Refused:
            return None
        found = self.app.at_once(scope, body) if len(body) <= LONGEST else None
        if found is None:
            return None
        status, answer = found
        return status, [JSON, (b"content-length", b"%d" % len(answer)), *SAFE], answer

    def _check(self, scope: Message, headers: Mapping[str, str]) -> None:
        if len(headers) < len(scope["headers"]):
            _check_once(scope["headers"])
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Refused(
                421, f"{host[:100]!r} is no name of this server; allow it with --allow-host"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(403, f"a page of {origin[:100]!r} may not use this server")
        if headers.get("sec-fetch-site", "none") in ("cross-site", "same-site"):
            raise Refused(403, "a page of another site may not use this server")
        if self.token is not None and scope["path"] not in OPEN_TO_ALL:
            self._check_token(headers.get("authorization", ""))
        if scope["method"] in ("POST", "PUT", "PATCH", "DELETE"):
            self._check_kind(headers)

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self.hosts:
            return True
        if not self.any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _check_token(self, given: str) -> None:
        kind, _, token = given.partition(" ")
        right = hmac.compare_digest(token.strip().encode(), str(self.token).encode())
        if kind.lower() not in ("bearer", "token") or not right:
            raise Refused(401, "this server wants its token: Authorization: Bearer TOKEN")

    def _check_kind(self, headers: Mapping[str, str]) -> None:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json" or (self.forms and "authorization" in headers):
            return
        raise Refused(
            415, "the body is JSON, and says so: Content-Type: application/json (curl --json '{}')"
        )

    async def _body(self, headers: Mapping[str, str], receive: Receive) -> bytes:
        """Return the body; it counts as held until the request is answered."""
        told = headers.get("content-length", "0")
        if not told.isdigit() or int(told) > LONGEST:
            raise Refused(413, f"a request has at most {LONGEST} bytes")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(SLOWEST):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the request has not come whole")
                    part = message.get("body", b"")
                    if size + len(part) > LONGEST:
                        raise Refused(413, f"a request has at most {LONGEST} bytes")
                    if self.held + len(part) > HELD:
                        raise Refused(503, "too much is being sent at once; try again")
                    size += len(part)
                    self.held += len(part)
                    parts.append(part)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            self.held -= size
            raise Refused(408, f"a request must have come in {SLOWEST:g} s") from None
        except BaseException:
            self.held -= size
            raise


def _headers(found: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in found}


def _check_once(found: Iterable[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in found]
    for name in ONCE:
        if names.count(name) > 1:
            raise Refused(400, f"the header {name.decode()!r} is there more than once")


def _given(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body first."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return first.pop() if first else await receive()

    return given


def _safe(send: Send) -> Send:
    async def safe(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *SAFE]}
        await send(message)

    return safe


async def _refuse(send: Send, refused: Refused) -> None:
    body = json.dumps({"error": {"type": "Refused", "message": str(refused)}}).encode()
    headers = [JSON, *SAFE]
    headers.append((b"content-length", str(len(body)).encode()))
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refused.status in (408, 413, 503):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
