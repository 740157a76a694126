"""Whether a study was opened with everything that had been recorded, and what is missing if not.

There are three witnesses.  The mark is a row that goes into the database itself whenever the log is
merged into it, and says how many events there were, and whether the study was closed.  The head
stands in the lock (`optdriver.storage.head`).  And the log may have frames behind the one at which
SQLite ends (`optdriver.storage.log`).
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from optdriver.errors import StorageError
from optdriver.storage import bounds, head, log, rows


@dataclass(frozen=True, slots=True)
class Mark:
    """The row of the table `mark`: whose file it is, and its last event when it was written."""

    study: str
    seq: int
    crc: int
    closed: bool

    def key(self) -> int:
        """Return a number for `study`."""
        return zlib.crc32(self.study.encode())


@dataclass(frozen=True, slots=True)
class Before:
    """What there was before SQLite opened a file with its log.

    `mark` is what the file says without its log; `log` whether there is one with something in it,
    and `behind` how many transactions it has that SQLite will not read (None: it reads nothing at
    all).
    """

    mark: Mark | None
    log: bool
    behind: int | None


@dataclass(frozen=True, slots=True)
class Loss:
    """What is missing: the evaluations by id, and the number of events; None if unknown."""

    ids: tuple[int, ...]
    events: int | None
    cause: str

    def describe(self, path: Path, last: int) -> str:
        """Return the message for the user."""
        if self.ids:
            what = f"without its last evaluations, ids {_ranges(self.ids)}"
        elif self.events is None:
            what = "perhaps without its last evaluations"
        else:
            what = f"without {self.events} of its last events"
        return (
            f"{path} was opened {what}, because {self.cause}; the study goes on from the "
            f"{last} events that are there, and hands those ids out again: to bring back "
            "what is missing, close it now, and put back both the file and its -wal from a copy"
        )


def read_mark(connection: sqlite3.Connection) -> Mark | None:
    """Return the mark of a file; None if an earlier version has made it."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'mark'").fetchone():
        return None
    row = connection.execute("SELECT study, seq, crc, closed FROM mark").fetchone()
    if row is None or [type(value) for value in row] != [str, int, int, int]:
        return None
    study, seq, crc, closed = row
    return Mark(study, seq, crc, bool(closed))


def log_of(path: Path) -> Path:
    """Return where SQLite keeps the log of a file."""
    return path.with_name(path.name + "-wal")


def look_before(path: Path) -> Before:
    """Return what there is before SQLite opens a file with its log."""
    beside = log_of(path)
    there = beside.is_file() and beside.stat().st_size > log.SMALLEST
    return Before(_mark_alone(path), there, log.lost_transactions(beside))


def _mark_alone(path: Path) -> Mark | None:
    """Return the mark in a file without its log: which may be torn, since the log mends it."""
    connection = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
    try:
        bounds.bound(connection, path)
        bounds.check_tables(connection, path)
        return read_mark(connection)
    except (sqlite3.Error, UnicodeDecodeError, StorageError):
        return None
    finally:
        connection.close()


def check_log(path: Path, connection: sqlite3.Connection, before: Before) -> None:
    """Refuse a log that does not go on where the file ends: SQLite would merge it all the same.

    Raises
    ------
    StorageError
        If the log belongs to another study, or to another state of this one.
    """
    if before.mark is None or not before.log:
        return
    mark = read_mark(connection)
    if mark is None or mark.study != before.mark.study or not _goes_on(connection, before.mark):
        log_ = log_of(path)
        raise StorageError(
            f"{path} is damaged: its log {log_.name} belongs to another study, or to another state "
            "of this one; nothing has been changed: bring back the log that belongs to it, or move "
            "this one away to open the study without it"
        )


def _goes_on(connection: sqlite3.Connection, mark: Mark) -> bool:
    """Return whether each event behind a mark has the checksum that comes after the one before."""
    found = connection.execute(rows.CHECKSUM, (mark.seq, mark.seq)).fetchone()
    if found is None or (mark.seq > 0 and found[0] != mark.crc):
        return False
    (crc,) = found
    for _, *row, kept in connection.execute(rows.SELECT, (mark.seq,)):
        crc = rows.stored_checksum(row, crc)
        if crc != kept:
            return False
    return True


def find(path: Path, connection: sqlite3.Connection, before: Before, last: int) -> Loss | None:
    """Return what has been recorded in a study and is not in it any more; None if that is nothing.

    `last` is the number of the last event that is there.
    """
    mark = read_mark(connection)
    if mark is None:
        return _from_log(path, before)
    traces = head.read(path, mark.key())
    there = dict(connection.execute(_THERE, (traces[0].seq if traces else mark.seq,)))
    missing = [trace for trace in traces if trace.seq and there.get(trace.seq) != trace.crc]
    if missing:
        ids = tuple(trace.ended for trace in missing if trace.ended != head.NONE)
        return Loss(ids, max(missing[-1].seq - last, len(missing)), _cause(path, before))
    if mark.seq and (there.get(mark.seq, mark.crc) != mark.crc or last < mark.seq):
        return Loss((), max(mark.seq - last, 1), "it has been exchanged for an earlier state")
    if not mark.closed and not traces and not before.log and last == mark.seq:
        return Loss((), None, _cause(path, before))
    return None if traces else _from_log(path, before)


_THERE: Final = "SELECT seq, crc FROM event WHERE seq >= ? UNION ALL SELECT 0, crc FROM study"


def _from_log(path: Path, before: Before) -> Loss | None:
    """Return what the log alone tells to be missing."""
    if before.behind == 0:
        return None
    return Loss((), before.behind, _cause(path, before))


def _cause(path: Path, before: Before) -> str:
    log_ = f"{path.name}-wal"
    if not before.log:
        return f"its log {log_} is missing or empty (a copy of {path.name} alone is not the study)"
    if before.behind != 0:
        return f"its log {log_} is damaged"
    return (
        f"its log {log_} ends too early: it was cut or exchanged, or the power failed before it "
        "was on the disk (durability='power' waits for that)"
    )


def _ranges(ids: Sequence[int]) -> str:
    """Return numbers as text, consecutive ones as a range."""
    parts: list[list[int]] = []
    for id in sorted(set(ids)):
        if parts and id == parts[-1][1] + 1:
            parts[-1][1] = id
        else:
            parts.append([id, id])
    shown = [str(a) if a == b else f"{a} to {b}" for a, b in parts[:20]]
    return ", ".join(shown) + (", ..." if len(parts) > 20 else "")
