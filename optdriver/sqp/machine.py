"""The machine: which point comes next, and what is told there sets off.

Sequential quadratic programming in a trust region (Fletcher, Practical Methods of Optimization,
1987, chapters 12 and 14), with an exact penalty function that is made of what every evaluation
tells: the objective, the rows, and all their gradients.

- A refused trial is not lost: the curvature along it goes into the model like that along any step.
- A trial that was refused since rows bend is followed by one that goes round the bend (a
  second-order correction), and only if that is refused too by a shorter one.
- Rows that contradict each other in the model are brought as near to being satisfied as the trust
  region allows; where no step brings them nearer the run ends, and says so.
- Where values are noisy what is gained and what was promised are compared with the noise added to
  both (Sun and Nocedal, arXiv 2201.00973), so that a step is not refused for it.
- Rows known as formulas are part of every model, and a trial that violates one is moved to the
  nearest point that does not before it is asked.
- An end to which symmetry may have led is looked at from a point beside it
  (`optdriver.geometry.aside`).  One that violates a told row says nothing; where the Lagrangian is
  lower there, a Newton step brings it back to the rows.

This is the one file that assigns `stop` and `pending`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.feasible.convergence import (
    FAR,
    PART_OF_VALUE,
    SMALLEST_OF_ALL,
    first_unit,
    power_of_two,
)
from optdriver.feasible.convergence import SMALLEST as SMALLEST_SIZE
from optdriver.geometry import aside
from optdriver.geometry.aside import MOST_LOOKED, Aside, Box, Level
from optdriver.geometry.factors import least_squares
from optdriver.geometry.products import dot, norm, row_lengths, times, transposed_times
from optdriver.sqp import quadratic, quasi_newton
from optdriver.sqp.quadratic import Rows, Step
from optdriver.sqp.state import State, Stop
from optdriver.sqp.told import row_sizes, violated

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

EPS: Final = float(np.finfo(np.float64).eps)

MOST_FAILURES: Final = 20
"""Failed evaluations in a row that end a run; at the start 2."""

ACCEPTED: Final = 1e-4
"""The part of the promised decrease from which on a trial is accepted."""

POOR: Final = 0.25
GOOD: Final = 0.75
"""Below the first part of the promise the radius shrinks, from the second on it grows."""

GROWTH: Final = 4.0

FIRST_RADIUS: Final = 1.0
"""In lengths of the start, or sizes of the variables."""

MOST_BEND: Final = 0.75
"""The longest correction of a step for bends that are foreseen, in lengths of the step."""

WEIGHT: Final = 1.25
"""How much more a violation counts than its multiplier asks for."""

SHARE: Final = 0.05
"""The part of what the penalty falls by that a step must promise."""

MOST_FORCE: Final = 100.0
"""How much larger than the gradient the force of a row may be, for its curvature to count whole.

