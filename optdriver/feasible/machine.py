"""The one writer of the phase: takes one evaluation, then finds the next point, or the end.

The constraints come as an argument: the state is data and knows no formula.
"""

from __future__ import annotations

import math

import numpy as np

from optdriver.constraints.restoration import TOLERANCE
from optdriver.feasible import beside, convergence, fits, models, trust
from optdriver.feasible.criticality import Criticality, measured, tangential_change
from optdriver.feasible.cusp import cusp_near
from optdriver.feasible.fits import Observed
from optdriver.feasible.options import Options, pairs_kept
from optdriver.feasible.region import NARROW, Region
from optdriver.feasible.state import RULE, SUCCESSES, Phase, State, Stop
from optdriver.feasible.trial import propose
from optdriver.feasible.types import Vector
from optdriver.feasible.walls import between_walls, held, wall
from optdriver.geometry import aside, learning
from optdriver.geometry.aside import MOST_LEFT, MOST_LOOKED, Level
from optdriver.geometry.matrices import row_norms, scaled
from optdriver.geometry.products import are_finite, growth, norm, span
from optdriver.numerics import OFF_BY

AFTER_FAILURE = 0.25  # of the step that failed
AFTER_TROUBLE = 0.1
TOWARD_FAILED = 0.5  # of the way to a point that failed twice
SAME = 1e-9  # of the sizes of the variables
REMEMBERED = 8
INSIDE = 0.9  # of the trust region: a step this long was not cut short by it
FRESH = 1e3  # times the smallest radius: one that no rejection has made small
MOST_FAILURES = 12  # in a row
OUTGROWN = 1e3  # times larger or smaller than it was, a variable needs another scale
VANISHING = 1e-6  # in scaled rows, of a value and of a gradient
ENDLESS = 1e20  # times what is known of the size of f at the start
WITH_CUSPS = 3  # the rule from which on the end at a cusp is a success
WITH_CHORDS = 4  # the last steps of a subproblem take one factorisation, by elimination
WITH_LEVELS = 6  # a slope that promises nothing is none
WITH_FITS = 7  # ends of fits are looked at from beside, too
WITH_TURNS = 8  # and in further directions
WITH_WALLS = 10  # and at one with infinitely steep sides, away from those of the box
WITH_HORNS = 4  # and that from which on a restoration is patient where gradients vanish
TINY = 1e-6  # what failures may shrink the smallest radius by: they say nothing of the model


def start(
    x0: Vector,
    region: Region,
    options: Options,
    rule: int = RULE,
    first: tuple[float, float] | None = None,
    *,
    strict: bool = False,
) -> State:
    """Return the state that asks for the feasible point `x0` first.

    `first` are the first value and the first change of a run that it goes on from.  `strict` says
    that `x0` satisfies all rows without a tolerance, if that is known.
    """
    n = len(x0)
    state = State(
        x0=x0.copy(),
        lower=region.lower.copy(),
        upper=region.upper.copy(),
        options=options,
        pending=x0.copy(),
        rule=rule,
        delta=options.initial_radius,
        tolerance=0.0 if strict or region.is_feasible(x0) else TOLERANCE,
        steps=np.zeros((0, n)),
        changes=np.zeros((0, n)),
        failed=np.zeros((0, n)),
        avoided=np.zeros((0, n)),
        unit=1.0 if rule == 1 else 0.0,
    )
    if first is not None:
        _measure(state, *first)
    return state


def seed(state: State, region: Region, steps: Vector, changes: Vector) -> None:
    """Take the pairs of another run, rows s and y in x, oldest first."""
    keep = _kept(state)
    state.steps = (steps / region.scale)[-keep:]
    state.changes = (changes * region.scale)[-keep:]


def take_residuals(state: State, region: Region, told: Observed) -> bool:
    """Take residuals and their Jacobian at the pending point; return whether another is wanted."""
    if state.fit is None:
        raise ValueError("residuals are told where a value is expected")
    if not (np.isfinite(told.r).all() and np.isfinite(told.jacobian).all()):
        return take_failure(state, region, "a residual or a derivative is not finite")
    f, g = fits.value(state.fit, told)
    if not (math.isfinite(f) and np.isfinite(g).all()):
        return take_failure(state, region, "the squares of the residuals or derivatives overflow")
    return take(state, region, f, g, told)


