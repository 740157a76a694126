"""`minimize` and `Minimizer`: a loss on structured parameters, minimised from many starts."""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, Never

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver.drivers import driver_factory
from optdriver.errors import InputError, InputTypeError, say, unknown_option
from optdriver.execution.calling import BUGS
from optdriver.execution.progress import bar
from optdriver.feasible.result import FeasibleResult
from optdriver.minimization import engines, fits, kept, limited, methods, printing
from optdriver.minimization.hints import hint
from optdriver.minimization.lanes import Ended, Lane, Start, ended, order
from optdriver.minimization.problem import Given, Problem, prepare
from optdriver.minimization.starts import count, given_starts
from optdriver.minimization.watching import Stopped, Watch, gradient, line, with_loss_unit
from optdriver.objectives.jax_objective import checked_x64, traced
from optdriver.objectives.plain import check_call
from optdriver.reading import check_flag
from optdriver.space.pytree import Structure
from optdriver.study.deviations import of_data
from optdriver.study.flatness import ENOUGH_AT_THE_END
from optdriver.study.parameters import MINIMIZE, check_all
from optdriver.study.tables import Rows

Vector = NDArray[np.float64]

SEED_BITS = 31
"""Of a seed that is drawn: every generator takes it."""

INTERRUPTED = 99
"""The status of a run that the callback has stopped, as SciPy has it."""


