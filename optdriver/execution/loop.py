"""The evaluation loop: keeps every slot of an executor busy, tells results as they come."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from queue import Empty
from typing import TYPE_CHECKING, Any, Final, Never
from weakref import WeakKeyDictionary

from optdriver.drivers import driver_factory
from optdriver.errors import (
    ConstraintWarning,
    GradientError,
    InputError,
    InputTypeError,
    ObjectiveWarning,
    ProtocolError,
    StudyDoneWarning,
    say,
    unknown_option,
)
from optdriver.execution import log, rounds
from optdriver.execution.calling import (
    Mistakes,
    Objective,
    Outcome,
    all_taken,
    evaluate,
    handed_over,
    output_names,
    prepare,
)
from optdriver.execution.deadlines import Deadlines, Durations
from optdriver.execution.interrupt import Interrupts
from optdriver.execution.pools import Pool, has_lost_worker, is_broken, lost_together
from optdriver.execution.progress import Show, progress_bar
from optdriver.execution.together import MANY, Column, goes_together
from optdriver.execution.turns import Turns, takes_turns
from optdriver.study.hints import hint_in_run
from optdriver.study.observation import parts

if TYPE_CHECKING:
    from optdriver.study import Study, Suggestion

_LEFT: Final[WeakKeyDictionary[Study, dict[int, Future[Any] | None]]] = WeakKeyDictionary()
"""What the last `run` of a study could not record: by id, the evaluation that it had sent out."""


def run(
    study: Study,
    objective: Objective | None = None,
    *,
    executor: Executor | Callable[[], Executor] | None = None,
    max_evaluations: int | None = None,
    timeout: float | None = None,
    progress: bool | None = None,
    vectorized: bool = False,
    **unknown: Never,
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
        a number, ``(value, gradient)``, a dict of ``value``, ``gradient`` and ``uncertainty``, or
        an `Observation`.  An exception is a failed evaluation.
        Without it, the one of ``study.set_objective``.
    executor : concurrent.futures.Executor or callable, optional
        Where to evaluate, or a function that makes such a place.  Without it: `num_parallel`
        threads, or this thread if that is 1.  A pool of processes that has lost a worker is made
        anew: the standard one, loky's, and whatever a function makes.  The evaluations that were
        lost together are then repeated one at a time, so that only the one whose worker dies again
        counts as failed.
    max_evaluations : int, optional
        Return after so many evaluations of this call.
    timeout : float, optional
        Seconds that one evaluation may take, counted from where a worker begins it.  After that it
        has failed, for that reason, and its place is free: a process is killed (with all workers of
        its pool, whose other evaluations are repeated), a thread is left alone and another one
        takes its place, the future of another executor is cancelled (there the time counts from the
        submission).  `run` then calls the objective in threads, where it did in this one.  Without
        it, what is open when `max_time` is over is given up in the same way as soon as it takes
        longer than any other evaluation took, unless the objective is called in this thread.
    progress : bool, optional
        A progress bar; by default in a terminal, if rich is installed.
    vectorized : bool
        Call the objective with up to `num_parallel` points at once, in this thread: an array of
        shape (k, n), a point a row, with the continuous parameters in their order
        (``study.space.free``).  It returns the values, shape (k,), or ``(values, gradients)`` with
        gradients of shape (k, n), or a dict of ``value``, ``gradient`` and ``uncertainty``; a row
        that is not finite has failed.  An exception fails the one point whose call raises it: the
        points of a round that raises are evaluated one by one.

    Raises
    ------
    InputError
        If the objective cannot be used, or returns what cannot be used.  Open evaluations are
        finished first; the point in question is handed out again by the next `run`.
    Exception
        What the objective raises, if that is a mistake in it (a `NameError`, say) and its first
        three evaluations, or all, have raised it.
    GradientError
        If ``check_grad=True`` finds a derivative that disagrees with finite differences.
    ProtocolError
        If the executor cannot be used any more, if evaluations that were given up hold all threads
        of a ``ThreadPoolExecutor``, or if all slots are taken by suggestions that were
        asked by hand.
    KeyboardInterrupt
        At the second Ctrl-C.
    StorageError
        If the file of the study cannot be written; what had been evaluated and could not be told
        is told by the next `run` of this process.

    Notes
    -----
    Each evaluation is a line of the logger ``optdriver`` (level INFO): its value, or why it failed,
    and the best value so far.

    Warns
    -----
    RuntimeWarning
        If the study stopped because too many evaluations in a row failed.
    ObjectiveWarning
        If the study stopped because the objective has one value at all points; or the last
        differences of values are below the noise that was told with these: which steps to take.
    StudyDoneWarning
        If the study is done already: why, and what to raise so that it goes on.
    UserWarning
        If nothing limits the study.
    """
    for argument in unknown:
        known = list(inspect.signature(run).parameters)[1:-1]
        said = hint_in_run(argument, study.parameters)
        raise unknown_option("argument of run", argument, known, said)
    limit = _check_limit(max_evaluations)
    deadlines = Deadlines(timeout)
    if vectorized:
        _run_rounds(study, objective, executor, timeout, limit, progress)
        return
    with (
        _pool(study, executor, limited=deadlines.limited) as pool,
        progress_bar(study, progress) as show,
    ):
        call = prepare(study, objective, None if executor is None else pool.executor)
        _check_end(study, limit)
        study.resume()
        study.release()
        loop = _Loop(study, call, pool, limit, show, deadlines)
        loop.adopt(_LEFT.get(study, {}))
        if loop.out or limit == 0 or not _is_done(study):
            _timed(study, loop)
    log.end(study)
    _report(study, loop.error or loop.mistakes.at_end(study))


