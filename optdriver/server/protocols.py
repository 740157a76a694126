"""How bytes become requests: uvicorn's protocols, with less patience and fewer packets."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

HEADER_SECONDS: Final = 20.0
"""Seconds in which the head of a request must have come."""

LONGEST_HEAD: Final = 16 * 2**10
"""Bytes of a head that has not come whole; h11 has the same limit."""

PIPELINED: Final = 8
"""Requests that may wait on a connection while one is answered."""


class _Joined:
    """A transport that sends the head of an answer together with its body.

    uvicorn writes them one after the other, each of which is a packet that wakes the client.
    """

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Write, or keep what must be a head, since something comes after it."""
        if not self.head and data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1":
            self.head = data
            return
        head, self.head = self.head, b""
        self.transport.write(head + data)

    def flush(self) -> None:
        """Write a head after which nothing has come."""
        if self.head:
            self.write(b"")

    def close(self) -> None:
        """Close, when all is written."""
        self.flush()
        self.transport.close()


def _impatient(base: Any) -> Any:
    """Return a protocol that closes a connection whose request does not begin to come."""

    class Impatient(base):  # type: ignore[misc]  # either protocol of uvicorn's
        """Closes what has sent no whole head of a request in time."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.waiting: asyncio.TimerHandle | None = None

        @property
        def busy(self) -> bool:
            """Whether a request is being answered."""
            return self.cycle is not None and not self.cycle.response_complete

        def connection_made(self, transport: Any) -> None:
            super().connection_made(_Joined(transport))
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def on_response_complete(self) -> None:
            self.transport.flush()
            super().on_response_complete()

        def _watch(self) -> None:
            """Wait for a head while no request is being answered."""
            if self.busy:
                self._unwatch()
            elif self.waiting is None:
                self.waiting = self.loop.call_later(HEADER_SECONDS, self._close)

        def _unwatch(self) -> None:
            if self.waiting is not None:
                self.waiting.cancel()
                self.waiting = None

        def _close(self) -> None:
            self.waiting = None
            if not self.busy:
                with suppress(OSError):
                    self.transport.close()

        def connection_lost(self, exc: Exception | None) -> None:
            self._unwatch()
            super().connection_lost(exc)

    return Impatient


def protocol() -> type[asyncio.Protocol]:
    """Return the protocol that reads requests: by httptools where it is installed, or by h11."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    careful: type[asyncio.Protocol] = _impatient(H11Protocol)
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError:
        return careful
    return _quick(_impatient(HttpToolsProtocol), careful)


def _quick(base: Any, careful: Any) -> type[asyncio.Protocol]:
    """Return a protocol that reads usual requests by httptools, and leaves all others to h11.

    Those are bodies in chunks, whose trailers httptools does not limit, and offers of another
    protocol, after which it takes the body for the beginning of that.
    """
    from httptools import HttpParserError

    class Quick(base):  # type: ignore[misc]  # as above
        """Reads by httptools."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.begins, self.in_body = True, False
            self.size = 0
            self.unread: bytes | None = None
            self.unusual = False
            self.held: tuple[Any, Any] | None = None
            self.may_hold = False

        def data_received(self, data: bytes) -> None:
            """Read on; what has come of a head is kept until that is there whole."""
            self._unset_keepalive_if_required()
            if not self.in_body:
                self.size += len(data)
                if self.begins:
                    self.unread = data
                elif self.unread is not None:
                    self.unread += data
            try:
                self.parser.feed_data(data)
                self._start_held()
                if self.size > LONGEST_HEAD:
                    self.send_400_response("The head of a request is too long.")
            except HttpParserError:
                self._start_held()
                if self.unusual:
                    self._leave()
                    return
                self.send_400_response("Invalid HTTP request received.")
            self._watch()

        def on_message_begin(self) -> None:
            """Begin with a request, which may come before the last one is answered."""
            super().on_message_begin()
            self.begins = False
            if len(self.pipeline) >= PIPELINED:
                raise ValueError("too many requests at a time")

        def on_headers_complete(self) -> None:
            """Begin to answer, if the head is a usual one."""
            chunks = any(name == b"transfer-encoding" for name, _ in self.headers)
            if chunks or self.parser.should_upgrade():
                self.unusual = self.unread is not None and not self.busy
                raise ValueError("a request that h11 reads")
            self.size, self.unread, self.in_body = 0, None, True
            self.may_hold = hasattr(self.app, "at_once")
            super().on_headers_complete()
            self.may_hold = False

        def _start_asgi_task(self, cycle: Any, app: Any) -> None:
            """Begin to answer; or wait for the body, if that has come with the head."""
            usual = app is self.app and not self.expect_100_continue
            if self.may_hold and usual and cycle.scope["method"] == "POST":
                self.held = cycle, app
            else:
                super()._start_asgi_task(cycle, app)

        def _start_held(self) -> None:
            if self.held is not None:
                held, self.held = self.held, None
                super()._start_asgi_task(*held)

        def on_message_complete(self) -> None:
            """End a request."""
            super().on_message_complete()
            self.begins, self.in_body = True, False
            if self.held is not None and not self.flow.write_paused:
                cycle, app = self.held
                found = app.at_once(cycle.scope, bytes(cycle.body))
                if found is not None:
                    self.held = None
                    _send(cycle, *found)

        def _leave(self) -> None:
            """Let h11 read this connection from the beginning of the present request."""
            self._unwatch()
            self.connections.discard(self)
            transport = self.transport.transport
            other = careful(self.config, self.server_state, self.app_state)
            transport.set_protocol(other)
            other.connection_made(transport)
            other.data_received(self.unread)

    return Quick


def _send(cycle: Any, status: int, headers: Any, body: bytes) -> None:
    """Send an answer at once: uvicorn's `send` waits for nothing while the transport takes all."""
    start = {"type": "http.response.start", "status": status, "headers": headers}
    for message in (start, {"type": "http.response.body", "body": body}):
        try:
            cycle.send(message).send(None)
        except StopIteration:
            continue
        raise RuntimeError("uvicorn waits, though the transport takes all")
    cycle.on_response = None  # which holds the connection