def take(state: State, region: Region, f: float, g: Vector, told: Observed | None = None) -> bool:
    """Take the value and gradient at the pending point; return whether another is wanted.

    `told` are the residuals that they are made of, in a fit.
    """
    if not (math.isfinite(f) and are_finite(g)):
        return take_failure(state, region, "the value or the gradient is not finite")
    state.nfev += 1
    state.failures = 0
    if state.phase is Phase.BESIDE:
        return _take_beside(state, region, f, g, told)
    _remember_best(state, f, g)
    if state.phase is Phase.START:
        return _begin(state, region, f, g, told)
    return _judge(state, region, f, g, told)


def take_failure(state: State, region: Region, reason: str) -> bool:
    """Take the news that the pending point could not be evaluated: the region shrinks."""
    state.nfev += 1
    state.nfail += 1
    state.failures += 1
    state.reason, state.settled = reason, False
    if state.phase is Phase.START:
        if state.failures > 1:
            finish(state, Stop.FAILED)
        elif state.nfev >= state.options.maxfun:
            finish(state, Stop.MAX_EVALUATIONS)
        return False
    if state.phase is Phase.BESIDE:
        return _end_beside(state)
    if state.failures > MOST_FAILURES:
        finish(state, Stop.FAILED)
        return False
    _remember_failed(state, region)
    state.delta = AFTER_FAILURE * min(state.delta, _step_size(state, region))
    return True


def look_beside(state: State, region: Region) -> None:
    """Ask a point beside an end with success to which symmetry may have led, once an end."""
    if not len(state.began) or state.stop not in SUCCESSES or state.cusp or state.looked:
        return
    if _limit(state) is not None or state.left >= MOST_LEFT:
        return
    if state.fit is not None and (state.rule < WITH_FITS or fits.are_rounding(state)):
        return
    steps = state.steps * region.scale
    box = beside.box(region)
    turning = state.rule >= WITH_TURNS
    p, state.turns = aside.step(
        state.x, state.g, state.began, steps, box, _level(state), turning=turning
    )
    state.ending, state.end, state.looked = str(state.stop), state.x.copy(), 1
    if _ask_beside(state, region, p):
        state.phase, state.stop = Phase.BESIDE, None


def _level(state: State) -> Level:
    """Return what counts as no slope where a run has ended."""
    if state.fit is not None:  # `gtol` has no meaning
        return Level(slope=0.0, change=_small_part(state), same=aside.SAME)
    small = convergence.unit_at(state, state.f) * state.options.gtol
    if state.rule < WITH_LEVELS:
        same = beside.SAME_BEFORE_LEVELS
        return Level(slope=small / 16.0, change=0.0, same=same, by_width=False)
    by_width = state.rule >= WITH_FITS
    return Level(slope=small, change=_small_part(state), same=aside.SAME, by_width=by_width)


def _small_part(state: State) -> float:
    """Return a small part of f, or of what the run has gained."""
    return aside.PART * max(abs(state.f), abs(state.first_f - state.f))


def _slope_beside(state: State, region: Region, p: Vector) -> float:
    """Return what the small slopes that are left explain of a fall along a step."""
    level, box = _level(state), beside.box(region)
    size = aside.sizes(state.x, state.began, box, by_width=level.by_width)
    small = level.holds(state.g, size)
    return aside.explained(state.looked, state.turns, np.where(small, state.g, 0.0), p)


def _ask_beside(state: State, region: Region, p: Vector) -> bool:
    """Make the feasible point at about this step from the end the pending one, if there is one."""
    z = beside.feasible_point(region, state.end, p, state.tolerance)
    if z is None or _limit(state) is not None or np.array_equal(z, state.pending):
        return False
    state.pending = z
    return True


