"""A study as lines of JSON: for exchange, for other programs, for keeping without a database.

The first line is the specification, every further one an event, numbers written so that they come
back unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from optdriver.errors import InputError, StorageError, say
from optdriver.storage.codec import from_json, to_json
from optdriver.storage.journal import MemoryJournal, not_kept
from optdriver.storage.making import versions
from optdriver.storage.sqlite import SQLiteJournal
from optdriver.study import Spec
from optdriver.study.events import Event, Parted, pack, unpack

FORMAT: Final = "optdriver study"
VERSION: Final = 1


def export_study(journal: object, path: Any) -> Path:
    """Write the study of a journal as JSON Lines; return where.

    Raises
    ------
    StorageError
        If there is a file already, or it cannot be written.
    """
    if not isinstance(journal, SQLiteJournal | MemoryJournal):
        raise not_kept()
    target = Path(path)
    made_by = journal.versions if isinstance(journal, SQLiteJournal) else versions()
    try:
        with target.open("x", encoding="utf-8", newline="\n") as file:
            head = {
                "format": FORMAT,
                "version": VERSION,
                "written_by": made_by,
                "spec": journal.spec,
            }
            file.write(to_json(head) + "\n")
            for event in journal.read():
                file.write(to_json(pack(event)) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise StorageError(f"there is a file at {target} already; export to another name") from None
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{target} cannot be written: {error}") from error
    return target


def read_export(source: Path) -> tuple[Spec, list[Event], bool]:
    """Return what `export_study` wrote, and whether its points may be those of another version.

    A last line that is torn is dropped, with a warning.

    Raises
    ------
    StorageError, OptDriverError, and those of `FORGED`
        If the lines cannot be read.
    """
    try:
        text = source.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise StorageError(f"{source} cannot be read: {error}") from error
    lines = text.split("\n")
    head = _head(lines[0])
    spec, events = Spec.from_dict(head["spec"]), list(_events(lines, source))
    foreign = head.get("written_by") != versions()  # 0.1.0 did not write them
    return spec, events, foreign or any(type(event) is Parted for event in events)


def _head(line: str) -> Any:
    head = from_json(line)
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise InputError(f'its first line does not say {{"format": "{FORMAT}"}}')
    if head["version"] != VERSION:
        raise InputError(f"it has version {head['version']!r}; this library reads {VERSION}")
    return head


def _events(lines: list[str], source: Path) -> Iterator[Event]:
    """Yield the events; what stands behind the last line end is torn."""
    for number, line in enumerate(lines[1:-1], start=2):
        try:
            yield unpack(from_json(line))
        except InputError as error:
            raise StorageError(f"{source}, line {number}, is no event: {error}") from error
    if len(lines) > 1 and lines[-1]:
        try:
            torn = unpack(from_json(lines[-1]))
        except InputError:
            say(f"the last line of {source} is torn, and was dropped", RuntimeWarning)
        else:
            yield torn  # only its line end is missing
