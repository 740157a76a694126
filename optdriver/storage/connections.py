"""Connections to the file of a study: opened, checked before anything is written, explained.

What SQLite says of trouble becomes what a user can do about it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from optdriver.errors import StorageError, unknown_option
from optdriver.storage import bounds, losses

DURABILITY: Final = {"process": "NORMAL", "power": "FULL"}

CHECKED_WHOLE: Final = 1 << 28
"""Files of up to so many bytes are checked page by page whenever they are opened."""


def check_durability(durability: str) -> None:
    """Refuse what is no way of writing."""
    if durability not in DURABILITY:
        raise unknown_option("durability", durability, DURABILITY)


def connect(path: Path, durability: str) -> sqlite3.Connection:
    """Open a file for writing, every event of which is kept as `durability` says."""
    connection = _opened(path, "mode=rw")
    connection.execute(f"PRAGMA synchronous = {DURABILITY[durability]}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # `SQLiteJournal._merge` does it
    return connection


def _opened(path: Path, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = lambda text: text.decode(errors="replace")  # the checksums judge
    return connection


def look(path: Path) -> sqlite3.Connection:
    """Open a file for reading only, and check it: a damaged one must not be written to."""
    try:
        return _checked(path, "mode=ro")
    except sqlite3.OperationalError:
        if losses.log_of(path).exists():
            raise
        return _checked(path, "immutable=1")  # on a disk where nothing can be written


def _checked(path: Path, how: str) -> sqlite3.Connection:
    connection = _opened(path, how)
    try:
        bounds.bound(connection, path)
        bounds.check_tables(connection, path)
        if connection.execute("SELECT 1 FROM study").fetchone() is None:
            raise StorageError(damaged(path, "the specification is missing"))
        if path.stat().st_size <= CHECKED_WHOLE:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise StorageError(damaged(path, found))
        return connection
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError) and "malformed" not in str(error):
            raise
        raise StorageError(damaged(path, str(error))) from error
    except BaseException:
        connection.close()
        raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all of a body happen in the file, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk has rolled back by itself
            connection.execute("ROLLBACK")
        raise


def explained(path: Path, error: Exception) -> StorageError:
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
        return changed(path, text)
    if "no such" in text:
        return StorageError(damaged(path, text))
    return StorageError(f"{path} cannot be used: {text}")


def damaged(path: Path, found: str) -> str:
    """Return what to say of a file that is not as it was written."""
    return (
        f"{path} is damaged ({found}); it has not been changed: bring back a copy, or read what "
        "is left with the recover command of the sqlite3 program"
    )


def changed(path: Path, found: str) -> StorageError:
    """Return the error for a file that another program has written to."""
    return StorageError(
        f"{path} has been changed by another program ({found}): open the study again"
    )