A model that is much too stiff wants forces as large, which would make it stiffer still.
"""

OUTGROWN: Final = 16.0
"""Times as much, or as little, that a row changes by, from which on its unit is another one."""

SHORTENED: Final = 40
"""Radii that are tried for one trial, where formulas leave no feasible one."""

SURE: Final = 100.0
"""Times `gtol`: where rounding hides what a step gains, this is near enough."""

WITH_LOOKS: Final = 3
"""The rule from which on a point is asked beside an end."""

WITH_TURNS: Final = 4
"""The rule from which on further ones are asked in other directions."""

WITH_SMALL_VALUES: Final = 4
"""The rule from which on values are told from 0 that are as small as likelihoods."""

SMALLEST: Final = 1e-300

AT: Final = 1e-12
"""A variable that is no farther from its bound, in its size, is at it."""

SMALL: Final = 10.0
"""Last digits of the merit function below which nothing is promised."""


def begin(state: State) -> None:
    """Ask for the start again, once; a start that fails twice ends the run."""
    if state.failures > 1:
        _end(state, Stop.FAILED)


def advance(state: State, values: Vector, jacobian: Vector, formulas: ConstraintSet | None) -> None:
    """Take what is finite at the pending point: values and derivatives; find the next point."""
    state.nfev += 1
    state.failures = 0
    state.reason = ""
    if state.aside.end is not None:
        _take_beside(state, values, jacobian, formulas)
    else:
        accepted = True
        if state.x is None:
            _start(state, values, jacobian, formulas)
        else:
            accepted = _judge(state, values, jacobian, formulas)
        _note_best(state, values, jacobian, accepted)
        if state.stop is None:
            _iterate(state, formulas, accepted)
    _look_beside(state, formulas)


def advance_failure(state: State, reason: str, formulas: ConstraintSet | None) -> None:
    """Take the news that the evaluation at the pending point has failed, and find another."""
    state.nfev += 1
    state.nfail += 1
    state.failures += 1
    state.reason = reason
    if state.aside.end is not None:
        _end_beside(state, formulas)
    elif state.nfev >= state.options.maxfun:
        _end(state, Stop.MAX_EVALUATIONS)
    elif state.x is None:
        begin(state)
    elif state.failures >= MOST_FAILURES:
        _end(state, Stop.FAILED)
    else:
        state.bend = None
        state.radius = POOR * min(state.radius, _length(state.d))
        _try(state, _model(state, formulas), formulas)


def halt(state: State, reason: str) -> None:
    """End the run from outside."""
    state.reason = reason
    _end(state, Stop.HALTED)


def give_up(state: State, reason: str) -> None:
    """End a run whose numbers allow no further step."""
    state.reason = reason
    _end(state, Stop.FAILED)


def _end(state: State, stop: Stop) -> None:
    if stop is Stop.STALLED and state.values is not None and state.jacobian is not None:
        left = worst(state, state.values, state.jacobian)
        if left > state.options.feasibility:
            state.reason = f"constraints are violated there, by {left:.2g} of what they change by"
    state.stop, state.pending = stop, None
    state.d = state.bend = None
    state.promised = 0.0
    if state.aside.end is not None:
        state.aside = replace(state.aside, end=None)


def _length(d: Vector | None) -> float:
    return 0.0 if d is None else float(np.max(np.abs(d), initial=0.0))


# -- what is known at the iterate -----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """An evaluated point in scaled variables: objective, rows, and their gradients."""

    f: float
    rows: Vector
    gradient: Vector
    slopes: Vector


def _point(
    state: State, x: Vector, values: Vector, jacobian: Vector, formulas: ConstraintSet | None
) -> Point:
    """Return a point with the told rows first, then those of the formulas."""
    scale = np.ones(state.m) if state.row_scale is None else state.row_scale
    rows, slopes = values[1:] * scale, jacobian[1:] * state.scale * scale[:, None]
    if formulas is not None and len(formulas):
        own = 1.0 / formulas.scales
        rows = np.concatenate([rows, formulas.values(x) * own])
        slopes = np.vstack([slopes, formulas.jacobian(x) * state.scale * own[:, None]])
    return Point(f=float(values[0]), rows=rows, gradient=jacobian[0] * state.scale, slopes=slopes)


def violations(state: State, rows: Vector) -> Vector:
    """Return by how much each told row is violated; `rows` may have others behind them."""
    return violated(rows[: state.m], state.inequalities)


def merit(state: State, f: float, rows: Vector) -> float:
    """Return the exact penalty function."""
    weights = np.zeros(state.m) if state.penalty is None else state.penalty
    return f + dot(weights, violations(state, rows))


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The quadratic model at the iterate."""

    at: Point
    matrix: Vector
    free: NDArray[np.bool_]
    equal: NDArray[np.bool_]


