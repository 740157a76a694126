"""A study in a file of SQLite's, which survives the end of the process at any instruction.

Every event is a transaction of its own, written ahead (WAL).  ``synchronous=NORMAL`` keeps all of
them when the process is killed; ``durability='power'`` means FULL, and keeps them when the machine
loses power too.  A study appears under its name when it is complete, never before.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import weakref
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from optdriver.config import show_config
from optdriver.errors import StorageError, unknown_option
from optdriver.storage import codec, lock, place, rows, schema
from optdriver.storage.journal import Record
from optdriver.study.events import Event

DURABILITY: Final = {"process": "NORMAL", "power": "FULL"}

CHECKED_WHOLE: Final = 1 << 28
"""Files of up to so many bytes are checked page by page whenever they are opened."""

PAYS: Final = 2048
PAYS_BYTES: Final = 1 << 25
"""So many events (or bytes of events) are replayed so fast that a snapshot would be no gain."""

_COLUMNS: Final = ", ".join(rows.COLUMNS)
_INSERT: Final = f"INSERT INTO event ({_COLUMNS}) VALUES ({', '.join('?' * len(rows.COLUMNS))})"  # noqa: S608  # constants of this package only
_SELECT: Final = f"SELECT {_COLUMNS} FROM event WHERE seq > ? ORDER BY seq"  # noqa: S608  # the same
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
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, read_only: bool) -> None:
        self.path, self.read_only = path, read_only
        self._connection: sqlite3.Connection | None = connection
        self._process = os.getpid()
        self._state: weakref.WeakMethod[Callable[[], Record | None]] | None = None
        self._last, self._crc, self._base, self._base_bytes, self._tail_bytes = 0, 0, 0, 0, 0
        self._possible: tuple[tuple[int, int], ...] | None = ()
        with self._speaking():
            """Look up what the file has."""
        self._end = weakref.finalize(self, _close, connection, path, self._process, read_only)
        _open.add(self)

    # -- making ---------------------------------------------------------------------------

    @classmethod
    def create(cls, path: Path, spec: Record, *, durability: str = "process") -> SQLiteJournal:
        """Make the file of a new study; `path` is as `place.check_path` returns it."""
        _check_durability(durability)
        with _writing(path):
            if path.exists():
                raise StorageError(f"there is a file at {path} already")
            place.check_free(path)
            _make(path, spec)
            return cls(path, _connect(path, durability), read_only=False)

    @classmethod
    def open(
        cls, path: Path, *, durability: str = "process", read_only: bool = False
    ) -> SQLiteJournal:
        """Open the file of a study."""
        _check_durability(durability)
        place.check_study(path, writing=not read_only)
        if read_only:
            try:
                return cls(path, _look(path), read_only=True)
            except sqlite3.Error as error:
                raise _explained(path, error) from error
        with _writing(path):
            looking = _look(path)
            looking.close()
            return cls(path, _connect(path, durability), read_only=False)

    # -- the journal ----------------------------------------------------------------------

    @property
    def spec(self) -> Record:
        """The specification."""
        with self._speaking() as connection:
            text, crc = connection.execute("SELECT spec, crc FROM study").fetchone()
        if not isinstance(text, str) or zlib.crc32(text.encode()) != crc:
            raise StorageError(f"{self.path} is damaged: the specification has been changed")
        found: Record = codec.from_json(text)
        return found

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
        with self._speaking() as connection:
            (text,) = connection.execute("SELECT written_by FROM study").fetchone()
        return ", ".join(f"{name} {version}" for name, version in codec.from_json(text).items())

    @property
    def last(self) -> int:
        """The number of the last event; the first is 1, and 0 means that there is none."""
        if self._possible is not None:
            with self._speaking():
                """Look up what the file has."""
        return int(self._last)

    def append(self, event: Event, /) -> None:
        """Keep `event`; when this returns, it is in the file.

        Raises
        ------
        StorageError
            If it cannot be written: the disk is full, say.  The file is as it was before.
        """
        self._check_writable()
        row = rows.to_row(event)
        if row[1] not in ("Asked", "Held", "Drained"):  # before these, a point may be drawn already
            self._snapshot_if_it_pays(1)
        with self._speaking() as connection:
            crc = rows.checksum(row, self._crc)
            self._possible = ((self._last, self._crc), (self._last + 1, crc))
            connection.execute(_INSERT, (self._last + 1, *row, crc))
        self._last, self._crc = self._last + 1, crc
        self._tail_bytes += 60 + len(row[7] or b"") + len(row[8] or "")
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
            (crc,) = connection.execute(
                "SELECT crc FROM study WHERE ? = 0 UNION ALL SELECT crc FROM event WHERE seq = ?",
                (after, after),
            ).fetchone()
            for number, (seq, *row, kept) in enumerate(
                connection.execute(_SELECT, (after,)), start=after + 1
            ):
                crc = _checksum(row, crc)
                if seq != number or crc != kept:
                    raise StorageError(
                        f"{self.path} is damaged: event {number} is missing or has been changed"
                    )
                yield rows.from_row(tuple(row), n)

    def snapshot(self) -> tuple[int, Record] | None:
        """Return the newest snapshot that is whole, and the number of its last event."""
        with self._speaking() as connection:
            found = connection.execute(
                "SELECT s.seq, CAST(s.data AS BLOB), s.sha256 FROM snapshot AS s JOIN event AS e "
                "ON e.seq = s.seq AND e.crc = s.crc ORDER BY s.seq DESC"
            ).fetchall()
        for seq, data, digest in found:
            if hashlib.sha256(data).digest() == digest:
                return seq, codec.from_bytes(data)
        return None

    def save_snapshot(self, state: Record) -> None:
        """Keep the state to which all events have led, in place of older ones."""
        self._check_writable()
        data = codec.to_bytes(state)
        with self._speaking() as connection:
            row = (self._last, self._crc, hashlib.sha256(data).digest(), data)
            self._possible = ((self._last, self._crc),)
            with _transaction(connection):
                connection.execute("DELETE FROM snapshot")
                connection.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?)", row)
        self._base, self._base_bytes, self._tail_bytes = self._last, len(data), 0
        self._possible = None

    def respecify(self, spec: Record) -> None:
        """Begin anew, with another specification and without events."""
        self._check_writable()
        text = codec.to_json(spec)
        crc = zlib.crc32(text.encode())
        with self._speaking() as connection:
            self._possible = ((self._last, self._crc), (0, crc))
            with _transaction(connection):
                connection.execute("DELETE FROM event")
                connection.execute("DELETE FROM snapshot")
                connection.execute("UPDATE study SET spec = ?, crc = ?", (text, crc))
        self._last, self._crc, self._base, self._base_bytes, self._tail_bytes = 0, crc, 0, 0, 0
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
            (time,) = connection.execute(
                "SELECT time FROM event WHERE seq = ?", (self._last,)
            ).fetchone()
        self.save_snapshot({**state, "elapsed": time})

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
            return
        try:
            if not self.read_only and os.getpid() == self._process:
                self._snapshot_if_it_pays(8)
        finally:
            self._connection = None
            self._end()

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
            raise _changed(self.path, f"{last} events")
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
            raise _explained(self.path, error) from error


def _checksum(row: list[Any], before: int) -> int:
    try:
        return rows.checksum(tuple(row), before)
    except (TypeError, ValueError, AttributeError) as error:
        raise StorageError(f"an event is not as it was written: {error}") from error


def _check_durability(durability: str) -> None:
    if durability not in DURABILITY:
        raise unknown_option("durability", durability, DURABILITY)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Become the writer; give that up if an error comes through."""
    lock.acquire(path)
    try:
        yield
    except sqlite3.Error as error:
        lock.release(path)
        raise _explained(path, error) from error
    except BaseException:
        lock.release(path)
        raise


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back by itself
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    connection = _opened(path, "mode=rw")
    connection.execute(f"PRAGMA synchronous = {DURABILITY[durability]}")
    return connection


