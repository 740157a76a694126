"""Serving over HTTP: the socket, the token, and the process."""

from __future__ import annotations

import ipaddress
import logging
import math
import os
import secrets
import socket
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from optdriver.errors import InputError, ServerError, StorageError, missing_extra

if TYPE_CHECKING:
    import uvicorn

HOST: Final = "127.0.0.1"
PORT: Final = 8787
DIALECTS: Final = ("jcm",)

SHORTEST: Final = 16
"""Characters of a token."""

CONNECTIONS: Final = 1000


def serve(
    path: Any,
    *,
    host: str = HOST,
    port: int = PORT,
    token: str | None = None,
    allow_hosts: Iterable[str] = (),
    read_only: bool = False,
    lease: float = math.inf,
    patience: float = 60.0,
    dialect: str | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a study, or all studies of a directory, until Ctrl-C or SIGTERM.

    Parameters
    ----------
    path : str or path-like
        The file of a study, or a directory with such files (``*.db``).
    host, port : str, int
        Where to listen; port 0 takes a free one.
    token : str, optional
        What clients must bring; required where other machines can connect.
    allow_hosts : iterable of str
        Further names of this server, as they stand in the addresses of its clients.
    read_only : bool
        Show only, whoever writes.
    lease : float
        Seconds after which a suggestion is given to another worker, where a request names no time.
    patience : float
        Seconds after which what was open at the start is, unless its worker is heard of.
    dialect : {'jcm'}, optional
        Answer the requests of that client too.
    ready : callable, optional
        Called with the address when connections are accepted.

    Raises
    ------
    InputError
        If the port is in use, or a token is missing or too short.
    StorageError
        If there is no study.
    MissingExtraError
        Without Starlette and uvicorn, the extra ``server``.
    """
    given: dict[str, Any] = {
        "lease": lease,
        "patience": patience,
        "dialect": dialect,
        "read_only": read_only,
    }
    with _prepared(path, host, port, token, allow_hosts=allow_hosts, **given) as (app, hall, found):
        server(app, hall, lambda: ready and ready(address(found))).run(sockets=[found])


@contextmanager
def background(
    path: Any, *, host: str = HOST, port: int = 0, token: str | None = None, **options: Any
) -> Iterator[str]:
    """Serve in a thread while a block runs, of a notebook say; yields the address.

    Parameters and errors are those of `serve`.

    >>> import optdriver, tempfile
    >>> with background(tempfile.mkdtemp()) as url:
    ...     optdriver.client(url).create_study({"x": (0, 1)}, study_id="line").ask().id
    0
    """
    with _prepared(path, host, port, token, **options) as (app, hall, found):
        ready = threading.Event()
        running = server(app, hall, ready.set)
        thread = threading.Thread(target=running.run, args=([found],), daemon=True)
        thread.start()
        try:
            while not ready.wait(0.1):
                if not thread.is_alive():
                    raise ServerError("the server did not start; its log says why")
            yield address(found)
        finally:
            running.should_exit = True
            thread.join()


@contextmanager
def _prepared(
    path: Any,
    host: str,
    port: int,
    token: str | None,
    *,
    allow_hosts: Iterable[str] = (),
    dialect: str | None = None,
    **options: Any,
) -> Iterator[tuple[Any, Any, socket.socket]]:
    """Check everything, then yield the application, its studies, and the socket."""
    check_installed()
    from optdriver.server.rooms import Hall

    place = Path(path)
    if not place.exists():
        raise StorageError(f"there is no study and no directory at {place}")
    check_token(host, token)
    if dialect is not None and dialect not in DIALECTS:
        raise InputError(f"dialect is one of {', '.join(DIALECTS)}, not {dialect!r}")
    with listen(host, port) as listening:
        hall = Hall(place, **options)
        app = _guarded(hall, listening, host, token, allow_hosts=allow_hosts, dialect=dialect)
        yield app, hall, listening


def check_installed() -> None:
    """Say which extra is missing."""
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise missing_extra("the server", error.name or "starlette", "server") from None
    del starlette, uvicorn


def _guarded(
    hall: Any,
    listening: socket.socket,
    host: str,
    token: str | None,
    *,
    allow_hosts: Iterable[str],
    dialect: str | None,
) -> Any:
    """Return the application behind its guard."""
    from optdriver.server.guard import LOOPBACK, Guard
    from optdriver.server.http import Application

    routes: tuple[Any, ...] = ()
    if dialect == "jcm":
        from optdriver.server.jcm import routes as spoken

        routes = tuple(spoken())
    bound = listening.getsockname()[0]
    return Guard(
        Application(hall, routes),
        token=token,
        hosts=[*LOOPBACK, host, bound, socket.gethostname(), *allow_hosts],
        any_address=not is_loopback(host),
        forms=dialect is not None,
    )


# -- token --------------------------------------------------------------------------------


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_token(host: str, token: str | None) -> None:
    """Require a token where other machines can connect, and one that nobody guesses."""
    if token is None:
        if not is_loopback(host):
            raise InputError(
                f"other machines can connect to {host}, so a token is required: "
                "--token-file PATH (a new one is written there if there is none)"
            )
    elif len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(f"a token has {SHORTEST} or more printable characters, and no spaces")


def read_token(path: Path) -> str:
    """Return the token in a file; write a new one if there is no file.

    Raises
    ------
    InputError
        If others can read the file.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    else:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a token: {error}") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError(f"others can read the token in {path}: chmod 600 {path}, or a new one")
    return text


# -- socket and process -------------------------------------------------------------------


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound.

    Raises
    ------
    InputError
        If the port is in use, or there is no such address here.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"a port is a number from 0 to 65535, not {port}")
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"{host}, port {port}: {error}") from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
    except OSError as error:
        found.close()
        hint = "; is another server running? --port takes another one, 0 a free one"
        raise InputError(f"{host}, port {port}: {error.strerror}{hint}") from None
    return found


def address(listening: socket.socket) -> str:
    """Return where clients find the server."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server(app: Any, hall: Any, ready: Callable[[], Any]) -> uvicorn.Server:
    """Return what answers requests when its `run` is called, until a signal or `should_exit`."""
    import uvicorn as running

    from optdriver.server.protocols import protocol

    class Server(running.Server):
        """Tells when it is ready, and those who wait when it ends."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            hall.stop_waiting()
            await super().shutdown(sockets=sockets)

    config = running.Config(
        app,
        http=protocol(),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    return Server(config)