class Minimizer:
    """A loss on structured parameters, with bounds: compiled once, minimised as often as wanted.

    Parameters
    ----------
    loss_fun : callable
        Returns one number.  Written with ``jax.numpy`` it is differentiated and compiled; any
        other function is differentiated by differences, and a warning says so once.
    bounds : pytree of pairs
        Lists, tuples, dictionaries and what else is a pytree, nested, with a pair ``(low, high)``
        for every parameter.  A pair is a tuple or list of two sides that are numbers, arrays,
        quantities or None (no bound on this side); the sides are broadcast to a common shape,
        which is that of the parameter.  `optdriver.Interval` says the same in words, with a shape
        where the sides have none.  The members of a list or tuple are handed to the loss by
        position, those of a dictionary by name, all else as one argument.
    method : str
        ``'L-BFGS-B'``, to which `optdriver.FeasibleMinimizer` succeeds where constraints matter, or
        a method of `scipy.optimize.minimize`, see `optdriver.CallbackMinimizer`, or ``'CMA-ES'`` or
        one of Nevergrad's such as ``'DE'``, see `optdriver.population.PopulationDriver`.  One that
        does not keep to the bounds, or takes no constraints where there are some, is refused.
    constraints : str, mapping, function, SciPy constraint, or a list of these, optional
        Texts over the parameters by name: numbers of arrays are ``w[0]`` or ``w_0``, nested ones
        ``layer.w[0, 1]`` or ``layer_w_0_1``, members of a list, and a single one, by the names that
        the loss has for them.  Functions: ``c(...) <= 0``, called as the loss is if they take the
        same arguments and otherwise with the vector of all numbers; the same holds for the ``fun``
        of SciPy's dictionaries and of its ``NonlinearConstraint``.  JAX makes their derivatives.
        ``'SLSQP'``, ``'trust-constr'``, ``'COBYQA'`` and ``'COBYLA'`` evaluate points that violate
        them on their way, which a `ConstraintWarning` says; the others that take them never do.
    tol : float, optional
        Tolerance for all tests of convergence.
    callback : callable, optional
        Called after every iteration of every start as ``callback(intermediate_result)``, known by
        this name, with ``x``, ``fun``, ``jac``, ``nit``, ``nfev`` and ``start``, or else as
        ``callback(x)``.  StopIteration stops all starts.
    options : mapping, optional
        Options of the method.  ``disp=True``, ``iprint=0`` or ``verbose=1`` (or more) print how
        it has ended.
    x0 : pytree, list of pytrees, or array of shape (n,) or (k, n), optional
        Starts that are used first: one with the structure of the parameters, or several.  Its
        arrays give their shapes to parameters whose pairs are numbers.
    seed : int or None
        Seed of the other starts, the same ones whenever it is called.  None draws another one
        whenever it is called; ``res.seed`` is the one that was used.
    units : bool
        Hand quantities to the loss, and return them, where the bounds have units; False has plain
        numbers in both places, in the units of the lower sides.
    x64 : bool, optional
        Let JAX compute in 64 bits (or not) here, whatever ``jax_enable_x64`` says.  The arrays
        of the result are NumPy's then if JAX is set to 32 bits, since it would narrow its own.
    jac : {None, '2-point', '3-point', True} or callable
        None: by JAX, if it can.  ``'2-point'``, ``'3-point'``: differences, and JAX is not used.
        True: the loss returns ``(value, gradient)``; or a function of the parameters that returns
        the gradient.  It has the structure of the parameters, or is a vector of shape (n,).
    scale : bool
        Let the minimizers see each variable in a power of two near to the width of its bounds.
        Parameters with ``scale='log'`` in their bounds are seen by their logarithm in any case.
    engine : {None, 'serial', 'batch', 'device'}
        How the starts are driven: in turn, all with one vectorised call of the loss a round, or
        wholly on the device (`optdriver.batch.jax`).  The last two are for L-BFGS-B within bounds
        and losses that JAX compiles.  None chooses; the device only where it is no processor.
    must_stay_feasible : bool
        Refuse methods that may evaluate points that violate constraints.
    progress : bool, optional
        Draw a bar in the terminal; None draws it where there is one.
    direction : {'minimize', 'maximize'}
        Whether the least or the greatest value of the loss is looked for.  Values and gradients
        that are shown are those of the loss as it was given.

    Raises
    ------
    InputError
        Something given cannot be used; the message says what and why.

    See Also
    --------
    minimize : the same as a function.
    """

    def __init__(
        self,
        loss_fun: Callable[..., Any],
        bounds: Any,
        method: str = "L-BFGS-B",
        constraints: Any = None,
        tol: float | None = None,
        callback: Callable[..., Any] | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        x0: Any = None,
        seed: int | None = 0,
        units: bool = True,
        x64: bool | None = None,
        jac: str | bool | Callable[..., Any] | None = None,
        scale: bool = True,
        engine: str | None = None,
        must_stay_feasible: bool = False,
        progress: bool | None = None,
        direction: str = MINIMIZE,
    ) -> None:
        structure = _structure(bounds, x0)
        check_call(loss_fun, structure)
        _check_switches(units=units, scale=scale, must_stay_feasible=must_stay_feasible)
        _check_seed(seed)
        self._first = given_starts(x0, structure)
        given = Given(
            loss=loss_fun,
            constraints=constraints,
            units=units,
            x64=checked_x64(x64),
            jac=jac,
            scale=scale,
            seed=seed or 0,
            direction=_direction(direction),
        )
        self._asked = given
        self._method = methods.known(method)
        self._engine = engines.known(engine)
        self._problem = prepare(given, structure, self._first)
        methods.check_fits(self._method, self._problem, must_stay_feasible=must_stay_feasible)
        if methods.leaves(self._method, self._problem):
            self._problem = self._problem.without_feasible_differences()
        self._options, self._prints = printing.taken(_options(options))
        self._factory = methods.Factory(self._method, self._problem, tol, self._options)
        self._seed, self._callback, self._progress = seed, callback, progress
        self._given = {
            "loss_fun": loss_fun,
            "bounds": bounds,
            "method": method,
            "constraints": constraints,
            "tol": tol,
            "callback": callback,
            "options": options,
            "x0": x0,
            "seed": seed,
            "units": units,
            "x64": x64,
            "jac": jac,
            "scale": scale,
            "engine": engine,
            "must_stay_feasible": must_stay_feasible,
            "progress": progress,
            "direction": direction,
        }
        Watch(callback, self._problem, lambda: None)  # checks the callback

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (self._given,)  # what it was made of: the rest is computed and compiled

    @property
    def problem(self) -> Problem:
        """What is minimised, as the minimizers see it."""
        return self._problem

    def minimize(
        self,
        n_iter: int | None = None,
        *,
        seed: int | None = None,
        storage: Any = None,
        executor: Any = None,
        max_iter: float | None = None,
        max_time: float | None = None,
        num_parallel: int | None = None,
        retries: int | None = None,
        name: str | None = None,
        study_id: str | None = None,
    ) -> OptimizeResult:
        """Minimise from `n_iter` starts and return the best end.

        With any of the arguments from `storage` on it is a study that runs, see
        `optdriver.create_study`: killed and called again with the same file it goes on bit for bit,
        and where the file is finished nothing is evaluated.

        Parameters
        ----------
        n_iter : int, optional
            The number of starts: those of `x0` first, then those of a Sobol sequence in the
            bounds.  By default the starts of `x0`, or 10.
        seed : int, optional
            Another seed than that of the minimizer.
        storage : str or path-like, optional
            The file that keeps the study; constraints are texts then.
        executor : concurrent.futures.Executor, optional
            Where the loss is evaluated; `num_parallel` is the number of its workers then.
        max_iter, max_time : optional
            Evaluations of the loss, and seconds of run time.
        num_parallel, retries : int, optional
            Evaluations at a time, and how often a failed one is tried again.
        name, study_id : str, optional
            Labels of the study.

        Returns
        -------
        OptimizeResult
            Of the best start; finite ones come before others, then feasible and then successful
            ones.  ``x`` and ``jac`` have the structure of the parameters.  ``starts`` is a tuple
            of `Start`, one for each; ``start`` the number of the best.  ``nfev``, ``njev`` and
            ``nhev`` are totals.  ``engine`` says how the starts were driven, ``seed`` from which
            seed they were drawn, and ``maxcv`` by how much the constraints are violated, scaled.
            Of a study there are also ``study``, whose file is closed, and ``history``; ``starts``
            are its ``runs``, and its numbers are NumPy's.
        """
        keeping = kept.Keeping(
            storage=storage,
            executor=executor,
            max_iter=max_iter,
            max_time=max_time,
            num_parallel=num_parallel,
            retries=retries,
            name=name,
            study_id=study_id,
        )
        chosen = _drawn(self._seed if seed is None else seed, keeping)
        if keeping.wanted:
            result = self._as_study(keeping, n_iter, chosen)
        else:
            result = self._at_once(n_iter, chosen)
        result["seed"] = chosen
        if self._prints:
            printing.show(result)
        return result

    def _at_once(self, n_iter: int | None, chosen: int) -> OptimizeResult:
        number = count(n_iter, len(self._first))
        z0 = self._problem.starts(self._first, number, chosen)
        before = self._problem.objective.calls
        made = zip(z0, self._factory.at(z0, chosen), strict=True)
        precision = self._factory.precision
        lanes = [Lane(k, z, minimizer, precision) for k, (z, minimizer) in enumerate(made)]
        looked = self._problem.objective.calls - before
        interrupted: str | None = None
        with bar(partial(line, lanes, self._problem.sign), self._progress) as show:
            watch = Watch(self._callback, self._problem, show)
            watched = self._callback is not None
            engine = engines.choose(self._engine, self._problem, lanes, watched)
            try:
                engines.run(engine, self._problem, lanes, watch)
            except Stopped as request:
                interrupted = str(request) or "the callback has raised StopIteration"
                _halt(lanes, interrupted)
        return _result(self._problem, lanes, engine, interrupted, looked)

    def _as_study(self, keeping: kept.Keeping, n_iter: int | None, seed: int) -> OptimizeResult:
        given, made = replace(self._asked, seed=seed), self._given
        kept.check(keeping, given, self._callback, self._engine)
        return kept.minimize(
            self._problem,
            given,
            keeping,
            method=self._method,
            first=self._first,
            number=count(n_iter, len(self._first)),
            tol=made["tol"],
            options=self._options,
            progress=self._progress,
        )


