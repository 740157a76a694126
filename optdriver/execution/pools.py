"""Whose executor it is, and how one whose worker has died is made anew."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures import wait as wait_for
from contextlib import suppress
from typing import Any, Final

from optdriver.errors import InputError, InputTypeError
from optdriver.execution.beginnings import Beginnings
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
    limited : bool
        Whether calls may be given up, for which the calling thread will not do.
    """

    def __init__(self, given: Any, workers: int, *, limited: bool = False) -> None:
        self._make: Make | None = None
        self._ours = True
        self._adopted: set[Future[Any]] = set()
        self._stuck: list[Future[Any]] = []
        self._limited = limited
        self._beginnings: Beginnings | None = None
        if given is None:
            threads = True if limited else None
            self.executor: Executor = LocalExecutor(workers, threads=threads)
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

        if limited and self.calls_here:
            raise InputError(
                "timeout= cannot end a call in the calling thread: leave the executor out, or give "
                "LocalExecutor(1, threads=True)"
            )

    @property
    def tells_beginnings(self) -> bool:
        """Whether the future of a call that waits for a worker is not said to run."""
        return (
            isinstance(self.executor, ThreadPoolExecutor) or _processes(self.executor) is not None
        )

    def has_begun(self, future: Future[Any]) -> bool:
        """Return whether a call has begun, as far as its executor tells; else it is taken to have.

        Of a pool of processes its workers tell, if calls are limited.
        """
        if self._beginnings is not None:
            return self._beginnings.has_begun(future)
        return not self.tells_beginnings or future.running()

    @property
    def is_local(self) -> bool:
        """Whether the calls run in threads of ours, or in this one."""
        return isinstance(self.executor, LocalExecutor)

    @property
    def calls_here(self) -> bool:
        """Whether a call has ended, in this thread, when it is submitted."""
        return isinstance(self.executor, LocalExecutor) and not self.executor.has_threads

    @property
    def is_calling(self) -> bool:
        """Whether the objective runs in this thread at this moment."""
        return isinstance(self.executor, LocalExecutor) and self.executor.calling

    def make_room(self, workers: int) -> None:
        """Let as many calls run at a time, where they run in threads of ours."""
        if isinstance(self.executor, LocalExecutor):
            self.executor.make_room(workers)

    def submit(self, *call: Any) -> Future[Any]:
        """Submit a call; if a worker has died, to a new executor of the same kind."""
        try:
            future = self._submit(*call)
        except BrokenExecutor:
            if self._make is None:
                raise
            self._shut_down(wait=False)
            self.executor, self._ours = self._make(), True
            future = self._submit(*call)
        _check_future(self.executor, future)
        return future

    def _submit(self, *call: Any) -> Future[Any]:
        if not self._limited or _processes(self.executor) is None:
            return self.executor.submit(*call)
        self._beginnings = self._beginnings or Beginnings()
        return self._beginnings.submit(self.executor, *call)

    def adopt(self, future: Future[Any]) -> None:
        """Take note of a call that another pool was given."""
        self._adopted.add(future)

    def give_up(self, futures: list[Future[Any]], others: list[Future[Any]]) -> list[Future[Any]]:
        """Wait no more for some calls; return those of the others that are lost with them.

        A worker process is killed, and since no pool tells which one runs a call, all of a pool
        are.  A thread goes on; in a pool of ours another one takes its place.  Whatever else there
        may be is asked to cancel.
        """
        workers, ours = _processes(self.executor), self._not_adopted(futures)
        if workers is not None and ours:
            for process in list(workers.values()):
                _kill(process)
            wait_for(ours)
            return lost_together(ours[0], self._not_adopted(others))[1:]
        for future in futures:
            if isinstance(self.executor, LocalExecutor):
                self.executor.give_up(future)
            elif not future.cancel():
                self._stuck.append(future)
        return []

    def _not_adopted(self, futures: list[Future[Any]]) -> list[Future[Any]]:
        return [future for future in futures if future not in self._adopted]

    @property
    def is_stuck(self) -> bool:
        """Whether calls that were given up hold every thread of a pool of the user's."""
        self._stuck = [future for future in self._stuck if not future.done()]
        threads = getattr(self.executor, "_max_workers", None)
        return bool(self._stuck) and threads is not None and len(self._stuck) >= threads

    def close(self, *, wait: bool) -> None:
        """Shut down what was made here."""
        self._shut_down(wait=wait)
        if self._beginnings is not None:
            self._beginnings.close()

    def _shut_down(self, *, wait: bool) -> None:
        if not self._ours:
            return
        if isinstance(self.executor, LocalExecutor | ProcessPoolExecutor):
            self.executor.shutdown(wait=wait, cancel_futures=not wait)
        else:  # others do not know the second argument
            self.executor.shutdown(wait=wait)


def _processes(executor: Executor) -> dict[Any, Any] | None:
    """Return the worker processes of a pool, the standard one or loky's; None of any other."""
    found = getattr(executor, "_processes", None)
    return found if isinstance(found, dict) else None


def _kill(process: Any) -> None:
    """End a worker process at once, whatever it does; loky's have no method for that."""
    if hasattr(signal, "SIGKILL"):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    else:
        process.terminate()


_FUTURE: Final = ("add_done_callback", "cancel", "done", "exception", "result", "running")
"""Methods of futures that are called."""


def _check_future(executor: Any, future: Any) -> None:
    """Refuse what an executor returned where it is no future; a job of it is cancelled."""
    if type(future) is Future:  # most are
        return
    lacking = [name for name in _FUTURE if not callable(getattr(future, name, None))]
    if not lacking:
        return
    if callable(getattr(future, "cancel", None)):
        future.cancel()
    raise InputTypeError(
        f"submit of {type(executor).__name__} returned a {type(future).__name__}, which is no "
        f"concurrent.futures.Future: it has no {', '.join(lacking)}; for Slurm and Flux, "
        "executorlib has executors with futures (SlurmClusterExecutor, FluxClusterExecutor), "
        "and dask-jobqueue Client(cluster).get_executor()"
    )


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
