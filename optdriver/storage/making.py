"""Making the file of a study: under a provisional name until it is whole."""

from __future__ import annotations

import os
import secrets
import sqlite3
import zlib
from pathlib import Path
from typing import Final

from optdriver.config import show_config
from optdriver.storage import codec, schema
from optdriver.storage.journal import Record

RANDOM: Final = "random"
"""Where a kept specification has the random number with which the chain of checksums begins."""


def make(path: Path, spec: Record) -> None:
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
        text = specification(spec)
        crc = zlib.crc32(text.encode())
        row = (text, crc, codec.to_json(versions()))
        connection.execute("INSERT INTO study VALUES (1, ?, ?, ?)", row)
        connection.execute(schema.PUT_MARK, (secrets.token_hex(16), 0, crc))
        connection.execute(schema.CLOSE_MARK)
    finally:
        connection.close()
    new.rename(path)
    _keep_name(path.parent)


def specification(spec: Record) -> str:
    """Return a specification as it is kept: with a random number, with which the chain begins."""
    return codec.to_json({**spec, RANDOM: secrets.token_hex(16)})


def _keep_name(directory: Path) -> None:
    """Have the directory itself written to the disk, where that can be asked for."""
    if os.name == "posix":
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def versions() -> dict[str, str]:
    """Return the versions of the libraries here, by name."""
    return {**(show_config("dict") or {}), "sqlite": sqlite3.sqlite_version}