def minimize(
    loss: Callable[..., Any],
    bounds: Any,
    method: str = "L-BFGS-B",
    constraints: Any = None,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    n_iter: int | None = None,
    seed: int | None = 0,
    x0: Any = None,
    units: bool = True,
    x64: bool | None = None,
    jac: str | bool | Callable[..., Any] | None = None,
    scale: bool = True,
    engine: str | None = None,
    must_stay_feasible: bool = False,
    progress: bool | None = None,
    storage: Any = None,
    executor: Any = None,
    max_iter: float | None = None,
    max_time: float | None = None,
    num_parallel: int | None = None,
    retries: int | None = None,
    name: str | None = None,
    study_id: str | None = None,
    residuals: bool = False,
    uncertainty: Any = None,
    outputs: Any = None,
    direction: str = MINIMIZE,
    **unknown: Never,
) -> OptimizeResult:
    """Minimise a loss on structured parameters from many starts, and return the best end.

    The arguments are those of `Minimizer`, and `n_iter` and those from `storage` on, which make a
    study of it, those of `Minimizer.minimize`, where the result is described too.

    With ``residuals=True`` it is a fit: `loss` returns residuals, as arrays of any shapes, and half
    of the sum of their squares is minimised (or what the options ``loss`` and ``f_scale`` say, as
    in `scipy.optimize.least_squares`; `tol` is ``xtol``).  JAX makes the Jacobian, if it can, and
    differences do otherwise.  It is always a study, and ``res.uncertainty()`` has the standard
    errors, see `optdriver.Study.uncertainty`.  The `uncertainty` are the standard deviations of the
    data then, one number or one for each residual, by which these are divided.

    With `outputs`, as `optdriver.create_study` takes them, `loss` returns ``(value, {'stress':
    ...})``, or a dict of ``value`` and outputs, plain numbers each, and the result satisfies the
    limits on them; ``res.outputs`` is what was put out there.  That is always a study too.

    Examples
    --------
    >>> def loss(a, b):
    ...     return (a - 2) ** 2 + (b + 1) ** 2
    >>> res = minimize(loss, {"a": (-5, 5), "b": (-5, 5)}, x64=True)
    >>> bool(res.success), {name: round(float(value), 4) for name, value in res.x.items()}
    (True, {'a': 2.0, 'b': -1.0})
    """
    for argument in unknown:
        known = inspect.signature(minimize).parameters
        raise unknown_option("argument of minimize", argument, [*known][:-1], hint(argument))
    keeping = kept.Keeping(
        storage=storage,
        executor=executor,
        max_iter=max_iter,
        max_time=max_time,
        num_parallel=num_parallel,
        retries=retries,
        name=name,
        study_id=study_id,
    )
    _check_switches(residuals=residuals)
    if uncertainty is not None and not residuals:
        raise InputError(
            "uncertainty= are the standard deviations of residuals, with residuals=True; noise of "
            "values that is the same everywhere is the option 'noise', and one that is told with "
            "each value is for a study"
        )
    if residuals or outputs is not None:
        return _as_study(
            Given(
                loss=loss,
                constraints=constraints,
                units=units,
                x64=checked_x64(x64),
                jac=jac,
                scale=scale,
                seed=_drawn(seed, keeping),
                direction=_direction(direction),
            ),
            _structure(bounds, x0),
            keeping,
            {"method": method, "callback": callback, "engine": engine},
            residuals=residuals,
            uncertainty=uncertainty,
            outputs=outputs,
            x0=x0,
            n_iter=n_iter,
            tol=tol,
            options=_options(options),
            progress=progress,
        )
    if keeping.wanted and jac is None and not _traceable(loss, _structure(bounds, x0), units, x64):
        jac = "3-point"  # a loss is not tried out beside its study
    made = Minimizer(
        loss,
        bounds,
        method,
        constraints=constraints,
        tol=tol,
        callback=callback,
        options=options,
        x0=x0,
        seed=seed,
        units=units,
        x64=x64,
        jac=jac,
        scale=scale,
        engine=engine,
        must_stay_feasible=must_stay_feasible,
        progress=progress,
        direction=direction,
    )
    return made.minimize(n_iter, **keeping.given())


