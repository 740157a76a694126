"""Line search (Moré and Thuente 1994), as in `optdriver.lbfgsb.line_search`, without branches.

Near the rounding level of f a trial is accepted by the approximate Wolfe conditions (Hager and
Zhang 2005, eq. 4.1); a trial whose evaluation failed sends the step back.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from optdriver.batch.jax.state import Lane, Search, Settings, pick, within
from optdriver.lbfgsb.codes import ACCEPT, ACCEPT_BEST, GIVE_UP, GO_ON


def open_interval(stp: Array, stpmax: Array, f0: Array, slope0: Array) -> Search:
    """Return the record of a search that has tried nothing."""
    zero = jnp.zeros_like(stp)
    return Search(
        stp=stp,
        stpmax=stpmax,
        stx=zero,
        fx=f0,
        gx=slope0,
        sty=zero,
        fy=f0,
        gy=slope0,
        stmin=zero,
        stmax=stp + 4 * stp,
        width=stpmax,
        width1=2 * stpmax,
        bracketed=jnp.zeros((), bool),
        stage=jnp.ones((), jnp.int32),
    )


def longest_step(s: Lane, d: Array, nit: Array) -> Array:
    """Return the largest step allowed: to the nearest bound, 1 at the first iteration, or 1e10."""
    bounded = jnp.any(jnp.isfinite(s.l) | jnp.isfinite(s.u))
    room = jnp.where(d < 0, s.l, s.u) - s.x
    part = jnp.where(d == 0, jnp.inf, room / jnp.where(d == 0, 1, d))
    longest = jnp.maximum(jnp.minimum(jnp.min(part), 1e10), 1)  # z = x + d lies in the box
    return jnp.where(bounded, jnp.where(nit == 0, 1, longest), 1e10).astype(d.dtype)


def trial(s: Lane, stp: Array) -> tuple[Array, Array]:
    """Return x + stp d, in the box, and whether that is another point than x."""
    xt = jnp.where(stp == 1, s.z, within(s.x + stp * s.d, s.l, s.u))
    return xt, (stp > 0) & jnp.any(xt != s.x)


class Judged(NamedTuple):
    """What the line search says of a trial.

    Attributes
    ----------
    verdict
        ACCEPT it, GO_ON to the next one, ACCEPT_BEST (the best point of this search serves), or
        GIVE_UP.
    search, trials, hampered, xt
        As in `Lane`; `xt` is the next trial where there is one.
    """

    verdict: Array
    search: Search
    trials: Array
    hampered: Array
    xt: Array


def judge(s: Lane, f: Array, g: Array, good: Array, o: Settings) -> Judged:
    """Judge the trial ``s.xt`` with value f and gradient g, or without where not `good`."""
    q = s.search
    slope = g @ s.d
    target = s.f + q.stp * 1e-3 * s.slope0
    trials = s.trials + 1
    stage = jnp.where((q.stage == 1) & (f <= target) & (slope >= 0), 2, q.stage)
    q = q._replace(stage=stage)
    served = good & serves(s, f, slope, target, o)
    ended = jnp.where(good, trials >= o.maxls, enough(s) | (s.failures >= o.maxls))
    q = pick(good, refine(s, q, f, slope, target), back_off(s, q))
    xt, moved = trial(s, q.stp)
    placed = moved & (~good | has_room(q))
    back = 0.1 * q.sty
    xr, moved = trial(s, back)
    retreat = good & ~placed & moved & q.bracketed & (q.stx == 0)
    retreat &= q.fy - s.f > jnp.abs(s.f)  # a penalty of 1e20, say, left no step to be seen
    q = q._replace(stp=jnp.where(retreat, back, q.stp))
    goes_on = ~served & ~ended & (placed | retreat)
    settles = (s.best_stp > 0) & (s.best_f < s.f)
    verdict = jnp.where(settles, ACCEPT_BEST, GIVE_UP)
    verdict = jnp.where(goes_on, GO_ON, jnp.where(served, ACCEPT, verdict))
    hampered = s.hampered | ~good | (~goes_on & ~served & settles & ~enough(s))
    xt = jnp.where(goes_on, jnp.where(retreat, xr, xt), s.xt)
    return Judged(verdict.astype(jnp.int32), q, trials, hampered, xt)


def serves(s: Lane, f: Array, slope: Array, target: Array, o: Settings) -> Array:
    """Whether the trial ends the search; the last line is the approximate Wolfe condition."""
    lower = f <= target
    wolfe = lower & (jnp.abs(slope) <= 0.9 * -s.slope0)
    at_bound = (s.search.stp == s.search.stpmax) & lower & (slope <= 1e-3 * s.slope0)
    unseen = jnp.abs(f - s.f) <= noise_level(s, f, o)
    return wolfe | at_bound | (unseen & (0.9 * s.slope0 <= slope) & (slope <= -0.998 * s.slope0))


def noise_level(s: Lane, f: Array, o: Settings) -> Array:
    """Return the error to be expected in a difference of values at the iterate and f."""
    own, single = float(np.finfo(f.dtype).eps), float(np.finfo(np.float32).eps)
    unit = jnp.where(s.single, single, own).astype(f.dtype)
    noise = o.noise / s.unit if o.cautious else o.noise
    return noise + 2 * unit * jnp.maximum(jnp.abs(s.f), jnp.abs(f))


def enough(s: Lane) -> Array:
    """Whether the best point of this search has sufficient decrease."""
    return (s.best_stp > 0) & (s.best_f <= s.f + s.best_stp * 1e-3 * s.slope0)


def has_room(q: Search) -> Array:
    """Whether the next step lies between the steps tried, and these are not too close."""
    inside = (q.stmin < q.stp) & (q.stp < q.stmax) & (q.stmax - q.stmin > 0.1 * q.stmax)
    return ~q.bracketed | inside


def back_off(s: Lane, q: Search) -> Search:
    """Answer a failed evaluation: in ever larger strides, never again as far."""
    part = jnp.where(s.failures == 1, 0.5, jnp.where(s.failures == 2, 0.25, 0.1))
    stp = q.stp * part.astype(q.stp.dtype)
    return open_interval(stp, stp, s.f, s.slope0)


def refine(s: Lane, q: Search, f: Array, slope: Array, target: Array) -> Search:
    """Update the interval with the trial and compute the next step (1994, section 4)."""
    tilt = jnp.where((q.stage == 1) & (f <= q.fx) & (f > target), 1e-3 * s.slope0, 0)
    p = q._replace(  # psi instead of phi (eq. 2.1)
        fx=q.fx - q.stx * tilt, fy=q.fy - q.sty * tilt, gx=q.gx - tilt, gy=q.gy - tilt
    )
    p = choose_step(p, f - q.stp * tilt, slope - tilt)
    p = p._replace(fx=p.fx + p.stx * tilt, fy=p.fy + p.sty * tilt, gx=p.gx + tilt, gy=p.gy + tilt)
    span = jnp.abs(p.sty - p.stx)
    middle = p.bracketed & (span >= 0.66 * p.width1)
    stp = jnp.where(middle, p.stx + 0.5 * (p.sty - p.stx), p.stp)
    low, high = jnp.minimum(p.stx, p.sty), jnp.maximum(p.stx, p.sty)
    return p._replace(
        width1=jnp.where(p.bracketed, p.width, p.width1),
        width=jnp.where(p.bracketed, span, p.width),
        stmin=jnp.where(p.bracketed, low, stp + 1.1 * (stp - p.stx)),
        stmax=jnp.where(p.bracketed, high, stp + 4 * (stp - p.stx)),
        stp=jnp.clip(stp, 0, p.stpmax),
    )


def choose_step(q: Search, fp: Array, gp: Array) -> Search:
    """Choose the next trial from the values and slopes at stx, sty and stp (1994, section 4)."""
    higher = fp > q.fx
    opposite = ~higher & (gp * jnp.sign(q.gx) < 0)
    flatter = ~higher & ~opposite & (jnp.abs(gp) < jnp.abs(q.gx))
    bracketed = q.bracketed | higher | opposite
    new = jnp.where(flatter, case_flatter(q, fp, gp), case_steeper(q, fp, gp))
    new = jnp.where(opposite, case_opposite(q, fp, gp), new)
    new = jnp.where(higher, case_higher(q, fp, gp), new)
    here, at_x = (q.stp, fp, gp), (q.stx, q.fx, q.gx)
    sty, fy, gy = pick(higher, here, pick(opposite, at_x, (q.sty, q.fy, q.gy)))
    stx, fx, gx = pick(higher, at_x, here)
    otherwise = jnp.where(bracketed, stx + 0.5 * (sty - stx), q.stmax)
    new = jnp.where(jnp.isfinite(new), new, otherwise)
    return q._replace(stp=new, stx=stx, fx=fx, gx=gx, sty=sty, fy=fy, gy=gy, bracketed=bracketed)


def ratio(a: Array, b: Array) -> Array:
    """Return a / b, and where b is zero the largest number of a's sign."""
    largest = jnp.sign(a) * float(np.finfo(a.dtype).max)
    return jnp.where(b == 0, largest, a / jnp.where(b == 0, 1, b))


