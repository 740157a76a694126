"""Whose executor it is, and how one whose worker has died is made anew."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
)
from concurrent.futures import wait as wait_for
from typing import Any

from optdriver.errors import InputTypeError
from optdriver.execution.local import LocalExecutor

Make = Callable[[], Executor]


class Pool:
    """The executor of one `run`; those that were made here are shut down here.

    Parameters
    ----------
    given : Executor, callable or None
        An executor of the user's, or a function that makes one; without it, threads.
    workers : int
        How many threads.
    """

    def __init__(self, given: Any, workers: int) -> None:
        self._make: Make | None = None
        self._ours = True
        if given is None:
            self.executor: Executor = LocalExecutor(workers)
        elif callable(getattr(given, "submit", None)) and not isinstance(given, type):
            self.executor, self._ours = given, False
            self._make = maker(given)
        elif callable(given):
            self.executor, self._make = given(), given
        else:
            raise InputTypeError(
                f"executor is a concurrent.futures.Executor, not {given!r}; "
                "a function that makes one will do too"
            )

    @property
    def is_local(self) -> bool:
        """Whether the calls run in threads of ours, or in this one."""
        return isinstance(self.executor, LocalExecutor)

    @property
    def is_calling(self) -> bool:
        """Whether the objective runs in this thread at this moment."""
        return isinstance(self.executor, LocalExecutor) and self.executor.calling

    def submit(self, *call: Any) -> Future[Any]:
        """Submit a call; if a worker has died, to a new executor of the same kind."""
        try:
            return self.executor.submit(*call)
        except BrokenExecutor:
            if self._make is None:
                raise
            self.close(wait=False)
            self.executor, self._ours = self._make(), True
            return self.executor.submit(*call)

    def close(self, *, wait: bool) -> None:
        """Shut down what was made here."""
        if not self._ours:
            return
        if isinstance(self.executor, LocalExecutor | ProcessPoolExecutor):
            self.executor.shutdown(wait=wait, cancel_futures=not wait)
        else:  # others do not know the second argument
            self.executor.shutdown(wait=wait)


def maker(executor: Executor) -> Make | None:
    """Return a function that makes executors like this one, None if that is not known."""
    loky = sys.modules.get("loky.process_executor")
    if loky is not None and isinstance(executor, loky.ProcessPoolExecutor):
        return _like(executor, "timeout", "context", "initializer", "initargs", "env")
    if isinstance(executor, ProcessPoolExecutor):
        return _like(executor, "mp_context", "initializer", "initargs", "max_tasks_per_child")
    return None


def _like(executor: Any, *names: str) -> Make:
    """Return a maker of executors with the same arguments, which only private names tell."""
    kind = next(k for k in type(executor).__mro__ if k.__name__ == "ProcessPoolExecutor")
    arguments = {name: getattr(executor, f"_{name}", None) for name in ("max_workers", *names)}
    arguments = {name: value for name, value in arguments.items() if value is not None}
    return lambda: kind(**arguments)


def lost_together(first: Future[Any], others: list[Future[Any]]) -> list[Future[Any]]:
    """Return the futures that were lost with `first` when their executor broke, `first` too.

    A pool that loses a worker ends all calls that are out, so the others do not take long.
    """
    wait_for(others)
    return [first, *(f for f in others if not f.cancelled() and is_broken(f.exception()))]


def is_broken(error: BaseException | None) -> bool:
    """Return whether a call was lost with its executor."""
    return isinstance(error, BrokenExecutor)


def has_lost_worker(error: BaseException) -> bool:
    """Return whether the worker of a call died; Dask has an error of its own for that."""
    return is_broken(error) or type(error).__name__ == "KilledWorker"
