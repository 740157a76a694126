"""One writer a study: a lock that the operating system releases when its holder dies.

The lock is on a file of its own beside the study, because closing any handle on the study's file
would release the locks that SQLite holds on it.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from optdriver.errors import StorageError, StudyInUseError

SUFFIX: Final = "-lock"

ROOM: Final = 4096
"""Bytes of the lock that are for the name of its owner; behind them is the head of the study."""

_START: Final = b'{"pid"'


class Owner(Protocol):
    """Whose lock it is."""

    @property
    def closed(self) -> bool:
        """Whether it needs the lock no more."""


@dataclass(slots=True, eq=False)
class Lock:
    """A lock that this process holds: its handle, and which file the study is in.

    `thread` is the one that took it, and `owner` refers to what it was taken for, once that is
    there: a lock whose owner has gone, or never came, was left by a call that was broken off.
    """

    handle: int
    file: tuple[int, int] | None
    thread: int
    owner: weakref.ref[Owner] | None = None

    def is_left(self) -> bool:
        """Return whether nobody needs it any more."""
        if self.owner is None:
            return self.thread == threading.get_ident()
        owner = self.owner()
        return owner is None or owner.closed


_held: Final[dict[str, Lock]] = {}
"""The locks of the studies that this process writes, by path."""


def is_held_here(path: Path) -> bool:
    """Return whether this process writes the study at `path`, under this name or another."""
    file = identity(path)
    return str(path) in _held or (file is not None and file in [at.file for at in _held.values()])


def identity(path: Path) -> tuple[int, int] | None:
    """Return what stays the same when a file is renamed; None if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def acquire(path: Path) -> None:
    """Become the writer of the study at `path` (absolute).

    Raises
    ------
    StudyInUseError
        If there is one; the message gives its process and host.
    StorageError
        If what has the name of the lock is none.
    """
    for other, held in list(_held.items()):
        if held.is_left():
            release(Path(other), held, keep=True)
    if is_held_here(path):
        raise StudyInUseError(
            f"{path} is open in this process (pid {os.getpid()} on {socket.gethostname()}) "
            "already; close that study first, or go on with it"
        )
    place = beside(path)
    while True:
        handle = _opened(place, os.O_RDWR | os.O_CREAT)
        if not _lock(handle):
            owner = os.read(handle, 1000).decode(errors="replace")
            os.close(handle)
            raise StudyInUseError(f"{path} is being written by {_who(owner)}")
        if _is_at(handle, place):
            break
        os.close(handle)  # its holder removed it between our opening and our locking
    _held[str(path)] = Lock(handle, identity(path), threading.get_ident())
    owner = json.dumps({"pid": os.getpid(), "host": socket.gethostname()})
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, owner.ljust(ROOM).encode())


def made(path: Path) -> None:
    """Take note that the file of a study whose lock is held is there now."""
    _held[str(path)].file = identity(path)


def claim(path: Path, owner: Owner) -> Lock:
    """Say for what the lock was taken; return it."""
    held = _held[str(path)]
    held.owner = weakref.ref(owner)
    return held


def handle_of(path: Path) -> int:
    """Return the handle of a lock that this process holds."""
    return _held[str(path)].handle


def release(path: Path, held: Lock | None = None, *, keep: bool = False) -> None:
    """Stop being the writer; with `keep` the file stays, and with it the head of the study.

    Only if the lock still is `held`, where that is given: it may have been left, and taken anew.
    """
    name = str(path)
    present = _held.get(name)
    if present is None or held not in (None, present):
        return
    if not keep:
        beside(path).unlink(missing_ok=True)
    if name in _held:
        del _held[name]  # nothing lets an interrupt in before the next line is done
        os.close(present.handle)


def abandon(path: Path) -> None:
    """Stop being the writer of a study that could not be opened; its head stays."""
    held = _held.get(str(path))
    release(path, held, keep=held is not None and os.fstat(held.handle).st_size > ROOM)


def read(path: Path, size: int) -> bytes:
    """Return up to `size` bytes from behind the owner's name; none if there is no lock."""
    held = next((at for at in _held.values() if at.file == identity(path)), None)
    if held is not None:  # closing another handle would release the lock
        return _read(held.handle, size)
    place = beside(path)
    if not os.path.lexists(place):
        return b""
    try:
        handle = _opened(place, os.O_RDONLY)
    except StorageError:
        return b""  # who only looks at a study need not be allowed to read it
    try:
        return _read(handle, size)
    finally:
        os.close(handle)


def is_held(path: Path) -> bool | None:
    """Return whether some process writes the study at `path`; None if the system does not tell.

    Nothing is locked for it, which could keep a writer out that begins at this moment.
    """
    if is_held_here(path):
        return True
    place = beside(path)
    if not os.path.lexists(place):
        return False
    try:
        handle = _opened(place, os.O_RDONLY)
    except StorageError:
        return None
    try:
        return _is_locked(handle)
    finally:
        os.close(handle)


def _read(handle: int, size: int) -> bytes:
    os.lseek(handle, ROOM, os.SEEK_SET)
    return os.read(handle, size)


def _opened(place: Path, how: int) -> int:
    """Open a lock, and nothing else that has its name: it will be written to."""
    extra = ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY")
    try:
        if place.is_symlink():  # where the system has no O_NOFOLLOW
            raise StorageError(_no_lock(place, "a symbolic link"))
        handle = os.open(place, how | sum(getattr(os, name, 0) for name in extra), 0o666)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"{place} cannot be opened: {error}") from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        raise StorageError(_no_lock(place, "no regular file, or has another name too"))
    start = os.read(handle, ROOM).rstrip(b"\0")  # zeros: the power was cut
    os.lseek(handle, 0, os.SEEK_SET)
    if not (start.startswith(_START) or _START.startswith(start)):
        os.close(handle)
        raise StorageError(_no_lock(place, "a file of another kind"))
    return handle


def _no_lock(place: Path, what: str) -> str:
    return (
        f"{place} should be the lock of a study, but is {what}; it has not been changed: move it "
        "away, or keep the study under another name"
    )


def beside(path: Path) -> Path:
    """Return where the lock of the study at `path` is."""
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

    def _is_locked(_: int) -> bool | None:
        return None
else:
    import fcntl
    import struct

    # struct flock: where its type stands, and the rest of zeros, which means the whole file
    _FLOCK: Final = {"linux": ("hhqqi0q", 0), "darwin": ("qqihh0q", 3)}.get(sys.platform)

    def _lock(handle: int) -> bool:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # not inherited by forked workers
        except OSError:
            return False
        return True

    def _is_locked(handle: int) -> bool | None:
        if _FLOCK is None or sys.maxsize < 1 << 32:
            return None
        form, place = _FLOCK
        fields = [0] * 5
        fields[place] = fcntl.F_WRLCK
        try:
            found = fcntl.fcntl(handle, fcntl.F_GETLK, struct.pack(form, *fields))
        except OSError:
            return None
        return bool(struct.unpack(form, found)[place] != fcntl.F_UNLCK)

    os.register_at_fork(after_in_child=_held.clear)
