"""Correction pairs and their compact representation (Byrd, Nocedal and Schnabel 1994).

With the pairs normalised so that D = I, and J J' = theta S'S + L L',

    B = theta I - A A' + Y Y',    A = (Y L' + theta S) J^-T,

which is the paper's theta I - W M W' with M factorised: columns of unused slots are zero, and the
diagonals that belong to them are one, so that every lane has the same shapes.

Without bounds H = B^-1 is all that is needed: see `quasi_newton_step`.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.lax.linalg import cholesky, triangular_solve

from optdriver.batch.jax.state import Pairs


def count(pairs: Pairs) -> Array:
    """Return the number of pairs stored."""
    return jnp.sum(pairs.stamp > 0)


def remember(
    pairs: Pairs,
    s: Array,
    y: Array,
    sy: Array,
    *,
    store: Array,
    forget: Array,
    boundless: bool = False,
) -> Pairs:
    """Return the memory with the pair (s, y), if `store`, over the oldest if there is no room.

    `sy` is s'y; theta = y'y / s'y.  With `forget` all pairs are dropped first: B = I.
    """
    m = pairs.stamp.size
    root = jnp.sqrt(jnp.where(store, sy, 1))
    s, y = s / root, y / root
    theta = y @ y
    usable = (theta > 0) & jnp.isfinite(theta) & jnp.all(jnp.isfinite(s))  # y'y may vanish
    lost = forget | (store & ~usable)
    store = store & ~lost
    new = (jnp.arange(m) == jnp.argmin(pairs.stamp)) & store
    kept = (pairs.stamp > 0) & ~new & ~lost
    stamp = jnp.where(kept, pairs.stamp, 0)
    stamp = jnp.where(new, jnp.max(stamp) + 1, stamp)
    theta = jnp.where(store, theta, jnp.where(lost, 1, pairs.theta))
    rows = add_to_inverse if boundless else add_to_blocks
    return Pairs(*rows(pairs, s, y, new, kept), stamp, theta)


def add_to_blocks(
    pairs: Pairs, s: Array, y: Array, new: Array, kept: Array
) -> tuple[Array, Array, Array]:
    """Return w, S'S and L' with the pair (s, y) in the slot `new`, and what is not `kept` zero."""
    w = jnp.where(kept[:, None], pairs.w, 0)
    w = jnp.where(new[:, None], jnp.stack([y, s])[:, None, :], w)
    yw, sw = w @ s
    both = kept[:, None] & kept
    ss = jnp.where(both, pairs.ss, 0)
    ss = jnp.where(new[:, None], sw, jnp.where(new, sw[:, None], ss))
    lt = jnp.where(kept[:, None] & new, yw[:, None], jnp.where(both, pairs.lt, 0))
    return w, ss, lt


def add_to_inverse(
    pairs: Pairs, s: Array, y: Array, new: Array, kept: Array
) -> tuple[Array, Array, Array]:
    """Return w, Y'Y and R^-1, without bounds; what stands in an unused slot means nothing.

    R is the upper triangle of S'Y in the order of age, and its diagonal is one.  A new column r
    leaves the inverse of the others as it is, and so does the end of the first row:

        [ R  r ]^-1   [ R^-1  -R^-1 r ]
        [ 0  1 ]    = [  0       1    ].
    """
    w = jnp.where(new[:, None], jnp.stack([y, s])[:, None, :], pairs.w)
    yw, sw = jnp.where(kept | new, w @ y, 0)
    column = -(pairs.lt @ jnp.where(kept, sw, 0))
    ss = jnp.where(new[:, None], yw, jnp.where(new, yw[:, None], pairs.ss))
    lt = jnp.where(new, jnp.where(kept, column, 0)[:, None], jnp.where(new[:, None], 0, pairs.lt))
    return w, ss, jnp.where(new[:, None] & new, 1, lt)


def quasi_newton_step(pairs: Pairs, g: Array) -> Array:
    """Return -H g, without bounds: what the two-loop recursion (Nocedal 1980) gives.

    In the compact form (Byrd, Nocedal and Schnabel 1994, eq. 3.1), with D = I,

        H g = g / theta + S v - Y u / theta,    u = R^-1 S'g,
        v = R'^-1 (u + (Y'Y u - Y'g) / theta).
    """
    stored, theta = pairs.stamp > 0, pairs.theta
    yg, sg = jnp.where(stored, pairs.w @ g, 0)
    u = jnp.where(stored, pairs.lt @ sg, 0)
    v = jnp.where(stored, u + (pairs.ss @ u - yg) / theta, 0)
    v = jnp.where(stored, v @ pairs.lt, 0)
    y, s = pairs.w
    step: Array = -(g / theta + v @ s - u @ y / theta)
    return step


def factor(pairs: Pairs) -> tuple[Array, Array]:
    """Return J^-1 [L, theta I], by which [Y'; S'] is to be multiplied for A', (m, 2m).

    And whether rounding left J J' = theta S'S + L L' positive definite.
    """
    m = pairs.stamp.size
    j, definite = middle(pairs)
    sides = jnp.concatenate([pairs.lt.T, pairs.theta * jnp.eye(m, dtype=j.dtype)], axis=1)
    return triangular_solve(j, sides, left_side=True, lower=True), definite


def middle(pairs: Pairs) -> tuple[Array, Array]:
    """Return J of J J' = theta S'S + L L', and whether rounding left that positive definite."""
    square = pairs.theta * pairs.ss + pairs.lt.T @ pairs.lt + unused(pairs)
    j = cholesky(square, symmetrize_input=False)
    return j, jnp.all(jnp.isfinite(jnp.diagonal(j)))


def unused(pairs: Pairs) -> Array:
    """Return the matrix with a one on the diagonal for every unused slot."""
    return jnp.diag((pairs.stamp == 0).astype(pairs.w.dtype))