def _model(state: State, formulas: ConstraintSet | None) -> Model:
    if state.x is None or state.values is None or state.jacobian is None:
        raise ValueError("there is no iterate")
    at = _point(state, state.x, state.values, state.jacobian, formulas)
    multipliers = np.zeros(at.rows.size) if state.multipliers is None else state.multipliers
    first = norm(at.gradient) or state.unit or 1.0
    lengths = row_lengths(at.slopes)
    most = MOST_FORCE * first / np.where(lengths > 0.0, lengths, 1.0)
    multipliers = np.clip(multipliers, -most, most)
    matrix = quasi_newton.matrix(state.steps, state.slopes, state.bends, multipliers, first)
    equal = np.zeros(at.rows.size, dtype=bool)
    equal[state.inequalities : state.m] = True
    if formulas is not None and formulas.n_equalities:
        equal[-formulas.n_equalities :] = True
    return Model(at=at, matrix=matrix, free=state.lower < state.upper, equal=equal)


def _solve(state: State, model: Model, bend: Vector | None) -> tuple[Vector, Vector, bool]:
    """Return the step, the multipliers of all rows, and whether the rows can all be satisfied.

    The told rows are taken to be larger by `bend` at the end of the step.
    """
    if state.x is None:
        raise ValueError("there is no iterate")
    free, equal, at = model.free, model.equal, model.at
    limits = -at.rows
    if bend is not None:
        limits[: state.m] -= bend
    told = np.arange(at.rows.size) < state.m
    slopes = at.slopes[:, free]
    rows = Rows(
        A=slopes[~equal],
        a=limits[~equal],
        E=slopes[equal],
        e=limits[equal],
        soft_a=told[~equal],
        soft_e=told[equal],
    )
    low = np.maximum((state.lower - state.x) / state.scale, -state.radius)[free]
    high = np.minimum((state.upper - state.x) / state.scale, state.radius)[free]
    found: Step = quadratic.solve(
        at.gradient[free],
        model.matrix[np.ix_(free, free)],
        rows,
        low,
        high,
        checked=state.options.rule > 1,
    )
    d, multipliers = np.zeros(free.size), np.zeros(at.rows.size)
    d[free] = found.d
    multipliers[~equal], multipliers[equal] = found.inequalities, found.equalities
    return d, multipliers, found.consistent


# -- the start ------------------------------------------------------------------------------------


def _start(state: State, values: Vector, jacobian: Vector, formulas: ConstraintSet | None) -> None:
    state.x, state.values, state.jacobian = state.pending, values, jacobian
    state.x0 = state.pending
    if state.options.rule >= WITH_LOOKS and state.aside.began is None:
        turning = state.options.rule >= WITH_TURNS
        state.aside = Aside(began=state.pending, first=float(values[0]), turning=turning)
    state.row_scale = 1.0 / _sizes_of_rows(state, values, jacobian)
    state.unit = norm(jacobian[0] * state.scale)
    state.small = first_unit(float(values[0]), state.unit, _least(state))
    state.penalty = np.zeros(state.m)
    state.multipliers = np.zeros(state.m + (0 if formulas is None else len(formulas)))
    place = 0.0 if state.x is None else norm(state.x / state.scale)
    state.radius = FIRST_RADIUS * max(1.0, place)


def _least(state: State) -> float:
    """Return the smallest size of f that is told from 0."""
    return SMALLEST_OF_ALL if state.options.rule >= WITH_SMALL_VALUES else SMALLEST_SIZE


def _sizes_of_rows(state: State, values: Vector, jacobian: Vector) -> Vector:
    """Return what the told rows change by where the variables are moved by their sizes."""
    return row_sizes(values, jacobian, state.scale)


def _rescale(state: State, values: Vector, jacobian: Vector) -> None:
    """Measure rows by what they change by at the iterate, where that is much more or less."""
    if state.row_scale is None or state.multipliers is None or state.penalty is None:
        raise ValueError("there is no iterate")
    ratio = 1.0 / (_sizes_of_rows(state, values, jacobian) * state.row_scale)
    factor = np.array([power_of_two(each) for each in ratio])
    factor[(factor < OUTGROWN) & (factor > 1.0 / OUTGROWN)] = 1.0
    if np.all(factor == 1.0):
        return
    state.row_scale = state.row_scale * factor
    state.penalty = state.penalty / factor
    every = np.ones(state.multipliers.size)
    every[: state.m] = factor
    state.multipliers = state.multipliers / every
    state.bends = state.bends * every[:, None]


