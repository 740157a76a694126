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

    Parameters
    ----------
    workers : int
        How many calls run at a time.
    threads : bool, optional
        False for the calling thread; by default threads if there is more than one worker.

    Notes
    -----
    The calling thread is where an objective is easiest to debug, and where libraries that insist
    on the main thread work.  Daemon threads do not hold up the end of the program when it is
    interrupted for good; an ordinary end waits for them.
    """

    def __init__(self, workers: int, *, threads: bool | None = None) -> None:
        self.calling = False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._busy: dict[Future[Any], threading.Thread] = {}
        self._threads: list[threading.Thread] = []
        self._places = workers if (workers > 1 if threads is None else threads) else 0

    def _begin(self) -> None:
        name = f"optdriver-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def has_threads(self) -> bool:
        """Whether calls run in threads of their own, and can be given up."""
        return self._places > 0

    def make_room(self, workers: int) -> None:
        """Let as many calls run at a time, in threads, if there were to be fewer."""
        if self._places:
            self._places = max(self._places, workers)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have ``fn(*args, **kwargs)`` called."""
        future: Future[Any] = Future()
        if self._places:
            with self._lock:
                if len(self._threads) < self._places:  # the first call does not wait for them all
                    self._begin()
            self._jobs.put((future, fn, args, kwargs))
            return future
        self.calling = True
        try:
            _call(future, fn, args, kwargs)
        finally:
            self.calling = False
        return future

    def give_up(self, future: Future[Any]) -> None:
        """Wait no more for a call: its thread ends with it, and another one takes its place."""
        with self._lock:
            thread = self._busy.get(future)
            if thread in self._threads:
                self._threads.remove(thread)
                self._begin()

    def _work(self) -> None:
        me = threading.current_thread()
        while (job := self._jobs.get()) is not None:
            future, fn, args, kwargs = job
            self._busy[future] = me
            try:
                _call(future, fn, args, kwargs)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits
                future.set_exception(error)
            with self._lock:
                del self._busy[future]
                if me not in self._threads:
                    return

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


def _call(future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
    if future.set_running_or_notify_cancel():
        future.set_result(fn(*args, **kwargs))
