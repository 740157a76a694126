"""What is known of the end of a study outside its database: its head.

SQLite drops the end of a damaged log without a word, by design: it cannot know that there was more.
So every event leaves a short record in the lock of the study, which stays when the process is
killed: its number, the checksum of the chain up to it, and which evaluation it ended.  An event
that is in the head and not in the database was lost.  The other way round is no loss: the head is
written second.  A ring of records is kept, since a log holds only what came since the last
checkpoint.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from optdriver.storage import lock

RECORDS: Final = 2048
NONE: Final = -1
"""In place of an id: the event has ended no evaluation."""

_RECORD: Final = struct.Struct("<QqII")
_CHECK: Final = struct.Struct("<I")
_SIZE: Final = _RECORD.size + _CHECK.size


@dataclass(frozen=True, slots=True)
class Trace:
    """A record: number and checksum of an event, and the evaluation that it ended, or `NONE`."""

    seq: int
    crc: int
    ended: int


def write(handle: int, study: int, seq: int, crc: int, ended: int = NONE) -> None:
    """Leave a record in the lock with this handle; `study` tells studies apart."""
    record = _RECORD.pack(seq, ended, crc, study)
    try:
        _put(handle, record + _CHECK.pack(zlib.crc32(record)), lock.ROOM + seq % RECORDS * _SIZE)
    except OSError:
        return  # no room on the disk: the event is in the database, and the head stays behind


def begin(handle: int, study: int, seq: int, crc: int) -> None:
    """Put a record of the last event that is there in place of all records."""
    os.ftruncate(handle, lock.ROOM)
    _put(handle, bytes(RECORDS * _SIZE), lock.ROOM)  # the room that later ones will need
    write(handle, study, seq, crc)


def read(path: Path, study: int) -> list[Trace]:
    """Return the records of the study at `path`, oldest first."""
    data, found = lock.read(path, RECORDS * _SIZE), []
    for start in range(0, len(data) - _SIZE + 1, _SIZE):
        record = data[start : start + _RECORD.size]
        if zlib.crc32(record) == _CHECK.unpack_from(data, start + _RECORD.size)[0]:
            seq, ended, crc, whose = _RECORD.unpack(record)
            if whose == study:
                found.append(Trace(seq, crc, ended))
    return sorted(found, key=lambda trace: trace.seq)


def _put_by_seeking(handle: int, data: bytes, at: int) -> int:
    os.lseek(handle, at, os.SEEK_SET)
    return os.write(handle, data)


_put: Final = getattr(os, "pwrite", _put_by_seeking)  # Windows has none
