"""Generalized Cauchy point (Byrd, Lu, Nocedal and Zhu 1995, section 4, algorithm CP).

The first local minimiser of the quadratic model along the projected steepest-descent path
x(t) = P(x - t g, l, u), with B = theta I - A A' + Y Y': either segment by segment, or all
breakpoints sorted and every segment looked at at once.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from optdriver.batch.jax.state import within


class Path(NamedTuple):
    """The projected steepest-descent path from x.

    `d` is -g on the variables free to move, else 0; `t` are their breakpoints (eq. 4.1), infinite
    where there is none; `w` is [Y'; S'], (2m, n), and ``half @ w`` is A'.
    """

    d: Array
    t: Array
    theta: Array
    half: Array
    w: Array
    floor: Array

    def columns(self, v: Array) -> Array:
        """Return [A'; Y'] x for v = [Y'; S'] x."""
        return jnp.concatenate([self.half @ v, v[: len(self.half)]])


class Cauchy(NamedTuple):
    """The point `z`, (n,); the variables `free` there; `c` = [A'; Y'] (z - x); if it was found."""

    z: Array
    free: Array
    c: Array
    found: Array


def cauchy_point(
    x: Array, g: Array, l: Array, u: Array, theta: Array, half: Array, w: Array, straight: bool
) -> Cauchy:
    """Return the Cauchy point.

    Parameters
    ----------
    x, g, l, u : (n,)
        Iterate, gradient, bounds.
    theta, half, w
        B = theta I - A A' + Y Y' with w = [Y'; S'], (2m, n), and A' = half w.
    straight : bool
        Sort the breakpoints and look at all segments, instead of going from one to the next.
    """
    held, d, bound, t = breakpoints(x, g, l, u)
    path = Path(d, t, theta, half, w, jnp.zeros_like(theta))
    p = path.columns(w @ d)
    f1 = -(d @ d)
    f2 = -theta * f1 - p @ signed(p)
    path = path._replace(floor=float(np.finfo(x.dtype).eps) * f2)
    time, c = by_sorting(path) if straight else by_walking(path, p, f1, f2)
    passed = (d != 0) & (t <= time)
    moving = within(x + time * d, l, u)
    z = jnp.where(passed, bound, jnp.where(d == 0, x, moving))
    return Cauchy(z, ~(held | passed), c, (f2 > 0) & jnp.isfinite(f2))


def breakpoints(x: Array, g: Array, l: Array, u: Array) -> tuple[Array, Array, Array, Array]:
    """Return what is held at a bound; how the others set out, which bounds they meet, and when."""
    held = ((x <= l) & (g >= 0)) | ((x >= u) & (g <= 0)) | (l == u)
    d = jnp.where(held, 0, -g)
    bound = jnp.where(d < 0, l, u)
    t = jnp.where(d == 0, jnp.inf, (bound - x) / jnp.where(d == 0, 1, d))
    return held, d, bound, t


def signed(c: Array) -> Array:
    """Return M c: the half that belongs to Y changes its sign."""
    m = c.shape[0] // 2
    return jnp.concatenate([c[:m], -c[m:]])


class Walk(NamedTuple):
    """The walk along the path: the breakpoints `left`, the `nearest` of them; `time` is now."""

    left: Array
    nearest: Array
    time: Array
    f1: Array
    f2: Array
    p: Array
    c: Array


def by_walking(path: Path, p: Array, f1: Array, f2: Array) -> tuple[Array, Array]:
    """Return the time of the minimiser, and `Cauchy.c`, going from breakpoint to breakpoint."""

    def goes_on(walk: Walk) -> Array:
        return (walk.nearest < jnp.inf) & (walk.nearest - walk.time <= -walk.f1 / walk.f2)

    def pass_breakpoint(walk: Walk) -> Walk:
        i = jnp.min(jnp.where(walk.left == walk.nearest, places, n - 1))
        dt = walk.nearest - walk.time
        d = path.d[i]
        gone = walk.nearest * d
        row = path.columns(path.w[:, i])
        c = walk.c + dt * walk.p
        mrow = signed(row)
        f1 = walk.f1 + dt * walk.f2 + d * d - path.theta * d * gone + d * (c @ mrow)
        f2 = walk.f2 - path.theta * d * d + 2 * d * (walk.p @ mrow) - d * d * (row @ mrow)
        f2 = jnp.maximum(f2, path.floor)
        left = jnp.where(places == i, jnp.inf, walk.left)
        nearest = jnp.min(left, initial=jnp.inf)
        # where nothing moves any more the minimiser is here
        f1 = jnp.where((nearest == jnp.inf) & bounded, 0, f1)
        return Walk(left, nearest, walk.nearest, f1, f2, walk.p - d * row, c)

    n = path.d.size
    places = jnp.arange(n, dtype=jnp.int32)
    bounded = jnp.all((path.t < jnp.inf) | (path.d == 0))
    first = Walk(
        left=path.t,
        nearest=jnp.min(path.t, initial=jnp.inf),
        time=jnp.zeros_like(f1),
        f1=f1,
        f2=f2,
        p=p,
        c=jnp.zeros_like(p),
    )
    walk = lax.while_loop(goes_on, pass_breakpoint, first)
    step = jnp.maximum(-walk.f1 / walk.f2, 0)
    return walk.time + step, walk.c + step * walk.p


def by_sorting(path: Path) -> tuple[Array, Array]:
    """Return the same from suffix sums over the sorted breakpoints, without subtracting any."""
    order = jnp.argsort(path.t)
    t, d = path.t[order], path.d[order]
    w = path.columns(path.w[:, order])
    dd = lax.cumsum(d * d, reverse=True)
    p = lax.cumsum(
        w * d, axis=1, reverse=True
    )  # of what still moves in segment j, which ends at t[j]
    began = jnp.concatenate([jnp.zeros_like(t[:1]), t[:-1]])
    reached = jnp.where(t < jnp.inf, t * d, 0)
    stopped = lax.cumsum(w * reached, axis=1) - w * reached
    begin = jnp.where(began < jnp.inf, began, 0)
    c = stopped + begin * p
    mp = signed(p)
    f1s = path.theta * begin * dd - dd - jnp.sum(mp * c, axis=0)
    f2s = jnp.maximum(path.theta * dd - jnp.sum(mp * p, axis=0), path.floor)
    step = jnp.maximum(-f1s / f2s, 0)
    ends = (begin + step < t) | (began == jnp.inf)
    j = jnp.argmax(ends)
    found = jnp.any(ends)
    last = jnp.max(jnp.where(t < jnp.inf, t, 0))
    time = jnp.where(found & (dd[j] > 0), begin[j] + step[j], last)
    everything = path.w @ (jnp.where(path.t <= time, path.t, time) * path.d)
    return time, path.columns(everything)
