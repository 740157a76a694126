"""The public class: many minimizers, asked and told as if they were one."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Never

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.errors import InputError, UnknownIdError, unknown_option
from optdriver.leastsquares import losses
from optdriver.leastsquares.minimizer import read_jacobian, read_residuals
from optdriver.leastsquares.options import XTOL
from optdriver.multistart import admission, going_on, linked, local, scheduler, told
from optdriver.multistart import state as states
from optdriver.multistart.admission import Moved
from optdriver.multistart.options import (
    MultiStartOptions,
    check_bounds,
    check_samples,
    check_steps,
    check_wanted,
)
from optdriver.multistart.records import Evaluation, Fill, Minimum, Point, PointArrays, Run
from optdriver.multistart.report import Ends
from optdriver.multistart.rules import CONSTRAINT_RULES, CONVERGENCE_RULES, DIFFERENCE_RULES
from optdriver.multistart.state import MultiStartState
from optdriver.multistart.told import Vectors
from optdriver.numerics import quiet
from optdriver.reading import real_array, real_number, real_vector, short
from optdriver.sqp.options import SQPOptions
from optdriver.sqp.told import read_slopes, read_values
from optdriver.undo import Undo, Undoing

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]


class MultiStart(Undoing[MultiStartState]):
    """Local minimizers from many starts, with one ask and one tell.

    Parameters
    ----------
    bounds : sequence of (low, high), array of shape (n, 2), or scipy.optimize.Bounds
        The box.  ``low == high`` fixes a variable.  Infinite sides are possible where the starts
        are given as `initial_samples`; then there are no others.
    num_initial : int
        How many minimizers run at a time, from the beginning on: one that has converged, stopped
        or failed is replaced by the next start.  More are opened, and served after these, where
        more points are asked for than these can use.
    max_num_minimizers : int or math.inf
        Stop when so many minimizers have converged.  No more than so many run or have converged
        (`num_initial` of them start in any case).  So that a problem on which no minimizer
        converges comes to an end, it also stops when ten times as many have stopped otherwise
        (failures not counted).
    seed : int
        Seed of the starts; the k-th start depends on the seed and on k only.
    initial_samples : array_like of shape (k, n), optional
        Starts that are used first.
    sobol_sequence : bool
        Take the other starts from a scrambled Sobol sequence, or else uniformly at random.
    start_rule : {'sobol', 'mlsl', 'auto'}
        Take the starts as they come, or only those that multi-level single linkage lets through
        (`optdriver.multistart.start_rules`), or, to find every minimum with the fewest evaluations,
        begin in the widest gaps and pause what enters a basin that is known
        (`optdriver.multistart.linkage`).  Initial samples always start a minimizer.
    jac : bool
        Gradients are told.  Otherwise they are made of finite differences: every iterate is asked
        together with its difference points, and a gradient that is told is not used.
    step_size : float, sequence of n floats, optional
        Step of the finite differences, in the unit of the variable.  Without it (or with None for
        a variable) the steps follow a rule that knows the box, the size of the variable, the
        noise of the values, which is measured where there is any, and the curvature that a run has
        met: see `optdriver.multistart.steps`.  The first gradient of each minimizer then takes one
        point more.
    two_sided : bool
        Difference on both sides where the bounds leave room, for twice the points.  Otherwise
        only a run whose line search fails goes on with such differences, from its best point.
    difference_rule, constraint_rule, convergence_rule : int
        How finite differences are asked for; how constraints are kept to; when a minimizer is
        believed to have converged, and to what.  The default is the latest; earlier ones are what
        earlier versions of optdriver recorded: see docs/reference/rules.md.
    max_failures : int or math.inf
        Give up a minimizer after so many failed evaluations in a row.  From 5 on one that follows
        gradients gets up to 20 while the failed points are far off: while one is farther from the
        best than a hundredth of what that is, in a variable.
    x_tolerance, f_tolerance : float
        Converged points are the same minimum when they are as close as this: in every coordinate
        as a part of the width of the box, and in value relative to ``max(1, |f|)``.
    ftol, gtol, maxcor, maxls, maxiter, maxfun, initial_step, noise
        Options of each minimizer, see `optdriver.LBFGSB`.

    constraints : ConstraintSet, str, or sequence of str or mappings, optional
        Nonlinear constraints, which every asked point satisfies: over ``x1`` to ``xn``, or an
        `optdriver.constraints.ConstraintSet` that was made with these bounds.  Each minimizer is
        then L-BFGS-B only until a step leaves the feasible set; from there on, and for the test of
        convergence, it is an `optdriver.feasible.FeasibleMinimizer`, which knows `gtol`, `maxcor`,
        `maxiter` and `maxfun`, but not `ftol`, `maxls`, `initial_step` and `noise`.
    must_stay_feasible : bool
        False lets a `method` take the constraints that may ask points that violate them:
        ``'SLSQP'``, ``'trust-constr'``, ``'COBYQA'``, ``'COBYLA'``.  Only points that are feasible
        to 1e-6 (scaled) count for `best`, `minima` and `runs`.
    project_starts : bool
        Move initial samples that violate a constraint to the nearest feasible point, see `moved`.
        Otherwise such a sample is an error.
    method : str
        The method of each minimizer: ``'L-BFGS-B'``, or one of `optdriver.CallbackMinimizer`, in
        which case `ftol`, `gtol`, `maxiter` and `maxfun` are what the method knows of them (a
        Nelder-Mead's ``fatol`` is `ftol`).  With one that needs no gradient, `jac` means nothing.
    method_options : mapping, optional
        Further options of such a method, by SciPy's names.
    stop_when : {None, 'all minima likely found'}
        Stop when the `probability` that no minimum is missing is 0.9 (an estimate from how often
        the known ones were met).
    loss, f_scale, xtol
        With ``method='least-squares'``: the options of `optdriver.LeastSquares`.  What is told are
        residuals then, and their Jacobian (with ``jac=False`` it is made of differences, on one
        side, and at the end on both).  Under constraints the value of the residuals is minimised
        as any other.
    inequalities, equalities : sequence of str, or int
        With ``method='trust-region-SQP'``: the names of rows ``c <= 0`` and ``e = 0`` that are told
        with the value, or how many.  What is told is ``[f, *c, *e]`` then, and a Jacobian of as
        many rows (with ``jac=False`` it is made of differences, as for residuals).  They are
        satisfied in the end; each minimizer is an `optdriver.SQP`, which keeps to `constraints`
        at every point.  `gtol` is ten times that of `SQP`.  Only points at which all rows are
        satisfied count for `best`.
    feasibility : float
        With these: see `optdriver.SQP`.
    value_spacing : float
        The relative spacing of the numbers in which values, which are told with gradients, are
        computed: 1.2e-7 where that is in 32 bits.  What rounding hides is then no objection to a
        step, and a reduction is small where values of this size resolve no smaller one, however
        small `ftol` is.

    Raises
    ------
    InputError
        Something given cannot be used; the message says what and why.
    ConstraintError
        A constraint cannot be used, or no point satisfies all of them.

    Examples
    --------
    >>> import numpy as np
    >>> ms = MultiStart([(-1, 3)], num_initial=2, max_num_minimizers=4)
    >>> while not ms.done:
    ...     for p in ms.ask(2):
    ...         ms.tell(p.id, np.cos(3 * p.x[0]) + p.x[0], 1 - 3 * np.sin(3 * p.x))
    >>> [(round(float(m.x[0]), 4), m.times_found) for m in ms.minima]
    [(-1.0, 2), (0.9339, 2)]
    """

    __slots__ = ()

    @quiet
    def __init__(
        self,
        bounds: Any,
        *,
        num_initial: int = 1,
        max_num_minimizers: float = math.inf,
        seed: int = 0,
        initial_samples: Any = None,
        sobol_sequence: bool = True,
        start_rule: str = "sobol",
        jac: bool = True,
        step_size: float | Sequence[float | None] | None = None,
        two_sided: bool = False,
        difference_rule: int = DIFFERENCE_RULES[-1],
        constraint_rule: int = CONSTRAINT_RULES[-1],
        convergence_rule: int = CONVERGENCE_RULES[-1],
        max_failures: float = 5,
        x_tolerance: float = 1e-3,
        f_tolerance: float = 1e-4,
        ftol: float = 2.220446049250313e-09,
        gtol: float = 1e-5,
        maxcor: int = 10,
        maxls: int = 20,
        maxiter: float = math.inf,
        maxfun: float = math.inf,
        initial_step: float | None = None,
        noise: float = 0.0,
        constraints: Any = None,
        project_starts: bool = True,
        must_stay_feasible: bool = True,
        method: str = local.PLAIN,
        method_options: Mapping[str, Any] | None = None,
        loss: str = "linear",
        f_scale: float = 1.0,
        xtol: float = XTOL,
        stop_when: str | None = None,
        inequalities: int | Sequence[str] = (),
        equalities: int | Sequence[str] = (),
        feasibility: float = SQPOptions().feasibility,
        value_spacing: float = 0.0,
        **unknown: Never,
    ) -> None:
        for name in unknown:
            raise unknown_option("option of MultiStart", name, OPTION_NAMES)
        lower, upper = check_bounds(bounds)
        options = MultiStartOptions(
            num_initial=num_initial,
            max_num_minimizers=max_num_minimizers,
            seed=seed,
            sobol_sequence=sobol_sequence,
            start_rule=start_rule,
            jac=jac,
            step_size=step_size,  # type: ignore[arg-type]  # checked, and made a tuple
            two_sided=two_sided,
            difference_rule=difference_rule,
            constraint_rule=constraint_rule,
            convergence_rule=convergence_rule,
            max_failures=max_failures,
            x_tolerance=x_tolerance,
            f_tolerance=f_tolerance,
            project_starts=project_starts,
            must_stay_feasible=must_stay_feasible,
            minimizer={
                "ftol": ftol,
                "gtol": gtol,
                "maxcor": maxcor,
                "maxls": maxls,
                "maxiter": maxiter,
                "maxfun": maxfun,
                "initial_step": initial_step,
                "noise": noise,
            },
            method=method,
            method_options={} if method_options is None else method_options,
            loss=loss,
            f_scale=f_scale,
            xtol=xtol,
            stop_when=stop_when,
            inequalities=inequalities,  # type: ignore[arg-type]  # checked, and made tuples
            equalities=equalities,  # type: ignore[arg-type]
            feasibility=feasibility,
            value_spacing=value_spacing,
        )
        check_steps(options.step_size, lower.size)
        samples = check_samples(initial_samples, lower, upper)
        local.create(
            np.clip(0.0, lower, upper),
            np.column_stack([lower, upper]),
            None,
            options.minimizer,
            options.method,
            options.method_options,
            fit=options.of_fits(two_sided=False),
            rows=options.of_rows(two_sided=False),
        )  # checks its options
        known = admission.compiled(constraints, lower, upper)
        local.check_constraints(
            options.method, known, must_stay_feasible=options.must_stay_feasible
        )
        if known is not None:
            lower, upper = known.lower.copy(), known.upper.copy()
        self._undo = Undo()
        self._now = states.begin(options, lower, upper, samples, known)
        self._admit()

    def _admit(self) -> None:
        """Move the user's starts onto the feasible set, before anything is asked."""
        state = self._state
        state.initial_samples, state.moved = admission.admit(
            state.constraints,
            state.initial_samples,
            state.feasible_starts,
            state.options.project_starts,
        )

    # -- what is known ------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """The number of variables."""
        return self._state.lower.size

    @property
    def pending(self) -> tuple[Point, ...]:
        """The points that were asked and have not been told, in the order of their ids."""
        return tuple(self._state.pending.values())

    @property
    def done(self) -> bool:
        """Whether there is nothing more to ask; see `stop_reason`."""
        return self._state.ended is not None or self._state.halted is not None

    @property
    def stop_reason(self) -> str | None:
        """Why there is nothing more to ask, or None."""
        return self._state.ended if self._state.ended is not None else self._state.halted

    @property
    def best(self) -> Evaluation | None:
        """The lowest value told, where it was observed.

        Difference and added points count, and points of which only the gradient failed.
        """
        return self._state.best

    @property
    @quiet
    def minima(self) -> list[Minimum]:
        """The distinct minima to which minimizers converged, lowest first."""
        return self._state.catalogue.minima()

    @property
    def num_minima(self) -> int:
        """How many there are."""
        return len(self._state.catalogue)

    @property
    @quiet
    def runs(self) -> list[Run]:
        """A row for each minimizer, in the order of their starts."""
        state = self._state
        return state.report.rows(state.runs, state)

    @property
    def num_runs(self) -> int:
        """How many there are."""
        return len(self._state.runs)

    @quiet
    def row(self, index: int) -> Run:
        """Return the row of one minimizer, without those of the others."""
        state = self._state
        return state.report.row(index, state.runs, state)

    @property
    def ends(self) -> Ends:
        """The minimizers that have converged, with their values and the noise of these."""
        return self._state.report.ends(self._state.runs)

    @property
    def probability(self) -> float:
        """How likely it is that no minimum is missing.

        An estimate, of which the page on many minimizers says how often it is true: see
        `optdriver.multistart.completeness`; 0 before five minimizers have converged, and two for
        each minimum.
        """
        return linked.probability(self._state)

    @property
    def nfev(self) -> int:
        """Evaluations told, difference points and failures included."""
        return self._state.nfev

    @property
    def nfail(self) -> int:
        """Failed evaluations."""
        return self._state.nfail

    @property
    def failed_in_row(self) -> int:
        """Iterates that failed since one got its value and gradient, over all minimizers.

        An iterate and its difference points that fail together are one.  Given starts that fail
        are not counted before anything has succeeded.
        """
        state = self._now if self._undo is None else self._state
        return state.failed_in_row

    @property
    def residuals(self) -> int:
        """How many residuals are told at each point; 0 before the first, or for values."""
        return self._state.residuals

    @property
    def turns(self) -> int:
        """Runs begun and ended, starts taken: it changes when `ask` alone has changed something."""
        state = self._state
        over = state.ended is not None
        return state.next_start + state.live + 2 * (state.converged + state.stopped) + over

    @property
    def constraints(self) -> ConstraintSet | None:
        """The constraints, or None."""
        return self._state.constraints

    @property
    def leaves(self) -> bool:
        """Whether points that violate constraints may be asked."""
        return self._state.leaves

    @property
    def moved(self) -> tuple[Moved, ...]:
        """The initial samples that violated a constraint, and where they were moved."""
        return tuple(self._state.moved)

    # -- ask and tell -------------------------------------------------------------------------

    def ask(self, n: int = 1, *, fill: Fill = False) -> list[Point]:
        """Return up to `n` new points; fewer when no more can be evaluated now.

        New minimizers are opened for the places that the running ones cannot use, as far as
        `max_num_minimizers` allows; the first `num_initial` of those that run come first.

        Parameters
        ----------
        n : int
        fill : bool or 'idle'
            True gives exactly `n` points as long as it is not done and there are starts: new
            minimizers begin beyond `max_num_minimizers`.  ``'idle'`` lets them begin while fewer
            than `max_num_minimizers` run and fewer have converged.  The end then waits for those of
            `initial_samples` that would have been among the first `max_num_minimizers` anyway.

        Raises
        ------
        InputError
            `n` is not a positive integer.
        """
        check_wanted(n)
        return self._change_state(scheduler.ask, int(n), fill)  # no call after it: none is lost

    def ask_arrays(self, n: int = 1, *, fill: Fill = False) -> PointArrays:
        """Return the points that `ask` would return, as columns (`x` is read-only)."""
        check_wanted(n)
        return self._change_state(scheduler.ask_arrays, int(n), fill)

    def tell(self, id: int, f: float, g: Any = None) -> None:
        """Tell the value, and with ``jac=True`` the gradient, at the point called `id`.

        A value or gradient that is not finite is a failed evaluation, of which a finite value
        counts for `best` all the same.  Telling the same again changes nothing.

        Parameters
        ----------
        id : int
            The id of the point.
        f : float
            The value there; with ``method='least-squares'`` the residuals, shape (m,); with rows
            the value and these, shape (1 + p + q,).
        g : array_like of shape (n,), optional
            The gradient there, or the Jacobian of the residuals, shape (m, n); not used with
            ``jac=False``.

        Raises
        ------
        InputError
            `f` or `g` is not a number or has the wrong shape, or `g` is missing.  The point
            stays pending.
        UnknownIdError
            No such point was handed out.
        ProtocolError
            Something else was told for this point before.
        """
        state = self._state
        if state.options.vectors:
            fits = state.options.fitting
            made, gradient, vectors = self._checked_fit(f, g) if fits else self._checked_rows(f, g)
            self._change_state(scheduler.tell, id, made, gradient, vectors)
            return
        value = f if type(f) is float else real_number("the value", f)
        gradient = self._checked_gradient(state, id, value, g)
        self._change_state(scheduler.tell, id, value, gradient)

    def expect_noise(self, id: int, noise: float) -> None:
        """Say the standard deviation of the value that is told at a point next.

        Line searches of L-BFGS-B allow for it, steps of finite differences follow it, and runs
        whose values have one are compared to no more than that.

        Parameters
        ----------
        id : int
            The id of the point, which is pending; of another nothing is noted.
        noise : float
            Above 0.

        Raises
        ------
        InputError
            It is no finite number from 0 on.
        """
        value = real_number("the noise", noise)
        if not 0.0 <= value < math.inf:
            raise InputError(f"the noise is {value}; expected a finite number from 0 on")
        self._change_state(scheduler.expect_noise, id, value)

    @quiet
    def _checked_rows(self, values: Any, jacobian: Any) -> tuple[float, Vector | None, Vectors]:
        """Return the value and its gradient, and these with the rows behind them.

        The value is NaN where a row is not finite, and the gradient where one of a row is not.
        """
        options = self._state.options
        numbers = read_values(values, 1 + len(options.row_names))
        value = float(numbers[0]) if np.isfinite(numbers).all() else math.nan
        if not options.jac:
            return value, None, Vectors(numbers, None)
        if jacobian is None:
            if math.isfinite(value):
                raise InputError(
                    "the Jacobian is missing: tell(id, values, jacobian), or use jac=False for "
                    "finite differences"
                )
            return value, None, Vectors(numbers, None)
        made = read_slopes(jacobian, numbers.size, self.n)
        gradient = made[0].copy() if np.isfinite(made).all() else np.full(self.n, math.nan)
        return value, gradient, Vectors(numbers, made)

    @quiet
    def satisfies(
        self, id: int | None, values: Vector, jacobian: Vector | None = None, x: Any = None
    ) -> bool:
        """Return whether rows that were observed are satisfied, to the tolerance.

        Parameters
        ----------
        id : int or None
            The point, if it is pending.
        values, jacobian
            As they are told.
        x : ndarray, shape (n,), optional
            The place of a point that is not pending.
        """
        state = self._state
        point = None if id is None else state.out.get(id)
        search = None if point is None else state.runs[point.run]
        place = x if point is None else point.x
        return scheduler.satisfies(state, search, place, Vectors(values, jacobian))

    @quiet
    def _checked_fit(self, r: Any, jacobian: Any) -> tuple[float, Vector | None, Vectors]:
        """Return the value and the gradient that residuals and their Jacobian give, and these."""
        options = self._state.options
        residuals = read_residuals(r, self._state.residuals)
        value = losses.value(residuals, options.loss, options.f_scale)
        if not options.jac:
            return value, None, Vectors(residuals, None)
        if jacobian is None:
            if math.isfinite(value):
                raise InputError(
                    "the Jacobian is missing: tell(id, residuals, jacobian), or use jac=False for "
                    "finite differences"
                )
            return value, None, Vectors(residuals, None)
        made = read_jacobian(jacobian, residuals.size, self.n)
        gradient = losses.gradient(residuals, made, options.loss, options.f_scale)
        if not np.isfinite(made).all():
            gradient = np.full(self.n, math.nan)  # no weight of zero hides it
        return value, gradient, Vectors(residuals, made)

    @quiet
    def tell_arrays(self, ids: Sequence[int], f: Any, g: Any = None) -> None:
        """Tell the values, and with ``jac=True`` the gradients, at several points that are out.

        As `tell` for one after the other, but that all of them count before it may come to an end.

        Parameters
        ----------
        ids : sequence of int
            The ids of k points that are pending, none of them twice.
        f : array_like of shape (k,)
            The values there, finite; failures are told by `tell_failure`.
        g : array_like of shape (k, n), optional
            The gradients there, finite; not used with ``jac=False``.

        Raises
        ------
        InputError
            `f` or `g` is not finite or has the wrong shape, or `g` is missing.
        UnknownIdError
            One of the points is not pending, or is there twice; nothing has changed.
        """
        values = real_vector("the values", f, len(ids), "one number a point").copy()
        gradients = self._checked_gradients(len(ids), g)
        if not (np.isfinite(values).all() and (gradients is None or np.isfinite(gradients).all())):
            raise InputError("tell_arrays takes finite values and gradients; see tell_failure")
        known = list(ids)
        different = set(known)
        state = self._state
        whole = bool(state.out.whole(known))
        if len(different) < len(known) or not (whole or state.pending.keys() >= different):
            raise UnknownIdError(f"the points {short(known)} are not pending, or not each of them")
        self._change_state(scheduler.tell_arrays, known, values, gradients)

    def _checked_gradients(self, count: int, g: Any) -> Vector | None:
        if not (self._state.options.jac and self._state.options.gradients):
            return None
        if g is None:
            raise InputError(
                "the gradients are missing: tell_arrays(ids, f, g), or use jac=False for finite "
                "differences"
            )
        gradients = real_array("the gradients", g)
        if gradients.shape != (count, self.n):
            raise InputError(
                f"the gradients have shape {gradients.shape}; expected ({count}, {self.n}): a row "
                "for each point"
            )
        return np.array(gradients, order="C")

    def tell_failure(self, id: int, reason: str = "") -> None:
        """Tell that the evaluation of the point called `id` failed.

        The minimizer steps back toward its last good point; a start is given up and the next one
        is taken; a difference point is replaced once.

        Raises
        ------
        UnknownIdError
            No such point was handed out.
        ProtocolError
            A value was told for this point before.
        """
        self._change_state(scheduler.tell_failure, id, str(reason))

    @quiet
    def add_point(self, x: Any, f: float, g: Any = None) -> None:
        """Add an evaluation that was not asked for: it counts for `best` and for start rules.

        Raises
        ------
        InputError
            `x` is out of bounds, violates a constraint or has the wrong shape, or `f` or `g` is
            not a finite number.
        """
        state = self._state
        point = told.as_point(x, state.lower, state.upper)
        admission.check_added(state.constraints, point)
        if state.options.row_names:
            self._add_rows(states.read_only(point), f, g)
            return
        value = real_number("the value", f)
        gradient = None if g is None else real_vector("the gradient", g, self.n).copy()
        if not told.is_usable(value, gradient):
            raise InputError(f"only finite values and gradients can be added, not f = {value}")
        self._change_state(scheduler.add_point, states.read_only(point), value, gradient)

    def _add_rows(self, point: Vector, values: Any, jacobian: Any) -> None:
        numbers = read_values(values, 1 + len(self._state.options.row_names))
        if not np.isfinite(numbers).all():
            raise InputError(f"only finite values can be added, not {numbers.tolist()}")
        slopes = None if jacobian is None else read_slopes(jacobian, numbers.size, self.n)
        gradient = None if slopes is None else slopes[0].copy()
        made = Vectors(numbers, slopes)
        self._change_state(scheduler.add_point, point, float(numbers[0]), gradient, made)

    def finish(self, reason: str) -> None:
        """Stop from outside: nothing more is asked; points that are out can still be told."""
        self._change_state(scheduler.halt, str(reason))

    def resume(self) -> None:
        """Take back `finish`: go on as if it had not been called."""
        self._change_state(scheduler.halt, None)

    def configure(self, **given: Any) -> None:
        """Raise (or lower) limits and add starts, after the end too, which then goes on.

        Parameters
        ----------
        num_initial, max_num_minimizers, start_rule, max_failures, stop_when
            As at the beginning.
        initial_samples : array_like of shape (k, n)
            Further starts, which come next.

        Raises
        ------
        InputError
            Something else was given, or a value cannot be used; nothing has changed.
        """
        self._change_state(going_on.configure, copy.deepcopy(given))

    def _checked_gradient(self, state: MultiStartState, id: int, f: float, g: Any) -> Vector | None:
        if not (state.options.jac and state.options.gradients):
            return None
        if g is not None:
            if self._undo is None and type(g) is np.ndarray and g.shape == state.lower.shape:
                return g  # see `without_undo`
            return real_vector("the gradient", g, state.lower.size).copy()
        point = state.out.get(id) if isinstance(id, int) else None
        between = point is not None and point.kind == "difference"  # whose value alone is wanted
        if math.isfinite(f) and not between:
            raise InputError(
                "the gradient is missing: tell(id, f, g), or use jac=False for finite differences"
            )
        return None

    # -- state as data ------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return the state as a dict of numbers, strings, lists and arrays."""
        return states.to_dict(self._state)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MultiStart:
        """Return a `MultiStart` that goes on where the one of `to_dict` was.

        Parameters
        ----------
        data : dict
            What `to_dict` gave; lists may stand for arrays.

        Raises
        ------
        InputError
            This is no such dict, or it is of another version.
        """
        new = cls.__new__(cls)
        new.__setstate__(data)
        return new

    def copy(self) -> MultiStart:
        """Return an independent copy; what a derived class has set besides is shared."""
        new = self._at(states.copied(self._state))
        return stored.hand_on(stored.own(self, self._ours), new)

    @classmethod
    def _at(cls, state: MultiStartState) -> MultiStart:
        """Return the multi-start whose state this is."""
        self = cls.__new__(cls)
        self._undo, self._now = Undo(), state
        return self

    __copy__ = copy

    def _data(self) -> dict[str, Any]:
        return states.to_dict(self._state, plain=False)

    @quiet
    def __setstate__(self, data: Any) -> None:
        super().__setstate__(data)

    def restore(self, data: Mapping[str, Any]) -> None:
        """Go on from a state of `to_dict`."""
        self._now = states.from_dict(data)

    def __repr__(self) -> str:
        state = self._state
        return (
            f"<MultiStart n={self.n} runs={len(state.runs)} live={state.live} "
            f"converged={state.converged} nfev={state.nfev} pending={len(state.out)}"
            f"{'' if not self.done else f' done: {self.stop_reason}'}>"
        )


OPTION_NAMES: tuple[str, ...] = tuple(inspect.unwrap(MultiStart.__init__).__kwdefaults__ or ())
"""The options that `MultiStart` knows."""
