"""A study in a file of SQLite's, which survives the end of the process at any instruction.

Every event is a transaction of its own, written ahead (WAL).  ``synchronous=NORMAL`` keeps all of
them when the process is killed; ``durability='power'`` means FULL, and keeps them when the machine
loses power too.  A study appears under its name when it is complete, never before.
"""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import sqlite3
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optdriver.errors import InputError, StorageError
from optdriver.storage import (
    bounds,
    codec,
    connections,
    head,
    lock,
    losses,
    making,
    place,
    rows,
    schema,
)
from optdriver.storage.journal import Record
from optdriver.study.events import DRIVEN, Event, Parted

PAYS: Final = 2048
PAYS_BYTES: Final = 1 << 25
"""So many events (or bytes of events) are replayed so fast that a snapshot would be no gain."""

MERGED: Final = 1000
"""Pages in the log after which they are merged into the file, which is SQLite's own number."""

LOOKS: Final = 0.05
"""Seconds after which an append looks whether the file is still under its name."""

_inherited: Final[list[Any]] = []
_open: Final[weakref.WeakSet[SQLiteJournal]] = weakref.WeakSet()


class SQLiteJournal:
    """The journal in a file; made by `create` and `open`.

    A snapshot is taken when the events since the last one take up half as many bytes as that one,
    and are `PAYS` or more (or `PAYS_BYTES`, if they are large).  A snapshot holds the history, so
    it is about as large as all events: together they cost three times the writing of the events,
    and a study is reopened without replaying more than a third of it.  When the study is closed,
    an eighth of all that is enough.

    Attributes
    ----------
    path : pathlib.Path
    read_only : bool
    loss : Loss or None
        What had been recorded and was not there when the file was opened.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        *,
        read_only: bool,
        before: losses.Before | None = None,
    ) -> None:
        self.path, self.read_only = path, read_only
        self._connection: sqlite3.Connection | None = connection
        self._files, self._looked = {path: lock.identity(path)}, -math.inf
        self._pages, self._writes, self._handle, self._key = 0, False, -1, 0
        self._process = os.getpid()
        self._state: weakref.WeakMethod[Callable[[], Record | None]] | None = None
        self._last, self._crc, self._base, self._base_bytes, self._tail_bytes = 0, 0, 0, 0, 0
        self._possible: tuple[tuple[int, int], ...] | None = ()
        with self._speaking():
            """Look up what the file has."""
            mark = losses.read_mark(connection)
            last = self._last
            self.loss = None if before is None else losses.find(path, connection, before, last)
        self._mark = mark or losses.Mark(secrets.token_hex(16), 0, 0, closed=False)
        closes = not read_only and self.loss is None
        held = None if read_only else lock.claim(path, self)
        self._ending = _Ending(connection, path, self._process, closes, held)
        self._end = weakref.finalize(self, self._ending.end)
        _open.add(self)

    # -- making ---------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, spec: Record, *, durability: str = "process") -> SQLiteJournal:
        """Make the file of a new study; `path` is as `place.check_path` returns it."""
        connections.check_durability(durability)
        place.check_name(path)
        with _writing(path):
            if path.exists():
                raise StorageError(f"there is a file at {path} already")
            place.check_free(path)
            making.make(path, spec)
            lock.made(path)
            made = cls(path, connections.connect(path, durability), read_only=False)
            made._begin_to_write()
            return made

    @classmethod
    def open(
        cls, path: Path, *, durability: str = "process", read_only: bool = False
    ) -> SQLiteJournal:
        """Open the file of a study."""
        connections.check_durability(durability)
        place.check_study(path, writing=not read_only)
        if read_only:
            try:
                return cls._open_checked(path, read_only=True)
            except sqlite3.Error as error:
                raise connections.explained(path, error) from error
        with _writing(path):
            return cls._open_checked(path, read_only=False, durability=durability)

    @classmethod
    def _open_checked(
        cls, path: Path, *, read_only: bool, durability: str = "process"
    ) -> SQLiteJournal:
        before = losses.look_before(path)
        connection = connections.look(path)
        try:
            losses.check_log(path, connection, before)
            if not read_only:
                connection.close()
                connection = connections.connect(path, durability)
                bounds.bound(connection, path)
            return cls(path, connection, read_only=read_only, before=before)
        except BaseException:
            connection.close()
            raise

    def accept(self) -> None:
        """Go on from what is there: limits of opening are lifted, and a loss has been told."""
        with self._speaking() as connection:
            bounds.unbound(connection)
        self._ending.closes = not self.read_only

    # -- the journal ----------------------------------------------------------------------

    @property
    def spec(self) -> Record:
        """The specification."""
        with self._speaking() as connection:
            text, crc = connection.execute("SELECT spec, crc FROM study").fetchone()
        if not isinstance(text, str) or zlib.crc32(text.encode()) != crc:
            raise StorageError(f"{self.path} is damaged: the specification has been changed")
        found: Record = codec.from_json(text)
        return {name: value for name, value in found.items() if name != making.RANDOM}

    @property
    def closed(self) -> bool:
        """Whether `close` has been called."""
        return self._connection is None

    @property
    def in_doubt(self) -> bool:
        """Whether it has to be looked up what the file holds, after a call that did not end."""
        return self._possible is not None

    @property
    def written_by(self) -> str:
        """The versions of the libraries that made the file."""
        found = self.versions
        return ", ".join(f"{name} {version}" for name, version in found.items()) or "others"

    @property
    def versions(self) -> dict[str, Any]:
        """The versions of the libraries that made the file, by name; none if it does not say."""
        with self._speaking() as connection:
            (text,) = connection.execute("SELECT written_by FROM study").fetchone()
        try:
            return dict(codec.from_json(text))
        except (InputError, TypeError, ValueError):
            return {}  # the study can be whole all the same

    @property
    def changes(self) -> str:
        """What is different here from where the file was made, for messages."""
        then, now = self.versions, making.versions()
        changed = [
            f"{name} was {version}, is {now.get(name)}"
            for name, version in then.items()
            if now.get(name) != version
        ]
        if changed:
            return "different since the file was made: " + "; ".join(changed)
        return (
            "the versions are those of the file: the BLAS rounds otherwise (for another kind of "
            "processor, or with other threads), or the C library does"
        )

    @property
    def idle(self) -> bool:
        """Whether it is only read, and no process writes it: it is closed, or was killed."""
        return self.read_only and lock.is_held(self.path) is False

    @property
    def may_part(self) -> bool:
        """Whether a replay may lead to other points: the file was made elsewhere, or has parted."""
        with self._speaking() as connection:
            parted = connection.execute(
                "SELECT 1 FROM event WHERE kind = 'Parted' LIMIT 1"
            ).fetchone()
        then, now = self.versions, making.versions()
        return parted is not None or any(now.get(name) != then[name] for name in then)

    @property
    def last(self) -> int:
        """The number of the last event; the first is 1, and 0 means that there is none."""
        if self._possible is not None:
            with self._speaking():
                """Look up what the file has."""
        return int(self._last)

    def append(self, event: Event, /, *more: Event) -> None:
        """Keep `event`, and `more` with it; when this returns, they are in the file.

        Raises
        ------
        StorageError
            If they cannot be written: the disk is full, say.  The file is as it was before.
        """
        self._check_writable()
        row = rows.to_row(event)
        if not self._writes:
            self._begin_to_write()
        if not isinstance(event, (*DRIVEN, Parted)):  # before these, a point may be drawn already
            self._check_place()
            self._snapshot_if_it_pays(1)
        if self._pages >= MERGED:
            self._merge()
        if more:
            self._append_all([row, *map(rows.to_row, more)])
            return
        size = _size(row)
        with self._speaking() as connection:
            crc = rows.checksum(row, self._crc)
            self._possible = ((self._last, self._crc), (self._last + 1, crc))
            connection.execute(rows.INSERT, (self._last + 1, *row, crc))
        self._last, self._crc = self._last + 1, crc
        self._tail_bytes += size
        self._pages += 1 + size // 4096
        head.write(self._handle, self._key, self._last, self._crc, _ended(row))
        self._possible = None

    def _append_all(self, given: list[rows.Row]) -> None:
        """Write events in one transaction."""
        with self._speaking() as connection:
            written, crc = [], self._crc
            for seq, row in enumerate(given, start=self._last + 1):
                crc = rows.checksum(row, crc)
                written.append((seq, *row, crc))
            self._possible = ((self._last, self._crc), (self._last + len(given), crc))
            with connections.transaction(connection):
                connection.executemany(rows.INSERT, written)
        for row, (seq, *_, crc) in zip(given, written, strict=True):
            self._last, self._crc = seq, crc
            head.write(self._handle, self._key, seq, crc, _ended(row))
        size = sum(map(_size, given))
        self._tail_bytes += size
        self._pages += 1 + size // 4096
        self._possible = None

    def read(self, after: int = 0) -> Iterator[Event]:
        """Yield the events that come after number `after`.

        Raises
        ------
        StorageError
            At an event that is missing, or that is not as it was written.
        """
        n = len([e for e in self.spec["space"]["domain"] if e["type"] == "continuous"])
        with self._speaking() as connection:
            (crc,) = connection.execute(rows.CHECKSUM, (after, after)).fetchone()
            for number, (seq, *row, kept) in enumerate(
                connection.execute(rows.SELECT, (after,)), start=after + 1
            ):
                crc = rows.stored_checksum(row, crc)
                if seq != number or crc != kept:
                    raise StorageError(
                        f"{self.path} is damaged: event {number} is missing or has been changed"
                    )
                yield rows.from_row(tuple(row), n)

    def snapshot(self) -> tuple[int, Record] | None:
        """Return the newest snapshot that is whole, and the number of its last event."""
        with self._speaking() as connection:
            for seq, data, digest in connection.execute(
                "SELECT s.seq, CAST(s.data AS BLOB), s.sha256 FROM snapshot AS s JOIN event AS e "
                "ON e.seq = s.seq AND e.crc = s.crc ORDER BY s.seq DESC"
            ):
                if hashlib.sha256(data).digest() == digest:
                    return seq, codec.from_bytes(data)
        return None

    def save_snapshot(self, state: Record) -> None:
        """Keep the state to which all events have led, in place of older ones."""
        self._check_writable()
        if not self._writes:
            self._begin_to_write()
        data = codec.to_bytes(state)
        with self._speaking() as connection:
            row = (self._last, self._crc, hashlib.sha256(data).digest(), data)
            self._possible = ((self._last, self._crc),)
            with connections.transaction(connection):
                connection.execute("DELETE FROM snapshot")
                connection.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?)", row)
        self._base, self._base_bytes, self._tail_bytes = self._last, len(data), 0
        self._pages += len(data) // 4096
        self._possible = None

    def respecify(self, spec: Record) -> None:
        """Begin anew, with another specification and without events."""
        self._check_writable()
        bounds.check_cost(spec)
        text = making.specification(spec)
        crc = zlib.crc32(text.encode())
        with self._speaking() as connection:
            if self._writes:
                head.begin(self._handle, self._key, 0, crc)
                self._writes = False
            self._possible = ((self._last, self._crc), (0, crc))
            with connections.transaction(connection):
                connection.execute("DELETE FROM event")
                connection.execute("DELETE FROM snapshot")
                connection.execute("UPDATE study SET spec = ?, crc = ?", (text, crc))
        self._last, self._crc, self._base, self._base_bytes, self._tail_bytes = 0, crc, 0, 0, 0
        self._possible = None

    def _begin_to_write(self) -> None:
        """Leave what tells a later process, if this one is killed, how much there was."""
        self._merge()
        log = losses.log_of(self.path)
        self._files[log] = lock.identity(log)
        self._handle, self._key = lock.handle_of(self.path), self._mark.key()
        head.begin(self._handle, self._key, self._last, self._crc)
        self._writes = True

    def _merge(self) -> None:
        """Merge the log into the file, with a mark that says how far the file goes then."""
        with self._speaking() as connection:
            mark = (self._mark.study, self._last, self._crc)
            self._possible = ((self._last, self._crc),)
            with connections.transaction(connection):
                connection.execute(schema.MARK)
                connection.execute(schema.PUT_MARK, mark)
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._pages = 0
        self._possible = None

    def attach(self, state: Callable[[], Record | None]) -> None:
        """Take snapshots of what ``state()`` gives; a bound method, whose object is not held."""
        self._state = weakref.WeakMethod(state)

    def _snapshot_if_it_pays(self, part: int) -> None:
        """Take one if the events since the last are worth `part` of a snapshot or more."""
        events, size = part * (self._last - self._base), part * self._tail_bytes
        if 2 * size < self._base_bytes or (events < PAYS and size < PAYS_BYTES):
            return
        give = self._state() if self._state is not None else None
        state = give() if give is not None else None
        if state is None:
            return
        with self._speaking() as connection:
            (elapsed,) = connection.execute(
                "SELECT time FROM event WHERE seq = ?", (self._last,)
            ).fetchone()
        self.save_snapshot({**state, "elapsed": elapsed})

    def check(self) -> None:
        """Have SQLite check the whole file.

        Raises
        ------
        StorageError
            If it finds something wrong.
        """
        with self._speaking() as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise StorageError(f"{self.path} is damaged: {found}")

    def close(self) -> None:
        """End; take a snapshot before if that pays.  Closing again does nothing."""
        if self._connection is None:
            self._ending.end()
            return
        writes = not self.read_only and os.getpid() == self._process
        gone = writes and lock.identity(self.path) != self._files[self.path]
        moved = self._moved() if gone else None
        try:
            if writes and moved is None:
                self._snapshot_if_it_pays(8)
        finally:
            self._connection = None
            self._ending.end()
            self._end.detach()
        if moved is not None:
            raise StorageError(moved)

    # -- trouble --------------------------------------------------------------------------

    def _look_up(self, connection: sqlite3.Connection) -> None:
        """Learn from the file what it has, where a call was broken off or has failed."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        last, crc = connection.execute(
            "SELECT seq, crc FROM event UNION ALL SELECT 0, crc FROM study "
            "ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        if self._possible and (last, crc) not in self._possible:
            raise connections.changed(self.path, f"{last} events")
        base, base_bytes = connection.execute(
            "SELECT seq, length(data) FROM snapshot ORDER BY seq DESC LIMIT 1"
        ).fetchone() or (0, 0)
        (tail_bytes,) = connection.execute(
            "SELECT coalesce(sum(60 + coalesce(length(payload), 0) + coalesce(length(note), 0)"
            "), 0) FROM event WHERE seq > ?",
            (base,),
        ).fetchone()
        self._last, self._crc = last, crc
        self._base, self._base_bytes, self._tail_bytes = base, base_bytes, tail_bytes
        self._possible = None

    def _check_writable(self) -> None:
        if self.read_only:
            raise StorageError(
                f"{self.path} was opened with read_only=True; open it without that to go on"
            )

    def _check_place(self) -> None:
        """Refuse to go on in a file that no one will find."""
        now = time.monotonic()
        if now < self._looked + LOOKS:
            return
        moved = self._moved()
        if moved is not None:
            raise StorageError(moved)
        self._looked = now

    def _moved(self) -> str | None:
        """Return what to say if the file is not under its name any more."""
        for path, file in self._files.items():
            if lock.identity(path) != file:
                rest = (
                    "or write what has been told until now to another file with study.export(...)"
                    if path == self.path
                    else "or close the study, which merges it into the file, and open that again"
                )
                return (
                    f"{path} has been removed, renamed or exchanged while the study was open: put "
                    f"it back under its name and repeat the last call, {rest}"
                )
        return None

    @contextmanager
    def _speaking(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection; SQLite's errors become ours."""
        connection = self._connection
        if connection is None:
            raise StorageError(
                f"the study is closed; go on with optdriver.load_study({str(self.path)!r})"
            )
        if os.getpid() != self._process:
            raise StorageError(
                f"{self.path} belongs to process {self._process}, not to this child of it; "
                "evaluate in the child, and tell the study in the parent"
            )
        try:
            if self._possible is not None:
                self._look_up(connection)
            yield connection
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise connections.explained(self.path, error) from error


def _size(row: rows.Row) -> int:
    """Return about how many bytes an event takes."""
    return 60 + len(row[7] or b"") + len(row[8] or "")


def _ended(row: rows.Row) -> int:
    """Return the id of the evaluation that an event has ended, `head.NONE` if there is none."""
    _, kind, id, *_ = row
    return head.NONE if id is None or kind not in ("Told", "Failed", "Added") else id


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Become the writer; give that up if an error comes through."""
    lock.acquire(path)
    try:
        yield
    except sqlite3.Error as error:
        lock.abandon(path)
        raise connections.explained(path, error) from error
    except BaseException:
        lock.abandon(path)
        raise


@dataclass
class _Ending:
    """What is done with a connection at its end, in the process that made it only.

    `closes` says that the file is marked as closed then, and the lock with the head removed: not
    if it was opened for reading, or with a loss that nobody was told of.
    """

    connection: sqlite3.Connection
    path: Path
    process: int
    closes: bool
    held: lock.Lock | None
    marked: bool | None = None

    def end(self) -> None:
        """Close the connection, and release the lock; what an interrupt has left, once more."""
        if os.getpid() != self.process:
            return
        if self.marked is None:
            self.marked = self.closes and self._mark_closed()
        self.connection.close()
        if self.held is not None:
            lock.release(self.path, self.held, keep=not self.marked)

    def _mark_closed(self) -> bool:
        try:
            if losses.read_mark(self.connection) is not None:
                self.connection.execute(schema.CLOSE_MARK)
        except sqlite3.Error:
            return False  # nothing is lost: the head stays, and is right
        return True


def _keep_inherited() -> None:
    """Never close, in a forked child, what belongs to its parent."""
    _inherited.extend(journal._connection for journal in _open)  # noqa: SLF001  # our own class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)