def root_term(theta: Array, gx: Array, gp: Array) -> Array:
    """Return sqrt(theta^2 - gx gp), 0 where it is not real."""
    scale = jnp.maximum(jnp.maximum(jnp.abs(theta), jnp.abs(gx)), jnp.abs(gp))
    by = jnp.where(scale == 0, 1, scale)
    square = (theta / by) ** 2 - (gx / by) * (gp / by)
    return scale * jnp.sqrt(jnp.maximum(square, 0))


def cubic_slope(q: Search, fp: Array, gp: Array) -> Array:
    """Return the theta of the cubic interpolant between stx and stp."""
    return ratio(3 * (q.fx - fp), q.stp - q.stx) + q.gx + gp


def case_higher(q: Search, fp: Array, gp: Array) -> Array:
    """Case 1, a higher value: the cubic step if it is closer to stx, else its mean with the other.

    The other one is the quadratic step.
    """
    dx = q.stp - q.stx
    theta = cubic_slope(q, fp, gp)
    gamma = root_term(theta, q.gx, gp) * jnp.where(dx < 0, -1, 1)
    c = q.stx + ratio((gamma - q.gx) + theta, ((gamma - q.gx) + gamma) + gp) * dx
    a = q.stx + (ratio(q.gx, ratio(q.fx - fp, dx) + q.gx) / 2) * dx
    return jnp.where(jnp.abs(c - q.stx) < jnp.abs(a - q.stx), c, c + (a - c) / 2)