def _take_beside(state: State, region: Region, f: float, g: Vector, told: Observed | None) -> bool:
    """Go on from a point beside the end that is lower than it; otherwise the end stands.

    See `optdriver.lbfgsb.machine.take_beside`.
    """
    p = state.pending - state.end
    rounding = aside.ROUNDING if state.rule >= WITH_LEVELS else trust.ROUNDING
    rounding = max(rounding, OFF_BY * state.spacing)
    seen, change = state.noise + rounding * abs(state.f), g - state.g
    lower = f < state.f - seen - _slope_beside(state, region, p)
    if lower:
        _remember_best(state, f, g)
        state.delta = max(state.delta, _step_size(state, region))
        state.phase, state.settled = Phase.TRIAL, False
        state.nit += 1
        if not len(state.steps):  # it ended where it began, with no slope to measure f by
            _measure(state, f, convergence.first_change(region.scale, g))
            state.first_theta = _first_theta(state, region, g)
        fall = state.f - f
        goes_on = _move(state, region, f, g, told)
        if goes_on and not (state.rule >= WITH_LEVELS and fall <= _small_part(state)):
            return _leave(state)
        state.ending = "" if goes_on else str(state.stop)
    turns = state.turns
    p, state.turns = aside.following(
        state.looked, p, lower=lower, change=change, hidden=seen, turns=turns
    )
    state.looked = aside.counted(state.looked, lower=lower, turns=turns)
    wanted = state.ending in ("", *SUCCESSES) and state.looked <= MOST_LOOKED
    if wanted and _ask_beside(state, region, p):
        state.phase, state.stop = Phase.BESIDE, None
        return False
    return _end_beside(state)


def _leave(state: State) -> bool:
    """Go on from a point beside an end that was none."""
    state.phase = Phase.TRIAL
    state.left, state.looked, state.ending, state.turns = state.left + 1, 0, "", None
    return True


def _end_beside(state: State) -> bool:
    """Let the end stand, or go on from a lower point beside it from which f falls on."""
    if not state.ending:
        return _leave(state)
    finish(state, Stop(state.ending))
    return False


def outgrown(state: State, region: Region) -> bool:
    """Say whether a variable has left the scale that was made for it."""
    box = region.box if state.rule > 1 else None
    least, most = growth(state.x, box, NARROW, region.scale)
    return most > OUTGROWN or least < 1.0 / OUTGROWN


def rescale(state: State, before: Region, after: Region) -> None:
    """Turn what is known in the scaled variables of one region into those of another."""
    ratio = after.scale / before.scale
    state.steps, state.changes = state.steps / ratio, state.changes * ratio
    state.first_theta = _first_theta(state, after, state.g)


def finish(state: State, stop: Stop, reason: str = "") -> None:
    """End the run."""
    state.phase = Phase.DONE
    state.stop = stop
    state.reason = reason or state.reason


def _remember_best(state: State, f: float, g: Vector) -> None:
    if f < state.best_f or state.phase is Phase.START:
        state.best_x, state.best_f, state.best_g = state.pending.copy(), f, g.copy()


def _remember_failed(state: State, region: Region) -> None:
    """Keep the point that failed; one that fails again is not asked a third time."""
    known = _distances(state.failed, state.pending, region) <= SAME
    if known.any():
        state.avoided = np.vstack([state.avoided, state.pending])[-REMEMBERED:]
    else:
        state.failed = np.vstack([state.failed, state.pending])[-REMEMBERED:]


def _distances(points: Vector, x: Vector, region: Region) -> Vector:
    """Return the size of the region round x that has each of the points on its border."""
    return np.asarray(np.max(np.abs(points - x) / region.scale, axis=1, initial=0.0))


def _begin(state: State, region: Region, f: float, g: Vector, told: Observed | None) -> bool:
    if state.unit == 0.0 or state.rule == 1:
        _measure(state, f, convergence.first_change(region.scale, g))
    state.first_theta = _first_theta(state, region, g)
    state.phase = Phase.TRIAL
    return _move(state, region, f, g, told)


