"""What a study tells about itself: records by name, and the table of all evaluations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart import Minimum, Run
from optdriver.numerics import RESOLVED, quiet
from optdriver.space.space import Space
from optdriver.study import flatness, limits
from optdriver.study.kinds import MINIMUM, Kinds
from optdriver.study.ledger import KINDS, STATES
from optdriver.study.noisiness import below_noise
from optdriver.study.parameters import TABLE
from optdriver.study.runs import ends_of, number_of, rows_of, run_of
from optdriver.study.spec import Spec
from optdriver.study.state import State
from optdriver.study.tables import Rows
from optdriver.study.unsatisfied import unsatisfied

FloatArray = NDArray[np.float64]

NEAR: Final = 1e-3
"""How far from its minimum a best point may lie, in widths of the box (as in the catalogue)."""

EXACT: Final = 1e-12
"""By what part values at a minimum differ by their own rounding, where `ftol` is less."""

AT: Final = 1e-8
"""A point that is no farther from a bound than this is at it, in the driver's coordinates."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """What was found to be right.

    Attributes
    ----------
    events : int
        Events that were replayed.
    points : int
        Points among them that were asked, compared bit for bit.
    """

    events: int
    points: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Suggestion:
    """A point to be evaluated.

    Attributes
    ----------
    id : int
        The name under which it is told.
    params : dict or structure
        All parameters by name, fixed ones too, or as the structure that was given, with units; also
        there as `kwargs`.
    x : ndarray, shape (n,)
        The continuous parameters in the order of the domain; read-only.
    kind : {'iterate', 'difference', 'check'}
        A point of a minimizer, one of its finite-difference points, or one that checks the
        supplied gradient.
    run : int
        The minimizer that wants it, -1 for none.
    """

    id: int
    params: Any
    x: FloatArray
    kind: str
    run: int

    @property
    def kwargs(self) -> Any:
        """The same as `params`."""
        return self.params


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Best:
    """The best observed point.

    Attributes
    ----------
    value : float
        The value observed there.
    params : dict or structure
        All parameters, fixed ones too: ``objective(**best.params)`` evaluates it again.
    x, gradient : ndarray, ndarray or None
        The continuous parameters, and the gradient if one was supplied there.
    id, run : int
        The suggestion and its minimizer, -1 for none.
    outputs : dict or None
        What the objective put out there beside its value, where the study has outputs.
    uncertainty : float or None
        The standard deviation of the value, if one was told.  The lowest of many noisy values is
        lower than what it is the value of, as a rule.
    """

    value: float
    params: Any
    x: FloatArray
    gradient: FloatArray | None
    id: int
    run: int
    outputs: dict[str, float] | None = None
    uncertainty: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LocalMinimum:
    """A distinct local minimum that minimizers converged to.

    Attributes
    ----------
    value : float
    params : dict or structure
        All parameters.
    x : ndarray, shape (n,)
    extent : ndarray, shape (2, n)
        The least and the greatest coordinates of the ends that were found to be this minimum: how
        far a flat one, or a valley, was seen to extend.
    times_found : int
    starts : tuple
        The starts that led there, as `params`.
    runs : tuple of int
    outputs : dict or None
        What the objective put out there beside its value, where the study has outputs.
    kind : {'minimum', 'maximum', 'saddle', 'doubtful'}
        What it is by all that was evaluated beside it, within 0.001 of the widths of the box: a
        ``'saddle'`` where the value falls to a better one as along a parabola from its top,
        ``'doubtful'`` where a better one is there, nearer than 0.0001, otherwise; else a minimum,
        or a maximum where the direction is ``'maximize'``.
    """

    shown: ClassVar = ("value", "kind", "times_found", "params")

    value: float
    params: Any
    x: FloatArray
    extent: FloatArray
    times_found: int
    starts: tuple[Any, ...]
    runs: tuple[int, ...]
    outputs: dict[str, float] | None = None
    kind: str = MINIMUM


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RunRow:
    """What became of one minimizer.

    Attributes
    ----------
    index : int
    start : dict or structure
        Where it started.
    state : {'running', 'waiting', 'converged', 'stopped', 'failed'}
    reason : str
        Why it ended; if the study ended before it, why that did.
    evaluations, failures : int
        What its minimizer was told, values that the study knew already among them.
    value, params : float or None, dict, structure or None
        Its best value, and where.
    active_constraints : tuple of str
        Constraints that are active there.
    active_bounds : dict
        ``'lower'`` or ``'upper'`` by name, for the parameters that are held at a bound there.
    multipliers : dict
        The multipliers of both, by the names of the constraints and of the parameters.
    kkt_residual : float or None
        What is left of the first-order conditions there, in the driver's coordinates; None
        without gradients.
    """

    shown: ClassVar = ("index", "state", "evaluations", "failures", "value", "reason", "params")

    index: int
    start: Any
    state: str
    reason: str
    evaluations: int
    failures: int
    value: float | None
    params: Any
    active_constraints: tuple[str, ...]
    active_bounds: dict[str, str]
    multipliers: dict[str, float]
    kkt_residual: float | None


class History(dict[str, NDArray[Any]]):
    """Every evaluation that has ended, a row each, as a dictionary of columns.

    ``pandas.DataFrame(study.history)`` and ``polars.DataFrame(study.history)`` read it.  Columns:
    one a continuous parameter, then ``id, run, kind, state, value, attempts, asked, ended,
    reason, objective`` (with an underscore behind where a parameter has that name).  `value` is NaN
    where the evaluation failed, unless only the gradient could not be used: then the value counts
    at once, and `state` is ``waiting``, or ``open``, while the point is tried again (`retries`);
    what comes of that takes the place of the row.  `asked` and `ended` are run times in seconds;
    `objective` is 0, and one more after each `Study.reevaluate`.  Of a study with outputs there
    are behind these one for each output, and ``feasible``: whether all limits are satisfied, to
    the tolerance.  Where an uncertainty was told with values, the last one is ``uncertainty``, NaN
    where there is none.

    Attributes
    ----------
    x : ndarray, shape (rows, n)
    gradient : ndarray, shape (rows, n), or None
        NaN where none was supplied.
    counted : ndarray of bool, shape (rows,)
        Whether a value can be the best one: it was observed, and satisfies all constraints and
        limits, to the tolerance.
    """

    x: FloatArray
    gradient: FloatArray | None
    counted: NDArray[np.bool_]


TABLE_OF_HISTORY: Final = (
    "id", "run", "kind", "state", "value", "attempts", "asked", "ended", "reason", "objective",
)  # fmt: skip
"""Columns of a history behind the parameters."""

FEASIBLE: Final = "feasible"
"""The last column of a study with outputs."""


def history(state: State) -> History:
    """Return the table of evaluations."""
    ledger, space = state.ledger, state.spec.space
    rows = ledger.shown()
    columns: dict[str, NDArray[Any]] = {
        "id": rows,
        "kind": np.array(KINDS)[ledger.kind[rows]],
        "state": np.array(STATES)[ledger.state[rows]],
        "reason": np.array([ledger.reasons.get(int(row), "") for row in rows], dtype=np.str_),
        "objective": np.searchsorted(np.array(ledger.renewals, dtype=np.int64), rows, "right"),
    }
    for name in ("run", "value", "attempts", "asked", "ended"):
        columns[name] = getattr(ledger, name)[rows]
    columns = {name: columns[name] for name in TABLE_OF_HISTORY}
    table = History()
    table.x = ledger.x[rows]
    table.gradient = None if ledger.gradient is None else ledger.gradient[rows]
    for i, parameter in enumerate(space.free):
        table[parameter] = table.x[:, i].copy()
    outside = np.fromiter(ledger.outside, dtype=np.intp, count=len(ledger.outside))
    table.counted = np.isfinite(ledger.value[rows]) & ~np.isin(rows, outside)
    columns |= _output_columns(state, rows, table.counted)
    if ledger.uncertainty is not None:
        columns[_unused("uncertainty", columns)] = ledger.uncertainty[rows]
    for name, column in columns.items():
        table[_unused(name, table)] = column
    return table


def own_columns(table: History, space: Space) -> dict[str, NDArray[Any]]:
    """Return the columns behind the parameters, by our names whatever the parameters are called."""
    columns = list(table.values())[len(space.free) :]
    return dict(zip(TABLE_OF_HISTORY, columns, strict=False))  # outputs are behind them


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name += "_"
    return name


def _output_columns(
    state: State, rows: NDArray[np.intp], counted: NDArray[np.bool_]
) -> dict[str, NDArray[Any]]:
    """Return a column for each output, and one that says whether all limits are satisfied."""
    ledger, limits = state.ledger, state.spec.limits
    if limits is None:
        return {}
    put = ledger.outputs
    known = np.full((len(rows), len(limits.names)), math.nan) if put is None else put[rows]
    found: dict[str, NDArray[Any]] = {
        _unused(name, dict.fromkeys(TABLE_OF_HISTORY)): known[:, k].copy()
        for k, name in enumerate(limits.names)
    }
    return {**found, _unused(FEASIBLE, found): counted.copy()}


def outputs_at(state: State, row: int | None) -> dict[str, float] | None:
    """Return what the objective put out at a row beside its value, None without outputs."""
    limits, put = state.spec.limits, state.ledger.outputs
    if limits is None or put is None or row is None:
        return None
    return dict(zip(limits.names, put[row].tolist(), strict=True))


def best(state: State) -> Best | None:
    """Return the best observed point, None before there is one."""
    ledger, row = state.ledger, state.ledger.best
    if row < 0:
        return None
    gradient = ledger.gradient_of(row)
    return Best(
        value=float(ledger.value[row]),
        params=state.spec.space.params(ledger.x[row]),
        x=ledger.x[row].copy(),
        gradient=None if gradient is None else gradient.copy(),
        id=row,
        run=int(ledger.run[row]),
        outputs=outputs_at(state, row),
        uncertainty=ledger.uncertainty_of(row),
    )


def best_so_far(
    values: FloatArray, sign: float, counted: NDArray[np.bool_] | None = None
) -> FloatArray:
    """Return the lowest of each value and those before it, the highest where `sign` is -1.

    Of those that are `counted`; NaN before the first of them.
    """
    if not len(values):
        return values
    running = np.minimum if sign > 0.0 else np.maximum
    if counted is None or counted.all():
        return running.accumulate(values)
    best = running.accumulate(np.where(counted, values, sign * math.inf))
    return np.where(np.isinf(best), math.nan, best)


def former_starts(state: State) -> FloatArray:
    """Return where the minima are, and the best point if it is at none of them, a row each."""
    space, found = state.spec.space, best(state)
    rows = [space.to_user(minimum.x) for minimum in state.driver.minima]
    if found is not None and not is_minimum(state, found):
        rows.insert(0, found.x)
    return np.array(rows).reshape(len(rows), space.size)


def minima(state: State) -> Rows[LocalMinimum]:
    """Return the distinct local minima, as the driver lists them."""
    space = state.spec.space
    row = rows_of(state.driver)
    kinds = Kinds(state, row)

    def made(minimum: Minimum) -> LocalMinimum:
        return LocalMinimum(
            value=state.spec.sign * minimum.f,
            params=space.params(space.to_user(minimum.x)),
            x=space.to_user(minimum.x),
            extent=np.array([space.to_user(minimum.low), space.to_user(minimum.high)]),
            times_found=minimum.times_found,
            starts=tuple(space.params(space.to_user(row(run).x0)) for run in minimum.runs),
            runs=minimum.runs,
            outputs=outputs_at(state, state.ledger.find(space.to_user(minimum.x))),
            kind=kinds.of(minimum),
        )

    return Rows(state.driver.minima, quiet(made))


def runs(state: State) -> Rows[RunRow]:
    """Return a row for each minimizer."""
    space = state.spec.space
    cut_short = "" if state.stop is None else f"the study stopped: {state.stop[1]}"

    def named(z: FloatArray) -> Any:
        return space.params(space.to_user(z))

    def made(run: Run) -> RunRow:
        return RunRow(
            index=run.index,
            start=named(run.x0),
            state=run.state,
            reason=run.reason or cut_short,
            evaluations=run.nfev,
            failures=run.nfail,
            value=None if run.f is None else state.spec.sign * run.f,
            params=None if run.x is None else named(run.x),
            active_constraints=run.active,
            active_bounds=active_bounds(state, run),
            multipliers=_multipliers(state, run),
            kkt_residual=run.residual,
        )

    return Rows(state.driver.runs, quiet(made))


def info(state: State, elapsed: float) -> dict[str, Any]:
    """Return the summary that `Study.info` documents."""
    found = best(state)
    return {
        "name": state.spec.name,
        "study_id": state.spec.study_id,
        "driver": state.spec.driver,
        "direction": state.parameters["direction"],
        "status": "stopped" if state.stop else "running" if state.ledger.size else "created",
        "stop_kind": state.stop[0] if state.stop else None,
        "stop_reason": state.stop[1] if state.stop else None,
        "min_objective": found.value if found else None,
        "min_params": found.params if found else None,
        "outputs": found.outputs if found else None,
        "num_evaluations": state.spent,
        "num_failed": state.failures,
        "num_former": num_former(state),
        "num_open": len(state.out),
        "open_suggestions": list(state.open),
        "num_parallel": state.parameters["num_parallel"],
        "is_done": limits.is_over(state, elapsed),
        "num_minimizers": number_of(state.driver),
        "num_minima": state.driver.num_minima,
        "probability_all_minima": getattr(state.driver, "probability", None),
        "elapsed": elapsed,
        **_conditions(state, found),
    }


def _conditions(state: State, found: Best | None) -> dict[str, Any]:
    """Return what the minimizer says that converged to the minimum of the best point.

    Without one it is the minimizer that asked for the best point.
    """
    flat = flatness.why(state, at_the_end=True)
    end = None if found is None or flat else _converged_at(state, found)
    data: dict[str, Any] = {"success": end is not None}
    if end is None and found is not None and found.run >= 0:
        end = run_of(state.driver, found.run)
    data["active_constraints"] = end.active if end else ()
    data["active_bounds"] = active_bounds(state, end) if end else {}
    data["multipliers"] = _multipliers(state, end) if end else {}
    data["kkt_residual"] = end.residual if end else None
    data["notes"] = notes(state, flat)
    return data


def num_former(state: State) -> int:
    """Return how many evaluations of former objectives have ended."""
    return int(np.count_nonzero(~np.isnan(state.ledger.ended[: state.ledger.since])))


def active_bounds(state: State, run: Run) -> dict[str, str]:
    """Return which bounds of the user's box a run is held at, those of constraints left out."""
    if run.bounds is None or run.x is None:
        return {}
    space = state.spec.space
    lower, upper = space.driver_bounds.T
    near = AT * np.maximum(1.0, np.abs(run.x))
    low = (run.x - near <= lower) & ~(run.bounds > 0.0)
    high = (run.x + near >= upper) & ~(run.bounds < 0.0)
    held = np.flatnonzero(low | high)
    return {space.free[i]: "lower" if low[i] else "upper" for i in held}


