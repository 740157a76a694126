"""One step: take one evaluation, leave the next point.  Pure, and without branches.

The transitions are those of `optdriver.lbfgsb.machine`; a lane that is done stays as it is.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from optdriver.batch.jax.cauchy import cauchy_point
from optdriver.batch.jax.line_search import judge, longest_step, open_interval
from optdriver.batch.jax.memory import columns, count, remember
from optdriver.batch.jax.state import Lane, Pairs, Settings, pick, within
from optdriver.batch.jax.stopping import projected_gradient_norm, reduction_is_small
from optdriver.batch.jax.subspace import subspace_minimum
from optdriver.lbfgsb.codes import (
    ABNORMAL,
    ACCEPT,
    ACCEPT_BEST,
    DONE,
    FAILED,
    GIVE_UP,
    MAX_EVALUATIONS,
    MAX_ITERATIONS,
    PROJECTED_GRADIENT,
    REDUCTION,
    SEARCH,
)

ROUNDING = 8
"""The reason for stopping that only float32 has; see `Settings.rounding`."""


class Point(NamedTuple):
    """A point with its value and gradient, and the norm of the projected gradient there."""

    x: Array
    f: Array
    g: Array
    pgnorm: Array


class Verdict(NamedTuple):
    """What becomes of a lane: at most one of `stop` (0 where it goes on) and `sets_out`."""

    stop: Array
    sets_out: Array
    forgets: Array
    learns: Array


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
    f = jnp.where(good, f, s.f).astype(s.f.dtype)
    g = jnp.where(good, g, 0).astype(s.f.dtype)
    s = keep_best(note(s, f, live, good), f, g, good)
    judged, after = judge(s, f, g, good, o)
    searching = live & (s.phase == SEARCH)
    by_best = searching & (judged == ACCEPT_BEST)
    arrived = jnp.where(searching, (judged == ACCEPT) | by_best, good)
    lost = searching & (judged == GIVE_UP)
    stp = jnp.where(by_best, s.best_stp, s.search.stp)
    here = pick(by_best, (s.xb, s.best_f, s.gb), (s.xt, f, g))
    new = Point(*here, projected_gradient_norm(here[0], here[2], s.l, s.u))
    s = s._replace(
        trials=jnp.where(searching, after.trials, s.trials),
        hampered=jnp.where(searching, after.hampered, s.hampered),
        search=pick(searching, after.search, s.search),
        nit=s.nit + (arrived & searching),
        foreseen=jnp.where(lost & (count(s.pairs) > 0), -s.slope0, s.foreseen),
    )
    verdict, to_best, pgbest = settle(s, new, stp, searching, arrived, lost, o)
    least = jnp.where(by_best | s.hampered, 0.1, jnp.finfo(f.dtype).eps)
    sy = (new.g @ s.d - s.slope0) * stp
    learns = verdict.learns & searching & (sy > least * (-s.slope0 * stp))
    pairs = remember(
        s.pairs, stp * s.d, new.g - s.g, sy, store=learns, forget=verdict.forgets
    )
    arrival = pick(to_best, Point(s.xb, s.best_f, s.gb, pgbest), new)
    x, value, gradient, pgnorm = pick(arrived, arrival, Point(s.x, s.f, s.g, s.pgnorm))
    s = s._replace(x=x, f=value, g=gradient, pgnorm=pgnorm, pairs=pairs)
    xt = jnp.where(searching, after.xt, s.xt)
    again = live & ~searching & ~good & (s.failures > 1)
    return finish(set_out(s, verdict.sets_out, xt, o), jnp.where(again, FAILED, verdict.stop), o)


def note(s: Lane, f: Array, live: Array, good: Array) -> Lane:
    """Count the evaluation, and notice a value that is no float32 number."""
    failed = live & ~good
    return s._replace(
        nfev=s.nfev + live,
        nfail=s.nfail + failed,
        failures=jnp.where(good, 0, s.failures + failed),
        single=s.single & (~good | (f.astype(jnp.float32).astype(f.dtype) == f)),
    )


def keep_best(s: Lane, f: Array, g: Array, good: Array) -> Lane:
    """Keep the pending point if no better one was seen."""
    better = good & (f <= s.best_f)
    stp = jnp.where(s.phase == SEARCH, s.search.stp, -1)
    xb, gb, best_f, best_stp = pick(
        better, (s.xt, g, f, stp), (s.xb, s.gb, s.best_f, s.best_stp)
    )
    return s._replace(xb=xb, gb=gb, best_f=best_f, best_stp=best_stp)


def settle(
    s: Lane, new: Point, stp: Array, searching: Array, arrived: Array, lost: Array, o: Settings
) -> tuple[Verdict, Array, Array]:
    """Test the new iterate; answer a search without success.

    Returns
    -------
    Verdict
        What becomes of the lane.
    to_best
        Whether it goes on from the best point: the iterate passes a test, that point does not.
    pgbest
        Norm of the projected gradient at the best point.
    """
    stored = count(s.pairs) > 0
    visible = searching & ~s.hampered
    small = visible & reduction_is_small(s.f, new.f, o)
    stop = which_test(new.pgnorm, small, o)
    doubtful = arrived & (stop == REDUCTION) & (stp < 1e-4) & stored
    pgbest = projected_gradient_norm(s.xb, s.gb, s.l, s.u)
    by_best = which_test(pgbest, visible & reduction_is_small(s.f, s.best_f, o), o)
    passed = jnp.where(s.best_f < new.f, by_best, stop)
    passed = jnp.where(arrived & ~doubtful & (stop > 0), passed, 0)
    late = arrived & (passed == 0) & (s.nit >= o.maxiter)
    to_best = arrived & ~doubtful & (stop > 0) & (passed == 0) & ~late
    hopeless = jnp.where(s.failures > 0, FAILED, jnp.where(stored, 0, dead_end(s, o)))
    stop = jnp.where(lost, hopeless, jnp.where(late, MAX_ITERATIONS, passed))
    sets_out = (arrived | lost) & (stop == 0)
    verdict = Verdict(
        stop=stop,
        sets_out=sets_out,
        forgets=sets_out & (lost | doubtful),
        learns=sets_out & arrived & ~doubtful,
    )
    return verdict, to_best, pgbest


def which_test(pgnorm: Array, small: Array, o: Settings) -> Array:
    """Return the convergence test that is passed, or 0."""
    return jnp.where(pgnorm <= o.gtol, PROJECTED_GRADIENT, jnp.where(small, REDUCTION, 0))


def dead_end(s: Lane, o: Settings) -> Array:
    """Return why a lane ends that finds no decrease without memory either.

    In float32 that is no surprise where the model, too, had promised less than can be seen.
    """
    unit = float(jnp.finfo(s.f.dtype).eps)
    unseen = s.foreseen <= o.rounding * unit * jnp.maximum(jnp.abs(s.f), 1)
    return jnp.where(unseen, ROUNDING, ABNORMAL)


def set_out(s: Lane, sets_out: Array, xt: Array, o: Settings) -> Lane:
    """Where wanted find a direction and begin a search along it; else go on with the trial `xt`.

    A direction of the model that is none of descent is answered by dropping the memory; one of
    the steepest descent, by the end.
    """
    z, sound = find_direction(s, o)
    slope = s.g @ (z - s.x)
    stored = count(s.pairs) > 0
    sound = sound & (slope < 0) & jnp.isfinite(slope) & jnp.all(jnp.isfinite(z))
    forgets = sets_out & stored & ~sound
    z = jnp.where(stored & sound, z, within(s.x - s.g, s.l, s.u))
    d = z - s.x
    slope, norm = s.g @ d, jnp.sqrt(d @ d)
    pairs = forget(s.pairs, forgets)
    stp, stpmax = first_step(s, d, norm, count(pairs) == 0, o)
    out = s._replace(
        d=d,
        z=z,
        slope0=slope,
        search=open_interval(stp, stpmax, s.f, slope),
        trials=jnp.zeros_like(s.trials),
        hampered=jnp.zeros_like(s.hampered),
        best_stp=jnp.full_like(s.best_stp, -1),
    )
    start = jnp.where(stp == 1, z, within(s.x + stp * d, s.l, s.u))
    sound = (slope < 0) & jnp.isfinite(slope) & (norm > 0) & jnp.isfinite(norm)
    sound &= (stp > 0) & jnp.any(start != s.x)
    stuck = sets_out & ~sound
    s = pick(sets_out, out, s)
    return s._replace(
        pairs=pairs,
        xt=jnp.where(sets_out, start, xt),
        phase=jnp.where(stuck, DONE, jnp.where(sets_out, SEARCH, s.phase)),
        stop=jnp.where(stuck, dead_end(s, o), s.stop),
    )


def forget(pairs: Pairs, where: Array) -> Pairs:
    """Return the memory without any pair: B = I."""
    return pairs._replace(
        stamp=jnp.where(where, 0, pairs.stamp), theta=jnp.where(where, 1, pairs.theta)
    )


def find_direction(s: Lane, o: Settings) -> tuple[Array, Array]:
    """Return the minimiser of the model in the box, and whether it could be found."""
    a, definite = columns(s.pairs)
    start = cauchy_point(s.x, s.g, s.l, s.u, s.pairs.theta, a, s.pairs.w[0], o.cauchy)
    z, regular = subspace_minimum(s.x, s.g, s.l, s.u, s.pairs, a, start)
    return z, definite & start.found & (regular | ~jnp.any(start.free))


def first_step(
    s: Lane, d: Array, norm: Array, fresh: Array, o: Settings
) -> tuple[Array, Array]:
    """Return the first step of a search and the longest one."""
    stpmax = longest_step(s, d, s.nit)
    boxed = jnp.all(jnp.isfinite(s.l) & jnp.isfinite(s.u))
    safe = jnp.where(norm > 0, norm, 1)
    stp = jnp.where(fresh & ~boxed, jnp.minimum(1 / safe, stpmax), jnp.ones_like(norm))
    if o.initial_step > 0:
        first = jnp.minimum(o.initial_step / safe, stpmax)
        stp = jnp.where(fresh | (s.nit == 0), first, stp)
    return stp, stpmax


def finish(s: Lane, stop: Array, o: Settings) -> Lane:
    """End the lane where there is a reason, and leave the best point in `xt`."""
    stop = jnp.where(s.phase == DONE, s.stop, stop)
    stop = jnp.where((stop == 0) & (s.nfev >= o.maxfun), MAX_EVALUATIONS, stop)
    done = stop != 0
    return s._replace(
        phase=jnp.where(done, DONE, s.phase).astype(jnp.int32),
        stop=stop.astype(jnp.int32),
        xt=jnp.where(done & (s.best_f < jnp.inf), s.xb, s.xt),
    )