def _measure(state: State, first_f: float, first_change: float) -> None:
    """Take what is known of the size of f."""
    state.first_f, state.first_change = first_f, first_change
    if state.rule > 1:
        state.unit = convergence.first_unit(first_f, first_change, convergence.least_size(state))


def _first_theta(state: State, region: Region, g: Vector) -> float:
    scaled = norm(region.scale * g)
    return scaled / state.delta if scaled > 0.0 else 1.0


def _judge(state: State, region: Region, f: float, g: Vector, told: Observed | None) -> bool:
    """Learn from the trial, set the trust region, and accept the trial or not."""
    s, y, slope, mean, rounded, sigma = learning.differences(
        state.x, state.pending, state.g, g, region.scale
    )
    if trust.drowned(state.predicted, rounded):
        mean = _mean_slope(state, region, g)
    rounding = convergence.rounding(state)
    rho = trust.ratio(state.f, f, state.predicted, mean, state.noise, rounding)
    accepted = rho > trust.ACCEPT
    state.settled = abs(f - state.f) <= convergence.small_change(state, f, state.f)
    left = None if told is None else fits.left_of_change(state, told, accepted=accepted)
    _learn(state, region, s, y, slope, left, rho, accepted)
    state.delta = trust.radius(state.delta, sigma, rho, slope, f - state.f)
    if accepted:
        state.delta = max(state.delta, state.options.smallest_radius)
        state.nit += 1
        return _move(state, region, f, g, told)
    return True


def _mean_slope(state: State, region: Region, g: Vector) -> float:
    """Return the change of f by the trapezoidal rule, without what rounding adds to it."""
    at = _criticality(state, region)
    return tangential_change(region, state.x, state.pending, 0.5 * (state.g + g), at)


def _step_size(state: State, region: Region) -> float:
    return span(state.pending, state.x, region.scale)


def is_cut_short(state: State, region: Region) -> bool:
    """Say whether the pending step ends where the trust region does."""
    return _step_size(state, region) > INSIDE * state.delta


def _learn(
    state: State,
    region: Region,
    s: Vector,
    y: Vector,
    slope: float,
    left: Vector | None,
    rho: float,
    accepted: bool,
) -> None:
    """Score both models by a trial, and keep its pair, of which J'J knows all but `left`."""
    size, both = convergence.size(state), _models(state, region)
    keep = _kept(state) if rho > trust.USABLE else 0
    known = state.steps, state.changes
    state.scores, state.steps, state.changes = learning.learnt(
        state.scores, both, known, (s, y), left, state.g, region.scale, size, slope, accepted, keep
    )


def _kept(state: State) -> int:
    return int(state.options.maxcor) or pairs_kept(state.n)


def _models(
    state: State, region: Region, here: Region | None = None
) -> tuple[models.QuadraticModel, models.QuadraticModel]:
    """Return both models of f divided by its size, in the scale of `here`, or of the region."""
    size = convergence.size(state)
    if state.fit is not None:
        return fits.build(state, region.scale, (here or region).scale, size)
    return region.work.built(state.steps, state.changes, state.first_theta, size)


def _move(state: State, region: Region, f: float, g: Vector, told: Observed | None) -> bool:
    """Make the pending point the iterate; stop if it is optimal."""
    before = state.f
    state.x, state.f, state.g = state.pending.copy(), f, g.copy()
    if told is not None:
        state.r, state.jacobian = told.r, told.jacobian
    optimality = _criticality(state, region)
    state.residual, state.promise = optimality.residual, math.inf
    state.falls = convergence.falls(state, region, optimality)
    if state.fit is not None:
        _end_of_fit(state, region, optimality, before)
    elif convergence.is_optimal(state, optimality):
        _succeed(state, Stop.OPTIMAL)
    if state.stop is not None:
        return False
    if _falls_without_end(state):
        finish(state, Stop.UNBOUNDED)
    elif state.nit >= state.options.maxiter and not state.settled:
        finish(state, Stop.MAX_ITERATIONS)
    return state.phase is not Phase.DONE