def is_minimum(state: State, found: Best) -> bool:
    """Return whether a minimizer has converged at the best point."""
    return _converged_at(state, found) is not None


def _converged_at(state: State, found: Best) -> Run | None:
    """Return the run whose minimum the best point belongs to, the one that asked for it first.

    The best point is often a difference point beside the minimum, and lower by the last digits.
    It belongs to a run that converged so near that the tests by which it did allow for what is
    between the two values: the step times `gtol`, `ftol` of the value, what it resolves, or the
    noise; ten times as much, since a gradient by differences is not exact.  Where values are noisy
    the lowest may be any that the run has asked, since it was lucky.
    """
    parameters, bounds = state.spec.parameters, state.spec.space.driver_bounds
    z = state.spec.space.to_driver(found.x)
    widths = bounds[:, 1] / 2 - bounds[:, 0] / 2  # halves: a width can overflow
    near = 2.0 * NEAR * np.where(np.isfinite(widths), widths, np.maximum(0.5, np.abs(z) / 2))
    ends = ends_of(state.driver)
    size = np.maximum(np.maximum(np.abs(ends.f), abs(found.value)), 1.0)
    part = max(parameters["ftol"], EXACT, RESOLVED * parameters["value_spacing"])
    allowed = part * size + ends.noise
    above = ends.f - state.spec.sign * found.value
    far = parameters["gtol"] * float(near.sum())
    some = np.flatnonzero(above <= 10.0 * (far + allowed))  # those that may be, wherever they are
    away = np.abs(np.reshape([ends.x[k] for k in some], (-1, z.size)) - z)
    total = away.sum(axis=1)
    low = above[some] <= 10.0 * (parameters["gtol"] * total + allowed[some])
    asked = np.array([ends.runs[k] for k in some], dtype=np.intp) == found.run
    asked &= above[some] <= 10.0 * ends.noise[some]  # where values are noisy a lucky one
    there = np.flatnonzero(((away <= near).all(axis=1) & low) | asked)
    if not there.size:
        return None
    runs = np.array([ends.runs[k] for k in some[there]])
    first = np.lexsort((runs, total[there], runs != found.run))[0]
    return run_of(state.driver, int(runs[first]))