def worst(state: State, values: Vector, jacobian: Vector) -> float:
    """Return the largest violation of a told row at a point, by what the row changes by there."""
    rows = values[1:] / _sizes_of_rows(state, values, jacobian)
    return float(np.max(violations(state, rows), initial=0.0))


def _note_best(state: State, values: Vector, jacobian: Vector, accepted: bool) -> None:
    """Keep the best point: feasible ones before others; at an end it is the iterate."""
    where = state.x if accepted else state.pending
    if where is None or state.row_scale is None:
        return
    if _is_better(state, values, jacobian):
        state.best_x, state.best_values, state.best_jacobian = where, values, jacobian


def _is_better(state: State, values: Vector, jacobian: Vector) -> bool:
    if state.best_values is None or state.best_jacobian is None:
        return True
    limit = state.options.feasibility
    new = worst(state, values, jacobian)
    old = worst(state, state.best_values, state.best_jacobian)
    if new <= limit and old <= limit:
        return bool(values[0] < state.best_values[0])
    return new < old


# -- an iterate -----------------------------------------------------------------------------------


def _iterate(state: State, formulas: ConstraintSet | None, accepted: bool) -> None:
    """End at the iterate, or try a step from it; a step was refused there if not `accepted`."""
    if state.nfev >= state.options.maxfun:
        model = _model(state, formulas)
        _plan(state, model)
        passed = accepted and _passes(state, model, state.options.gtol)
        _end(state, Stop.CONVERGED if passed else Stop.MAX_EVALUATIONS)
    elif accepted and state.nit >= state.options.maxiter:
        _end(state, Stop.MAX_ITERATIONS)
    else:
        _try(state, _model(state, formulas), formulas)


def _plan(state: State, model: Model) -> bool:
    """Find the step from the iterate, its multipliers and penalties; whether the rows agree."""
    d, multipliers, consistent = _solve(state, model, state.bend)
    state.d = d
    if state.bend is not None:
        return consistent
    if consistent or multipliers.any():
        state.multipliers = multipliers
    _weigh(state, model, d, consistent)
    if state.m and consistent:
        _go_round(state, model, d)
    return consistent


def _go_round(state: State, model: Model, d: Vector) -> None:
    """Correct a step for the bends of rows that steps before it have shown."""
    bend = quasi_newton.foreseen(state.steps, state.bends, d)[: state.m]
    if not (bend.any() and np.isfinite(bend).all()):
        return
    found, _, consistent = _solve(state, model, bend)
    if consistent and norm(found - d) <= MOST_BEND * norm(d):
        state.d = found


def _weigh(state: State, model: Model, d: Vector, consistent: bool) -> None:
    """Set penalties with which the step promises a decrease, and what it promises."""
    at, m = model.at, state.m
    now = violations(state, at.rows)
    then = violations(state, at.rows + times(at.slopes, d))
    quadratic_part = dot(at.gradient, d) + 0.5 * dot(d, times(model.matrix, d))
    penalty = np.zeros(m) if state.penalty is None else state.penalty
    if state.multipliers is not None:  # Powell (1978), eq. (4.6)
        wanted = WEIGHT * np.abs(state.multipliers[:m])
        penalty = np.maximum(wanted, 0.5 * (penalty + wanted))
    if m and not consistent:
        penalty = np.full(m, penalty.max())
    total, highest = dot(now - then, np.ones(m)), float(np.max(penalty, initial=0.0))
    short = dot(penalty, now - then) - quadratic_part < SHARE * highest * total
    if total > 0.0 and quadratic_part > 0.0 and short:
        penalty = np.full(m, max(highest, quadratic_part / ((1.0 - SHARE) * total)))
    if not consistent and state.options.rule > 1:
        penalty = _by_violation(penalty, now, then, quadratic_part)
    state.penalty = penalty
    state.promised = dot(penalty, now - then) - quadratic_part


