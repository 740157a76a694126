"""The studies that a server holds: one thread for each, and those who wait for news of it."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from optdriver.errors import (
    InputError,
    InputTypeError,
    OptDriverError,
    ProtocolError,
    StudyInUseError,
    UnknownStudyError,
    unknown_option,
)
from optdriver.messages import encoded, number, numbers
from optdriver.server.leases import PATIENCE, Leases, seconds
from optdriver.server.turns import Turns
from optdriver.server.wire import ASKING, READING, Wire
from optdriver.space.space import Space
from optdriver.storage import codec, place
from optdriver.studies import create_study, load_study
from optdriver.studies.keeping import check_same
from optdriver.study import Study, parameters

LOG: Final = logging.getLogger("optdriver.server")

LONGEST_WAIT: Final = 60.0
"""Seconds that a request may wait for a suggestion."""

IDLE: Final = 60.0
"""Seconds without anything open after which the clock of a study is halted."""

CREATING: Final = (
    "space", "domain", "design_space", "constraints", "outputs", "environment", "driver", "name",
    "study_name", "study_id", "scale", "structure", *parameters.TABLE, *parameters.ALIASES,
)  # fmt: skip
"""Arguments of `create_study` that may come from outside: none of them is a path or an object."""

BRIEF: Final = (*ASKING, "heartbeat")
"""Requests that workers wait for, and that take no longer the longer a study is."""

Alive = Callable[[], Awaitable[bool]]


async def _always() -> bool:
    return True


class Room:
    """A study that this process holds, and everything that is asked of it, one after the other.

    Parameters
    ----------
    name : str
        Under which it is found.
    study : Study
    lease, patience : float
        As for `Leases`.
    alone : bool
        Whether it is the only study of the server; see `Turns`.
    """

    writes = True

    def __init__(
        self,
        name: str,
        study: Study,
        *,
        lease: float = math.inf,
        patience: float = PATIENCE,
        alone: bool = False,
    ) -> None:
        self.name = name
        self.wire = Wire(study, Leases(study, lease=lease, patience=patience))
        self.changed = asyncio.Event()
        self.closing = False
        self.shown: tuple[dict[str, Any], bytes] | None = None
        self._turns = Turns(f"study {name}", alone=alone)
        self._used = time.monotonic()

    async def answer(
        self, name: str, given: Mapping[str, Any], alive: Alive = _always
    ) -> dict[str, Any]:
        """Answer a request of `Wire`; one that asks may also ``wait`` some seconds."""
        params = dict(given)
        if name == "overview":
            return (await self._overview())[0]
        if name not in ASKING:
            return await self._do(name, params)
        deadline = time.monotonic() + _wait(params.pop("wait", 0))
        changed = self.changed
        found = await self._do(name, params)
        while "suggestions" in found and not found["suggestions"]:
            left = min(deadline, self.wire.leases.due) - time.monotonic()
            if found["done"] or self.closing or time.monotonic() >= deadline:
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), max(left, 0.0))
            if not await alive():
                break
            changed = self.changed
            found |= await self._do("ask", _asked(name, params))
            if found["suggestions"]:
                found.pop("reason", None)
        return found

    async def encoded(self, name: str, given: Mapping[str, Any], alive: Alive = _always) -> bytes:
        """Answer a request with JSON, which of all that is only looked at is made in its turn."""
        if name == "overview":
            return (await self._overview())[1]
        if name not in READING:
            return encoded(await self.answer(name, given, alive))
        self._used = time.monotonic()
        return await self._turns.take(lambda: encoded(self.wire.found(name, given)))

    async def _do(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        take = self._turns.take_briefly if name in BRIEF else self._turns.take
        return self._note(name, params, await take(self._found, name, params))

    def at_once(self, name: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
        """Answer a request where nobody has to wait for that; None where somebody has to."""
        if name not in BRIEF or "wait" in params or not self._turns.at_once:
            return None
        return self._note(name, params, self._turns.timed(self._found, name, params))

    def _found(self, name: str, params: Mapping[str, Any]) -> dict[str, Any] | OptDriverError:
        """Return an answer, or the error: something may have been done before that."""
        try:
            return self.wire.found(name, params, carried=("wait",) if name in ASKING else ())
        except OptDriverError as error:
            return error

    def _note(
        self, name: str, params: Mapping[str, Any], found: dict[str, Any] | OptDriverError
    ) -> dict[str, Any]:
        """Let those who wait know what a request may have changed."""
        self._used = time.monotonic()
        if isinstance(found, OptDriverError):
            if params.get("ask"):
                self.news()
            raise found
        if name == "heartbeat":
            self.shown = None
        elif name not in READING and not _in_vain(name, found):
            self.news()
        return found

    async def do(self, act: Callable[[Study, Mapping[str, Any]], Any], given: Any) -> Any:
        """Do something else with the study, in its turn."""
        if not self.writes:
            raise ProtocolError(f"{self.name} is written by another process, and only shown here")
        self._used = time.monotonic()
        result = await self._turns.take(self._done, act, given)
        self.news()
        return result

    def _done(self, act: Callable[[Study, Mapping[str, Any]], Any], given: Any) -> Any:
        """Do something, and forget the leases of what is told by then."""
        study = self.wire.study
        try:
            return act(study, given)
        finally:
            self.wire.leases.keep({each.id for each in study.open_suggestions})

    async def _overview(self) -> tuple[dict[str, Any], bytes]:
        """Return what the page shows, and as JSON; it is made once for all who look."""
        if self.shown is None:
            self.shown = await self._turns.take(self._shown)
        return self.shown

    def _shown(self) -> tuple[dict[str, Any], bytes]:
        found = self.wire.found("overview", {})
        return found, encoded(found)

    def news(self) -> None:
        """Wake up those who wait."""
        self.shown = None
        before, self.changed = self.changed, asyncio.Event()
        before.set()

    async def tick(self) -> None:
        """Take note of leases that have ended, and halt the clock where nothing goes on."""
        if self.wire.leases.due <= time.monotonic():
            await self._turns.take(self.wire.leases.expire)
            self.news()
        if time.monotonic() - self._used > IDLE and not self.wire.leases.out:
            self._used = math.inf
            await self._turns.take(self.wire.study.suspend)

    async def close(self) -> None:
        """Let nobody wait any more, and close the study."""
        self.closing = True
        self.news()
        await self._turns.take(self.wire.study.close)
        self._turns.end()


class ReadingRoom(Room):
    """A study that another process writes: looked at, and opened again when it has changed."""

    writes = False

    def __init__(self, name: str, path: Path) -> None:
        self.path = path
        self._seen = _signature(path)
        super().__init__(name, load_study(path, read_only=True), patience=math.inf)

    async def _do(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if name not in READING:
            raise ProtocolError(
                f"{self.name} is written by another process, and can only be looked at here: "
                f"{name!r} changes it"
            )
        return await super()._do(name, params)

    async def tick(self) -> None:
        """Open the study again if its file has changed."""
        seen = _signature(self.path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            study = await self._turns.take(self._reopen)
        except OptDriverError as error:  # it is being written at this moment, or was taken away
            LOG.warning("%s cannot be read now: %s", self.path, error)
            return
        before, self.wire = self.wire, Wire(study)
        await self._turns.take(before.study.close)
        self.news()

    def _reopen(self) -> Study:
        return load_study(self.path, read_only=True)


def _signature(path: Path) -> tuple[Any, ...]:
    """Return what changes when a study is written."""
    found = []
    for each in (path, *(path.with_name(path.name + end) for end in place.WRITTEN)):
        with suppress(OSError):
            stat = each.stat()
            found.append((each.name, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(found)


def _asked(name: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of an ask for what a request that told something asked for, too."""
    if name == "ask":
        return params
    more = {key: params[key] for key in ("lease", "worker", "ticket") if key in params}
    return {"n": params["ask"], **more}


