"""Problems for the device engine: one function of JAX for all, so that it is compiled once."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

N = 10
_rng = np.random.default_rng(7)
_basis = np.linalg.qr(_rng.normal(size=(N, N)))[0]
MATRIX = _basis @ np.diag(np.logspace(0, 4, N)) @ _basis.T
VECTOR = 100.0 * _rng.normal(size=N)
WELLS = _rng.uniform(-4.0, 4.0, (6, N))


def rosenbrock(x: Any) -> Any:
    a, b = x[::2], x[1::2]
    return jnp.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def rastrigin(x: Any) -> Any:
    return 10.0 * x.size + jnp.sum(x * x - 10.0 * jnp.cos(2.0 * jnp.pi * x))


def quadratic(x: Any) -> Any:
    """Condition 1e4, and many bounds active."""
    return 0.5 * x @ (jnp.asarray(MATRIX, x.dtype) @ x) - jnp.asarray(VECTOR, x.dtype) @ x


def styblinski_tang(x: Any) -> Any:
    return 0.5 * jnp.sum(x**4 - 16.0 * x * x + 5.0 * x)


def wells(x: Any) -> Any:
    """Six Gaussian wells in a shallow bowl."""
    distance = jnp.sum((x - jnp.asarray(WELLS, x.dtype)) ** 2, axis=1)
    depth = jnp.arange(1.0, 7.0, dtype=x.dtype)
    return 0.01 * jnp.sum(x * x) - jnp.sum(depth * jnp.exp(-0.05 * distance))


def cliff(x: Any) -> Any:
    """NaN beyond a plane, which lines that begin below it cross."""
    inside = jnp.sum((x - 1.0) ** 2) + jnp.sum(jnp.cos(3.0 * x))
    return jnp.where(jnp.sum(x) > 12.0, jnp.nan, inside)


FUNCTIONS = (rosenbrock, rastrigin, quadratic, styblinski_tang, wells, cliff)
NAMES = tuple(function.__name__ for function in FUNCTIONS)
BOXES = (
    np.tile([[-2.0, 0.5], [0.0, 2.0]], (N // 2, 1)),
    np.tile([[-5.12, 5.12]], (N, 1)),
    np.tile([[-1.0, 1.0]], (N, 1)),
    np.tile([[-5.0, 5.0]], (N, 1)),
    np.tile([[-5.0, 5.0]], (N, 1)),
    np.tile([[-4.0, 4.0]], (N, 1)),
)


def problem(x: Any, which: Any) -> Any:
    return lax.switch(which, FUNCTIONS, x)
