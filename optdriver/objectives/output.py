"""What a program writes, in bounded memory and in bounded time."""

from __future__ import annotations

import math
import os
import selectors
import subprocess
import threading
import time
from typing import Any, Final

from optdriver.errors import EvaluationError
from optdriver.objectives.answers import MOST

_CHUNK: Final = 1 << 16
_POLL: Final = 0.5
"""Seconds between two looks whether a program has ended whose pipes another one holds open."""

_GRACE: Final = 2.0
"""Seconds that the pipes of a program that has ended are given to close."""


SHORT: Final = 1 << 16
"""Bytes of the standard error that are kept."""


class Tail:
    """The last bytes of a stream; earlier ones are forgotten."""

    def __init__(self, most: int = MOST // 2) -> None:
        self._most, self._kept = most, bytearray()
        self.whole = True

    def add(self, data: bytes) -> None:
        """Take more of the stream."""
        self._kept += data
        if len(self._kept) > 2 * self._most:
            del self._kept[: -self._most]
            self.whole = False

    def text(self) -> str:
        """Return what is kept."""
        return self._kept.decode("utf-8", errors="replace")

    def last_line(self) -> str:
        """Return the last line that is not empty.

        Raises
        ------
        EvaluationError
            If it is too long.
        """
        lines = self._kept.rstrip().rsplit(b"\n", 1)
        if len(lines[-1]) > self._most or (len(lines) == 1 and not self.whole):
            raise EvaluationError(
                f"the last line of its standard output has more than {self._most} bytes"
            )
        return lines[-1].decode("utf-8", errors="replace")


Pipes = tuple[tuple[int, Tail], ...]


def gather(
    process: subprocess.Popen[bytes], limit: float | None, output: Tail, errors: Tail
) -> bool:
    """Read both outputs of a program until it has ended; False if that takes more than `limit` s.

    Once it has ended, another program that holds its pipes open is not waited for.
    """
    end = math.inf if limit is None else time.monotonic() + limit
    pipes = ((_handle(process.stdout), output), (_handle(process.stderr), errors))
    return _select(process, end, pipes) if os.name == "posix" else _threads(process, end, pipes)


def _select(process: subprocess.Popen[bytes], end: float, pipes: Pipes) -> bool:
    grace = math.inf
    with selectors.DefaultSelector() as selector:
        for pipe, tail in pipes:
            selector.register(pipe, selectors.EVENT_READ, tail)
        while selector.get_map():
            left = min(end, grace) - time.monotonic()
            if left <= 0.0:
                return process.poll() is not None
            for key, _ in selector.select(min(_POLL, left)):
                data = os.read(key.fd, _CHUNK)
                key.data.add(data)
                if not data:
                    selector.unregister(key.fd)
            if grace == math.inf and process.poll() is not None:
                grace = time.monotonic() + _GRACE
    return _waited(process, end)


def _threads(process: subprocess.Popen[bytes], end: float, pipes: Pipes) -> bool:
    """Do the same where pipes cannot be waited for."""
    readers = [threading.Thread(target=_pour, args=pair, daemon=True) for pair in pipes]
    for reader in readers:
        reader.start()
    found = _waited(process, end)
    for reader in readers:
        reader.join(_GRACE)
    return found


def _pour(handle: int, tail: Tail) -> None:
    while data := os.read(handle, _CHUNK):
        tail.add(data)


def _waited(process: subprocess.Popen[bytes], end: float) -> bool:
    try:
        process.wait(None if end == math.inf else max(end - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        return False
    return True


def _handle(pipe: Any) -> int:
    handle: int = pipe.fileno()
    return handle
