"""Products and factors agree with NumPy's to rounding."""

from __future__ import annotations

import numpy as np
import pytest

from optdriver.geometry.factors import Cholesky, LowerUpper, Orthogonal, least_squares
from optdriver.geometry.products import dot, gram, norm, product, times, transposed_times

SIZES = [(1, 1), (3, 7), (7, 3), (5, 5), (12, 30), (30, 12)]


@pytest.mark.parametrize(("m", "n"), SIZES)
def test_products(m, n):
    source = np.random.default_rng((m, n))
    a, b = source.normal(size=(m, n)), source.normal(size=(n, 4))
    x, w = source.normal(size=n), source.normal(size=m)
    np.testing.assert_allclose(times(a, x), a @ x, atol=1e-13)
    np.testing.assert_allclose(transposed_times(a, w), a.T @ w, atol=1e-13)
    np.testing.assert_allclose(times(a[:, ::-1], x), a[:, ::-1] @ x, atol=1e-13)
    np.testing.assert_allclose(product(a, b), a @ b, atol=1e-13)
    np.testing.assert_allclose(gram(a, w), (a.T * w) @ a, atol=1e-13)
    assert dot(x, x) == pytest.approx(float(x @ x), rel=1e-14)


def test_empty_matrices_have_products():
    assert times(np.zeros((0, 3)), np.ones(3)).shape == (0,)
    assert transposed_times(np.zeros((0, 3)), np.zeros(0)).tolist() == [0.0] * 3
    assert product(np.zeros((2, 0)), np.zeros((0, 3))).tolist() == [[0.0] * 3] * 2
    assert dot([], []) == norm([]) == 0.0


@pytest.mark.parametrize("call", [dot, times, transposed_times, gram])
def test_sizes_that_do_not_fit_are_an_error(call):
    with pytest.raises((ValueError, AttributeError)):
        call(np.ones((2, 3)), np.ones(5))


@pytest.mark.parametrize("size", [1.0, 1e-200, 1e200, np.inf])
def test_a_norm_neither_overflows_nor_vanishes(size):
    assert norm(np.array([3.0, 4.0]) * size) == pytest.approx(5.0 * size)


@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_cholesky(n):
    source = np.random.default_rng(n)
    a = source.normal(size=(n, n))
    matrix, b = a @ a.T + 0.1 * np.eye(n), source.normal(size=n)
    factor = Cholesky.of(matrix, 0.5)
    wanted = np.linalg.solve(matrix + 0.5 * np.eye(n), b)
    np.testing.assert_allclose(factor.solve(b), wanted, rtol=1e-9, atol=1e-12)
    root = factor.inverse_root()
    np.testing.assert_allclose(root @ root.T @ b, wanted, rtol=1e-9, atol=1e-12)
    assert Cholesky.of(matrix - 2.0 * np.linalg.eigvalsh(matrix)[-1] * np.eye(n)) is None
    assert Cholesky.of(np.full((n, n), np.nan)) is None


@pytest.mark.parametrize(("m", "n"), [(m, n) for m, n in SIZES if m <= n])
def test_range_and_null_space_of_rows(m, n):
    source = np.random.default_rng((m, n))
    rows = source.normal(size=(m, n))
    rows = np.vstack([rows, rows[:1]])  # one of them twice
    made = Orthogonal(rows, 1e-10)
    assert made.rank == m
    np.testing.assert_allclose(made.basis @ made.basis.T, np.eye(n), atol=1e-14)
    np.testing.assert_allclose(rows @ made.basis[m:].T, 0.0, atol=1e-13)
    target = rows @ source.normal(size=n)
    step = transposed_times(made.basis[:m], made.solve_transposed(target))
    np.testing.assert_allclose(rows @ step, target, atol=1e-12)
    combination = source.normal(size=m + 1) @ rows
    found = made.solve(times(made.basis[:m], combination))
    np.testing.assert_allclose(found @ rows, combination, atol=1e-12)


@pytest.mark.parametrize(("m", "n"), SIZES)
@pytest.mark.parametrize("rank", [1, 3, 40])
def test_least_squares_of_least_norm(m, n, rank):
    source = np.random.default_rng((m, n, rank))
    inside = min(m, n, rank)
    matrix = source.normal(size=(m, inside)) @ source.normal(size=(inside, n))
    b = source.normal(size=m)
    wanted = np.linalg.lstsq(matrix, b, rcond=1e-10)[0]
    np.testing.assert_allclose(least_squares(matrix, b, 1e-10), wanted, rtol=1e-7, atol=1e-9)


def test_least_squares_of_nothing():
    assert least_squares(np.zeros((3, 2)), np.ones(3), 1e-12).tolist() == [0.0, 0.0]
    assert least_squares(np.zeros((0, 2)), np.ones(0), 1e-12).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("n", [1, 2, 5, 30])
def test_elimination(n):
    source = np.random.default_rng(n)
    matrix, b = source.normal(size=(n, n)), source.normal(size=n)
    matrix[0, 0] = 0.0 if n > 1 else 1.0
    made = LowerUpper.of(matrix)
    np.testing.assert_allclose(made.solve(b), np.linalg.solve(matrix, b), rtol=1e-8)
    assert LowerUpper.of(np.zeros((n, n))) is None


def one_row_at_a_time(matrix):
    """Return the Cholesky factor, its diagonal as reciprocals, each row taken off all below it."""
    a, n = matrix.copy(), len(matrix)
    for q in range(n):
        a[q, q] = 1.0 / np.sqrt(a[q, q])
        a[q, q + 1 :] *= a[q, q]
        for i in range(q + 1, n):
            a[i, i:] -= a[q, i] * a[q, i:]
    return np.triu(a)


def one_column_at_a_time(matrix):
    """Return the factors of elimination with row pivoting, and the order of the rows."""
    a, order = matrix.copy(), np.arange(len(matrix))
    for k in range(len(a)):
        best = k + int(np.argmax(np.abs(a[k:, k])))
        a[[k, best]], order[[k, best]] = a[[best, k]], order[[best, k]]
        for i in range(k + 1, len(a)):
            a[i, k] /= a[k, k]
            a[i, k + 1 :] -= a[i, k] * a[k, k + 1 :]
    return a, order


@pytest.mark.parametrize("n", [1, 3, 4, 5, 8, 11, 30])
def test_factors_in_blocks_have_the_bits_of_rows_and_columns_one_by_one(n):
    source = np.random.default_rng(n)
    matrix = source.normal(size=(n, n))
    definite = matrix @ matrix.T + np.eye(n)
    made = Cholesky.of(definite)
    assert np.triu(made.upper.reshape(n, n)).tolist() == one_row_at_a_time(definite).tolist()
    k = n // 3
    bordered = np.block([[definite, matrix[:, :k]], [matrix[:, :k].T, np.zeros((k, k))]])
    thin = np.where(source.uniform(size=(n, n)) < 0.5, 0.0, matrix) + np.diag(np.full(n, 3.0))
    for given in (matrix, bordered, thin):
        eliminated = LowerUpper.of(given)
        factors, order = one_column_at_a_time(given)
        assert eliminated.factors.reshape(given.shape).tolist() == factors.tolist()
        assert eliminated.order.tolist() == order.tolist()


def test_elimination_finds_what_is_singular_late():
    matrix = np.random.default_rng(7).normal(size=(7, 7))
    matrix[:, 5] = 0.0
    assert LowerUpper.of(matrix) is None
