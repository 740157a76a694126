"""Factors of tall matrices, steps of fits and singular values are LAPACK's to rounding."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import lsq_linear

from optdriver.geometry.damped import damped, gain, of_length
from optdriver.geometry.singular import Singular
from optdriver.geometry.tall import TILE, Tall

EPS = np.finfo(float).eps
SIZES = [(1, 1), (2, 5), (5, 5), (6, 5), (30, 3), (TILE, 4), (TILE + 1, 4), (3 * TILE + 7, 9)]
ENDLESS = (-np.inf, np.inf)


def matrix(m, n, kind):
    """Return a matrix whose columns are of this kind."""
    source = np.random.default_rng((m, n))
    made = source.normal(size=(m, n))
    if kind == "dependent":
        made[:, -1] = made[:, : n - 1] @ np.arange(1.0, n) if n > 1 else made[:, -1]
    elif kind == "a zero column":
        made[:, n // 2] = 0.0
    elif kind == "ill-conditioned":
        made = np.vander(np.linspace(0.5, 1.0, m), n) if m > 1 else made
    elif kind == "odd sizes":
        made *= 10.0 ** np.linspace(-250, 130, n)
    elif kind == "small rows":
        made[: m // 2] *= 1e-12
    return made


KINDS = ["ordinary", "dependent", "a zero column", "ill-conditioned", "odd sizes", "small rows"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_a_tall_matrix_has_the_triangle_of_lapack(m, n, kind):
    a = matrix(m, n, kind)
    b = np.random.default_rng(3).normal(size=m)
    made = Tall(a)
    sizes = np.max(np.abs(a), axis=0)
    sizes[sizes == 0.0] = 1.0
    alike, upper = a / sizes, made.upper / sizes
    np.testing.assert_allclose(upper.T @ upper, alike.T @ alike, rtol=0.0, atol=20 * m * EPS)
    np.testing.assert_allclose(upper.T @ made.reduced(b), alike.T @ b, rtol=0.0, atol=40 * m * EPS)
    if m > n:
        assert made.upper.tolist() == np.triu(made.upper).tolist()
        wanted = np.abs(np.linalg.qr(alike, mode="r"))
        if kind in ("ordinary", "odd sizes"):
            np.testing.assert_allclose(np.abs(upper), wanted, rtol=1e-9, atol=1e-12)


def test_what_does_not_fit_is_an_error_and_nothing_has_factors():
    with pytest.raises(ValueError, match="factors of 5 rows and a vector of 4"):
        Tall(np.ones((5, 2))).reduced(np.ones(4))
    assert Tall(np.zeros((5, 0))).reduced(np.ones(5)).tolist() == []
    assert Tall(np.zeros((0, 3))).upper.shape == (0, 3)
    assert Tall(np.array([[np.inf], [1.0]])).upper.tolist() != [[1.0]]


@pytest.mark.parametrize("kind", KINDS[:4])
@pytest.mark.parametrize(("m", "n"), SIZES)
def test_an_undamped_step_is_the_shortest_of_least_squares(m, n, kind):
    if kind == "ill-conditioned":
        n = min(n, 5)  # beyond, the solution itself is rounding
    a = matrix(m, n, kind)
    b = np.random.default_rng(4).normal(size=m)
    made = Tall(a)
    free = np.full(n, np.inf)
    p = damped(made.upper, made.reduced(b), np.ones(n), 0.0, -free, free)
    lengths = np.linalg.norm(a, axis=0)
    lengths[lengths == 0.0] = 1.0
    wanted = np.linalg.lstsq(a / lengths, -b, rcond=None)[0] / lengths
    np.testing.assert_allclose(p, wanted, rtol=1e-8, atol=1e-10 * np.max(np.abs(wanted)))
    promised = gain(made.upper, made.reduced(b), p)
    assert promised == pytest.approx(0.5 * (b @ b - np.sum((a @ p + b) ** 2)), abs=1e-10)


@pytest.mark.parametrize("damping", [0.0, 1e-3, 5.0])
@pytest.mark.parametrize("seed", range(12))
def test_a_step_within_a_box_is_that_of_bounded_least_squares(seed, damping):
    source = np.random.default_rng(seed)
    n = 1 + seed % 6
    k = n if seed % 3 else max(1, n - 2)
    a, b = source.normal(size=(k, n)), source.normal(size=k)
    scale = 10.0 ** source.uniform(-2, 2, n)
    low, high = -source.uniform(0.0, 0.5, n), source.uniform(0.0, 0.5, n)
    low[source.random(n) < 0.3] = 0.0
    high[source.random(n) < 0.3] = np.inf
    low[source.random(n) < 0.2] = -np.inf
    if seed == 5:
        low[0] = high[0] = 0.0
    p = damped(a, b, scale, damping, low, high)
    assert (low <= p).all()
    assert (p <= high).all()
    whole = np.vstack([a, np.sqrt(damping) * np.diag(scale)])
    right = np.concatenate([-b, np.zeros(n)])
    wide = np.where(low == high, 1e-300, 0.0)  # SciPy wants room
    wanted = lsq_linear(whole, right, (low - wide, high + wide), method="bvls", tol=1e-14).x
    least, found = (np.sum((whole @ x - right) ** 2) for x in (wanted, p))
    assert found <= least + 1e-12 * (1.0 + least)
    if k == n or damping:
        np.testing.assert_allclose(p, wanted, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("radius", [1e-6, 0.01, 0.3, 1e6])
def test_a_step_has_the_length_that_is_wanted(radius):
    source = np.random.default_rng(8)
    a, b, scale = source.normal(size=(5, 5)), source.normal(size=5), np.array([1, 9, 0.1, 2, 3.0])
    free = np.full(5, np.inf)
    p, damping = of_length(a, b, scale, radius, -free, free)
    length = float(np.linalg.norm(scale * p))
    whole = np.vstack([a, np.sqrt(damping) * np.diag(scale)])
    wanted = np.linalg.lstsq(whole, -np.concatenate([b, np.zeros(5)]), rcond=None)[0]
    np.testing.assert_allclose(p, wanted, rtol=1e-8)
    assert length <= 1.1 * radius
    assert damping == 0.0 or length >= 0.9 * radius


def test_numbers_that_are_not_finite_are_an_error():
    free = np.full(2, np.inf)
    for a, b in [([[1.0, np.nan]], [1.0]), ([[1.0, 2.0]], [np.inf])]:
        with pytest.raises(np.linalg.LinAlgError, match="not finite"):
            damped(np.array(a), np.array(b), np.ones(2), 0.5, -free, free)


@pytest.mark.parametrize("kind", ["ordinary", "dependent", "a zero column"])
@pytest.mark.parametrize(("m", "n"), [*SIZES[:5], (12, 12), (40, 30)])
def test_singular_values_and_truncated_solutions(m, n, kind):
    a, b = matrix(m, n, kind), np.random.default_rng(5).normal(size=m)
    made = Singular(a)
    wanted = np.linalg.svd(a, compute_uv=False)
    k = min(m, n)
    np.testing.assert_allclose(made.sizes[:k], wanted, rtol=0.0, atol=1e-13 * wanted[0])
    np.testing.assert_allclose(made.right @ made.right.T, np.eye(n), atol=1e-13)
    np.testing.assert_allclose(made.images, made.right @ a.T, atol=1e-12 * (1.0 + wanted[0]))
    np.testing.assert_allclose(
        made.solve(b, 1e-2), np.linalg.lstsq(a, b, rcond=1e-2)[0], rtol=1e-8, atol=1e-10
    )


@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
def test_singular_values_of_extreme_sizes(size):
    made = Singular(np.array([[3.0, 0.0], [0.0, 4.0], [0.0, 0.0]]) * size)
    np.testing.assert_allclose(made.sizes, [4.0 * size, 3.0 * size])
    assert Singular(np.zeros((0, 2))).solve(np.zeros(0), 0.1).tolist() == [0.0, 0.0]
    assert Singular(np.zeros((2, 0))).solve(np.ones(2), 0.1).tolist() == []