def _by_violation(penalty: Vector, now: Vector, then: Vector, quadratic_part: float) -> Vector:
    """Return penalties in the ratio of the violations where equal ones promise nothing.

    A step that violates rows that contradict each other least, in squares, need not lower the sum
    of the violations; it lowers this one.
    """
    weights = now / max(float(np.max(now, initial=0.0)), SMALLEST)
    gained, highest = dot(weights, now - then), float(np.max(penalty, initial=0.0))
    if dot(penalty, now - then) > quadratic_part or not gained > 0.0:
        return penalty
    return max(highest, quadratic_part / ((1.0 - SHARE) * gained)) * weights


def _passes(state: State, model: Model, gtol: float) -> bool:
    """Tell whether the iterate is feasible and satisfies the first-order conditions.

    What is left of them is measured by f, of which it is a change: where every variable is moved by
    its size, and a hundred times as much where it is moved as far as it has come.  A large gradient
    at the start is no measure, nor is a large value there, which may be a bad one.
    """
    x, at = state.x, model.at
    if x is None or state.values is None or state.jacobian is None or state.x0 is None:
        return False
    if state.multipliers is None:
        return False
    if worst(state, state.values, state.jacobian) > state.options.feasibility:
        return False
    left = at.gradient + transposed_times(at.slopes, state.multipliers)
    low = (left > 0.0) & (x - state.lower <= AT * state.scale)
    high = (left < 0.0) & (state.upper - x <= AT * state.scale)
    free = np.where(model.free & ~low & ~high, np.abs(left), 0.0)
    slack = dot(np.abs(state.multipliers), np.abs(at.rows))
    parts = np.abs(at.gradient) + transposed_times(np.abs(at.slopes), np.abs(state.multipliers))
    rounding = SMALL * EPS * norm(parts)
    small = max(state.small, PART_OF_VALUE * power_of_two(abs(at.f), _least(state)))
    whole = max(norm(free), slack)
    gone = np.maximum(np.abs(x), np.abs(x - state.x0)) / state.scale
    return whole <= max(gtol * small, rounding) and dot(free, gone) <= max(
        FAR * gtol * max(abs(at.f), state.small), float(np.max(gone)) * rounding
    )


# -- beside an end --------------------------------------------------------------------------------


def _look_beside(state: State, formulas: ConstraintSet | None) -> None:
    """Ask a point beside an end with success to which symmetry may have led, once an end."""
    if state.stop is None or not (state.stop.success and state.aside.may_look):
        return
    began, values, jacobian = state.aside.began, state.values, state.jacobian
    if state.x is None or began is None or values is None or jacobian is None:
        return
    if state.nit >= state.options.maxiter:
        return
    level = Level(slope=0.0, change=state.aside.small(float(values[0])), same=aside.SAME)
    steps, box = state.steps * state.scale, Box(state.lower, state.upper)
    known = state.aside
    p, turns = aside.step(
        state.x, jacobian[0], began, steps, box, level, alone=True, turning=known.turning
    )
    _ask_beside(state, known.at(state.x, str(state.stop), turns), p, formulas)


def _ask_beside(state: State, made: Aside, p: Vector, formulas: ConstraintSet | None) -> bool:
    """Ask for the point at this step from the end, if there is one that is not known."""
    if made.end is None or state.x is None or state.nfev >= state.options.maxfun:
        return False
    point = _admitted(state, made.end + p, formulas)
    if point is None or any(np.array_equal(point, x) for x in (made.end, state.x)):
        return False
    state.aside, state.stop, state.pending = made, None, point
    return True