def _in_vain(name: str, result: Mapping[str, Any]) -> bool:
    """Return whether it was asked for nothing: those who wait would only ask in vain again."""
    return name == "ask" and not result["suggestions"] and not result["done"]


def _wait(value: Any) -> float:
    wait = number(value)
    return 0.0 if wait == 0 and not isinstance(wait, bool) else seconds("wait", wait, LONGEST_WAIT)


class Hall:
    """All the studies of a server: one file, or those of a directory.

    Parameters
    ----------
    path : Path
        The file of a study, or a directory.
    read_only : bool
        Look at them only, whether or not another process writes.
    lease, patience : float
        As for `Leases`.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        lease: float = math.inf,
        patience: float = PATIENCE,
    ) -> None:
        self.path = path
        self.many = path.is_dir()
        self.read_only = read_only
        self.lease, self.patience = lease, patience
        self.rooms: dict[str, Room] = {}
        self.closing = False
        self._lock = threading.RLock()  # of `rooms`, which several requests may add to at a time
        if not self.many:
            self.enter(path)
        self.look()

    def look(self) -> None:
        """Open what is in the directory and was not there before."""
        if not self.many:
            return
        with self._lock:
            for path in sorted(self.path.glob("*.db")):
                if path.stem in self.rooms:
                    continue
                try:
                    self.enter(path)
                except OptDriverError as error:
                    LOG.warning("%s is not served: %s", path.name, error)

    def enter(self, path: Path) -> Room:
        """Open the study of a file; only to look at if another process writes it."""
        try:
            room = self._open(path)
        except StudyInUseError:
            LOG.warning("%s is written by another process, and only shown here", path.name)
            room = ReadingRoom(path.stem, path)
        self.rooms[path.stem] = room
        return room

    def _open(self, path: Path) -> Room:
        if self.read_only:
            return ReadingRoom(path.stem, path)
        study = load_study(path)
        alone = not self.many
        return Room(path.stem, study, lease=self.lease, patience=self.patience, alone=alone)

    def room(self, name: str | None) -> Room:
        """Return the room of a study; without a name the only one.

        Raises
        ------
        UnknownStudyError
            If there is none, or more than one.
        """
        if name is None and len(self.rooms) == 1:
            return next(iter(self.rooms.values()))
        room = self.rooms.get(name or "")
        if room is None:
            known = ", ".join(list(self.rooms)[:20]) or "none yet"
            what = f"no study {name[:60]!r} here" if name else "name one of several studies"
            raise UnknownStudyError(f"{what}: /studies/NAME/...; there are: {known}")
        return room

    def create(self, given: Mapping[str, Any]) -> tuple[Room, bool]:
        """Create a study in the directory, or find it; return whether it is new.

        Raises
        ------
        InputError
            For what cannot be used, and for a study that is there and is another one.
        """
        if not self.many:
            raise ProtocolError(
                f"this server has one study, {self.path.name}; serve a directory to create studies"
            )
        for key in given:
            if key not in CREATING:
                raise unknown_option("argument of create_study", str(key)[:60], CREATING)
        try:
            json.dumps(given, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"there is a text that is not Unicode: {error}") from None
        arguments = {key: numbers(value) for key, value in given.items() if key != "structure"}
        if "structure" in given:
            space = _space(given["structure"])
            arguments |= {"space": space, "scale": space.scaled}
        labels = (arguments.get(key) for key in ("study_id", "name", "study_name"))
        path = place.named_path(self.path, next((label for label in labels if label), None))
        with self._lock:
            there = self.rooms.get(path.stem)
            if there is None:
                create_study(**arguments, storage=path).close()  # opened as all others are
                return self.enter(path), True
        check_same(there.wire.study.spec, create_study(**arguments).spec, path)
        return there, False

    async def tick(self) -> None:
        """Let every room do what is due; a study that cannot be written does not stop the rest."""
        for room in list(self.rooms.values()):
            try:
                await room.tick()
            except OptDriverError as error:
                LOG.error("%s: %s", room.name, error)

    def stop_waiting(self) -> None:
        """Let nobody wait any more."""
        self.closing = True
        for room in list(self.rooms.values()):
            room.closing = True
            room.news()

    async def close(self) -> None:
        """Close all studies."""
        for room in list(self.rooms.values()):
            await room.close()


def _space(described: Any) -> Space:
    """Return the parameters with a structure that came as JSON."""
    if not isinstance(described, Mapping):
        raise InputTypeError(f"'structure' is an object, not {str(described)[:60]!r}")
    return Space.from_dict(codec.from_json(json.dumps(described)))