def _run_rounds(
    study: Study,
    objective: Objective | None,
    executor: Any,
    timeout: float | None,
    limit: float,
    progress: bool | None,
) -> None:
    if executor is not None or timeout is not None:
        raise InputError(
            "vectorized=True calls the objective in this thread, with many points at once: it goes "
            "with neither executor= nor timeout="
        )
    call = rounds.prepare(study, objective)
    with progress_bar(study, progress) as show:
        _check_end(study, limit)
        study.resume()
        study.release()
        loop = rounds.Rounds(study, call, limit, show)
        if limit == 0 or not _is_done(study):
            _timed(study, loop)
    log.end(study)
    _report(study, loop.error or loop.mistakes.at_end(study))


def _timed(study: Study, loop: _Loop | rounds.Rounds) -> None:
    """Run a loop while the clock of the study goes."""
    study.start_clock(anew=False)
    try:
        loop.run()
    finally:
        study.suspend()


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
    targets = (given["eps"], given["min_val"], given["max_val"]) != (0.0, -math.inf, math.inf)
    targets = targets or study.is_profiling
    if min(caps) == math.inf and not targets:
        say(
            "nothing limits this study (max_iter, max_time, max_num_minimizers, min_val, eps): "
            "run() goes on until Ctrl-C or stop()",
            UserWarning,
        )


def _is_done(study: Study) -> bool:
    """Return whether there is nothing to evaluate; say why, and what would change it."""
    why = study.how_to_go_on()
    if why is not None and study.stop_kind != "check_grad":  # which is an error, see `_report`
        say(f"run() evaluates nothing: {why}", StudyDoneWarning)
    return why is not None


@contextmanager
def _pool(study: Study, executor: Any, *, limited: bool) -> Iterator[Pool]:
    """Yield the pool; it does not wait for its calls if an error came through."""
    pool = Pool(executor, study.parameters["num_parallel"], limited=limited)
    try:
        yield pool
    except BaseException:
        pool.close(wait=False)
        raise
    pool.close(wait=True)


def _report(study: Study, error: Exception | None) -> None:
    if error is not None:
        raise error
    if study.stop_kind == "check_grad":
        raise GradientError(str(study.stop_reason))
    if study.stop_kind == "failures":
        say(f"the study stopped: {study.stop_reason}", RuntimeWarning)
    if study.stop_kind == "flat":
        say(f"the study stopped: {study.stop_reason}", ObjectiveWarning)
    elif study.stop_kind is not None and (flat := study.flat()):
        say(flat, ObjectiveWarning)
    if study.stop_kind is not None and (resisting := study.unsatisfied()):
        say(resisting, ConstraintWarning)
    if study.stop_kind is not None and (noisy := study.below_noise()):
        say(noisy, ObjectiveWarning)


