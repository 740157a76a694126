"""The evaluation loop: keeps every slot of an executor busy, tells results as they come."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager
from numbers import Integral
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from optdriver.errors import (
    GradientError,
    InputError,
    InputTypeError,
    ProtocolError,
)
from optdriver.execution.calling import Objective, Outcome, evaluate, prepare
from optdriver.execution.interrupt import Interrupts
from optdriver.execution.local import LocalExecutor
from optdriver.execution.progress import Show, progress_bar
from optdriver.study.observation import split

if TYPE_CHECKING:
    from optdriver.study import Study, Suggestion

_LOOK_UP: Final = 0.2  # seconds


def run(
    study: Study,
    objective: Objective | None = None,
    *,
    executor: Executor | None = None,
    max_evaluations: int | None = None,
    progress: bool | None = None,
) -> None:
    """Evaluate the objective until the study is done.

    Results are told as they come, and the next point goes out at once: a slow evaluation holds
    back its own minimizer only.  The objective is called without any lock held.

    The first Ctrl-C stops asking and waits for the open evaluations, and so does ``study.stop()``
    from another thread or from inside the objective; calling `run` again goes on.  A second Ctrl-C
    leaves at once; the evaluations that were open are handed out again by the next `run`.

    Parameters
    ----------
    study : Study
    objective : callable, optional
        Called with all parameters by name, and with ``study=`` if it has such an argument; returns
        a number, ``(value, gradient)`` or an `Observation`.  An exception is a failed evaluation.
        Without it, the one of ``study.set_objective``.
    executor : concurrent.futures.Executor, optional
        Where to evaluate.  Without it: `num_parallel` threads, or this thread if that is 1.
    max_evaluations : int, optional
        Return after so many evaluations of this call.
    progress : bool, optional
        A progress bar; by default in a terminal, if rich is installed.

    Raises
    ------
    InputError
        If the objective cannot be used, or returns what cannot be used.  Open evaluations are
        finished first; the point in question is handed out again by the next `run`.
    GradientError
        If ``check_grad=True`` finds a derivative that disagrees with finite differences.
    ProtocolError
        If the executor cannot be used any more, or if all slots are taken by suggestions that were
        asked by hand.
    KeyboardInterrupt
        At the second Ctrl-C.

    Warns
    -----
    RuntimeWarning
        If the study stopped because too many evaluations in a row failed.
    UserWarning
        If nothing limits the study.
    """
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise InputTypeError(f"executor is a concurrent.futures.Executor, not {executor!r}")
    call = prepare(study, objective, executor)
    limit = _check_limit(max_evaluations)
    _check_end(study, limit)
    study.resume()
    study.release()
    with _executor(study, executor) as pool, progress_bar(study, progress) as show:
        loop = _Loop(study, call, pool, limit, show)
        study.start_clock()
        try:
            loop.run()
        finally:
            study.suspend()
    _report(study, loop.error)


def _check_limit(max_evaluations: Any) -> float:
    if max_evaluations is None:
        return math.inf
    if isinstance(max_evaluations, bool) or not isinstance(max_evaluations, Integral):
        raise InputTypeError(f"max_evaluations is a whole number, not {max_evaluations!r}")
    if max_evaluations < 0:
        raise InputError(f"max_evaluations must be 0 or more, not {max_evaluations}")
    return int(max_evaluations)


def _check_end(study: Study, limit: float) -> None:
    given = study.parameters
    caps = (limit, given["max_iter"], given["max_time"], given["max_num_minimizers"])
    if min(caps) == math.inf and given["eps"] == 0.0 and given["min_val"] == -math.inf:
        warnings.warn(
            "nothing limits this study (max_iter, max_time, max_num_minimizers, min_val, eps): "
            "run() goes on until Ctrl-C or stop()",
            stacklevel=4,
        )


@contextmanager
def _executor(study: Study, executor: Executor | None) -> Iterator[Executor]:
    """Yield the executor; one of our own is shut down, without waiting if an error came through."""
    if executor is not None:
        yield executor
        return
    own = LocalExecutor(study.parameters["num_parallel"])
    try:
        yield own
    except BaseException:
        own.shutdown(wait=False, cancel_futures=True)
        raise
    own.shutdown()


def _report(study: Study, error: Exception | None) -> None:
    if error is not None:
        raise error
    if study.stop_kind == "check_grad":
        raise GradientError(str(study.stop_reason))
    if study.stop_kind == "failures":
        warnings.warn(f"the study stopped: {study.stop_reason}", RuntimeWarning, stacklevel=4)


class _Loop:
    """One call of `run`: which evaluations are out, and what has to be said at the end."""

    def __init__(
        self, study: Study, call: Objective, pool: Executor, limit: float, show: Show
    ) -> None:
        self.study = study
        self.call = call
        self.pool = pool
        self.remaining = limit
        self.show = show
        self.error: Exception | None = None
        self.out: dict[Future[Any], int] = {}
        self.results: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self.interrupts = Interrupts(
            wake=lambda: self.results.put(None),
            may_raise=lambda: isinstance(pool, LocalExecutor) and pool.calling,
        )

    def run(self) -> None:
        with self.interrupts.caught():
            try:
                self._fill()
                while self.out:
                    self._take(self._wait())
                    self._fill()
            finally:
                self._leave()

    def _leave(self) -> None:
        """Give back what an exception left behind; a call that was begun counts for `max_iter`."""
        for future, id in self.out.items():
            if self.study.wants(id):
                self.study.release(id, spent=future.running() or future.done())

    # -- out ------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Submit points as long as there are any."""
        while (suggestion := self._next()) is not None:
            self.remaining -= 1
            try:
                future = self.pool.submit(evaluate, self.call, suggestion.params)
            except (RuntimeError, BrokenExecutor) as error:  # it was shut down, or a worker died
                self.study.release(suggestion.id)
                self._give_up(error)
                return
            except BaseException:  # out of the objective, if it is called in this thread
                self.study.release(suggestion.id, spent=isinstance(self.pool, LocalExecutor))
                raise
            self.out[future] = suggestion.id
            future.add_done_callback(self.results.put)

    def _next(self) -> Suggestion | None:
        if self.interrupts.count:
            self.study.stop("interrupted by Ctrl-C; run() goes on", kind="interrupt")
        if self.error is not None or self.remaining < 1:
            return None
        suggestion = self.study.ask()
        if suggestion is None and not self.out and not self.study.is_done():
            ids = [opened.id for opened in self.study.open_suggestions]
            self.error = ProtocolError(
                f"all slots are taken by suggestions that this run did not hand out (ids {ids[:9]},"
                f" num_parallel = {self.study.parameters['num_parallel']}); report, clear or "
                "release them first, or raise num_parallel"
            )
        return suggestion

    def _give_up(self, error: BaseException) -> None:
        self.error = ProtocolError(
            f"the executor takes no more work ({type(error).__name__}: {error}); "
            "nothing is lost: call run again with a new executor"
        )

    # -- in -------------------------------------------------------------------------------

    def _wait(self) -> Future[Any] | None:
        """Return the next future that is done, or None after a Ctrl-C.

        Python looks at a signal that came just before the waiting began only when it ends.
        """
        while True:
            try:
                return self.results.get(timeout=_LOOK_UP)
            except Empty:
                continue

    def _take(self, future: Future[Any] | None) -> None:
        """Tell what became of an evaluation."""
        if future is None:
            if self.interrupts.count > 1:
                raise KeyboardInterrupt
            return
        id = self.out.pop(future)
        try:
            self._settle(id, future)
        except ProtocolError:
            if self.study.wants(id):
                raise
            # it was cleared or told by someone else meanwhile: the late result has no effect
        self.show()

    def _settle(self, id: int, future: Future[Any]) -> None:
        error = CancelledError() if future.cancelled() else future.exception()
        if error is None:
            self._tell(id, future.result())
        elif isinstance(error, CancelledError):
            self.study.release(id)
            self._give_up(error)
        elif isinstance(error, KeyboardInterrupt):  # in another process
            self.study.release(id, spent=True)
            self.interrupts.count += 1
        else:
            reason = f"{type(error).__name__}: {error}"
            worker_died = isinstance(error, BrokenExecutor)
            self.study.tell_failure(id, reason, worker_died=worker_died)

    def _tell(self, id: int, outcome: Outcome) -> None:
        if outcome.failure is not None:
            self.study.tell_failure(id, outcome.failure)
            return
        try:
            if outcome.mistake is not None:
                raise outcome.mistake
            self.study.tell(id, *split(outcome.result))
        except InputError as mistake:  # of whoever wrote the objective: tell them, keep the point
            self.study.release(id, spent=True)
            self.error = mistake