def _as_study(
    given: Given,
    structure: Structure,
    keeping: kept.Keeping,
    other: Mapping[str, Any],
    *,
    residuals: bool,
    uncertainty: Any,
    outputs: Any,
    x0: Any,
    **rest: Any,
) -> OptimizeResult:
    """Check the arguments that have another meaning, or none, for what is always a study, and run.

    A loss returns residuals, or outputs beside its value.
    """
    _check_switches(units=given.units, scale=given.scale)
    if residuals and outputs is not None:
        raise InputError("a loss returns residuals, or a value with outputs, and not both")
    method = driver_factory(other["method"] or "L-BFGS-B", "method").name
    kept.check(keeping, given, other["callback"], other["engine"])
    first = given_starts(x0, structure)
    if residuals:
        fits.check(given, method, rest["options"])
        spread = None if uncertainty is None else of_data(uncertainty)
        return fits.minimize(given, structure, keeping, first=first, uncertainty=spread, **rest)
    limited.check(given, method)
    return limited.minimize(given, structure, keeping, outputs, first=first, **rest)


def _traceable(loss: Any, structure: Structure, units: bool, x64: Any) -> bool:
    """Return whether JAX can differentiate a loss; nothing is evaluated."""
    return traced(loss, structure, units=units, x64=checked_x64(x64))[0] is not None


