"""Derivatives of solutions, against closed forms and finite differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from optdriver.batch.jax import LBFGSB, Bounds
from optdriver.batch.jax.implicit import follow


@pytest.fixture(autouse=True)
def in_float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


rng = np.random.default_rng(5)
ROOT = rng.normal(size=(4, 4))
MATRIX = ROOT @ ROOT.T + np.eye(4)


def quadratic(x: Any, data: Any) -> Any:
    """Convex; the count is an integer, by which there is no derivative."""
    tilt = data["b"] * data["count"]
    return 0.5 * x @ (jnp.asarray(MATRIX) @ x) - tilt @ x + 0.1 * jnp.sum(x**4)


SOLVER = LBFGSB(quadratic, gtol=1e-11, ftol=0.0, maxcor=4)


def solution(lower: Any, upper: Any, b: Any) -> Any:
    data = {"b": b, "count": 1}
    return SOLVER.run(jnp.zeros(4), Bounds(lower, upper), data)


def both(lower: Any, upper: Any, b: Any) -> Any:
    """Return point and value, to be differentiated, and once more, as they are."""
    result = solution(lower, upper, b)
    return (result.x, result.fun), (result.x, result.fun)


ALL = jax.jit(jax.vmap(jax.jacrev(both, argnums=(0, 1, 2), has_aux=True)))
CASES = 6
LOWER = np.where(np.arange(CASES)[:, None] % 3 == 0, -9.0, rng.uniform(-0.3, 0.0, (CASES, 4)))
UPPER = np.where(LOWER == -9.0, 9.0, LOWER + rng.uniform(0.2, 0.5, (CASES, 4)))
UPPER[4, 2] = LOWER[4, 2]
B = rng.normal(size=(CASES, 4))


def test_finite_differences_agree_under_vmap_and_jit() -> None:
    (jacobians, gradients), (x, _) = ALL(LOWER, UPPER, B)
    held = (x <= LOWER) | (x >= UPPER)
    assert held.any(axis=1).sum() >= 3
    assert (~held).all(axis=1).any()
    h = 1e-4
    for j in range(4):
        for side, name in ((0, "lower"), (1, "upper"), (2, "b")):
            fixed = (LOWER == UPPER).any(axis=1) & (side < 2)
            ends = []
            for sign in (1.0, -1.0):
                point = [LOWER.copy(), UPPER.copy(), B.copy()]
                point[side][:, j] += sign * h
                ends.append(ALL(*point)[1])
            dx, df = ((p - q) / (2 * h) for p, q in zip(*ends, strict=True))
            for k in np.flatnonzero(~fixed):
                np.testing.assert_allclose(
                    jacobians[side][k][:, j], dx[k], rtol=1e-4, atol=1e-4, err_msg=f"{name} {k}"
                )
                np.testing.assert_allclose(gradients[side][k][j], df[k], rtol=1e-4, atol=1e-4)


def test_a_fixed_variable_follows_its_bounds() -> None:
    (jacobian, _), _ = ALL(LOWER, UPPER, B)
    assert float(jacobian[0][4][2, 2] + jacobian[1][4][2, 2]) == 1.0
    assert (np.asarray(jacobian[2][4][2]) == 0.0).all()


def linear_gradient(x: Any, b: Any) -> Any:
    return jnp.asarray(MATRIX) @ x - b


def test_closed_form_in_both_modes_and_twice() -> None:
    b = jnp.array([1.0, -2.0, 0.5, 3.0])
    inverse = np.linalg.inv(MATRIX)
    inf = jnp.full(4, jnp.inf)

    def solve(b: Any) -> Any:
        x = jax.lax.stop_gradient(jnp.linalg.solve(jnp.asarray(MATRIX), b))
        return follow(x, -inf, inf, b, linear_gradient, None)

    first = jax.jit(lambda b: (jax.jacfwd(solve)(b), jax.jacrev(solve)(b)))(b)
    np.testing.assert_allclose(first[0], inverse, rtol=1e-12)
    np.testing.assert_allclose(first[1], inverse, rtol=1e-12)
    second = jax.jit(jax.hessian(lambda b: jnp.sum(solve(b) ** 2)))(b)
    np.testing.assert_allclose(second, 2 * inverse @ inverse, rtol=1e-10)


@pytest.mark.parametrize("n", [3, 300])
def test_the_held_follow_their_bounds_and_the_free_the_held(n: int) -> None:
    chain = lambda x, a: 2.0 * x - jnp.roll(x, 1) * 0.5 - jnp.roll(x, -1) * 0.5 - a  # noqa: E731
    a = np.linspace(-1.0, 1.0, n)
    upper = np.where(np.arange(n) == 1, 0.01, np.inf)
    matrix = np.asarray(jax.jit(jax.jacobian(chain))(np.zeros(n), a))
    free = np.arange(n) != 1
    x = np.zeros(n)
    x[1] = 0.01
    x[free] = np.linalg.solve(matrix[free][:, free], (a - matrix[:, 1] * 0.01)[free])
    a[1] += 10.0  # pushes against the bound
    expected = np.zeros(n)
    expected[1] = 1.0
    expected[free] = np.linalg.solve(matrix[free][:, free], -matrix[free, 1])
    moved = lambda u: follow(jnp.asarray(x), -upper, u, a, chain, None)  # noqa: E731
    slope = jax.jit(lambda u, du: jax.jvp(moved, (u,), (du,))[1])(upper, np.eye(n)[1])
    np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-12)


def test_a_solve_of_ones_own() -> None:
    called = []

    def solve(matvec: Any, b: Any) -> Any:
        called.append(b.size)
        return jnp.linalg.solve(jax.vmap(matvec)(jnp.eye(b.size)), b)

    x, inf = jnp.zeros(4), jnp.full(4, jnp.inf)
    jax.jacfwd(lambda b: follow(x, -inf, inf, b, linear_gradient, solve))(jnp.zeros(4))
    assert called
