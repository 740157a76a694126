"""Whether the log of a database (its file ``-wal``) has more in it than SQLite will read.

SQLite reads a log up to the first frame whose checksum is wrong, and takes what is behind it for
what an earlier use of the file has left.  Frames of an earlier use have other salts, and a process
that is killed tears no frame but the last one: so whole transactions with the salts of the log
behind a frame that is wrong were lost.  See the description of SQLite's file format,
https://www.sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

_HEADER: Final = 32
_FRAME: Final = 24
_MAGIC: Final = (0x377F0682, 0x377F0683)
SMALLEST: Final = _HEADER + _FRAME
"""Bytes of a log that has a frame in it: more than these."""

AT_ONCE: Final = 1 << 24
"""Bytes of a log that are read at a time."""

Words = NDArray[np.uint32]


def lost_transactions(path: Path) -> int | None:
    """Return how many transactions in a log SQLite will not read; None if it reads nothing at all.

    Parameters
    ----------
    path : pathlib.Path
        The log.  One that is missing or empty has lost nothing.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return 0
    with path.open("rb") as file:
        header = file.read(_HEADER)
        if len(header) < _HEADER:
            return None
        magic, _, page = struct.unpack_from(">3I", header)
        words = np.frombuffer(header, ">u4" if magic & 1 else "<u4").astype(np.uint32)
        if magic not in _MAGIC or not 512 <= page <= 65536 or page & (page - 1):
            return None
        reader = _Reader(header[16:24], page, big=bool(magic & 1))
        if reader.follow(words[None, :6])[0].tobytes() != _native(header[24:32]):
            return None
        size = _FRAME + page
        while len(data := file.read(AT_ONCE // size * size)) >= size:
            reader.take(np.frombuffer(data[: len(data) // size * size], np.uint8).reshape(-1, size))
        return reader.behind


def _native(two: bytes) -> bytes:
    return np.frombuffer(two, ">u4").astype(np.uint32).tobytes()


class _Reader:
    """Follows the checksums of a log, and counts the transactions behind the first wrong one.

    The checksum takes two words x0, x1 at a time: s0 += x0 + s1, s1 += x1 + s0, modulo 2^32.  So
    it is linear: the pair (s0, s1) is multiplied with a matrix A and increased by (x0, x0 + x1).
    """

    def __init__(self, salts: bytes, page: int, *, big: bool) -> None:
        self.salts, self.order = salts, ">u4" if big else "<u4"
        self.sums: Words = np.zeros(2, np.uint32)
        self.powers = _powers((8 + page) // 8)
        self.broken, self.behind = False, 0

    def follow(self, words: Words) -> Words:
        """Return the checksums after each row of words, the ones before included; remember them."""
        first = words[:, 0::2]
        second = first + words[:, 1::2]
        pairs = first.shape[1]
        powers, over = self.powers[pairs - 1 :: -1], self.powers[pairs]
        found = np.empty((len(words), 2), np.uint32)
        for k in (0, 1):
            found[:, k] = (first * powers[:, k, 0] + second * powers[:, k, 1]).sum(1, np.uint32)
        for row in found:
            row += (over * self.sums).sum(1, dtype=np.uint32)
            self.sums = row
        return found

    def take(self, frames: NDArray[np.uint8]) -> None:
        """Go on with the next frames."""
        ours = (frames[:, 8:16] == np.frombuffer(self.salts, np.uint8)).all(1)
        start = 0
        if not self.broken:
            body = np.concatenate([frames[:, :8], frames[:, _FRAME:]], axis=1)
            sums = self.follow(np.ascontiguousarray(body).view(self.order).astype(np.uint32))
            kept = np.ascontiguousarray(frames[:, 16:24]).view(">u4")
            good = ours & (sums == kept).all(1)
            if good.all():
                return
            self.broken, start = True, int(np.argmin(good)) + 1  # a kill may have torn that one
        commits = ours & frames[:, 4:8].any(1)
        self.behind += int(commits[start:].sum())


def _powers(number: int) -> Words:
    """Return the powers 0 to `number` of the matrix of a step."""
    found = np.empty((number + 1, 2, 2), np.uint32)
    found[0] = np.eye(2, dtype=np.uint32)
    step = np.array([[1, 1], [1, 2]], np.uint32)
    for k in range(number):
        found[k + 1] = (step[:, :, None] * found[k][None, :, :]).sum(1, dtype=np.uint32)
    return found
