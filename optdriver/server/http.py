"""The messages over HTTP: an ASGI application.

A request is ``POST /studies/NAME/REQUEST`` with its parameters as a JSON object; one that changes
nothing may also be a ``GET`` with parameters in the query.  Where there is only one study,
``/REQUEST`` will do.  What is posted so is answered here, since workers wait for it; all else is
Starlette's.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from optdriver.errors import (
    InputError,
    OptDriverError,
    ProtocolError,
    StorageError,
    UnknownIdError,
    UnknownStudyError,
    unknown_option,
)
from optdriver.messages import encoded
from optdriver.server import page
from optdriver.server.description import openapi
from optdriver.server.guard import JSON, Message, Receive, Send
from optdriver.server.rooms import Hall, Room
from optdriver.server.wire import READING, REQUESTS

LOG: Final = logging.getLogger("optdriver.server")

STATUS: Final = (
    (UnknownStudyError, 404),
    (UnknownIdError, 404),
    (InputError, 400),
    (ProtocolError, 409),
    (StorageError, 503),
    (OptDriverError, 500),
)
"""The status for each kind of error; the first that fits."""

FAULT: Final = "a fault in the server; its log says more, and nothing is lost"

TICK: Final = 0.5
"""Seconds between two looks at what is due."""

NEWS: Final = 0.25
"""Least seconds between two pieces of news for one listener."""

ALIVE: Final = 15.0
"""Seconds after which a listener is told that there is no news."""


class Application:
    """Serves the studies of a hall.

    Parameters
    ----------
    hall : Hall
    extra : tuple of routes
        What stands before all others.
    """

    def __init__(self, hall: Hall, extra: tuple[BaseRoute, ...] = ()) -> None:
        self.hall = hall
        self.others = _others(hall, extra)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        posted = _posted(scope) if scope["type"] == "http" else None
        if posted is None:
            await self.others(scope, receive, send)
            return

        async def alive() -> bool:
            return not await Request(scope, receive).is_disconnected()

        name, request = posted
        status = 200
        try:
            room, params = self.hall.room(name), _parsed((await receive())["body"])
            body = await room.encoded(request, params, alive)
        except Exception as found:  # noqa: BLE001 - it is answered, and logged if it is a fault
            status, body = _failed(scope, found)
        headers = [JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def at_once(self, scope: Message, body: bytes) -> tuple[int, bytes] | None:
        """Return the status and the body of an answer, None if somebody would have to wait."""
        posted = _posted(scope)
        if posted is None:
            return None
        name, request = posted
        try:
            found = self.hall.room(name).at_once(request, _parsed(body))
            return None if found is None else (200, encoded(found))
        except Exception as error:  # noqa: BLE001 - as above
            return _failed(scope, error)


def _failed(scope: Message, found: Exception) -> tuple[int, bytes]:
    """Return the status of an error and what is said of it, which of a fault is not much."""
    if isinstance(found, OptDriverError):
        status, said = _told(found)
        return status, encoded(said)
    LOG.error("POST %s", scope["path"][:200], exc_info=found)
    return 500, encoded(_error("Fault", FAULT))


def _others(hall: Hall, extra: tuple[BaseRoute, ...]) -> Starlette:
    """Return what answers all but requests that are posted."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        ticking = asyncio.create_task(_tick(hall))
        try:
            yield
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
            await hall.close()

    routes = [
        *extra,
        Route("/", page.answer),
        Route("/openapi.json", _openapi),
        Route("/studies", _studies, methods=["GET"]),
        Route("/studies", _create, methods=["POST"]),
        Route("/studies/{name}/events", _events, methods=["GET"]),
        Route("/studies/{name}/{request}", _looked, methods=["GET"]),
        Route("/{request}", _looked, methods=["GET"]),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={OptDriverError: _refused, HTTPException: _no_such, Exception: _ours},
    )
    app.state.hall = hall
    return app


async def _tick(hall: Hall) -> None:
    while True:
        await asyncio.sleep(TICK)
        try:
            await hall.tick()
        except Exception:  # leases must end all the same at the next one
            LOG.exception("what is due could not be done")


# -- answers ------------------------------------------------------------------------------


def answered(value: Any, status: int = 200) -> Response:
    """Return a value as JSON."""
    return Response(encoded(value), status, media_type="application/json")


def error(status: int, kind: str, message: str) -> Response:
    """Return an error as JSON."""
    return answered(_error(kind, message), status)


