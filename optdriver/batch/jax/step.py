"""One step: take one evaluation, leave the next point.  Pure, and without branches.

The transitions are those of `optdriver.lbfgsb.machine`; a lane that is done stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from optdriver.batch.jax.cauchy import cauchy_point
from optdriver.batch.jax.dense import minimum_in_box
from optdriver.batch.jax.line_search import Judged, judge, longest_step, open_interval
from optdriver.batch.jax.memory import count, factor, quasi_newton_step, remember
from optdriver.batch.jax.state import Lane, Search, Settings, pick, wherever, within
from optdriver.batch.jax.stopping import (
    falls_plainly,
    falls_without_end,
    is_stationary,
    learn_unit,
    projected_gradient_norm,
    reduction_is_small,
)
from optdriver.batch.jax.subspace import subspace_minimum
from optdriver.lbfgsb.codes import (
    ABNORMAL,
    ACCEPT,
    ACCEPT_BEST,
    DONE,
    FAILED,
    GIVE_UP,
    GO_ON,
    MAX_EVALUATIONS,
    MAX_ITERATIONS,
    PROJECTED_GRADIENT,
    REDUCTION,
    SEARCH,
    START,
    UNBOUNDED,
)

ROUNDING = 8
"""The reason for stopping that only float32 has; see `Settings.rounding`."""


class Point(NamedTuple):
    """A point with its value and gradient, and the norm of the projected gradient there."""

    x: Array
    f: Array
    g: Array
    pgnorm: Array


class Move(NamedTuple):
    """What an evaluation leads to.

    Attributes
    ----------
    iterate : Point
        The iterate from here on.
    ds, dy : (n,), sy
        The correction pair and s'y; stored if the lane `learns`.
    learns, forgets, sets_out
        What it does with its memory, the latter first; whether it begins a new search.
    stop
        Why it ends, or 0.
    believed
        Whether it would end if the next iterate passed, too.
    """

    iterate: Point
    ds: Array
    dy: Array
    sy: Array
    learns: Array
    forgets: Array
    sets_out: Array
    stop: Array
    believed: Array


class Departure(NamedTuple):
    """A new search: direction, its end at step 1, its record, the first trial.

    `forgets` where the memory led nowhere, `stuck` where the steepest descent did so too.
    """

    d: Array
    z: Array
    slope0: Array
    search: Search
    xt: Array
    forgets: Array
    stuck: Array


def step(s: Lane, f: Array, g: Array, o: Settings) -> Lane:
    """Take the value and the gradient at ``s.xt``, and find the next point.

    Parameters
    ----------
    s : Lane
        What is done stays as it is.
    f : scalar, g : (n,)
        A value or gradient that is not finite is a failed evaluation.
    o : Settings
        The options.
    """
    live = s.phase != DONE
    good = live & jnp.isfinite(f) & jnp.all(jnp.isfinite(g))
    g = jnp.where(good, g, 0).astype(s.f.dtype)
    if o.cautious:
        value = jnp.where(good, f, 1).astype(s.f.dtype)
        s = s._replace(unit=jnp.where(good & (s.phase == START), learn_unit(s, value, g), s.unit))
        f, g = f / s.unit, g / s.unit
    f = jnp.where(good, f, s.f).astype(s.f.dtype)
    s = keep_best(note(s, f, live, good), f, g, good)
    judged = Judged(jnp.asarray(GO_ON, jnp.int32), s.search, s.trials, s.hampered, s.xt)
    judged = wherever(
        s.phase == SEARCH, lambda: judge(s, f, g, good, o), judged, straight=o.straight
    )
    no = jnp.zeros_like(live)
    stays = Move(
        Point(s.x, s.f, s.g, s.pgnorm),
        s.d,
        s.d,
        s.f,
        no,
        no,
        no,
        jnp.zeros_like(s.stop),
        s.believed,
    )
    here = Point(s.xt, f, g, s.pgnorm)
    decided = live & ((judged.verdict != GO_ON) | (s.phase != SEARCH))
    move = wherever(decided, lambda: conclude(s, here, good, judged, o), stays, straight=o.straight)
    searched = (s.phase == SEARCH) & (judged.verdict != GO_ON)
    lost = searched & (judged.verdict == GIVE_UP) & (count(s.pairs) > 0)
    x, value, gradient, pgnorm = move.iterate
    s = s._replace(
        x=x,
        f=value,
        g=gradient,
        pgnorm=pgnorm,
        nit=s.nit + (searched & (judged.verdict != GIVE_UP)),
        foreseen=jnp.where(lost, -s.slope0, s.foreseen),
        trials=judged.trials,
        hampered=judged.hampered,
        search=judged.search,
        xt=judged.xt,
        stop=jnp.where(live, move.stop, s.stop),
        believed=move.believed,
        pairs=remember(
            s.pairs,
            move.ds,
            move.dy,
            move.sy,
            store=move.learns,
            forget=move.forgets,
            boundless=o.boundless,
        ),
    )
    return finish(set_out(s, move.sets_out, o), o)


def note(s: Lane, f: Array, live: Array, good: Array) -> Lane:
    """Count the evaluation, and notice a value that is no float32 number."""
    failed = live & ~good
    return s._replace(
        f_start=jnp.where(good & (s.phase == START), f, s.f_start),
        xs=jnp.where(good & (s.phase == START), s.xt, s.xs),
        nfev=s.nfev + live,
        nfail=s.nfail + failed,
        failures=jnp.where(good, 0, s.failures + failed),
        single=s.single & (~good | (f.astype(jnp.float32).astype(f.dtype) == f)),
    )


def keep_best(s: Lane, f: Array, g: Array, good: Array) -> Lane:
    """Keep the pending point if no better one was seen."""
    better = good & (f <= s.best_f)
    stp = jnp.where(s.phase == SEARCH, s.search.stp, -1)
    xb, gb, best_f, best_stp = pick(better, (s.xt, g, f, stp), (s.xb, s.gb, s.best_f, s.best_stp))
    return s._replace(xb=xb, gb=gb, best_f=best_f, best_stp=best_stp)


def conclude(s: Lane, here: Point, good: Array, judged: Judged, o: Settings) -> Move:
    """Answer the start, or the end of a search: test the iterate, and see what was learnt."""
    searching = s.phase == SEARCH
    stored = count(s.pairs) > 0
    by_best = searching & (judged.verdict == ACCEPT_BEST)
    arrived = jnp.where(searching, by_best | (judged.verdict == ACCEPT), good)
    lost = searching & ~arrived
    best = Point(s.xb, s.best_f, s.gb, projected_gradient_norm(s.xb, s.gb, s.l, s.u))
    new = here._replace(pgnorm=projected_gradient_norm(here.x, here.g, s.l, s.u))
    new = pick(by_best, best, new)
    stp = jnp.where(by_best, s.best_stp, s.search.stp)
    visible = searching & ~judged.hampered
    promised = jnp.where(stored, -s.slope0, jnp.inf)
    waits = jnp.zeros_like(arrived)
    stop = which_test(s, new, visible, promised, o)
    doubtful = arrived & (stop == REDUCTION) & (stp < 1e-4) & stored
    stops = arrived & ~doubtful & (stop > 0)
    by_best_seen = which_test(s, best, visible, promised, o)
    passed = jnp.where(stops, jnp.where(best.f < new.f, by_best_seen, stop), 0)
    endless = searching & arrived & falls_without_end(s, stp, new.f, new.g)
    if o.cautious:
        at = pick(best.f < new.f, best, new)
        objects = (passed > 0) & (passed != PROJECTED_GRADIENT)
        passed = jnp.where(objects & falls_plainly(s, at.x, at.g, at.f), ABNORMAL, passed)
        last = s.nit + searching >= o.maxiter
        waits = (passed == REDUCTION) & ~(s.believed & (stp <= 2)) & ~last & (o.ftol > 0)
        passed = jnp.where(waits, 0, passed)
        stops = stops & ~waits
    passed = jnp.where(endless & (passed == 0), UNBOUNDED, passed)
    late = arrived & (passed == 0) & (s.nit + searching >= o.maxiter)
    goes_back = stops & (passed == 0) & ~late  # the best point does not pass what the iterate does
    hopeless = jnp.where(s.failures > 0, FAILED, jnp.where(stored, 0, dead_end(s, o)))
    hopeless = jnp.where(s.believed, REDUCTION, hopeless)  # it had passed, and nothing is lower
    ends = jnp.where(lost, hopeless, jnp.where(late, MAX_ITERATIONS, passed))
    again = ~searching & ~good  # a failed start is asked once more
    ends = jnp.where(again & (s.failures > 1), FAILED, ends)
    sets_out = (arrived | lost) & (ends == 0)
    sy = (new.g @ s.d - s.slope0) * stp
    least = jnp.where(by_best | judged.hampered, 0.1, float(np.finfo(sy.dtype).eps))
    curved = sy > least * (-s.slope0 * stp)  # where cut short: the curvature condition of Wolfe
    before = Point(s.x, s.f, s.g, s.pgnorm)
    return Move(
        iterate=pick(arrived, pick(goes_back, best, new), before),
        ds=stp * s.d,
        dy=new.g - s.g,
        sy=sy,
        learns=sets_out & arrived & searching & ~doubtful & curved,
        forgets=sets_out & (lost | doubtful),
        sets_out=sets_out,
        stop=ends,
        believed=waits,
    )


def which_test(s: Lane, point: Point, visible: Array, promised: Array, o: Settings) -> Array:
    """Return the convergence test that is passed, or 0."""
    small = visible & reduction_is_small(s.f, point.f, o)
    coarse = visible & unseen(s.f, promised, o) & (s.f - point.f <= rounding_of(s.f))
    stop = jnp.where(small, REDUCTION, jnp.where(coarse, ROUNDING, 0))
    stationary = is_stationary(s, point.x, point.g, point.f, point.pgnorm, o)
    return jnp.where(stationary, PROJECTED_GRADIENT, stop)


def unseen(f: Array, promised: Array, o: Settings) -> Array:
    """Whether a decrease that the model promises is too small to be seen in f; in float32 only."""
    return promised <= o.rounding * rounding_of(f)


def rounding_of(f: Array) -> Array:
    """Return the distance of numbers like f, or 1 if that is larger."""
    return float(np.finfo(f.dtype).eps) * jnp.maximum(jnp.abs(f), 1)


def dead_end(s: Lane, o: Settings) -> Array:
    """Return why a lane ends that finds no decrease without memory either.

    In float32 that is no surprise where the model, too, had promised less than can be seen.
    """
    return jnp.where(unseen(s.f, s.foreseen, o), ROUNDING, ABNORMAL)


def set_out(s: Lane, sets_out: Array, o: Settings) -> Lane:
    """Begin a new search where wanted; end a lane that can't."""
    no = jnp.zeros_like(sets_out)
    stays = Departure(s.d, s.z, s.slope0, s.search, s.xt, no, no)
    way = wherever(sets_out, lambda: depart(s, o), stays, straight=o.straight)
    pairs = s.pairs._replace(
        stamp=jnp.where(way.forgets, 0, s.pairs.stamp),
        theta=jnp.where(way.forgets, 1, s.pairs.theta),
    )
    return s._replace(
        d=way.d,
        z=way.z,
        slope0=way.slope0,
        search=way.search,
        xt=way.xt,
        pairs=pairs,
        trials=jnp.where(sets_out, 0, s.trials),
        hampered=s.hampered & ~sets_out,
        best_stp=jnp.where(sets_out, -1, s.best_stp),
        phase=jnp.where(sets_out, SEARCH, s.phase),
        stop=jnp.where(way.stuck, dead_end(s, o), s.stop),
    )


