"""Executors of our own, in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import Any

Job = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class LocalExecutor(Executor):
    """Runs calls in daemon threads, or in the calling thread if `workers` is 1.

    The calling thread is where an objective is easiest to debug, and where libraries that insist
    on the main thread work.  Daemon threads do not hold up the end of the program when it is
    interrupted for good; an ordinary end waits for them.
    """

    def __init__(self, workers: int) -> None:
        self.calling = False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=_work, args=(self._jobs,), name=f"optdriver-{i}", daemon=True)
            for i in range(workers if workers > 1 else 0)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have ``fn(*args, **kwargs)`` called."""
        future: Future[Any] = Future()
        if self._threads:
            self._jobs.put((future, fn, args, kwargs))
            return future
        self.calling = True
        try:
            _call(future, fn, args, kwargs)
        finally:
            self.calling = False
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads; with `wait` not before all calls are done."""
        if cancel_futures:
            self._cancel_waiting()
        for _ in self._threads:
            self._jobs.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _cancel_waiting(self) -> None:
        try:
            while True:
                job = self._jobs.get(block=False)
                if job is not None:
                    job[0].cancel()
        except Empty:
            return


def _work(jobs: SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        future, fn, args, kwargs = job
        try:
            _call(future, fn, args, kwargs)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            future.set_exception(error)


def _call(future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(fn(*args, **kwargs))