def _criticality(state: State, region: Region) -> Criticality:
    return measured(region, state.x, state.g, convergence.unit_at(state, state.f))


def _end_of_fit(state: State, region: Region, at: Criticality, before: float) -> None:
    """End a fit whose relative offset is small, or does not get smaller where f is at its end."""
    if state.fit is None:
        return
    known, state.offset = state.offset, fits.offset(state, region, at)
    settled, state.settled = state.settled, False
    if state.offset <= (fits.SURE if settled else state.fit.xtol):
        _succeed(state, Stop.OPTIMAL)
        return
    hidden = abs(before - state.f) <= fits.HIDDEN * abs(state.f)
    if hidden and state.offset > fits.BETTER * known and _is_fitted(state, at):
        _succeed(state, Stop.REDUCTION)


def _is_fitted(state: State, at: Criticality) -> bool:
    """Return whether a fit that no step betters is at a minimum, and has not stalled.

    Where constraints are curved more than the residuals, an offset says little: then the
    first-order conditions decide, as for any other value.
    """
    first_order = state.offset <= fits.SURE or convergence.is_optimal(state, at)
    return first_order or fits.are_rounding(state)


def _limit(state: State) -> Stop | None:
    """Return which limit is reached, if one is."""
    if state.nfev >= state.options.maxfun:
        return Stop.MAX_EVALUATIONS
    return Stop.MAX_ITERATIONS if state.nit >= state.options.maxiter else None


def _falls_without_end(state: State) -> bool:
    """Say whether f has fallen so far that no size of it at the start explains it."""
    size = max(state.unit, abs(state.first_f), state.first_change)
    return state.first_f - state.f >= ENDLESS * size


def _succeed(state: State, stop: Stop) -> None:
    """End the run; what passed the test is what is reported."""
    if state.f - state.best_f <= convergence.rounding(state) * abs(state.f):
        state.best_x, state.best_f, state.best_g = state.x.copy(), state.f, state.g.copy()
    finish(state, stop)


def go_on(state: State, region: Region) -> None:
    """Find the next trial, shrinking the region until the subproblem gives one.

    A run that has settled looks for it at its limit, too: what the model promises may end it.
    """
    limit = _limit(state)
    if limit is not None and not state.settled:
        finish(state, limit)
        return
    smallest = state.options.smallest_radius * (TINY if state.failures else 1.0)
    nearest = np.inf
    if len(state.avoided):
        nearest = float(np.min(_distances(state.avoided, state.x, region)))
    kept_away = TOWARD_FAILED * nearest < state.delta
    if kept_away:
        state.delta = float(TOWARD_FAILED * nearest)
    entered = state.delta
    if limit is None and not kept_away and _is_between_walls(state, region):
        return
    if _look_for_trial(state, region, smallest):
        if limit is not None and state.phase is not Phase.DONE:
            finish(state, limit)
    elif state.fit is not None and _is_fitted(state, _criticality(state, region)):
        _succeed(state, Stop.REDUCTION)
    elif state.failures or kept_away:
        finish(state, Stop.FAILED)
    elif state.fit is None and convergence.is_drowned(state):
        _succeed(state, Stop.REDUCTION)
    elif state.fit is None and convergence.is_optimal_to_rounding(
        state, region, _criticality(state, region)
    ):
        _succeed(state, Stop.OPTIMAL)
    elif _starts_again(state, region, entered):
        go_on(state, region)
    elif not _looks_for_a_cusp(state, region):
        finish(state, Stop.STALLED, _perhaps_a_cusp(region, state.x))