def depart(s: Lane, o: Settings) -> Departure:
    """Find a direction, and the first trial along it.

    A direction of the model that is none of descent is answered by dropping the memory; one of
    the steepest descent, by the end.
    """
    # without the barrier XLA would compute z anew for each use of it
    z, sound = lax.optimization_barrier(find_direction(s, o))
    slope = s.g @ (z - s.x)
    stored = count(s.pairs) > 0
    sound = sound & (slope < 0) & jnp.isfinite(slope) & jnp.all(jnp.isfinite(z))
    z = jnp.where(stored & sound, z, within(s.x - s.g, s.l, s.u))
    d = z - s.x
    slope, norm = s.g @ d, jnp.sqrt(d @ d)
    stp, stpmax = first_step(s, d, norm, ~(stored & sound), o)
    xt = jnp.where(stp == 1, z, within(s.x + stp * d, s.l, s.u))
    descends = (slope < 0) & jnp.isfinite(slope) & (norm > 0) & jnp.isfinite(norm)
    return Departure(
        d=d,
        z=z,
        slope0=slope,
        search=open_interval(stp, stpmax, s.f, slope),
        xt=xt,
        forgets=stored & ~sound,
        stuck=~(descends & (stp > 0) & jnp.any(xt != s.x)),
    )


def find_direction(s: Lane, o: Settings) -> tuple[Array, Array]:
    """Return the minimiser of the model in the box, and whether it could be found."""
    if o.boundless:
        return s.x + quasi_newton_step(s.pairs, s.g), jnp.ones((), bool)
    g = jnp.where(count(s.pairs) > 0, s.g, 0)  # else the answer is not used: no path to walk
    if not o.straight and s.x.size <= 2 * o.maxcor:
        return minimum_in_box(s.x, s.g, g, s.l, s.u, s.pairs)
    half, definite = factor(s.pairs)
    w = s.pairs.w.reshape(-1, s.x.size)
    start = cauchy_point(s.x, g, s.l, s.u, s.pairs.theta, half, w, o.straight)
    z, regular = subspace_minimum(s.x, s.g, s.l, s.u, s.pairs, half, start)
    return z, definite & start.found & (regular | ~jnp.any(start.free))


