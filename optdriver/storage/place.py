"""Whether a study can be kept at a path: looked at without changing anything."""

from __future__ import annotations

import os
import re
import stat
import struct
from pathlib import Path
from typing import Any, Final

from optdriver.errors import InputError, InputTypeError, StorageError, nearest
from optdriver.storage import lock
from optdriver.storage.schema import APPLICATION, FORMAT

_SQLITE: Final = b"SQLite format 3\0"
_MOUNTS: Final = Path("/proc/self/mountinfo")
_REMOTE: Final = frozenset(
    (
        "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "coda", "ceph", "9p",
        "lustre", "gpfs", "beegfs", "glusterfs", "davfs", "fuse.sshfs", "fuse.glusterfs",
        "fuse.ceph", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.davfs2",
    )
)  # fmt: skip


WRITTEN: Final = ("-wal", "-journal")
"""Ends of the names of the files beside a study in which there can be events."""

LONGEST: Final = ".{}-new-journal"
"""The longest name that is made of that of a study, while it is created."""


def check_path(path: Any) -> Path:
    """Return where a study is or will be kept, as an absolute path.

    Raises
    ------
    InputError
        If this cannot be the path of a file.
    StorageError
        If it is on a network filesystem.
    """
    if not isinstance(path, str | os.PathLike) or isinstance(path, bytes):
        raise InputTypeError(f"storage is the path of a file, not {path!r}")
    text = os.fspath(path)
    if not text or text == ":memory:" or "\0" in text:
        raise InputError(
            f"storage is the path of a file, not {text!r}; leave it out for a study in memory"
        )
    if re.match(r"\w{2,}://", text):
        raise InputError(f"storage is the path of a file, as 'study.db', and not the URL {text!r}")
    try:
        place = Path(text).expanduser().resolve()
        if place.is_symlink():  # Python 3.13 and later follow a circle without an error
            raise InputError(f"{place} leads to itself: its links go in a circle")
        if place.is_dir():
            raise InputError(f"{place} is a directory; storage is the path of a file in it")
        if not place.parent.is_dir():
            raise InputError(f"there is no directory {place.parent}: create it first")
    except (OSError, RuntimeError) as error:  # too long, no permission, links in a circle, no home
        raise InputError(f"storage is the path of a file, not {_short(text)}: {error}") from error
    _check_local(place)
    return place


def _short(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:60]}...{text[-30:]}")


def named_path(directory: Any, study_id: Any) -> Path:
    """Return where the study with the id `study_id` is kept below a directory."""
    if not isinstance(directory, str | os.PathLike):
        raise InputTypeError(f"save_dir is the path of a directory, not {directory!r}")
    if not isinstance(study_id, str) or not study_id:
        raise InputError(
            "save_dir= needs study_id= too: the study is kept in the file <study_id>.db there"
        )
    if re.search(r'[/\\:*?"<>|\x00-\x1f]', study_id) or study_id.startswith("."):
        raise InputError(
            f"study_id {study_id!r} cannot be the name of a file: it must not hold a path "
            "separator or one of : * ? \" < > |, nor begin with '.'"
        )
    return Path(directory) / f"{study_id}.db"


def _check_local(path: Path) -> None:
    if str(path).startswith("\\\\"):
        kind = "a network share"
    elif _MOUNTS.exists():
        kind = filesystem(path, _MOUNTS.read_text(encoding="utf-8", errors="replace"))
    else:
        kind = ""
    if kind in _REMOTE or kind == "a network share":
        raise StorageError(
            f"{path} is on a network filesystem ({kind}), where a lock or a power failure can "
            "destroy a database; keep the study on a local disk, and copy it when it is closed"
        )


def filesystem(path: Path, mounts: str) -> str:
    """Return the kind of filesystem a path is on, by the text of ``/proc/self/mountinfo``."""
    found = ("", "")
    for line in mounts.splitlines():
        mount, _, rest = line.partition(" - ")
        fields = mount.split()
        if len(fields) < 5 or not rest:
            continue
        point = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        if path.is_relative_to(point) and len(point) >= len(found[0]):
            found = (point, rest.split()[0])
    return found[1]


def check_study(path: Path, *, writing: bool) -> None:
    """Refuse a file that is no study of this version, judged by its first bytes alone.

    Raises
    ------
    StorageError
        With what the file is, and what to do.
    """
    if not path.exists():
        names = (other.name for other in path.parent.iterdir())
        raise StorageError(f"there is no study at {path}{nearest(path.name, names)}")
    if not path.is_file():
        raise StorageError(f"{path} is no regular file, so it is no study")
    _check_neighbours(path)
    links = path.stat().st_nlink
    if writing and links > 1:
        raise StorageError(
            f"{path} is one file with {links} names (hard links), and SQLite keeps what was told "
            "last beside the name under which a file is open: work on a copy (cp), or remove the "
            "other names when nobody has the study open"
        )
    if writing and not _is_writable(path):
        raise StorageError(
            f"{path} or its directory is write-protected; make both writable to go on with the "
            "study, or look at it with load_study(path, read_only=True)"
        )
    if not lock.is_held_here(path):  # closing a handle on it would release SQLite's locks
        with path.open("rb") as file:
            _check_header(path, file.read(100))


def _check_neighbours(path: Path) -> None:
    """Refuse links in place of the files that SQLite writes beside a study."""
    for suffix in (*WRITTEN, "-shm"):
        beside = path.with_name(path.name + suffix)
        if not os.path.lexists(beside):
            continue
        found = beside.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise StorageError(
                f"{beside} should be a file of SQLite's, but is a link or no regular file; it has "
                "not been changed: bring back the one that belongs to the study"
            )


def _is_writable(path: Path) -> bool:
    marked = path.stat().st_mode & 0o222 and path.parent.stat().st_mode & 0o222
    return bool(marked) and os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _check_header(path: Path, header: bytes) -> None:
    if len(header) < 100 or not header.startswith(_SQLITE):
        what = "is empty" if not header else "is no SQLite database"
        raise StorageError(f"{path} {what}, so it is no study (it has not been changed)")
    version, application = (struct.unpack_from(">i", header, at)[0] for at in (60, 68))
    if application != APPLICATION:
        raise StorageError(
            f"{path} is an SQLite database of another program, no study (it has not been changed)"
        )
    if version != FORMAT:
        raise StorageError(
            f"{path} was written by a {'later' if version > FORMAT else 'different'} version of "
            f"optdriver: its format is {version}, this version reads {FORMAT}; upgrade optdriver"
        )


def check_free(path: Path) -> None:
    """Refuse to create a study beside what is left of another one."""
    _check_neighbours(path)
    for suffix in WRITTEN:
        rest = path.with_name(path.name + suffix)
        if rest.exists():
            raise StorageError(
                f"{rest} is there, but {path.name} is missing: bring that file back, or remove "
                f"{rest.name} if the study is not wanted any more"
            )


def check_name(path: Path) -> None:
    """Refuse a name to which no more can be added: SQLite has files of its own beside it."""
    if os.name != "posix":
        return
    most = os.pathconf(path.parent, "PC_NAME_MAX")
    length, more = len(os.fsencode(path.name)), len(LONGEST.format(""))
    if 0 < most < length + more:
        raise InputError(
            f"the name {_short(path.name)} has {length} bytes: here a study's can have "
            f"{most - more}, since other files beside it are named after it"
        )
