"""Sums, products and small triangular systems."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.lbfgsb.kernels import interpreted

linalg = interpreted.linalg


def view(array):
    return memoryview(np.array(array, dtype=float).reshape(-1))


@pytest.mark.parametrize("n", range(10))
def test_dot_is_the_sum_of_products_in_four_interleaved_parts(n):
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal(n), rng.standard_normal(n)
    parts = [0.0] * 4
    for i in range(n):
        parts[i % 4 if i < n - n % 4 else 0] += x[i] * y[i]
    assert linalg.dot(view(x), view(y), n) == (parts[0] + parts[1]) + (parts[2] + parts[3])
    assert linalg.dot(view(x), view(y), n) == pytest.approx(math.fsum(x * y), abs=1e-14)


def test_vector_operations():
    x, y, z = view([1.0, 2.0, 3.0]), view([10.0, 20.0, 40.0]), view(np.zeros(3))
    linalg.copy(x, z, 3)
    assert list(z) == [1, 2, 3]
    linalg.zero(z, 2)
    assert list(z) == [0, 0, 3]
    linalg.subtract(y, x, z, 3)
    assert list(z) == [9, 18, 37]
    linalg.scale(x, -2.0, z, 3)
    assert list(z) == [-2, -4, -6]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_found(bad):
    assert not linalg.finite(bad)
    for i in range(3):
        x = np.array([0.0, -1e308, 5e-324])
        assert linalg.all_finite(view(x), 3)
        x[i] = bad
        assert not linalg.all_finite(view(x), 3)
    assert linalg.all_finite(view([bad]), 0)
    assert linalg.finite(-1e308)


def test_clamp_gives_the_nearest_number_of_the_interval():
    assert linalg.clamp(-3.0, -2.0, 5.0) == -2.0
    assert linalg.clamp(7.0, -2.0, 5.0) == 5.0
    assert linalg.clamp(3.0, -2.0, 5.0) == 3.0
    assert linalg.clamp(3.0, -math.inf, math.inf) == 3.0


def test_ratio_by_zero_is_the_largest_number():
    assert linalg.ratio(1.0, 4.0) == 0.25
    assert linalg.ratio(2.0, 0.0) == np.finfo(float).max
    assert linalg.ratio(-2.0, 0.0) == -np.finfo(float).max
    assert linalg.ratio(0.0, 0.0) == 0.0


@pytest.mark.parametrize("n", range(1, 8))
def test_cholesky_factor_and_both_solves(n):
    rng = np.random.default_rng(n)
    m = n + 2  # a block in the corner of a larger array
    a = rng.standard_normal((n, n))
    a = a @ a.T + 0.1 * np.eye(n)
    b = rng.standard_normal(n)
    stored = np.full((m, m), 7.0)
    stored[:n, :n] = np.triu(a)  # only the upper triangle may be read
    flat = view(stored)
    assert linalg.cholesky(flat, n, m)
    factor = np.triu(np.array(flat).reshape(m, m)[:n, :n], 1)
    factor += np.diag(1.0 / np.diag(np.array(flat).reshape(m, m)[:n, :n]))
    np.testing.assert_allclose(factor.T @ factor, a, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.array(flat).reshape(m, m)[n:], 7.0)

    x = view(b)
    linalg.solve_transposed(flat, x, n, m)
    np.testing.assert_allclose(factor.T @ np.array(x), b, rtol=1e-10, atol=1e-10)
    linalg.solve(flat, x, n, m)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    "a",
    [
        [[0.0, 0.0], [0.0, 1.0]],
        [[1.0, 2.0], [2.0, 1.0]],
        [[1.0, 1.0], [1.0, 1.0]],
        [[math.nan, 0.0], [0.0, 1.0]],
        [[1.0, 0.0], [0.0, math.inf]],
        [[1.0, math.inf], [math.inf, 1.0]],
    ],
)
def test_cholesky_refuses_what_is_not_positive_definite(a):
    assert not linalg.cholesky(view(a), 2, 2)


def test_cholesky_of_nothing():
    assert linalg.cholesky(view(np.zeros((2, 2))), 0, 2)