def _opened(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = lambda text: text.decode(errors="replace")  # the checksums judge
    return connection


def _look(path: Path) -> sqlite3.Connection:
    """Open a file for reading only, and check it: a damaged one must not be written to."""
    try:
        return _checked(path, "mode=ro")
    except sqlite3.OperationalError:
        if path.with_name(path.name + "-wal").exists():
            raise
        return _checked(path, "immutable=1")  # on a disk where nothing can be written


def _checked(path: Path, how: str) -> sqlite3.Connection:
    connection = _opened(path, how)
    try:
        if connection.execute("SELECT 1 FROM study").fetchone() is None:
            raise StorageError(_damaged(path, "the specification is missing"))
        if path.stat().st_size <= CHECKED_WHOLE:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise StorageError(_damaged(path, found))
        return connection
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            raise
        raise StorageError(_damaged(path, str(error))) from error
    except BaseException:
        connection.close()
        raise


def _damaged(path: Path, found: str) -> str:
    return (
        f"{path} is damaged ({found}); it has not been changed: bring back a copy, or read what "
        "is left with the recover command of the sqlite3 program"
    )


def _explained(path: Path, error: Exception) -> StorageError:
    """Return our error for one of SQLite's."""
    text = str(error)
    if "full" in text or "disk I/O" in text:
        return StorageError(
            f"{path} cannot be written ({text}): make room on the disk; what was told before is "
            "kept, and the last call can be repeated"
        )
    if "locked" in text:
        return StorageError(
            f"{path} is locked by another program (the sqlite3 shell?): end its transaction, and "
            "repeat the last call"
        )
    if "UNIQUE" in text or "readonly" in text:
        return _changed(path, text)
    if "no such" in text:
        return StorageError(_damaged(path, text))
    return StorageError(f"{path} cannot be used: {text}")


def _changed(path: Path, found: str) -> StorageError:
    return StorageError(
        f"{path} has been changed by another program ({found}): open the study again"
    )


def _make(path: Path, spec: Record) -> None:
    """Write the file of a study under a provisional name, and give it its own when it is whole."""
    new = path.with_name(f".{path.name}-new")
    for rest in (new, *(new.with_name(new.name + end) for end in ("-wal", "-shm", "-journal"))):
        rest.unlink(missing_ok=True)  # of a process that was killed
    names = [e["name"] for e in spec["space"]["domain"] if e["type"] == "continuous"]
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION}")
        connection.execute(f"PRAGMA user_version = {schema.FORMAT}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN IMMEDIATE; {schema.script(names)} COMMIT;")
        text = codec.to_json(spec)
        row = (text, zlib.crc32(text.encode()), codec.to_json(_versions()))
        connection.execute("INSERT INTO study VALUES (1, ?, ?, ?)", row)
    finally:
        connection.close()
    new.rename(path)
    _keep_name(path.parent)


def _keep_name(directory: Path) -> None:
    """Have the directory itself written to the disk, where that can be asked for."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _versions() -> dict[str, str]:
    return {**(show_config("dict") or {}), "sqlite": sqlite3.sqlite_version}


def _close(connection: sqlite3.Connection, path: Path, process: int, read_only: bool) -> None:
    """End a connection, in the process that made it only."""
    if os.getpid() != process:
        return
    connection.close()
    if not read_only:
        lock.release(path)


def _keep_inherited() -> None:
    """Never close, in a forked child, what belongs to its parent."""
    _inherited.extend(journal._connection for journal in _open)  # noqa: SLF001  # our own class


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keep_inherited)