def case_opposite(q: Search, fp: Array, gp: Array) -> Array:
    """Case 2, a lower value and a slope of the other sign: cubic or secant, the farther one."""
    dx = q.stx - q.stp
    theta = cubic_slope(q, fp, gp)
    gamma = root_term(theta, q.gx, gp) * jnp.where(dx < 0, -1, 1)
    c = q.stp + ratio((gamma - gp) + theta, ((gamma - gp) + gamma) + q.gx) * dx
    a = q.stp + ratio(gp, gp - q.gx) * dx
    return jnp.where(jnp.abs(c - q.stp) > jnp.abs(a - q.stp), c, a)


def case_flatter(q: Search, fp: Array, gp: Array) -> Array:
    """Case 3, a lower value and a smaller slope of the same sign.

    The cubic step only where the cubic tends to infinity in the direction of the step, or its
    minimum is beyond stp.
    """
    dx = q.stx - q.stp
    forward = q.stp > q.stx
    theta = cubic_slope(q, fp, gp)
    gamma = root_term(theta, q.gx, gp) * jnp.where(forward, -1, 1)
    r = ratio((gamma - gp) + theta, (gamma + (q.gx - gp)) + gamma)
    c = jnp.where(forward, q.stmax, q.stmin)
    c = jnp.where((r < 0) & (gamma != 0), q.stp + r * dx, c)
    a = q.stp + ratio(gp, gp - q.gx) * dx
    nearer = jnp.abs(c - q.stp) < jnp.abs(a - q.stp)
    farther = jnp.abs(c - q.stp) > jnp.abs(a - q.stp)
    open_end = jnp.clip(jnp.where(farther, c, a), q.stmin, q.stmax)
    inner = jnp.where(nearer, c, a)
    limit = q.stp + 0.66 * (q.sty - q.stp)
    inner = jnp.where(forward, jnp.minimum(limit, inner), jnp.maximum(limit, inner))
    return jnp.where(q.bracketed, inner, open_end)


def case_steeper(q: Search, fp: Array, gp: Array) -> Array:
    """Case 4, a lower value and a slope not smaller: the cubic step to sty, or the end."""
    dx = q.sty - q.stp
    theta = ratio(3 * (q.fy - fp), q.stp - q.sty) + q.gy + gp
    gamma = root_term(theta, q.gy, gp) * jnp.where(q.stp > q.sty, -1, 1)
    c = q.stp + ratio((gamma - gp) + theta, ((gamma - gp) + gamma) + q.gy) * dx
    return jnp.where(q.bracketed, c, jnp.where(q.stp > q.stx, q.stmax, q.stmin))