def _made(given: Mapping[str, Any]) -> Minimizer:
    return Minimizer(**given)


# -- the arguments ------------------------------------------------------------------------------


def _structure(bounds: Any, x0: Any) -> Structure:
    """Read the bounds; arrays of one start give shapes to pairs of numbers."""
    if bounds is None:
        raise InputError("bounds are missing: a pair (low, high) for every parameter")
    if x0 is not None:
        for like in (x0, x0[0] if isinstance(x0, list | tuple) and len(x0) else None):
            try:
                return Structure(bounds, like)
            except InputError:
                continue
    return Structure(bounds)


def _options(options: Any) -> dict[str, Any]:
    if options is not None and not isinstance(options, Mapping):
        raise InputTypeError(f"options is a dict of options of the method, not {options!r}")
    return dict(options or {})


def _direction(given: Any) -> str:
    """Return the direction, which is that of a study."""
    return str(check_all({"direction": given})["direction"])


def _check_switches(**switches: Any) -> None:
    for name, value in switches.items():
        check_flag(name, value)


def _check_seed(seed: Any) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer | None):
        raise InputTypeError(f"seed is an integer or None, not {seed!r}")
    if seed is not None and seed < 0:
        raise InputError(f"seed must not be negative, but is {seed}")


def _drawn(seed: int | None, keeping: kept.Keeping) -> int:
    """Return a seed, another one each time where None was given."""
    _check_seed(seed)
    if seed is not None:
        return int(seed)
    if keeping.storage is not None:
        raise InputError(
            "seed=None draws other starts each time, and a study in a file goes on from its own: "
            "give the seed as a number"
        )
    return secrets.randbits(SEED_BITS)


# -- the result ---------------------------------------------------------------------------------


def _halt(lanes: list[Lane], reason: str) -> None:
    for lane in lanes:
        if not lane.minimizer.done:
            lane.minimizer.halt(reason)


