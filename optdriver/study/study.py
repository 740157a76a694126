"""`Study`: ask and tell by name, from any thread."""

from __future__ import annotations

import html
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Never, overload

import numpy as np
from numpy.typing import NDArray

from optdriver import outer
from optdriver.drivers import driver_factory
from optdriver.errors import (
    InputError,
    InputTypeError,
    ObjectiveWarning,
    ProtocolError,
    StudyDoneError,
    say,
)
from optdriver.numerics import quiet
from optdriver.space.space import Space
from optdriver.study import (
    asking,
    deviations,
    flatness,
    fold,
    inputs,
    intervals,
    observation,
    reports,
    results,
    snapshots,
)
from optdriver.study import uncertainty as spreads
from optdriver.study.desk import Clock, Desk
from optdriver.study.events import Event, Journal
from optdriver.study.noisiness import below_noise
from optdriver.study.observation import Observation
from optdriver.study.other_dialect import DriverPart, from_data, historic
from optdriver.study.profiling import ProfileRow
from optdriver.study.reports import Best, History, LocalMinimum, RunRow, Suggestion, Verified
from optdriver.study.round_inputs import (
    round_gradients,
    round_ids,
    round_outputs,
    round_values,
)
from optdriver.study.spec import Spec
from optdriver.study.state import Entry, State, find, is_profiling
from optdriver.study.tables import Rows
from optdriver.study.uncertainty import Uncertainty
from optdriver.study.unsatisfied import unsatisfied
from optdriver.study.waiting import Threads, check_number_wanted, check_timeout

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Study:
    """An optimisation that is asked for points and told what was observed there.

    Made by `create_study` or `client().create_study`.  All methods may be called from any thread.

    >>> from optdriver import create_study
    >>> study = create_study({'x': (-2, 2), 'y': (-2, 2)}, jac=True, max_num_minimizers=1)
    >>> while (suggestion := study.ask()) is not None:
    ...     x, y = suggestion.params['x'], suggestion.params['y']
    ...     study.tell(suggestion.id, (x - 1) ** 2 + y**2, [2 * (x - 1), 2 * y])
    >>> round(study.best.value, 9), study.stop_reason
    (0.0, '1 minimizer has converged')
    """

    def __init__(
        self,
        spec: Spec,
        *,
        journal: Journal | None = None,
        clock: Clock = time.monotonic,
        state: State | None = None,
    ) -> None:
        self._desk = Desk(spec, state, journal, clock)
        self._threads = Threads()
        self._lock = self._threads.lock
        self._objective: Callable[..., Any] | None = None
        self._said_unused = False

    # -- configuration --------------------------------------------------------------------

    @property
    def spec(self) -> Spec:
        """The specification: parameters, driver, driver parameters, name."""
        return self._desk.spec

    @property
    def space(self) -> Space:
        """The parameters."""
        return self._desk.spec.space

    @property
    def name(self) -> str:
        """The name that was given to the study."""
        return self._desk.spec.name

    @property
    def parameters(self) -> dict[str, Any]:
        """The present driver parameters by name."""
        return dict(self._desk.parameters)

    configuration = parameters

    @property
    def driver(self) -> DriverPart:
        """The driver, for those who ask it for ``best_sample`` and the like."""
        return DriverPart(self)

    @quiet
    def set_parameters(self, **given: Any) -> None:
        """Set driver parameters; also there as `configure`.

        Before the first suggestion all of them may be set.  Later, and after the study has
        stopped, those that say how far and from where it goes: `max_iter`, `max_time`,
        `num_parallel`, `eps`, `min_val`, `max_val`, `max_num_minimizers`, `num_initial`,
        `start_rule`, `stop_when`, `max_failures`, `retries`, `worker_retries`, `lease_seconds`,
        `stop_after_failures`; and `initial_samples`, which are added to those that were given
        before and come next.  A study that was stopped by a limit goes on when that is raised.

        Raises
        ------
        UnknownOptionError
            For an unknown parameter; the message names the nearest known one.
        InputError
            For a value of the wrong kind.
        ProtocolError
            For a parameter that cannot be changed any more.
        """
        with self._lock:
            self._desk.configure(given)
            self._threads.wake()

    configure = set_parameters

    @quiet
    def set_objective(self, objective: Callable[..., Any]) -> None:
        """Set the objective that `run` evaluates; also there as `set_evaluator`.

        It is called with all parameters by name, and with ``study=`` if it has an argument of that
        name.  It returns a number, a pair ``(value, gradient)`` with the gradient as an array or
        by name, a dict of ``value``, ``gradient`` and ``uncertainty``, or an `Observation`; with
        ``driver='least-squares'`` residuals, a pair ``(residuals, jacobian)``, a dict of
        ``residuals``, ``jacobian`` and ``uncertainty``, or an `Observation`.
        """
        if not callable(objective):
            raise InputTypeError(f"the objective must be callable, not {objective!r}")
        self._objective = objective

    set_evaluator = set_objective

    @property
    def objective(self) -> Callable[..., Any] | None:
        """The objective that was set, None if there is none."""
        return self._objective

    def new_observation(self) -> Observation:
        """Return an empty observation, to be filled by ``observation.add(...)``."""
        return Observation()

    # -- asking ---------------------------------------------------------------------------

    @overload
    def ask(self) -> Suggestion | None: ...
    @overload
    def ask(self, n: int, *, fill: bool = False) -> list[Suggestion]: ...
    def ask(
        self, n: int | None = None, *, fill: bool = False
    ) -> Suggestion | list[Suggestion] | None:
        """Return the next suggestion, or a list of up to `n` of them.  Never waits.

        None (or an empty list) means that there is nothing to evaluate now: `num_parallel`
        suggestions are open, or their results are needed first, or the study is done.

        Parameters
        ----------
        n : int, optional
            How many are wanted.
        fill : bool
            Return exactly `n`, whatever is open, as long as the study is not done, `max_iter`
            leaves so many and there are starts: new minimizers begin, beyond
            `max_num_minimizers` too, and if there is nothing else a point that is open is handed
            out once more.  Only CMA-ES and other populations may still give fewer.
        """
        if n is not None:
            check_number_wanted(n)
        found: list[Suggestion] = []
        try:
            self._ask(1 if n is None else n, found, fill=fill)
            return found if n is not None else found[0] if found else None
        except BaseException:
            self._not_received(found)
            raise

    @quiet
    def _ask(self, wanted: int, found: list[Suggestion], *, fill: bool = False) -> None:
        """Put up to `wanted` suggestions into `found`."""
        with self._lock:
            while len(found) < wanted:
                entry = asking.ask(self._desk, len(found), fill=fill)
                if entry is None:
                    break
                found.append(self._suggestion(entry))
            del self._desk.handing[: len(found)]
            if wanted:
                self._threads.note_asked(len(found), self._desk.state)

    def _not_received(self, suggestions: Iterable[Suggestion]) -> None:
        """Let suggestions that a call could not return come first in the next one."""
        with self._lock:
            asking.not_received(self._desk, [suggestion.id for suggestion in suggestions])

    @quiet
    def ask_arrays(
        self, n: int | None = None, *, fill: bool = False
    ) -> tuple[IntArray, FloatArray]:
        """Return the next points as an array, for an objective that evaluates many at once.

        Parameters
        ----------
        n : int, optional
            How many points are wanted at most; as many as `num_parallel` leaves without it.
        fill : bool
            As for `ask`.

        Returns
        -------
        ids : ndarray of int, shape (k,)
            By which the results are told, with `tell_arrays` or `tell`.
        x : ndarray, shape (k, n)
            A point a row: the continuous parameters in their order, ``study.space.free``.  There
            is no row when nothing can be evaluated now, as for `ask`.

        Notes
        -----
        The whole round is one event of the study, and so is that of its results; a round in a file
        costs one writing.

        Examples
        --------
        >>> from optdriver import create_study
        >>> study = create_study({'x': (-2, 2), 'y': (-2, 2)}, jac=True, num_parallel=64,
        ...                      max_num_minimizers=64)
        >>> while not study.is_done():
        ...     ids, x = study.ask_arrays()
        ...     study.tell_arrays(ids, ((x - 1) ** 2).sum(axis=1), 2 * (x - 1))
        >>> round(study.best.value, 9)
        0.0
        """
        if n is not None:
            check_number_wanted(n)
        ids: IntArray = np.array([], dtype=np.int64)
        try:
            with self._lock:
                desk = self._desk
                ids, x = asking.ask_round(desk, math.inf if n is None else n, fill=fill)
                self._threads.note_asked(len(ids), desk.state)
                del desk.handing[: len(ids)]
                return ids, x
        except BaseException:
            with self._lock:
                asking.not_received(self._desk, ids.tolist())
            raise

    def get_suggestion(self, block: bool = True, timeout: float | None = None) -> Suggestion | None:
        """Return the next suggestion; wait for it if another thread can bring it about.

        Parameters
        ----------
        block : bool
            False returns None at once when there is nothing to evaluate now.
        timeout : float, optional
            Seconds after which None is returned, whether or not anything could come.

        Raises
        ------
        StudyDoneError
            If the study is done (`is_done` tells so beforehand).
        ProtocolError
            If, without a timeout, nothing can be suggested and no other thread could change that.
        """
        deadline = math.inf if timeout is None else time.monotonic() + check_timeout(timeout)
        suggestion = None
        try:
            while True:
                with self._lock:
                    suggestion = self.ask()
                    if suggestion is None and self._is_worth_waiting(block, timeout):
                        self._threads.begin_waiting()
                if suggestion is not None or not block:
                    return suggestion
                if not self._threads.wait(deadline - time.monotonic()):
                    return None
        except BaseException:
            self._threads.end_waiting()
            self._not_received([] if suggestion is None else [suggestion])
            raise

    @quiet
    def _is_worth_waiting(self, block: bool, timeout: float | None) -> bool:
        """Raise where no suggestion can come; return whether one is waited for."""
        if asking.is_done(self._desk):
            raise StudyDoneError(f"no more suggestions: {asking.why_done(self._desk)}")
        if block and timeout is None and self._desk.parameters["lease_seconds"] == math.inf:
            self._threads.check_not_alone(self._desk.state)
        return block

    def _suggestion(self, entry: Entry) -> Suggestion:
        params = self._desk.spec.space.params(entry.x)
        return Suggestion(id=entry.id, params=params, x=entry.x, kind=entry.kind, run=entry.run)

    @property
    @quiet
    def open_suggestions(self) -> tuple[Suggestion, ...]:
        """The suggestions that were handed out and not told."""
        with self._lock:
            return tuple(self._suggestion(entry) for entry in self._desk.state.open.values())

    # -- telling --------------------------------------------------------------------------

    @quiet
    def tell(
        self,
        id: int,
        value: Any = None,
        gradient: Any = None,
        *,
        outputs: Any = None,
        residuals: Any = None,
        jacobian: Any = None,
        uncertainty: Any = None,
    ) -> None:
        """Report the result of a suggestion.

        Tells come in any order, each id once; a second tell with the same result is ignored.

        Parameters
        ----------
        id : int
            ``suggestion.id``.
        value : float, quantity or Observation
            The value; NaN, infinite or None report a failed evaluation.  So does a gradient that
            is not finite; the value then counts for `best` all the same.  Where parameters have a
            structure it may have a unit; the numbers are in that of the first one told then
            (``parameters['value_unit']``).
        gradient : array, mapping or structure, optional
            Derivatives by the continuous parameters, in their order, by name, or with the structure
            of the parameters (with units: those of the value over those of the parameter).  Those
            by dependent parameters are carried on by the chain rule.  Not used with ``jac=False``,
            which an `ObjectiveWarning` says once.
        outputs : mapping, optional
            Of a study with `outputs`: ``{'stress': value}``, or with ``jac=True``
            ``{'stress': (value, gradient)}``, the gradient as that of the objective.  One that is
            not finite is a failed evaluation.
        residuals : array_like, shape (m,), optional
            With ``driver='least-squares'``, instead of the value; `value` may hold them too.
        jacobian : array_like, shape (m, n), or mapping of names to columns, optional
            The derivatives of the residuals by the continuous parameters, where ``jac=True``;
            `gradient` may hold them too.
        uncertainty : float, quantity, or array_like of shape (m,), optional
            The standard deviation of the value.  Line searches and steps of differences allow for
            it, and no success is claimed beyond it.  Of residuals those of the data, one number or
            one for each: residuals are divided by them, so that the value is half of chi squared,
            and they are the same at every point.

        Raises
        ------
        UnknownIdError
            For an id that was never handed out.
        ProtocolError
            If a different result was reported before.
        InputError
            For a result of the wrong kind, or a derivative that ``jac=True`` promises and that is
            missing.  The suggestion stays open.
        """
        if residuals is not None or jacobian is not None:
            given = (value, gradient, residuals, jacobian)
            value, gradient = inputs.one_of(*given, fits=self._desk.fits)
        with self._lock:
            desk, state = self._desk, self._desk.state
            results.check_id(state, id)
            if desk.spec.space.structure is not None:
                value = results.value_in_unit(desk, value)
                uncertainty = results.value_in_unit(desk, uncertainty)
            first = desk.fits and not results.residuals(desk)
            told = results.read(desk, state, id, value, gradient, outputs, uncertainty)
            results.told(desk, state, id, told)
            self._threads.note_result()
        if gradient is not None and not state.parameters["jac"]:
            self._say_unused()
        if told.residuals is not None and first:
            self._say_few(told.residuals.size)

    def _say_few(self, m: int) -> None:
        """Say of the first residuals that they are fewer than the parameters."""
        if m < (n := self.space.size):
            say(
                f"{m} residual{'s' * (m > 1)} for {n} parameters: not all of these can be "
                "determined; study.uncertainty() says which",
                ObjectiveWarning,
            )

    @quiet
    def tell_arrays(
        self,
        ids: Any,
        values: Any,
        gradients: Any = None,
        *,
        outputs: Any = None,
        uncertainty: Any = None,
    ) -> None:
        """Report the results of many suggestions at once, all of them or none.

        Parameters
        ----------
        ids : sequence of int, shape (k,)
            Those of `ask_arrays`, or of `ask`; in any order, not all of a round need be there.
        values : array_like, shape (k,)
            The values.  One that is NaN, infinite, None or masked reports a failed evaluation.
        gradients : array_like of shape (k, n), or mapping, optional
            The derivatives by the continuous parameters, a row a point, or by name, an array of
            shape (k,) each.  A row that is not finite (or masked) is a failed evaluation too, of
            which the value counts for `best`.
        outputs : mapping, optional
            Of a study with limits on outputs, those by name: an array of shape (k,) each, or with
            its derivatives, ``(values, gradients)``, these as those of the objective.  What is not
            finite is a failed evaluation.
        uncertainty : float, or array_like of shape (k,), optional
            The standard deviations of the values, NaN or None where one is not known.

        Raises
        ------
        UnknownIdError
            For an id that was never handed out.
        ProtocolError
            If a different result was reported before for one of them.
        InputError
            For results of the wrong kind or shape; all suggestions stay open.
        """
        self._tell_arrays(ids, values, gradients, "", uncertainty, outputs)

    def _tell_arrays(
        self,
        ids: Any,
        values: Any,
        gradients: Any,
        reason: str,
        uncertainty: Any = None,
        outputs: Any = None,
    ) -> None:
        """Report results, of which those that are not finite have failed for a reason."""
        listed = round_ids(ids)
        if self._desk.fits:
            raise InputError(
                f"driver={self._desk.spec.driver!r} is told residuals, a point at a time: use "
                "tell, or run without vectorized=True"
            )
        numbers = round_values(values, len(listed))
        array = round_gradients(gradients, len(listed), self.space)
        spreads = deviations.of_values(uncertainty, len(listed))
        with self._lock:
            desk = self._desk
            results.check_ids(desk, listed)
            jac = bool(desk.parameters["jac"])
            put = round_outputs(outputs, numbers, desk.spec.limits, self.space, jac=jac)
            if not jac:
                array = None
            elif array is None and np.isfinite(numbers).any():
                raise observation.missing_derivative(self.space.free[0])
            results.told_round(desk, listed, numbers, array, reason, spreads, put)
            self._threads.note_result()
        if gradients is not None and array is None:
            self._say_unused()

    @quiet
    def fail_arrays(self, ids: Any, reason: str = "") -> None:
        """Report that the evaluations of many suggestions failed, as one event."""
        listed = round_ids(ids)
        text = str(reason) or "no reason given"
        self._tell_arrays(listed, np.full(len(listed), math.nan), None, text)

    def _say_unused(self) -> None:
        """Say once that gradients are supplied which nothing uses."""
        if self._said_unused or not driver_factory(self._desk.spec.driver).gradient:
            return
        self._said_unused = True
        say(
            "a gradient was told, and jac=False does not use it: set jac=True, and no evaluations "
            "are spent on finite differences",
            ObjectiveWarning,
        )

    @quiet
    def tell_failure(
        self, id: int, reason: str = "", *, worker_died: bool = False, expired: bool = False
    ) -> None:
        """Report that the evaluation of a suggestion failed.

        The point is tried again up to `retries` times (`worker_retries` if the worker died); after
        that the minimizer steps back toward its last good point.

        Parameters
        ----------
        id : int
            ``suggestion.id``.
        reason : str
        worker_died : bool
            Whether the failure is that of a worker, and not of the point.
        expired : bool
            Whether nothing was heard of the worker, which may still live: a value that it tells
            later all the same is recorded, and no error.
        """
        with self._lock:
            results.check_id(self._desk.state, id)
            retries = self._desk.parameters["worker_retries" if worker_died else "retries"]
            results.failed(
                self._desk, id, str(reason) or "no reason given", retries, expired=expired
            )
            self._threads.note_result()

    @quiet
    def clear_suggestion(self, id: int, message: str = "") -> None:
        """Give a suggestion up: its evaluation counts as failed, for the reason `message`."""
        with self._lock:
            results.check_id(self._desk.state, id)
            results.failed(self._desk, id, str(message) or "cleared", 0)
            self._threads.note_result()

    @quiet
    def clear_all_suggestions(self, message: str = "") -> None:
        """Give all open suggestions up; together they count as one failure in a row."""
        with self._lock:
            results.clear(self._desk, list(self._desk.state.open), str(message) or "cleared")
            self._threads.note_result()

    @quiet
    def wants(self, id: int) -> bool:
        """Return whether suggestion `id` still wants a result."""
        with self._lock:
            results.check_id(self._desk.state, id)
            return find(self._desk.state, id) is not None

    @quiet
    def release(self, id: int | None = None, *, spent: bool = False) -> None:
        """Give an open suggestion back without a result: it is handed out again, under its id.

        Parameters
        ----------
        id : int, optional
            Without it, all open suggestions that this process did not hand out are given back
            (those of a study that was restored).
        spent : bool
            True if the objective was called: that counts as an evaluation.
        """
        with self._lock:
            state = self._desk.state
            if id is not None:
                results.check_id(state, id)
            orphans = [key for key, entry in state.open.items() if not entry.here]
            self._release(orphans if id is None else [id], spent)

    @quiet
    def release_all(self, *, spent: bool = False) -> None:
        """Give all open suggestions back, those too that this process asked for and has lost.

        They are handed out again, under their ids; `spent` as for `release`.
        """
        with self._lock:
            self._release(list(self._desk.state.open), spent)

    def _release(self, ids: list[int], spent: bool) -> None:
        results.release(self._desk, ids, spent=spent)
        self._threads.note_result()

    @quiet
    def add_point(
        self,
        point: Any,
        value: Any,
        gradient: Any = None,
        *,
        outputs: Any = None,
        uncertainty: Any = None,
    ) -> int:
        """Add an evaluation that the study did not ask for; return its id.

        It counts for the best value, for the history and for start rules, not for `max_iter`.

        Parameters
        ----------
        point : mapping or sequence
            Parameters by name, or the continuous ones in order; feasible.
        value, gradient, outputs, uncertainty
            As for `tell`.
        """
        limits = self._desk.spec.limits
        made = inputs.added(
            point, value, gradient, self.space, self._fit(), outputs, limits, uncertainty
        )
        return self._add([made])[0]

    def _fit(self) -> inputs.Fit | None:
        """Return what is to be known of residuals to read them, None where values are told."""
        with self._lock:
            return results.fitted(self._desk, self._desk.state) if self._desk.fits else None

    def _add(self, points: list[inputs.Added]) -> list[int]:
        with self._lock:
            ids = results.add(self._desk, points)
            self._threads.note_result()
            return ids

    @quiet
    def add_observation(
        self,
        observation: Observation,
        suggestion_id: int | None = None,
        sample: Mapping[str, Any] | None = None,
        design_value: Sequence[Any] | None = None,
    ) -> None:
        """Report an observation, for a suggestion or for a point of one's own.

        Parameters
        ----------
        observation : Observation
        suggestion_id : int, optional
            ``suggestion.id``; without it the point is added, as by `add_point`.
        sample : dict, optional
            The point by name.
        design_value : list, optional
            The point as the continuous parameters in order.
        """
        point = inputs.place_of(observation, suggestion_id, sample, design_value)
        if suggestion_id is None:
            self.add_point(point, observation)
            return
        if point is not None:
            with self._lock:
                results.check_point(self._desk, suggestion_id, point)
        self.tell(suggestion_id, observation)

    @quiet
    def add_many(self, observations: Iterable[Observation], points: Iterable[Any]) -> list[int]:
        """Add many evaluations that the study did not ask for; return their ids.

        All are checked first: where one cannot be used, none is added.  When the call is broken off
        all have been added, or none.
        """
        limits = self._desk.spec.limits
        return self._add(
            inputs.many_added(list(observations), list(points), self.space, self._fit(), limits)
        )

    @quiet
    def add_observation_data(self, data: Mapping[str, Any]) -> list[int]:
        """Add what `get_observation_data` of a study returned; return the ids of the points here.

        Where that study is at hand, `add_history` takes over its evaluations.  All are checked
        first: where one cannot be used, none is added.

        Parameters
        ----------
        data : mapping
            With ``sample`` (parameters by name), ``value`` and, optionally, ``derivatives`` (by
            name, or None), of one point or lists over several; ``outputs``, by name, for a study
            that has any; and ``uncertainty``.
        """
        return self._add(from_data(data, self.space, self._fit(), self._desk.spec.limits))

    @quiet
    def add_history(self, other: Study) -> list[int]:
        """Take over the evaluations of another study; return the ids they have here.

        They count as points that were added: for the best value, for the history and for start
        rules, not for `max_iter`.  Where this study comes to one of these points, to the bit, its
        value is known and not evaluated again (unless ``memory=False``, or with `noise`; with
        ``jac=True`` its gradient must be known too).  Evaluations that failed, that are here
        already, or that lie outside the bounds or the constraints of this study are left out.

        Parameters
        ----------
        other : Study
            It has the same parameters by name, and the same fixed ones; bounds, constraints,
            driver and driver parameters may differ.

        Raises
        ------
        InputError
            If `other` is no study, or one of other parameters.
        """
        if not isinstance(other, Study):
            raise InputTypeError(
                f"add_history takes a study, not {other!r}; open a file with "
                "optdriver.load_study(path, read_only=True)"
            )
        given = other.to_dict()["ledger"]
        with self._lock:
            return self._add(inputs.taken_over(given, other.spec, self._desk.state))

    # -- running --------------------------------------------------------------------------

    def run(
        self,
        objective: Callable[..., Any] | None = None,
        *,
        executor: Executor | None = None,
        max_evaluations: int | None = None,
        timeout: float | None = None,
        progress: bool | None = None,
        vectorized: bool = False,
        **unknown: Never,
    ) -> None:
        """Evaluate the objective until the study is done: see `optdriver.execution.run`.

        Parameters
        ----------
        objective : callable, optional
            Otherwise the one of `set_objective`.
        executor : concurrent.futures.Executor, optional
            Where to evaluate; threads by default.
        max_evaluations : int, optional
            Return after this many evaluations of this call.
        timeout : float, optional
            Seconds that one evaluation may take; after that it has failed, for that reason.
        progress : bool, optional
            A progress bar; by default only in a terminal.
        vectorized : bool
            Call the objective with up to `num_parallel` points at once, the rows of an array.
        """
        outer.call(
            "run",
            self,
            objective,
            executor=executor,
            max_evaluations=max_evaluations,
            timeout=timeout,
            progress=progress,
            vectorized=vectorized,
            **unknown,
        )

    @quiet
    def start_clock(self, *, anew: bool = True) -> None:
        """Count the run time for `max_time` from now on; the first suggestion does it too.

        A study that `max_time` has stopped goes on then.

        Parameters
        ----------
        anew : bool
            False lets the clock of a study that was suspended, or opened, go on from where it is.
        """
        with self._lock:
            self._desk.start_clock(anew=anew)
            self._threads.wake()

    @quiet
    def suspend(self) -> None:
        """Halt the clock until the next suggestion or `run`, or ``start_clock(anew=False)``."""
        with self._lock:
            self._desk.suspend()

    @quiet
    def reevaluate(self, objective: Callable[..., Any] | None = None) -> None:
        """Begin anew with another objective, and keep what was observed as the former one's.

        For an objective that was changed on purpose: a finer mesh, a corrected term, new data.
        `best`, `minima`, `runs` and the counts are those of the new objective from here on;
        `history` keeps all evaluations, and its column ``objective`` says whose they are.  The
        minima of the former objective, or its best point, are the first starts; those that were
        given and those of the sequence follow.  `max_iter` counts from zero again, `max_time`
        goes on.  Evaluations that are open are given up: a result that comes later is recorded,
        and has no effect.

        Nothing is evaluated by this call: go on with `run`, or `ask`.

        Parameters
        ----------
        objective : callable, optional
            The new objective, for `run`, as for `set_objective`.

        Raises
        ------
        InputTypeError
            If it is not callable; nothing has changed then.
        """
        before = self._objective
        if objective is not None:
            self.set_objective(objective)
        try:
            with self._lock:
                self._desk.renew(reports.former_starts(self._desk.state))
                self._threads.note_result()
        except BaseException:
            self._objective = before  # values of two objectives would be taken for those of one
            raise

    @quiet
    def stop(self, reason: str = "stopped by the user", *, kind: str = "stop") -> None:
        """Stop asking; open suggestions can still be told.  `run` or `resume` goes on later."""
        with self._lock:
            self._desk.stop(kind, reason)
            self._threads.wake()

    @quiet
    def resume(self) -> None:
        """Go on after `stop`, after Ctrl-C, or after too many failures in a row."""
        with self._lock:
            self._desk.resume()
            self._threads.wake()

    @quiet
    def is_done(self) -> bool:
        """Return whether no more suggestions will come."""
        with self._lock:
            return asking.is_done(self._desk)

    # -- reporting ------------------------------------------------------------------------

    @property
    @quiet
    def best(self) -> Best | None:
        """The best observed point, None before there is one.

        That of the lowest value, or of the highest with ``direction='maximize'``; of a study with
        outputs, of the points that satisfy all limits to the tolerance (`feasibility`).
        """
        with self._lock:
            return reports.best(self._desk.state)

    @property
    def best_value(self) -> float | None:
        """The value of `best`, None before there is one."""
        with self._lock:
            ledger = self._desk.state.ledger
            return None if ledger.best < 0 else float(ledger.best_value)

    @property
    @quiet
    def minima(self) -> Rows[LocalMinimum]:
        """The distinct local minima that minimizers converged to, lowest first (a table).

        With ``direction='maximize'`` they are the maxima, highest first.
        """
        with self._lock:
            return reports.minima(self._desk.state)

    @property
    @quiet
    def runs(self) -> Rows[RunRow]:
        """A row for each minimizer; shown as a table."""
        with self._lock:
            return reports.runs(self._desk.state)

    @property
    @quiet
    def history(self) -> History:
        """Every evaluation that has ended, as columns for pandas and polars."""
        with self._lock:
            return reports.history(self._desk.state)

    @property
    def objective_number(self) -> int:
        """How often the objective was changed by `reevaluate`: the last in the history's column."""
        with self._lock:
            return len(self._desk.state.ledger.renewals)

    @property
    def num_evaluations(self) -> int:
        """Evaluations of the present objective that have ended, failed ones too."""
        with self._lock:
            return self._desk.state.spent

    @property
    def stop_reason(self) -> str | None:
        """Why the study stopped asking, None while it has not."""
        with self._lock:
            stop = self._desk.state.stop
            return None if stop is None else stop[1]

    @property
    def stop_kind(self) -> str | None:
        """The limit or cause that stopped the study, None while none has.

        One of 'max_iter', 'max_time', 'eps', 'min_val', 'max_val', 'driver', 'flat', 'failures',
        'check_grad', 'stop', 'interrupt'.
        """
        with self._lock:
            stop = self._desk.state.stop
            return None if stop is None else stop[0]

    @quiet
    def how_to_go_on(self) -> str | None:
        """Return why the study is done, and what would let it go on; None while it is not done."""
        with self._lock:
            if not asking.is_done(self._desk):
                return None
            return asking.why_done(self._desk)

    def unsatisfied(self) -> str:
        """Return which limits on outputs no evaluated point satisfies, "" if one satisfies all."""
        with self._lock:
            return unsatisfied(self._desk.state)

    @quiet
    def flat(self) -> str:
        """Return that three or more starts have met a single value, "" if they have not."""
        with self._lock:
            return flatness.why(self._desk.state, at_the_end=True) or ""

    @quiet
    def below_noise(self) -> str:
        """Return that differences of values are below their noise, and what to do; "" if not so."""
        with self._lock:
            return below_noise(self._desk.state)

    @quiet
    def info(self) -> dict[str, Any]:
        """Return a summary.

        ``min_objective`` and ``min_params`` (by name, fixed parameters too, so that
        ``objective(**min_params)`` evaluates it again) are the best observed point, None before
        there is one; with ``direction='maximize'`` that of the highest value.  ``outputs`` are what
        the objective put out there beside its value (None without any).  Further:
        ``direction``, ``status`` ('created', 'running', 'stopped'; 'idle' is one that was opened to
        look at it and that no process has open to go on), ``stop_kind``, ``stop_reason``,
        ``num_evaluations``, ``num_failed``, ``num_former`` (ended evaluations of
        former objectives, see `reevaluate`), ``num_open``, ``num_minimizers``,
        ``open_suggestions`` (ids), ``num_parallel``, ``is_done``,
        ``num_minima``, ``probability_all_minima`` (that no minimum is missing, by how often the
        known ones were met; None of drivers that do not tell it), ``elapsed``, ``name``,
        ``study_id``, ``driver``, ``success`` (the best point ends a converged minimizer), and what
        holds at the end of the minimizer that found it:
        ``active_constraints`` (names), ``active_bounds`` ('lower' or 'upper' by the parameter's
        name), the ``multipliers`` of both by these names (by which the value gets better, to first
        order,
        for each unit that the constraint or the bound gives way; in the user's units; none of a
        bound whose parameter has the name of an active constraint) and the ``kkt_residual``, what
        is left of the first-order conditions in the driver's coordinates (None without gradients);
        ``notes`` on the constraints, and on differences that are below the noise that was told.
        """
        with self._lock:
            found = reports.info(self._desk.state, self._desk.now())
            if found["status"] == "running" and self._desk.idle:
                found["status"] = "idle"
            return found

    @quiet
    def get_state(self) -> dict[str, Any]:
        """Return `info` with the open suggestions by id (``open``: parameters by name)."""
        with self._lock:
            opened = {s.id: s.params for s in self.open_suggestions}
            return self.info() | {"is_done": asking.is_done(self._desk), "open": opened}

    @quiet
    def describe(self) -> dict[str, Any]:
        """Return the domain, and every driver parameter with its meaning, default and value."""
        return reports.describe(self._desk.spec, self.parameters)

    @quiet
    def uncertainty(
        self,
        objective: Callable[..., Any] | None = None,
        *,
        minimum: int = 0,
        absolute_sigma: bool | None = None,
        num_data: int | None = None,
        executor: Executor | None = None,
    ) -> Uncertainty:
        """Return how well the parameters are determined: standard errors and correlations.

        Where residuals are told it is made of the Jacobian at the minimum, and nothing is
        evaluated.  Otherwise it is the inverse of the Hessian: JAX's, of an objective that
        `jax_objective` made, without an evaluation of the study; or by differences of gradients
        (two for each parameter; the evaluations are added to the study, as they come, and used
        again by the next call).  Never is it made of the minimizer's own matrix, which is no
        covariance.

        Parameters that are held at a bound do not vary, nor does anything across an active
        constraint; the result says so, and which parameters are only determined together.

        Parameters
        ----------
        objective : callable, optional
            Where gradients are wanted; otherwise the one of `set_objective`.
        minimum : int
            Which of `minima`.
        absolute_sigma : bool, optional
            Whether the residuals are in units of their standard deviations: the covariance is
            ``(J'WJ)^-1`` then; otherwise it is multiplied by reduced chi squared, twice the value
            at the minimum for each degree of freedom.  As for SciPy's ``curve_fit``.  By default it
            is so where an uncertainty was told with the residuals.
        num_data : int, optional
            The value is half of a sum of so many squares, from which their variance is estimated;
            otherwise it is a negative logarithm of a likelihood.  Not with residuals.
        executor : concurrent.futures.Executor, optional
            Where gradients are evaluated.

        Raises
        ------
        ProtocolError
            There is no such minimum, or the point is none.
        InputError
            The study has no gradients: ``jac=False``, and no residuals.
        """
        with self._lock:
            state = self._desk.state
            found = spreads.minimum_of(state, minimum)
            own = self._objective if objective is None else objective
            made = spreads.known(state, found, own, absolute_sigma, num_data)
            if made is not None:
                return made
            wanted = spreads.points(state, found)
            missing = spreads.missing(state, found, wanted)
        if missing:
            outer.call("add_gradients", self, missing, objective, executor)
        with self._lock:
            state = self._desk.state
            return spreads.of_gradients(
                state, found, spreads.hessian(found, wanted, state), num_data
            )

    def profile(
        self,
        objective: Callable[..., Any] | None = None,
        *,
        names: Sequence[str] | None = None,
        level: float = 0.95,
        minimum: int = 0,
        absolute_sigma: bool | None = None,
        executor: Executor | None = None,
    ) -> Rows[ProfileRow]:
        """Return intervals of confidence by profile likelihood, of a fit with a linear loss.

        An interval ends where the least sum of squares, with all other parameters fitted anew, has
        risen by what `level` says.  It does not suppose, as `Uncertainty.intervals` does, that the
        model is linear over the interval.  Each fit starts from its neighbour.  Under constraints
        no point violates one; an interval that ends where they leave no other value says so.

        Its points are asked like others, `num_parallel` at a time, the ends of all parameters side
        by side; they are kept, as evaluations of the kind ``'profile'``, and do not count for
        `max_iter`.  A profile that was broken off or killed goes on where it was: by this method
        with the same arguments, by `run`, or by `ask` and `tell` until `is_done`.  The one that was
        made last is known, and nothing is evaluated for it.

        Parameters
        ----------
        objective : callable, optional
            Otherwise the one of `set_objective`.
        names : sequence of str, optional
            The parameters; all by default.
        level : float
            Between 0 and 1.
        minimum, absolute_sigma
            As for `uncertainty`.
        executor : concurrent.futures.Executor, optional
            Where to evaluate.

        Returns
        -------
        Rows of ProfileRow
            A table with a row for each parameter, with its profile in ``theta`` and ``values``.

        Raises
        ------
        ProtocolError, InputError
            There is no such minimum, or no fit with a linear loss; or the profile was stopped
            before it was complete.
        """
        self.begin_profile(names, level=level, minimum=minimum, absolute_sigma=absolute_sigma)
        if self.is_profiling:
            outer.call("run", self, objective, executor=executor)
        with self._lock:
            made = self._desk.state.profile
            if made is None or not made.done:
                raise ProtocolError(
                    f"the profile was stopped ({self.stop_reason}): call profile again with the "
                    "same arguments, or run, to go on with it"
                )
            return made.rows(self.space)

    @quiet
    def begin_profile(
        self,
        names: Sequence[str] | None = None,
        *,
        level: float = 0.95,
        minimum: int = 0,
        absolute_sigma: bool | None = None,
    ) -> None:
        """Let the points of a profile come next, in `ask` and `run`; see `profile`.

        Nothing is evaluated by this call, and nothing happens where this profile is under way.
        """
        with self._lock:
            intervals.begin(self._desk, names, level, minimum, absolute_sigma)
            self._threads.wake()

    @property
    @quiet
    def is_profiling(self) -> bool:
        """Whether a profile is under way, whose points come before all others."""
        with self._lock:
            return is_profiling(self._desk.state)

    @property
    def keeps_events(self) -> bool:
        """Whether its events go into memory, a list or a file, and to no other journal."""
        return self._desk.keeps_events

    def historic_parameter_values(self, path: str) -> list[float]:
        """Return a number after each evaluation that gave a value, in their order.

        Parameters
        ----------
        path : str
            ``'observation.value'``: the values; ``'driver.min_objective'``: the best so far.
        """
        return historic(self, path)

    @quiet
    def get_observation_data(self, suggestion_id: int | None = None) -> dict[str, Any]:
        """Return what was observed: for one suggestion, or lists over all.

        Keys: ``suggestion_id``, ``sample`` (by name), ``value``, ``derivatives`` (by name, None
        where there are none); ``outputs`` (by name) of a study that has any; and ``uncertainty``
        (None where there is none) where one was told with a value.
        """
        with self._lock:
            state = self._desk.state
            if suggestion_id is not None:
                results.check_id(state, suggestion_id)
                if not state.ledger.observed()[suggestion_id]:
                    raise ProtocolError(f"suggestion {suggestion_id} has no observation")
            return reports.observation_data(state, suggestion_id)

    def __repr__(self) -> str:
        with self._lock:
            state = self._desk.state
            done = "" if state.stop is None else f", stopped: {state.stop[1]}"
            value = state.ledger.best_value if state.ledger.best >= 0 else "none"
            return (
                f"<Study {self.name!r}: {self.space.size} parameters, {state.spent} evaluations, "
                f"best value {value}{done}>"
            )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the summary in a line, then the minima."""
        return f"<p>{html.escape(repr(self))}</p>{self.minima._repr_html_()}"

    # -- suspension -----------------------------------------------------------------------

    @classmethod
    @quiet
    def from_events(
        cls,
        spec: Spec,
        events: Iterable[Event],
        *,
        journal: Journal | None = None,
        clock: Clock = time.monotonic,
    ) -> Study:
        """Return the study to which `events` have happened; it goes on as if never interrupted.

        Raises
        ------
        ProtocolError
            If the events do not fit the specification (another point is met on replay).
        """
        return cls(spec, journal=journal, clock=clock, state=fold.fold(spec, events))

    @quiet
    def to_dict(self) -> dict[str, Any]:
        """Return the study as strings, numbers and arrays (no objective, no clock, no journal)."""
        with self._lock:
            return self._desk.to_dict()

    @classmethod
    @quiet
    def from_dict(
        cls,
        data: Mapping[str, Any],
        *,
        journal: Journal | None = None,
        clock: Clock = time.monotonic,
    ) -> Study:
        """Return the study of which `to_dict` made `data`; arrays may have become lists."""
        state = snapshots.from_dict(data)
        return cls(state.spec, journal=journal, clock=clock, state=state)

    def close(self) -> None:
        """Halt the clock and close the study's file, as ``with study:`` does."""
        with self._lock:
            self._desk.close()

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @quiet
    def verify(self) -> Verified:
        """Replay the file and compare to the bit; raise `StorageError` at a difference."""
        with self._lock:
            found: Verified = outer.call("verify", self._desk.journal, self._desk.state)
            return found

    def export(self, path: Any) -> Path:
        """Write a kept study as JSON Lines for `optdriver.import_study`."""
        with self._lock:
            written: Path = outer.call("export_study", self._desk.journal, path)
            return written

    def __reduce__(self) -> tuple[Any, ...]:
        if self._desk.is_kept:
            raise ProtocolError(
                "a kept study cannot be copied or pickled, since a copy would go on without the "
                "file: hand over its path, and open it with optdriver.load_study where the first "
                "is closed (read_only=True: beside it), or write it with export and read that with "
                "optdriver.import_study"
            )
        return Study.from_dict, (self.to_dict(),)