def _multipliers(state: State, run: Run) -> dict[str, float]:
    """Return the multipliers of a run: constraints by their names, bounds by their parameters'.

    The driver has those of bounds by its coordinates, and a constraint may be one.
    """
    known, space = dict(run.multipliers), state.spec.space
    if run.x is None:
        return known
    slope = space.slope(space.to_user(run.x))
    seen = getattr(state.driver, "constraints", None)
    if seen is not None:  # a bound on D may be a row on its logarithm
        for (i, _), name in seen.bound_names.items():
            if name in known and name not in seen.names:
                known[name] /= float(slope[i])
    for name in active_bounds(state, run):
        i = space.free.index(name)
        force = 0.0 if run.bounds is None else abs(float(run.bounds[i] / slope[i]))
        if not math.isnan(force):
            known.setdefault(name, force)
    return known


def notes(state: State, flat: str | None) -> list[str]:
    """Return what is to be known of the constraints, and which initial samples were moved.

    Before that whether the objective looks flat, which limits on outputs resist, where no evaluated
    point satisfies all of them, and that differences are below the noise that was told.
    """
    space, compiled = state.spec.space, state.spec.compiled
    said = [text for text in (flat, unsatisfied(state), below_noise(state)) if text]
    if compiled is not None:
        said += [f"{note.name}: {note.message}" for note in compiled.notes]
    for moved in state.driver.moved:
        given, x = space.to_user(moved.given), space.to_user(moved.x)
        said.append(
            f"initial sample {moved.sample} violates {moved.constraint!r} by "
            f"{moved.violation:.3g} (scaled) and was moved by {math.dist(given, x):.3g}, "
            f"from {given.tolist()} to {x.tolist()}"
        )
    return said