def _take_beside(
    state: State, values: Vector, jacobian: Vector, formulas: ConstraintSet | None
) -> None:
    """Go on from a point beside the end that is lower than it; otherwise the end stands.

    See `optdriver.lbfgsb.machine.take_beside`.
    """
    made, x = state.aside, state.pending
    if x is None or made.end is None or state.x is None:
        raise ValueError("there is no point beside an end")
    if state.values is None or state.jacobian is None:
        raise ValueError("there is no iterate")
    p, f, g = x - made.end, float(state.values[0]), state.jacobian[0]
    hidden = state.noise + SMALL * EPS * max(abs(f), abs(made.first - f))
    explained = aside.explained(made.looked, made.turns, g, p)
    allowed = worst(state, values, jacobian) <= state.options.feasibility
    fall = f - float(values[0])
    lower = allowed and fall > hidden + explained
    change = jacobian[0] - g
    here = _point(state, state.x, state.values, state.jacobian, formulas)
    there = _point(state, x, values, jacobian, formulas)
    if made.turns is not None and state.multipliers is not None:  # of the Lagrangian
        bent = transposed_times(there.slopes - here.slopes, state.multipliers)
        change = change + bent / state.scale
    following, turns = aside.following(
        made.looked, p, lower=lower, change=change, hidden=hidden, turns=made.turns
    )
    if made.looked == 1 and not allowed:
        following, turns = _back_to_rows(state, p, here, there, hidden), made.turns
    if lower:
        _learn(state, (x - state.x) / state.scale, there, here)
        _accept(state, values, jacobian)
        _note_best(state, values, jacobian, True)
        state.radius = max(state.radius, _length(p / state.scale))
        made = replace(made, ending="")
        if fall > made.small(f):
            following = np.zeros(p.size)
    state.aside = made.after(lower=lower, turns=turns)
    looks_on = state.aside.looked <= MOST_LOOKED
    if not (looks_on and _ask_beside(state, state.aside, following, formulas)):
        _end_beside(state, formulas)


def _back_to_rows(state: State, p: Vector, here: Point, there: Point, hidden: float) -> Vector:
    """Return a step aside that is corrected for told rows, of zeros where nothing falls along it.

    Along the surface of rows that hold f changes as the Lagrangian does, to second order.
    """
    nothing = np.zeros(p.size)
    if state.multipliers is None:
        return nothing
    multipliers, s = state.multipliers, p / state.scale
    slope = dot(here.gradient + transposed_times(here.slopes, multipliers), s)
    fall = here.f - there.f + dot(multipliers, here.rows - there.rows)
    if not fall > hidden + 2.0 * abs(slope):
        return nothing
    held = (multipliers[: state.m] != 0.0) | (violations(state, there.rows) > 0.0)
    rows = there.slopes[: state.m][held]
    correction: Vector = least_squares(rows, -there.rows[: state.m][held], EPS)
    made: Vector = p + state.scale * correction
    return made


def _end_beside(state: State, formulas: ConstraintSet | None) -> None:
    """Let the end stand, or go on from a lower point beside it."""
    if state.aside.ending:
        _end(state, Stop(state.aside.ending))
        return
    state.aside = state.aside.gone()
    _iterate(state, formulas, accepted=True)


# -- a trial --------------------------------------------------------------------------------------


def _try(state: State, model: Model, formulas: ConstraintSet | None) -> None:
    """Ask for the point of a step within the radius, or end at the iterate."""
    for _ in range(SHORTENED):
        consistent = _plan(state, model)
        if state.bend is None:
            ended = _ends(state, model, consistent)
            if ended is not None:
                _end(state, ended)
                return
        point = _trial(state, formulas)
        if point is not None:
            state.pending = point
            return
        state.bend = None
        state.radius = 0.5 * min(state.radius, _length(state.d))
        if not state.radius > EPS:
            break
    _end(state, _at_last(state, model))


def is_cut_short(state: State) -> bool:
    """Tell whether the step that is planned ends at the radius."""
    return _length(state.d) >= state.radius * (1.0 - 1e-9)


