"""Subspace minimisation (Byrd, Lu, Nocedal and Zhu 1995, section 5.1, direct primal method).

With the projection of Morales and Nocedal (2011).  Over the variables that the Cauchy point left
free the model is minimised by

    d = r / theta + (1 / theta^2) Z'W K^-1 W'Z r,    W = [Y theta S],
    K = [ -I - Y'ZZ'Y / theta   L_A' - R_Z' ;  L_A - R_Z   theta S'AA'S ],

with K factorised by two Choleskys of its blocks.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.lax.linalg import cholesky, triangular_solve

from optdriver.batch.jax.cauchy import Cauchy
from optdriver.batch.jax.memory import unused
from optdriver.batch.jax.state import Pairs


def subspace_minimum(
    x: Array, g: Array, l: Array, u: Array, pairs: Pairs, half: Array, start: Cauchy
) -> tuple[Array, Array]:
    """Return the minimiser of the model in the free subspace, and whether K is regular.

    Parameters
    ----------
    x, g, l, u : (n,)
        Iterate, gradient, bounds.
    pairs, half
        The memory, and the factor of A' that `memory.factor` gives.
    start : Cauchy
        The Cauchy point.
    """
    m, theta = half.shape[0], pairs.theta
    w = pairs.w.reshape(2 * m, -1)
    mc = (start.c[:m] @ half).at[:m].add(-start.c[m:]) @ w
    r = jnp.where(start.free, mc - theta * (start.z - x) - g, 0)  # eq. (5.4)
    scale = jnp.repeat(jnp.stack([jnp.ones_like(theta), theta]), m)
    v, regular = solve_k(pairs, start.free, scale * (w @ r))
    step = (r + (scale / theta * v) @ w) / theta  # eq. (5.11)
    step = jnp.where(start.free, step, 0)
    return jnp.where(
        jnp.any(start.free), bent(x, g, l, u, start.z, start.free, step), start.z
    ), regular


def solve_k(pairs: Pairs, free: Array, v: Array) -> tuple[Array, Array]:
    """Return K^-1 v, and whether K's blocks are positive definite."""
    m = v.size // 2
    vy, vs = v[:m], v[m:]
    w = pairs.w.reshape(2 * m, -1)
    belongs = jnp.stack([free, ~free])[:, None]
    both = jnp.where(belongs, pairs.w, 0).reshape(2 * m, -1) @ w.T
    over_free, over_active = both[:m], both[m:]
    newer = pairs.stamp[:, None] >= pairs.stamp  # y of pair i, s of pair j
    c = jnp.where(newer, over_free[:, m:], -over_active[:, :m].T)  # R_Z' - L_A'
    r1 = cholesky(
        jnp.eye(m, dtype=v.dtype) + over_free[:, :m] / pairs.theta, symmetrize_input=False
    )
    solved = triangular_solve(
        r1, jnp.concatenate([c, vy[:, None]], axis=1), left_side=True, lower=True
    )
    k12, b1 = solved[:, :m], solved[:, m]
    schur = pairs.theta * over_active[:, m:] + k12.T @ k12 + unused(pairs)
    r2 = cholesky(schur, symmetrize_input=False)
    b2 = triangular_solve(r2, (vs - k12.T @ b1)[:, None], left_side=True, lower=True)
    b2 = triangular_solve(r2, b2, left_side=True, lower=True, transpose_a=True)[:, 0]
    b1 = triangular_solve(
        r1, -(b1 + k12 @ b2)[:, None], left_side=True, lower=True, transpose_a=True
    )
    regular = jnp.all(jnp.isfinite(jnp.diagonal(r1) + jnp.diagonal(r2)))
    return jnp.concatenate([b1[:, 0], b2]), regular


def bent(x: Array, g: Array, l: Array, u: Array, z: Array, free: Array, step: Array) -> Array:
    """Return the end of the step from z, brought back into the box (2011; 1995, eq. 5.8)."""
    projected = jnp.minimum(jnp.maximum(z + step, l), u)
    met = jnp.any(free & ((projected == l) | (projected == u)))
    uphill = met & ((projected - x) @ g > 0)
    room = jnp.where(step < 0, l, u) - z
    part = jnp.where(step == 0, jnp.inf, room / jnp.where(step == 0, 1, step))
    alpha = jnp.minimum(jnp.min(part), 1)
    end = jnp.minimum(jnp.maximum(z + alpha * step, l), u)
    blocking = (part == alpha) & (alpha < 1)
    end = jnp.where(blocking, jnp.where(step < 0, l, u), end)
    return jnp.where(uphill, end, projected)
