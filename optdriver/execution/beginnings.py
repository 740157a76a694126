"""Which calls the workers of a pool of processes have begun: each says so in a file."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakKeyDictionary


class Beginnings:
    """The calls of one `run` to pools of processes, by number, and the file that they are noted in.

    A future of such a pool is said to run as soon as its call waits in the queue of the workers,
    which may still have to start and to import; no queue or pipe goes with a call to a worker, but
    the name of a file does.
    """

    def __init__(self) -> None:
        self._directory = TemporaryDirectory(prefix="optdriver-", ignore_cleanup_errors=True)
        self._path = Path(self._directory.name) / "begun"
        self._path.touch()
        self._numbers: WeakKeyDictionary[Future[Any], int] = WeakKeyDictionary()
        self._count = 0

    def submit(self, executor: Executor, *call: Any) -> Future[Any]:
        """Submit a call that says when it begins."""
        future = executor.submit(note_and_call, str(self._path), self._count, *call)
        self._numbers[future] = self._count
        self._count += 1
        return future

    def has_begun(self, future: Future[Any]) -> bool:
        """Return whether a call has begun; of one that cannot say so, whether it may have."""
        number = self._numbers.get(future)
        if number is not None:
            with suppress(OSError), self._path.open("rb") as file:
                file.seek(number)
                return file.read(1) == b"1"
        return future.running()

    def close(self) -> None:
        """Remove the file; what is still out says nothing any more."""
        self._directory.cleanup()


def note_and_call(path: str, number: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Note in a file that a call begins, at the place of its number, and call.  In the worker."""
    with suppress(OSError), open(path, "r+b") as file:  # noqa: PTH123 - it is in each call's way
        file.seek(number)
        file.write(b"1")
    return function(*arguments)