def _result(
    problem: Problem, lanes: list[Lane], engine: str, interrupted: str | None, looked: int
) -> OptimizeResult:
    ends = [ended(lane, problem) for lane in lanes]
    best = min(ends, key=lambda end: order(end, interrupted is not None))
    _check_called(problem, ends)
    flat = None if interrupted is not None else _flat(problem, ends)
    if flat is not None:
        say(flat)
    made = FeasibleResult()
    kept = {"active", "multipliers", "kkt", "certified", "stop"}
    made.update({key: value for key, value in best.raw.items() if key in kept})
    made.update(
        x=problem.objective.result(problem.to_user(best.z)),
        fun=with_loss_unit(problem, best.f),
        jac=None if best.g is None else gradient(problem, best.g, best.z),
        success=best.success and interrupted is None and flat is None,
        status=_status(best, interrupted, flat),
        message=f"FLAT: {flat}" if flat else _message(problem, ends, best, interrupted),
        nfev=sum(lane.nfev for lane in lanes) + looked,
        njev=sum(lane.njev for lane in lanes) + looked,
        nhev=sum(lane.nhev for lane in lanes),
        nit=int(best.raw.nit),
        maxcv=best.violation,
        start=best.lane.index,
        starts=Rows(_row(problem, end) for end in ends),
        engine=engine,
    )
    return made


def _status(best: Ended, interrupted: str | None, flat: str | None) -> int:
    if interrupted is not None:
        return INTERRUPTED
    return int(best.raw.status) if flat is None else kept.NO_SUCCESS


def _message(problem: Problem, ends: list[Ended], best: Ended, interrupted: str | None) -> str:
    if interrupted is not None:
        return f"HALTED: {interrupted}"
    if best.finite:
        return best.message
    reasons = "; ".join(f"start {end.lane.index}: {end.message}" for end in ends[:5])
    more = f"; and {len(ends) - 5} more" if len(ends) > 5 else ""
    if any(leaf.unit is not None for leaf in problem.structure.leaves):
        more += f"; {WITH_UNITS}"
    return f"FAILED: no start gave a value: {reasons}{more}"


WITH_UNITS: Final = "a loss that expects plain numbers needs units=False"


def _check_called(problem: Problem, ends: list[Ended]) -> None:
    """Raise where the loss can evidently not be called at all, or has a mistake in it.

    An exception of the kind of a mistake, at every start, is let through by one more call.
    """
    reasons = [end.lane.reasons for end in ends]
    kinds = {why[0].partition(":")[0] if why else "" for why in reasons}
    if len(kinds) == 1 and kinds <= BUGS and not any(end.finite for end in ends):
        try:
            problem.value_alone(ends[0].lane.start)
        except Exception as error:
            if any(leaf.unit is not None for leaf in problem.structure.leaves):
                error.add_note(WITH_UNITS)
            raise
    if all(
        not end.finite and why and why[0].startswith("TypeError")
        for end, why in zip(ends, reasons, strict=True)
    ):
        raise InputTypeError(f"the loss cannot be called, it raised everywhere: {reasons[0][0]}")


def _flat(problem: Problem, ends: list[Ended]) -> str | None:
    """Return what to say where several starts have seen one and the same value, and no slope.

    That is no success, as it is none of a study (`optdriver.study.flatness`).
    """
    values = {end.f for end in ends if end.finite}
    moved = any(end.g is not None and np.any(end.g) for end in ends)
    places = {end.lane.start.tobytes() for end in ends}
    still = all(np.array_equal(end.z, end.lane.start) for end in ends if end.g is not None)
    if len(places) >= ENOUGH_AT_THE_END and len(values) == 1 and still and not moved:
        return (
            f"the loss returned {problem.sign * values.pop():g} from all of {len(places)} starts, "
            "and no slope: does it read its parameters?"
        )
    return None


def _row(problem: Problem, end: Ended) -> Start:
    lane, result = end.lane, problem.objective.result
    return Start(
        index=lane.index,
        x0=result(problem.to_user(lane.start)),
        x=result(problem.to_user(end.z)) if end.finite else None,
        fun=with_loss_unit(problem, end.f),
        success=end.success,
        feasible=end.feasible,
        status=int(end.raw.status),
        message=end.message,
        nfev=lane.nfev,
        njev=lane.njev,
        nit=int(end.raw.nit),
    )
