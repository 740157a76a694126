"""Who tells results: the thread that runs the study, or the one in which a call has ended.

To wake another thread takes longer than to tell a result and to ask for the next point.  So a
thread of ours whose call has ended does both, and has its next call at hand; where another thread
is at it, it leaves its result to that one and goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from optdriver.drivers import DEFAULT_DRIVER
from optdriver.execution.pools import Pool

if TYPE_CHECKING:
    from optdriver.study import Study

Came = Future[Any] | None
T = TypeVar("T")


def takes_turns(study: Study, pool: Pool) -> bool:
    """Return whether threads of ours may tell results of a study and ask for its points.

    Not where that calls code of others, which may belong to a thread: methods that are suspended
    (under constraints, too), drivers and journals of users; nor where a gradient that nothing uses
    is warned of, at the line that called `run`.
    """
    spec = study.spec
    plain = spec.driver == DEFAULT_DRIVER and spec.compiled is None and study.parameters["jac"]
    return pool.is_local and not pool.calls_here and plain and study.keeps_events


class Turns:
    """The results that have come, and the right to take them: one thread has it at a time.

    Parameters
    ----------
    turn : callable
        Takes a result, or None; returns whether any more are to come.
    own : bool
        Whether a thread in which a call has ended takes a turn.  Otherwise only `wait` tells.
    """

    def __init__(self, turn: Callable[[Came], bool], *, own: bool) -> None:
        self._turn, self._own = turn, own
        self._lock = threading.RLock()  # of this thread again where an interrupt left it locked
        self._taking = self._ended = False
        self._error: BaseException | None = None
        self._results: SimpleQueue[Came] = SimpleQueue()
        self._wakes: SimpleQueue[Came] = SimpleQueue() if own else self._results

    def wake(self) -> None:
        """Let the thread that runs the study look what there is, from a signal's handler too."""
        self._wakes.put(None)

    def came(self, future: Future[Any]) -> None:
        """Take note of a result, in the thread that has it."""
        self._results.put(future)
        if self._own:
            self._take_turns()

    def wait(self, seconds: float) -> Came:
        """Return the next result that is to be told by this thread; None after `wake`."""
        return self._wakes.get(timeout=seconds)

    def others(self) -> list[Came]:
        """Return the results that have come meanwhile."""
        came: list[Came] = []
        with suppress(Empty):
            while True:
                came.append(self._results.get(block=False))
        return came

    def take(self, what: Callable[..., T], *given: Any) -> T:
        """Call something, in the thread that runs the study, while no other one takes a turn."""
        with self._lock:
            if self._error is not None:
                raise self._error
            self._taking = True
            got = what(*given)
            self._taking = False
        if self._own:
            self._take_turns()  # what has come meanwhile
        return got

    def end(self, what: Callable[[], None]) -> None:
        """Call something after which nobody takes a turn."""
        with self._lock:
            self._ended = True
            what()

    def _take_turns(self) -> None:
        """Take the results that there are, unless another thread, or this one, is at it."""
        while not self._results.empty() and self._lock.acquire(blocking=False):
            try:
                if self._taking or self._ended:
                    return
                self._take_one()
            finally:
                self._lock.release()

    def _take_one(self) -> None:
        self._taking = True
        try:
            going = self._turn(self._results.get(block=False))
        except Empty:  # another thread has taken it
            going = True
        except BaseException as error:  # noqa: BLE001 - raised in the thread that runs the study
            self._error, self._ended, going = error, True, False
        self._taking = False
        if not going:
            self.wake()
