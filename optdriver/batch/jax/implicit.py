"""Derivatives of a solution by the parameters of its problem (implicit function theorem).

At a solution x of min f(x, a), l <= x <= u, the variables held by a bound follow it, and on the
others the gradient stays zero: with F the free and A the held ones

    H_FF dx_F = -(d_a grad f da)_F - H_FA dx_A.

As in Blondel et al., "Efficient and modular implicit differentiation", NeurIPS 2022, for the
fixed points of the projected gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.sparse.linalg import cg

Solve = Callable[[Callable[[Array], Array], Array], Array]

DENSE = 256
"""Variables up to which the system is solved as a matrix, and above by conjugate gradients."""


def follow(
    x: Array, l: Array, u: Array, args: Any, gradient: Callable[..., Array], solve: Solve | None
) -> Array:
    """Return x, with derivatives by l, u and args instead of those that x has.

    Parameters
    ----------
    x, l, u : (n,)
        A solution, and the bounds.
    args : pytree
        The parameters.
    gradient : callable
        ``gradient(x, args) -> (n,)``.
    solve : callable, optional
        ``solve(matvec, b)`` for a symmetric positive definite operator.
    """

    @jax.custom_jvp
    def solution(x: Array, l: Array, u: Array, args: Any) -> Array:
        del l, u, args
        return x

    def derivative(primals: Any, tangents: Any) -> tuple[Array, Array]:
        _, dl, du, dargs = tangents
        x, (_, l, u, args) = solution(*primals), primals
        g = gradient(x, args)
        low = (l == u) | ((x <= l) & (g >= 0))
        held = low | ((x >= u) & (g <= 0))
        bound = jnp.where(held, jnp.where(low, dl, du), 0)
        dg = jax.jvp(gradient, (x, args), (bound, dargs))[1]

        def matvec(v: Array) -> Array:
            hv = jax.jvp(lambda y: gradient(y, args), (x,), (jnp.where(held, 0, v),))[1]
            return jnp.where(held, v, hv)

        free = jax.lax.custom_linear_solve(
            matvec, jnp.where(held, 0, -dg), solve or default_solve, symmetric=True
        )
        return x, jnp.where(held, bound, free)

    solution.defjvp(derivative)
    return solution(x, l, u, args)


def default_solve(matvec: Callable[[Array], Array], b: Array) -> Array:
    """Solve with the matrix where it is small, else by conjugate gradients."""
    if b.size > DENSE:
        solved, _ = cg(matvec, b, tol=float(np.finfo(b.dtype).eps), maxiter=10 * b.size)
        return jnp.asarray(solved)
    matrix = jax.vmap(matvec)(jnp.eye(b.size, dtype=b.dtype))
    return jnp.asarray(jnp.linalg.solve(matrix, b))


def value_along(f: Array, x: Array, args: Any, value: Callable[..., Array]) -> Array:
    """Return f, with the derivatives of ``value(x, args)``."""

    @jax.custom_jvp
    def known(f: Array, x: Array, args: Any) -> Array:
        del x, args
        return f

    def derivative(primals: Any, tangents: Any) -> tuple[Array, Array]:
        f, x, args = primals
        return known(*primals), jax.jvp(value, (x, args), tangents[1:])[1].astype(f.dtype)

    known.defjvp(derivative)
    return known(f, x, args)