def _error(kind: str, message: str) -> dict[str, Any]:
    return {"error": {"type": kind, "message": message}}


def _told(found: Exception) -> tuple[int, dict[str, Any]]:
    """Return the status of an error, and what is said of it."""
    status = next(status for kind, status in STATUS if isinstance(found, kind))
    return status, _error(type(found).__name__, str(found))


async def _refused(_request: Request, found: Exception) -> Response:
    status, said = _told(found)
    return answered(said, status)


async def _no_such(request: Request, found: Exception) -> Response:
    status = found.status_code if isinstance(found, HTTPException) else 500
    if status == 405:
        message = f"{request.method} is not how this is requested"
    else:
        message = "there is nothing here; GET /openapi.json says what there is"
    return error(status, "Refused", message)


async def _ours(request: Request, found: Exception) -> Response:
    """Say no more than that it was a fault: the rest is in the server's log."""
    LOG.error("%s %s: %r", request.method, request.url.path[:200], found)
    return error(500, "Fault", FAULT)


# -- requests that are posted -------------------------------------------------------------


def _posted(scope: Message) -> tuple[str | None, str] | None:
    """Return the study's name and the request that a path says; None if it says something else."""
    if scope["method"] != "POST":
        return None
    match scope["path"].split("/"):
        case ["", request] if request not in ("", "studies"):
            return None, request
        case ["", "studies", str(name), request] if name and request:
            return name, request
    return None


def _parsed(body: bytes) -> dict[str, Any]:
    """Return the body of a request, an object in JSON."""
    try:
        found = json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError) as wrong:
        raise InputError(f"the body is no JSON: {str(wrong)[:200]}") from None
    if not isinstance(found, dict):
        raise InputError('the body is an object of JSON, as {"n": 1}')
    return found


# -- other requests -----------------------------------------------------------------------


def _hall(request: Request) -> Hall:
    hall: Hall = request.app.state.hall
    return hall


def _room(request: Request) -> Room:
    return _hall(request).room(request.path_params.get("name"))


def _queried(request: Request) -> dict[str, Any]:
    """Return the parameters in the query: numbers, true and false as JSON, all else as text."""
    found: dict[str, Any] = {}
    for key, text in request.query_params.items():
        try:
            found[key] = json.loads(text)
        except (ValueError, RecursionError):
            found[key] = text
    return found


async def _looked(request: Request) -> Response:
    name = request.path_params["request"]
    if name in REQUESTS and name not in READING:
        return error(405, "Refused", f"{name!r} changes the study: POST it, with a body of JSON")
    if name not in READING:
        raise unknown_option("request", name[:60], REQUESTS)
    body = await _room(request).encoded(name, _queried(request))
    return Response(body, media_type="application/json")


async def _studies(request: Request) -> Response:
    hall = _hall(request)
    await asyncio.to_thread(hall.look)
    rows = []
    for name, room in list(hall.rooms.items()):
        found = await room.answer("overview", {})
        info, best = found["info"], found["best"]
        rows.append(
            {"study": name, "name": info["name"], "status": info["status"], "writes": room.writes,
             "num_evaluations": info["num_evaluations"], "success": info["success"],
             "best": None if best is None else best["value"]}
        )  # fmt: skip
    return answered({"studies": rows, "many": hall.many})


async def _create(request: Request) -> Response:
    hall, given = _hall(request), _parsed(await request.body())
    room, new = await asyncio.to_thread(hall.create, given)
    return answered({"study": room.name, "new": new}, 201 if new else 200)


async def _openapi(_request: Request) -> Response:
    return answered(openapi())


# -- news ---------------------------------------------------------------------------------


async def _events(request: Request) -> Response:
    """Send a server-sent event whenever the study has changed."""
    return StreamingResponse(_news(_room(request)), media_type="text/event-stream")


async def _news(room: Room) -> AsyncIterator[str]:
    while not room.closing:
        changed = room.changed
        found = await room.answer("overview", {})
        info, best = found["info"], found["best"]
        data = {"num_evaluations": info["num_evaluations"], "status": info["status"],
                "best": None if best is None else best["value"]}  # fmt: skip
        yield f"event: changed\ndata: {encoded(data).decode()}\n\n"
        await asyncio.sleep(NEWS)
        while not room.closing:
            try:
                await asyncio.wait_for(changed.wait(), ALIVE)
                break
            except TimeoutError:
                yield ": nothing new\n\n"