def observation_data(state: State, id: int | None = None) -> dict[str, Any]:
    """Return the observations, or one of them, as lists and numbers by name."""
    space, ledger = state.spec.space, state.ledger
    rows = np.flatnonzero(ledger.observed()) if id is None else np.array([id])
    data: dict[str, Any] = {"suggestion_id": rows.tolist()}
    data["sample"] = [space.params(ledger.x[row]) for row in rows]
    data["value"] = ledger.value[rows].tolist()
    gradients = [ledger.gradient_of(int(row)) for row in rows]
    if state.spec.limits is not None:
        data["outputs"] = [outputs_at(state, int(row)) for row in rows]
    data["derivatives"] = [_by_name(space.free, gradient) for gradient in gradients]
    if ledger.uncertainty is not None:
        data["uncertainty"] = [ledger.uncertainty_of(int(row)) for row in rows]
    if id is None:
        return data
    return {name: column[0] for name, column in data.items()}


def _by_name(names: tuple[str, ...], gradient: FloatArray | None) -> Mapping[str, float] | None:
    return None if gradient is None else dict(zip(names, gradient.tolist(), strict=True))


def describe(spec: Spec, present: Mapping[str, Any]) -> dict[str, Any]:
    """Return the domain, and every driver parameter with its meaning, default and value."""
    return {
        "name": spec.name,
        "study_id": spec.study_id,
        "driver": spec.driver,
        "domain": spec.space.to_dict()["domain"],
        "constraints": spec.written_constraints(),
        **({} if spec.limits is None else {"outputs": spec.written_outputs()}),
        "parameters": {
            name: {"meaning": row.meaning, "default": row.default, "value": present[name]}
            for name, row in TABLE.items()
        },
    }
