"""One writer a study: a lock that the operating system releases when its holder dies.

The lock is on a file of its own beside the study, because closing any handle on the study's file
would release the locks that SQLite holds on it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Final

from optdriver.errors import StorageError, StudyInUseError

SUFFIX: Final = "-lock"
_held: Final[dict[str, int]] = {}
"""Paths of the studies that this process writes, and the handles of their locks."""


def is_held_here(path: Path) -> bool:
    """Return whether this process writes the study at `path`."""
    return str(path) in _held


def acquire(path: Path) -> None:
    """Become the writer of the study at `path` (absolute).

    Raises
    ------
    StudyInUseError
        If there is one; the message gives its process and host.
    """
    if is_held_here(path):
        raise StudyInUseError(
            f"{path} is open in this process (pid {os.getpid()} on {socket.gethostname()}) "
            "already; close that study first, or go on with it"
        )
    place = _beside(path)
    while True:
        try:
            handle = os.open(place, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            raise StorageError(f"cannot write beside {path}: {error}") from error
        if not _lock(handle):
            owner = os.read(handle, 1000).decode(errors="replace")
            os.close(handle)
            raise StudyInUseError(f"{path} is being written by {_who(owner)}")
        if _is_at(handle, place):
            break
        os.close(handle)  # its holder removed it between our opening and our locking
    _held[str(path)] = handle
    owner = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    os.truncate(place, 0)
    os.write(handle, owner.encode())


def release(path: Path) -> None:
    """Stop being the writer."""
    handle = _held.pop(str(path), None)
    if handle is not None:
        _beside(path).unlink(missing_ok=True)
        os.close(handle)


def _beside(path: Path) -> Path:
    return path.with_name(path.name + SUFFIX)


def _is_at(handle: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), place.stat())
    except FileNotFoundError:
        return False


def _who(owner: str) -> str:
    try:
        found = json.loads(owner)
        return (
            f"process {found['pid']} on {found['host']}; one process writes a study at a time: "
            "end that one, or look with load_study(path, read_only=True)"
        )
    except (KeyError, TypeError, ValueError):
        return "another process, which has not said yet which it is; try again"


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        try:
            os.lseek(handle, 1 << 20, os.SEEK_SET)  # far behind the text, which others read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True
else:
    import fcntl

    def _lock(handle: int) -> bool:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not inherited by forked workers
        except OSError:
            return False
        return True

    os.register_at_fork(after_in_child=_held.clear)
