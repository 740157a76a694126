"""Opening a file costs no more than its size allows, whoever has made it.

A database can hold a view in place of a table, which never ends; triggers, which run with every
event that is written; lengths that are not there, for which memory is asked; and pages that are
reached on many ways.  So the tables are compared with ours before anything is read from them, and
as long as a study is being opened SQLite has limits that grow with the file.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from optdriver.errors import StorageError
from optdriver.storage import codec, schema
from optdriver.study.parameters import check_memory

_OURS: Final = ("study", "event", "snapshot", "mark")
_STEPS: Final = 100_000
"""Steps of SQLite's virtual machine between two looks at their number."""

_FREE: Final = 20_000_000
_A_BYTE: Final = 20
"""Steps that opening may take: so many, and so many more for each byte.  An event of 60 bytes takes
about a hundred."""

_LENGTH: Final = 1 << 20
_LONGEST: Final = (1 << 31) - 1
"""More than SQLite can have in a value: it takes its own largest."""


FORGED: Final = (
    LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError,
    MemoryError,
)  # fmt: skip
"""What can be raised by data that nobody has written by this library."""

_FREE_BYTES: Final = 1 << 28
_FOR_A_BYTE: Final = 1000
"""Bytes that the minimizers at the start may take: so many, and so many more for each byte of the
specification.  A parameter takes about 60 bytes there, and 200 in a minimizer."""


def check_cost(record: Mapping[str, Any]) -> None:
    """Refuse a specification that would take much more memory than its own length explains.

    The same is refused when a study is created, so that no study is shut out of its own file.

    Raises
    ------
    InputError
        With the parameters that are too large.
    """
    most = _FREE_BYTES + _FOR_A_BYTE * len(codec.to_json(record))
    n = len(record["space"]["domain"])
    check_memory(n, record["parameters"], most, "a study in a file")


def size(path: Path) -> int:
    """Return the bytes of a file and of its log."""
    beside = path.with_name(path.name + "-wal")
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


def bound(connection: sqlite3.Connection, path: Path) -> None:
    """Limit work and memory of a connection by the size of its file, until `unbound`."""
    bytes_ = size(path)
    left = (_FREE + _A_BYTE * bytes_) // _STEPS

    def look() -> int:
        nonlocal left
        left -= 1
        return left < 0

    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, min(max(bytes_, _LENGTH), _LONGEST))
    connection.set_progress_handler(look, _STEPS)


def unbound(connection: sqlite3.Connection) -> None:
    """Lift the limits: what is written now is ours."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.set_progress_handler(None, 0)


def check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file whose tables are not those of a study.

    Raises
    ------
    StorageError
        If one is missing or another one, or something would run when an event is written.
    """
    there = {}
    for kind, name, table, sql in connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master"
    ):
        if name in _OURS:
            there[name] = sql
        elif kind == "trigger" or (kind == "index" and table in _OURS and sql is not None):
            raise _foreign(path, f"the {kind} {name!r} is not ours: drop it")
    for name, sql in _expected().items():
        if there.get(name, sql if name == "mark" else None) != sql:  # older files have no mark
            what = "is missing" if name not in there else "is another one"
            raise _foreign(path, f"the table {name} {what}")


def _foreign(path: Path, what: str) -> StorageError:
    return StorageError(
        f"{path} is damaged or no study ({what}); it has not been changed: bring back a copy"
    )


@functools.cache
def _expected() -> dict[str, str]:
    """Return what SQLite keeps of the definitions of our tables."""
    with _memory() as connection:
        connection.executescript(schema.script(()))
        rows = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    return {name: sql for name, sql in rows if name in _OURS}


@contextmanager
def _memory() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    try:
        yield connection
    finally:
        connection.close()