class _Loop:
    """One call of `run`: which evaluations are out, and what has to be said at the end."""

    def __init__(
        self,
        study: Study,
        call: Objective,
        pool: Pool,
        limit: float,
        show: Show,
        deadlines: Deadlines,
    ) -> None:
        self.deadlines, self.durations = deadlines, Durations()
        self.study, self.space = study, study.space
        self.handed = self.space.handed
        self.read = partial(
            parts,
            units=self.space.structure is not None,
            fits=driver_factory(study.spec.driver).fits,
            outputs=output_names(study),
        )
        self.call = call
        self.pool = pool
        self.remaining = limit
        self.show = show
        self.error: Exception | None = None
        self.mistakes = Mistakes()
        self.out: dict[Future[Any], int] = {}
        self.together = goes_together(study, pool)
        self.turns = Turns(self._turn, own=self.together and takes_turns(study, pool))
        self.interrupts = Interrupts(wake=self.turns.wake, may_raise=lambda: pool.is_calling)
        self.suspects: set[int] = set()
        self.held: dict[int, Future[Any] | None] = {}  # asked for, with its evaluation, if begun

    def adopt(self, left: dict[int, Future[Any] | None]) -> None:
        """Take over what an earlier run has left: results and evaluations that still go on."""
        for id, future in left.items():
            if not self.study.wants(id):
                continue
            self.held[id] = future
            if future is None or future.cancelled():
                self._release([id])
            else:
                self.out[future] = id
        for future in self.out:
            self.pool.adopt(future)
            self.durations.begin(future)

    def run(self) -> None:
        with self.interrupts.caught():
            try:
                self.turns.take(self._begin)
                while self.turns.take(self._is_waiting):
                    self.turns.take(self._turn, self._wait())
            finally:
                self.turns.end(self._leave)

    def _begin(self) -> None:
        """Listen to what was adopted, which may have ended long ago, and send others out."""
        for future in list(self.out):
            future.add_done_callback(self.turns.came)
        self._fill()

    def _is_waiting(self) -> bool:
        return bool(self.out)

    def _turn(self, future: Future[Any] | None) -> bool:
        """Tell what became of an evaluation, send others out; return whether any are."""
        self._take_all(future)
        if self.deadlines.limited:
            self._end_overdue()
        if future is None:
            self._end_late()
        self._fill()
        return bool(self.out)

    def _leave(self) -> None:
        """Give back what an exception left behind; a call that was begun counts for `max_iter`."""
        _LEFT[self.study] = self.held
        for future, id in self.out.items():
            self._release([id], spent=future.running() or future.done())

    # -- out ------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Submit points as long as there are any."""
        self._fill_together()
        while self._free() > 0 and (suggestion := self._next()) is not None:
            self.remaining -= 1
            params = handed_over(self.space, self.call, suggestion)
            if not self._send(suggestion.id, params):
                return

    def _fill_together(self) -> None:
        """Submit points that are asked for as one round, where many places are free."""
        free = min(self._free(), self.remaining)
        if not self.together or not MANY <= free < math.inf or not self._may_ask():
            return
        ids, points = self.study.ask_arrays(int(free))
        waiting = ids.tolist()
        self.held.update(dict.fromkeys(waiting))
        self.remaining -= len(waiting)
        for k, id in enumerate(ids.tolist()):
            if not self._send(id, self.space.params(points[k])):
                self._release(waiting[k + 1 :])
                return

    def _send(self, id: int, params: Any) -> bool:
        """Submit a point; return whether the executor takes more."""
        self.held[id] = None
        self.pool.make_room(len(self.out) + 1)  # places may have been added
        try:
            future = self.pool.submit(evaluate, self.call, params, id, self.handed)
        except (RuntimeError, BrokenExecutor) as error:  # it was shut down, or a worker died
            self._give_back(id)
            self._give_up(error)
            return False
        except BaseException:  # out of the objective, if it is called in this thread
            self._give_back(id, spent=self.pool.is_local)
            raise
        self.held[id] = future
        self.out[future] = id
        self.durations.begin(future)
        future.add_done_callback(self.turns.came)
        return True

    def _free(self) -> float:
        """Return how many places are free: where none is, nothing comes of asking.

        Where leases end, asking is what takes places back.
        """
        given = self.study.parameters
        if self.interrupts.count or given["lease_seconds"] < math.inf:
            return math.inf
        free: float = given["num_parallel"] - len(self.out)
        return free

    def _may_ask(self) -> bool:
        if self.interrupts.count:
            self.study.stop("interrupted by Ctrl-C; run() goes on", kind="interrupt")
        if self.error is not None or self.remaining < 1:
            return False
        # suspects are evaluated alone, to see which one kills its worker
        return not (self.out and any(map(self.study.wants, self.suspects)))

    def _next(self) -> Suggestion | None:
        if not self._may_ask():
            return None
        suggestion = self.study.ask()
        if suggestion is None and not self.out and not self.study.is_done():
            self.error = all_taken(self.study)
        return suggestion

    def _give_up(self, error: BaseException) -> None:
        self.error = ProtocolError(
            f"the executor takes no more work ({type(error).__name__}: {error}); "
            "nothing is lost: call run again with a new executor"
        )

    # -- in -------------------------------------------------------------------------------

    def _wait(self) -> Future[Any] | None:
        """Return the next future that is done, or None after a Ctrl-C or where time may be over.

        Python looks at a signal that came just before the waiting began only when it ends.
        """
        while True:
            try:
                return self.turns.wait(self.deadlines.wait())
            except Empty:
                given = self.study.parameters
                if (
                    self.deadlines.limited
                    or min(given["lease_seconds"], given["max_time"]) < math.inf
                ):
                    return None  # one may have ended meanwhile, or the time of the study

    def _end_overdue(self) -> None:
        """Give up the evaluations that have taken too long: they have failed."""
        overdue = self.deadlines.overdue(self.out, self.pool.has_begun)
        if not overdue:
            return
        self._give_up_on(overdue, f"timeout: it did not end within {self.deadlines.timeout:g} s")
        if self.pool.is_stuck:
            self._withdraw()  # they would wait for a thread for ever
            self.error = ProtocolError(
                "evaluations that were given up hold all threads of the executor; nothing is lost: "
                "leave the executor out, or use processes, and call run again"
            )

    def _end_late(self) -> None:
        """Give up what keeps the study from ending when its time is over.

        Those are evaluations that take longer than any other one took; the rest may end as usual.
        What has not begun is not waited for.  Where each has a limit, that ends what has begun, and
        only what no worker has begun in as long a time is given up: one may hang in its own start.
        """
        given = self.study.parameters
        if given["max_time"] == math.inf or not self.out:
            return
        if self.study.info()["elapsed"] - given["max_time_from"] < given["max_time"]:
            return
        if self.pool.tells_beginnings:
            self._withdraw()
        over = f"max_time = {given['max_time']:g} s is over, and"
        if self.deadlines.limited:
            if self.durations.shortest(self.out) >= self.deadlines.timeout and not any(
                map(self.pool.has_begun, self.out)
            ):
                said = f"no worker began it within {self.deadlines.timeout:g} s"
                self._give_up_on(list(self.out), f"{over} {said}")
            return
        late, longest = self.durations.late(self.out), self.durations.longest
        if late:
            took = f"did not end within {longest:.3g} s, the longest time that another one took"
            took = took if longest > 0.0 else "had not ended by then"
            self._give_up_on(late, f"{over} it {took}")

    def _withdraw(self) -> None:
        """Take back the evaluations that have not begun."""
        waiting = [future for future in list(self.out) if future.cancel()]
        self._release([self.out.pop(future) for future in waiting])

    def _give_up_on(self, futures: list[Future[Any]], reason: str) -> None:
        """Wait no more for evaluations: they have failed."""
        ids = [self.out.pop(future) for future in futures]
        lost = self.pool.give_up(futures, list(self.out))
        self._release([self.out.pop(future) for future in lost], spent=True)
        for id in ids:
            if self.study.wants(id):
                self.study.tell_failure(id, reason)
                log.failure(id, reason)
            self.held.pop(id, None)
        self.show()

    def _take_all(self, future: Future[Any] | None) -> None:
        """Tell what became of an evaluation, and of those that have ended meanwhile."""
        came = [future]
        if self.together:
            came += self.turns.others()
        if len(came) >= MANY:
            came = self._take_together(came)
        for each in came:
            self._take(each)

    def _take_together(self, came: list[Future[Any] | None]) -> list[Future[Any] | None]:
        """Tell plain results as one round; return what is left to be told by itself."""
        column = Column(self.space.size if self.study.parameters["jac"] else 0)
        left = [
            each for each in came if each is None or each not in self.out or not column.takes(each)
        ]
        if len(column.futures) < MANY:
            return came
        told = {each: self.out.pop(each) for each in column.futures}
        try:
            self.study.tell_arrays(list(told.values()), column.values, column.gradients)
        except (InputError, ProtocolError):  # of one of them: it is found where each is told
            self.out.update(told)
            return came
        for each, id in told.items():
            self.durations.end(each)
            self.suspects.discard(id)
            del self.held[id]
        self.show()
        return left

    def _take(self, future: Future[Any] | None) -> None:
        """Tell what became of an evaluation."""
        if future is None:
            if self.interrupts.count > 1:
                raise KeyboardInterrupt
            return
        self.durations.end(future)
        id = self.out.pop(future, None)
        if id is None:
            return  # lost together with another one
        try:
            self._settle(id, future)
        except ProtocolError:
            if self.study.wants(id):
                del self.held[id]
                raise
            # it was cleared or told by someone else meanwhile: the late result has no effect
        self.held.pop(id, None)
        self.show()

    def _settle(self, id: int, future: Future[Any]) -> None:
        error = CancelledError() if future.cancelled() else future.exception()
        if is_broken(error):
            self._lose(id, future)
        elif error is None:
            self.suspects.discard(id)
            self._tell(id, future.result())
        elif isinstance(error, CancelledError):
            self._give_back(id)
            self._give_up(error)
        elif isinstance(error, KeyboardInterrupt):  # in another process
            self._give_back(id, spent=True)
            self.interrupts.count += 1
        else:
            reason = f"{type(error).__name__}: {error}"
            self.study.tell_failure(id, reason, worker_died=has_lost_worker(error))
            log.failure(id, reason)

    def _lose(self, id: int, future: Future[Any]) -> None:
        """Take note that a worker died.  If several calls were out, any of them may have done it.

        They are all suspects then, to be evaluated alone, and none has failed yet.
        """
        lost = {future: id} | self.out
        lost = {each: lost[each] for each in lost_together(future, list(self.out))}
        self.out = {each: other for each, other in self.out.items() if each not in lost}
        self.suspects.update(lost.values())
        if len(lost) == 1:
            error = future.exception()
            reason = f"{type(error).__name__}: {error}"
            self.study.tell_failure(id, reason, worker_died=True)
            log.failure(id, reason)
            return
        self._release(list(lost.values()), spent=True)

    def _release(self, ids: list[int], *, spent: bool = False) -> None:
        """Give back those that are open."""
        opened = {suggestion.id for suggestion in self.study.open_suggestions}
        for id in ids:
            if id in opened:
                self._give_back(id, spent=spent)
            self.held.pop(id, None)

    def _give_back(self, id: int, *, spent: bool = False) -> None:
        self.study.release(id, spent=spent)
        self.held.pop(id, None)

    def _tell(self, id: int, outcome: Outcome) -> None:
        if outcome.failure is not None:
            self.study.tell_failure(id, outcome.failure)
            log.failure(id, outcome.failure)
            self.error = self.error or self.mistakes.found(self.study, outcome)
            return
        try:
            if outcome.mistake is not None:
                raise outcome.mistake
            told = self.read(outcome.result)
            self.study.tell(id, **told)
            log.value(self.study, id, told["value"])
        except InputError as mistake:  # of whoever wrote the objective: tell them, keep the point
            self._give_back(id, spent=True)
            self.error = mistake
