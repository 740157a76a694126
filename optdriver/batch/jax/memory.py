"""Correction pairs and their compact representation (Byrd, Nocedal and Schnabel 1994).

With the pairs normalised so that D = I, and J J' = theta S'S + L L',

    B = theta I - A A' + Y Y',    A = (Y L' + theta S) J^-T,

which is the paper's theta I - W M W' with M factorised: columns of unused slots are zero, and the
diagonals that belong to them are one, so that every lane has the same shapes.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.lax.linalg import cholesky, triangular_solve

from optdriver.batch.jax.state import Pairs


def count(pairs: Pairs) -> Array:
    """Return the number of pairs stored."""
    return jnp.sum(pairs.stamp > 0)


def remember(pairs: Pairs, s: Array, y: Array, sy: Array, *, store: Array, forget: Array) -> Pairs:
    """Return the memory with the pair (s, y), if `store`, over the oldest if there is no room.

    `sy` is s'y; theta = y'y / s'y.  With `forget` all pairs are dropped first: B = I.
    """
    m = pairs.stamp.size
    root = jnp.sqrt(jnp.where(store, sy, 1))
    s, y = s / root, y / root
    theta = y @ y
    lost = forget | (store & ~((theta > 0) & jnp.isfinite(theta)))  # y'y below the smallest number
    store = store & ~lost
    new = (jnp.arange(m) == jnp.argmin(pairs.stamp)) & store
    kept = (pairs.stamp > 0) & ~new & ~lost
    w = jnp.where(kept[:, None], pairs.w, 0)
    w = jnp.where(new[:, None], jnp.stack([y, s])[:, None, :], w)
    yw, sw = w @ s
    both = kept[:, None] & kept
    ss = jnp.where(both, pairs.ss, 0)
    ss = jnp.where(new[:, None], sw, jnp.where(new, sw[:, None], ss))
    lt = jnp.where(kept[:, None] & new, yw[:, None], jnp.where(both, pairs.lt, 0))
    stamp = jnp.where(kept, pairs.stamp, 0)
    stamp = jnp.where(new, jnp.max(stamp) + 1, stamp)
    theta = jnp.where(store, theta, jnp.where(lost, 1, pairs.theta))
    return Pairs(w, ss, lt, stamp, theta)


def factor(pairs: Pairs) -> tuple[Array, Array]:
    """Return J^-1 [L, theta I], by which [Y'; S'] is to be multiplied for A', (m, 2m).

    And whether rounding left J J' = theta S'S + L L' positive definite.
    """
    m = pairs.stamp.size
    j = cholesky(pairs.theta * pairs.ss + pairs.lt.T @ pairs.lt + unused(pairs))
    sides = jnp.concatenate([pairs.lt.T, pairs.theta * jnp.eye(m, dtype=j.dtype)], axis=1)
    sides = triangular_solve(j, sides, left_side=True, lower=True)
    return sides, jnp.all(jnp.isfinite(jnp.diagonal(j)))


def unused(pairs: Pairs) -> Array:
    """Return the matrix with a one on the diagonal for every unused slot."""
    return jnp.diag((pairs.stamp == 0).astype(pairs.w.dtype))
