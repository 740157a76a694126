"""The direction where variables are few: with B as a matrix, instead of its factors.

Up to as many variables as the memory has columns, 2m, the n x n matrix

    B = theta I - A A' + Y Y'

is smaller than what the compact form needs beside it.  The Cauchy point is that of
`optdriver.batch.jax.cauchy` (Byrd, Lu, Nocedal and Zhu 1995, algorithm CP), and the minimum over
the free variables (eq. 5.4) is found by one Cholesky of B's rows and columns that belong to them.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.lax.linalg import cholesky, triangular_solve

from optdriver.batch.jax.cauchy import breakpoints
from optdriver.batch.jax.memory import middle
from optdriver.batch.jax.state import Pairs, within
from optdriver.batch.jax.subspace import bent


def minimum_in_box(
    x: Array, g: Array, slope: Array, l: Array, u: Array, pairs: Pairs
) -> tuple[Array, Array]:
    """Return the minimiser of the model in the box, and whether it could be found.

    Parameters
    ----------
    x, g, l, u : (n,)
        Iterate, gradient, bounds.
    slope : (n,)
        The gradient by which the path to the Cauchy point is walked: zero for no path.
    pairs : Pairs
        The memory.
    """
    b, definite = hessian(pairs)
    held, d, bound, t = breakpoints(x, slope, l, u)
    end = walk_along(b, d, t)
    passed = (d != 0) & (t <= end.time)
    z = jnp.where(passed, bound, jnp.where(d == 0, x, within(x + end.time * d, l, u)))
    free = ~(held | passed)
    r = jnp.where(free, -(g + end.bz), 0)  # eq. (5.4)
    root = cholesky(
        jnp.where(free[:, None] & free, b, jnp.eye(x.size, dtype=b.dtype)), symmetrize_input=False
    )
    step = triangular_solve(root, r[:, None], left_side=True, lower=True)
    step = triangular_solve(root, step, left_side=True, lower=True, transpose_a=True)[:, 0]
    met = jnp.any(free)
    regular = ~met | jnp.all(jnp.isfinite(jnp.diagonal(root)))
    z = jnp.where(met, bent(x, g, l, u, z, free, jnp.where(free, step, 0)), z)
    return z, definite & end.found & regular


def hessian(pairs: Pairs) -> tuple[Array, Array]:
    """Return B, (n, n), and whether rounding left J J' positive definite."""
    y, s = pairs.w
    j, definite = middle(pairs)
    a = pairs.lt.T @ y + pairs.theta * s
    a = triangular_solve(j, a, left_side=True, lower=True)
    b = jnp.concatenate([-a, y]).T @ jnp.concatenate([a, y])
    return b + pairs.theta * jnp.eye(b.shape[0], dtype=b.dtype), definite


class Walk(NamedTuple):
    """The walk along the path: breakpoints `left`, the `nearest` of them; `time` is now.

    `d` is what still moves, `bd` = B d; `bz` = B (z - x) here.
    """

    left: Array
    nearest: Array
    time: Array
    f1: Array
    f2: Array
    d: Array
    bd: Array
    bz: Array


class End(NamedTuple):
    """The time of the first minimiser along the path, B (z - x) there; whether it was found."""

    time: Array
    bz: Array
    found: Array


def walk_along(b: Array, d: Array, t: Array) -> End:
    """Return the first minimiser along the path, going from breakpoint to breakpoint."""
    places = jnp.arange(d.size, dtype=jnp.int32)
    bounded = jnp.all((t < jnp.inf) | (d == 0))
    bd = b @ d
    f2 = d @ bd
    floor = float(np.finfo(d.dtype).eps) * f2

    def goes_on(walk: Walk) -> Array:
        return (walk.nearest < jnp.inf) & (walk.nearest - walk.time <= -walk.f1 / walk.f2)

    def pass_breakpoint(walk: Walk) -> Walk:
        i = jnp.min(jnp.where(walk.left == walk.nearest, places, d.size - 1))
        here = places == i
        bz = walk.bz + (walk.nearest - walk.time) * walk.bd
        bd = walk.bd - walk.d[i] * b[i]
        d_ = jnp.where(here, 0, walk.d)
        left = jnp.where(here, jnp.inf, walk.left)
        nearest = jnp.min(left)
        # where nothing moves any more the minimiser is here
        f1 = jnp.where((nearest == jnp.inf) & bounded, 0, d_ @ (bz - d_))
        return Walk(left, nearest, walk.nearest, f1, jnp.maximum(d_ @ bd, floor), d_, bd, bz)

    zero = jnp.zeros_like(f2)
    first = Walk(t, jnp.min(t), zero, -(d @ d), f2, d, bd, jnp.zeros_like(d))
    walk = lax.while_loop(goes_on, pass_breakpoint, first)
    step = jnp.maximum(-walk.f1 / walk.f2, 0)
    return End(walk.time + step, walk.bz + step * walk.bd, (f2 > 0) & jnp.isfinite(f2))
