"""Files of answers that many evaluations share: none is read that is older than its evaluation."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from optdriver.errors import EvaluationError, InputError

_BACK: Final = 10 * 10**9
"""Nanoseconds by which the time of a file that is there already is set back."""

_in_use: Final[set[Path]] = set()
_lock: Final = threading.Lock()

Mark = tuple[int, int, int]


@contextmanager
def alone(paths: Sequence[Path]) -> Iterator[None]:
    """Hold files that only one evaluation at a time can leave its answer in, in this process.

    Raises
    ------
    InputError
        If another evaluation holds one of them: each would read what the other has written.
    """
    with _lock:
        taken = _in_use.intersection(paths)
        if not taken:
            _in_use.update(paths)
    if taken:
        raise InputError(
            f"two evaluations at a time would leave their answers in one file, {min(taken)}: give "
            "each a directory of its own, as workdir='runs/{id}' in place of cwd, or evaluate one "
            "at a time (num_parallel=1)"
        )
    try:
        yield
    finally:
        with _lock:
            _in_use.difference_update(paths)


def marks(paths: Sequence[Path]) -> dict[Path, Mark]:
    """Mark the files that are there before a program runs, so that it is seen which it writes.

    Their times are set back, as the clock of a file system is too coarse to tell two writes in
    one tick of it; a file whose time cannot be set is marked as it is.
    """
    found = {}
    for path in paths:
        with suppress(OSError):
            before = path.stat()
            with suppress(OSError):
                os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns - _BACK))
            found[path] = _mark(path)
    return found


def refuse_old(marked: dict[Path, Mark]) -> None:
    """Raise an `EvaluationError` if a file is still what it was before the program ran."""
    for path, before in marked.items():
        with suppress(OSError):
            if _mark(path) == before:
                raise EvaluationError(
                    f"the program wrote no {path.name}: the one that is there is older than this "
                    "evaluation"
                )


def _mark(path: Path) -> Mark:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size
