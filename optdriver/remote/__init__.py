"""Studies that another process holds, as if they were here: the client of `optdriver serve`.

It needs nothing but the standard library, and a worker on another machine nothing but this.
"""

from __future__ import annotations

import json
from typing import Any, overload

from optdriver.errors import InputError
from optdriver.remote.connection import Connection
from optdriver.remote.study import RemoteStudy
from optdriver.remote.terms import RemoteSpace
from optdriver.space.space import Space, structure_of
from optdriver.storage import codec
from optdriver.studies import client as local_client
from optdriver.studies.create import Client

__all__ = ["RemoteClient", "RemoteSpace", "RemoteStudy", "client"]


@overload
def client(url: None = None, *, token: None = None, patience: float = 60.0) -> Client: ...
@overload
def client(url: str, *, token: str | None = None, patience: float = 60.0) -> RemoteClient: ...
@overload
def client(*, port: int, token: str | None = None, patience: float = 60.0) -> RemoteClient: ...
def client(
    url: str | None = None,
    *,
    port: int | None = None,
    token: str | None = None,
    patience: float = 60.0,
) -> Client | RemoteClient:
    """Return what makes studies: here, or on the server at `url`.

    Parameters
    ----------
    url : str, optional
        Where `optdriver serve` runs, as ``'http://host:8787'``.  Without it studies are made in
        this process.
    port : int, optional
        That of a server on this machine, in place of `url`.
    token : str, optional
        The server's token; otherwise the one in the environment, ``OPTDRIVER_TOKEN``.
    patience : float
        Seconds for which a server that does not answer is tried again: it may be starting.

    Returns
    -------
    Client or RemoteClient
        With ``create_study(...)``.

    Raises
    ------
    InputError
        If `url` cannot be one, or the server speaks another version of the messages.
    ServerError
        If the server does not answer.
    """
    if port is not None:
        if url is not None or isinstance(port, bool) or not isinstance(port, int):
            raise InputError(f"give the url of a server, or its port as a number, not {port!r}")
        url = f"http://127.0.0.1:{port}"
    if url is None:
        if token is not None:
            raise InputError("a token is for a server: client(url, token=...)")
        return local_client()
    return RemoteClient(url, token=token, patience=patience)


class RemoteClient:
    """The studies of a server."""

    def __init__(self, url: str, *, token: str | None = None, patience: float = 60.0) -> None:
        self._wire = Connection(url, token, patience)

    def studies(self) -> list[str]:
        """Return the names of the studies."""
        return [row["study"] for row in self._wire.send("GET", "/studies")["studies"]]

    def study(self, name: str | None = None) -> RemoteStudy:
        """Return the study of this name; without a name the only one."""
        if name is None:
            names = self.studies()
            if len(names) != 1:
                raise InputError(
                    f"the server has {len(names)} studies; name one: {', '.join(names[:20])}"
                )
            name = names[0]
        return RemoteStudy(self._wire, name)

    load_study = study

    def create_study(self, space: Any = None, **arguments: Any) -> RemoteStudy:
        """Create a study on the server, or return the one that is there and is the same.

        The arguments are those of `optdriver.create_study` that are no paths and no objects of
        Python's; the server keeps the study under its ``study_id``, or its name.  It must serve a
        directory.  A structure of parameters comes back as it was given.
        """
        given = {"space": space} | {key: arguments.get(key) for key in ("domain", "design_space")}
        domains = {key: domain for key, domain in given.items() if domain is not None}
        made: Space | None = None
        domain: Any = next(iter(domains.values()), None)
        if len(domains) == 1 and structure_of(domain) is not None:
            scale, environment = arguments.pop("scale", True), arguments.pop("environment", None)
            made = Space(domain, environment, scale=scale)
            arguments = {key: item for key, item in arguments.items() if key not in domains}
            arguments["structure"] = json.loads(codec.to_json(made.to_dict()))
        else:
            arguments |= domains
        name = self._wire.send("POST", "/studies", arguments)["study"]
        return RemoteStudy(self._wire, name, made)

    def __repr__(self) -> str:
        return f"RemoteClient({self._wire.url!r})"