def _look_for_trial(state: State, region: Region, smallest: float) -> bool:
    """Find a trial in this region or a smaller one, or that none is needed."""
    state.used = models.choose(state.scores)
    size, here = convergence.size(state), _measured(state, region)
    model = _models(state, region, here)[state.used]
    wider = None if here is region else region.scale / here.scale
    shrink, brief = AFTER_TROUBLE, False
    while state.delta >= smallest:
        trial = propose(
            here,
            state.x,
            state.g / size,
            model,
            state.delta,
            state.tolerance,
            unit=convergence.unit_at(state, state.f) / size,
            brief=brief,
            chords=state.rule >= WITH_CHORDS,
            wider=wider,
        )
        if trial is not None:
            state.pending, state.predicted = trial.point, size * trial.predicted
            if not is_cut_short(state, region):
                state.promise = -state.predicted
                if convergence.is_settled(state):
                    _succeed(state, Stop.REDUCTION)
            return True
        state.delta *= shrink
        shrink, brief = shrink**2, True  # where nothing can move, four regions show it
    return False


def _measured(state: State, region: Region) -> Region:
    """Return the region in the lengths in which the model is well scaled."""
    if state.fit is None:
        return region
    return region.measured_by(fits.sizes(state, region.scale))


def _starts_again(state: State, region: Region, delta: float) -> bool:
    """Drop the memory where its models allow no step in a region that was not small.

    After a fall by many orders the curvature that they know is that of another place.
    """
    if state.rule == 1 or not len(state.steps) or delta < FRESH * state.options.smallest_radius:
        return False
    state.steps, state.changes = state.steps[:0], state.changes[:0]
    state.scores, state.delta = np.zeros(2), delta
    state.first_theta = _first_theta(state, region, state.g)
    return True


def _is_between_walls(state: State, region: Region) -> bool:
    """End with success at a cusp whose sides are infinitely steep, or ask for its tip.

    Between such sides no model sees the way up, but with that variable fixed.
    """
    if state.rule < WITH_WALLS or state.fit is not None:
        return False
    unit = convergence.unit_at(state, state.f)
    found = wall(region, state.x)
    at = None if found is None else between_walls(region, state.x, state.g, unit)
    if found is None or at is None:
        return False
    if convergence.is_optimal(state, at):
        state.cusp, state.residual = True, at.residual
        _succeed(state, Stop.OPTIMAL)
        return True
    if state.delta < state.options.smallest_radius:
        return False
    size, within = convergence.size(state), held(region, state.x, found[1])
    state.used = models.choose(state.scores)
    trial = propose(
        within,
        state.x,
        state.g / size,
        _models(state, region)[state.used],
        state.delta,
        state.tolerance,
        unit=unit / size,
        chords=state.rule >= WITH_CHORDS,
    )
    if trial is None:
        return False
    state.pending, state.predicted = trial.point, size * trial.predicted
    return True


def _looks_for_a_cusp(state: State, region: Region) -> bool:
    """End with success where the iterate is shown to be a minimum without multipliers.

    Where the tip of the cusp is close by it is asked first, once.
    """
    if state.rule < WITH_CUSPS:
        return False
    scale, patient = convergence.scale(state), state.rule >= WITH_HORNS
    fine = state.rule >= convergence.WITH_ROUNDING
    found = cusp_near(region, state.x, state.g, scale, state.tolerance, patient=patient, fine=fine)
    if found is None or (found.tip is not None and np.array_equal(found.tip, state.pending)):
        return False
    if found.tip is None:
        state.cusp, state.residual = True, found.slope
        _succeed(state, Stop.OPTIMAL)
        return True
    state.pending, state.predicted = found.tip, -found.fall
    state.delta = max(_step_size(state, region), state.options.smallest_radius)
    limit = _limit(state)
    if limit is not None:
        finish(state, limit)
    return True


def _perhaps_a_cusp(region: Region, x: Vector) -> str:
    """Name an active constraint whose gradient vanishes: none of first order tells where it is."""
    c, e = region.values(x)
    for which, values, rows in zip(
        (region.inequalities, region.equalities), (c, e), region.linearised(x), strict=True
    ):
        lengths = row_norms(scaled(rows, columns=region.scale))
        flat = (np.abs(values) <= VANISHING) & (lengths <= VANISHING)
        if flat.any():
            name = region.constraints.names[int(which[np.flatnonzero(flat)[0]])]
            return f"the gradient of {name!r} vanishes there, perhaps a cusp without multipliers"
    return ""