def _ends(state: State, model: Model, consistent: bool) -> Stop | None:
    """Return why the run ends at the iterate, None if it does not."""
    inside = not is_cut_short(state)
    if consistent and inside and _passes(state, model, state.options.gtol):
        return Stop.CONVERGED
    size = abs(model.at.f) + merit(state, 0.0, np.abs(model.at.rows))
    if state.promised > SMALL * EPS * size:
        return None
    if not consistent and inside:
        return Stop.INFEASIBLE
    return _at_last(state, model)


def _at_last(state: State, model: Model) -> Stop:
    """Return what the end is called where no step gains anything that can be seen."""
    gtol = min(SURE * state.options.gtol, 1e-3)
    return Stop.ROUNDING if _passes(state, model, gtol) else Stop.STALLED


def _trial(state: State, formulas: ConstraintSet | None) -> Vector | None:
    """Return the point of the step, moved onto the formulas' set; None if there is none."""
    if state.x is None or state.d is None:
        raise ValueError("there is no step")
    point = _admitted(state, state.x + state.scale * state.d, formulas)
    return None if point is None or np.array_equal(point, state.x) else point


def _admitted(state: State, wanted: Vector, formulas: ConstraintSet | None) -> Vector | None:
    """Return the point within bounds and formulas for one that is wanted; None if there is none."""
    point = np.minimum(np.maximum(wanted, state.lower), state.upper)
    if formulas is not None and not formulas.is_feasible(point):
        made = formulas.nearest(point, weights=state.scale)
        point = np.minimum(np.maximum(made.x, state.lower), state.upper)
        if not (made.feasible and formulas.is_feasible(point)):
            return None
    return point if np.isfinite(point).all() else None


def _accept(state: State, values: Vector, jacobian: Vector) -> None:
    """Make the pending point the iterate."""
    state.x, state.values, state.jacobian = state.pending, values, jacobian
    state.bend = None
    state.nit += 1
    _rescale(state, values, jacobian)


def _judge(state: State, values: Vector, jacobian: Vector, formulas: ConstraintSet | None) -> bool:
    """Accept the trial, or prepare another step from the iterate; return which."""
    if state.x is None or state.values is None or state.jacobian is None or state.pending is None:
        raise ValueError("there is no trial")
    here = _point(state, state.x, state.values, state.jacobian, formulas)
    there = _point(state, state.pending, values, jacobian, formulas)
    s = (state.pending - state.x) / state.scale
    _learn(state, s, there, here)
    gained = merit(state, here.f, here.rows) - merit(state, there.f, there.rows)
    length = _length(state.d)
    gained, promised = gained + state.noise, state.promised + state.noise
    if gained > ACCEPTED * promised:
        ratio = gained / promised
        if ratio > GOOD and length > 0.9 * state.radius:
            state.radius *= GROWTH
        elif ratio < POOR:
            state.radius = 0.5 * length
        else:
            state.radius = max(state.radius, length)
        _accept(state, values, jacobian)
        return True
    bend = there.rows - here.rows - times(here.slopes, s)
    linear = here.rows + times(here.slopes, s)
    missed = merit(state, 0.0, there.rows) - merit(state, 0.0, linear)
    if state.bend is None and missed > 0.5 * (promised - gained):
        state.bend = bend[: state.m]  # the rows are to blame: go round the bend
    else:
        state.bend = None
        state.radius = (0.5 if -gained < 2.0 * promised else 0.25) * length
    if not state.radius > EPS:
        _end(state, _at_last(state, _model(state, formulas)))
    return False


def _learn(state: State, s: Vector, there: Point, here: Point) -> None:
    """Keep what the gradients have changed by along a step."""
    if not np.any(s):
        return
    most = quasi_newton.kept(s.size)
    changes = (there.gradient - here.gradient)[None], (there.slopes - here.slopes)[None]
    if not all(np.isfinite(each).all() for each in (s, *changes)):
        return  # across a box as wide as the numbers are, a step may have no length
    state.steps = np.concatenate([state.steps, s[None]])[-most:]
    state.slopes = np.concatenate([state.slopes, changes[0]])[-most:]
    state.bends = np.concatenate([state.bends, changes[1]])[-most:]