def first_step(s: Lane, d: Array, norm: Array, fresh: Array, o: Settings) -> tuple[Array, Array]:
    """Return the first step of a search and the longest one."""
    if o.boundless:
        stpmax, boxed = jnp.full_like(norm, 1e10), jnp.zeros((), bool)
    else:
        stpmax = longest_step(s, d, s.nit)
        boxed = jnp.all(jnp.isfinite(s.l) & jnp.isfinite(s.u))
    safe = jnp.where(norm > 0, norm, 1)
    stp = jnp.where(fresh & ~boxed, jnp.minimum(1 / safe, stpmax), jnp.ones_like(norm))
    if o.initial_step > 0:
        first = jnp.minimum(o.initial_step / safe, stpmax)
        stp = jnp.where(fresh | (s.nit == 0), first, stp)
    return stp, stpmax


def finish(s: Lane, o: Settings) -> Lane:
    """End the lane where there is a reason, and leave the best point in `xt`."""
    spent = jnp.where(s.believed, REDUCTION, MAX_EVALUATIONS)
    stop = jnp.where((s.stop == 0) & (s.nfev >= o.maxfun), spent, s.stop)
    done = stop != 0
    return s._replace(
        phase=jnp.where(done, DONE, s.phase),
        stop=stop,
        xt=jnp.where(done & (s.best_f < jnp.inf), s.xb, s.xt),
    )
