"""Moré, Garbow, Hillstrom (1981), problems 17 to 35: more variables, or any number of them.

J. J. Moré, B. S. Garbow, K. E. Hillstrom, "Testing unconstrained optimization software",
ACM Trans. Math. Softw. 7 (1981) 17-41. Each is a sum of squares of the residuals below.
"""

from __future__ import annotations

import numpy as np

from .problem import Residuals, Vector, columns, vector

OSBORNE_1_Y = vector(
    [0.844, 0.908, 0.932, 0.936, 0.925, 0.908, 0.881, 0.850, 0.818, 0.784, 0.751]
    + [0.718, 0.685, 0.658, 0.628, 0.603, 0.580, 0.558, 0.538, 0.522, 0.506, 0.490]
    + [0.478, 0.467, 0.457, 0.448, 0.438, 0.431, 0.424, 0.420, 0.414, 0.411, 0.406]
)
OSBORNE_2_Y = vector(
    [1.366, 1.191, 1.112, 1.013, 0.991, 0.885, 0.831, 0.847, 0.786, 0.725, 0.746, 0.679, 0.608]
    + [0.655, 0.616, 0.606, 0.602, 0.626, 0.651, 0.724, 0.649, 0.649, 0.694, 0.644, 0.624, 0.661]
    + [0.612, 0.558, 0.533, 0.495, 0.500, 0.423, 0.395, 0.375, 0.372, 0.391, 0.396, 0.405, 0.428]
    + [0.429, 0.523, 0.562, 0.607, 0.653, 0.672, 0.708, 0.633, 0.668, 0.645, 0.632, 0.591, 0.559]
    + [0.597, 0.625, 0.739, 0.710, 0.729, 0.720, 0.636, 0.581, 0.428, 0.292, 0.162, 0.098, 0.054]
)
PENALTY_WEIGHT = np.sqrt(1e-5)


def osborne_1(x: Vector) -> tuple[Vector, Vector]:
    """Problem 17."""
    t = 10.0 * np.arange(33)
    e, h = np.exp(-t * x[3]), np.exp(-t * x[4])
    r = OSBORNE_1_Y - (x[0] + x[1] * e + x[2] * h)
    return r, columns(-1.0, -e, -h, t * x[1] * e, t * x[2] * h)


def biggs_exp6(x: Vector) -> tuple[Vector, Vector]:
    """Problem 18, m = 13: 0 at (1, 10, 1, 5, 4, 3), and a local minimum 5.65565e-3."""
    t = 0.1 * np.arange(1, 14)
    y = np.exp(-t) - 5.0 * np.exp(-10.0 * t) + 3.0 * np.exp(-4.0 * t)
    e1, e2, e5 = np.exp(-t * x[0]), np.exp(-t * x[1]), np.exp(-t * x[4])
    r = x[2] * e1 - x[3] * e2 + x[5] * e5 - y
    return r, columns(-t * x[2] * e1, t * x[3] * e2, e1, -e2, -t * x[5] * e5, e5)


def osborne_2(x: Vector) -> tuple[Vector, Vector]:
    """Problem 19."""
    t = np.arange(65) / 10.0
    d = t[:, None] - x[8:11]
    first = np.exp(-t * x[4])
    peaks = np.exp(-(d**2) * x[5:8])
    r = OSBORNE_2_Y - (x[0] * first + peaks @ x[1:4])
    jacobian = np.empty((65, 11), dtype=x.dtype)
    jacobian[:, 0], jacobian[:, 1:4] = -first, -peaks
    jacobian[:, 4], jacobian[:, 5:8] = t * x[0] * first, x[1:4] * d**2 * peaks
    jacobian[:, 8:11] = -2.0 * x[1:4] * x[5:8] * d * peaks
    return r, jacobian


def watson(x: Vector) -> tuple[Vector, Vector]:
    """Problem 20, 2 <= n <= 31."""
    t = np.arange(1, 30)[:, None] / 29.0
    j = np.arange(x.size)
    powers = t**j
    slopes = j * t ** np.maximum(j - 1, 0)
    value = powers @ x
    r = np.concatenate([slopes @ x - value**2 - 1.0, [x[0], x[1] - x[0] ** 2 - 1.0]])
    jacobian = np.zeros((31, x.size), dtype=x.dtype)
    jacobian[:29] = slopes - 2.0 * value[:, None] * powers
    jacobian[29, 0] = jacobian[30, 1] = 1.0
    jacobian[30, 0] = -2.0 * x[0]
    return r, jacobian


def penalty_1(x: Vector) -> tuple[Vector, Vector]:
    """Problem 23."""
    r = np.concatenate([PENALTY_WEIGHT * (x - 1.0), [x @ x - 0.25]])
    return r, np.vstack([PENALTY_WEIGHT * np.eye(x.size), 2.0 * x])


def penalty_2(x: Vector) -> tuple[Vector, Vector]:
    """Problem 24."""
    n = x.size
    i = np.arange(1, n + 1)
    y = np.exp(i[1:] / 10.0) + np.exp(i[:-1] / 10.0)
    e = np.exp(x / 10.0)
    weights = n - i + 1.0
    middle = PENALTY_WEIGHT * (e[1:] + e[:-1] - y)
    late = PENALTY_WEIGHT * (e[1:] - np.exp(-0.1))
    r = np.concatenate([[x[0] - 0.2], middle, late, [weights @ x**2 - 1.0]])
    jacobian = np.zeros((2 * n, n), dtype=x.dtype)
    jacobian[0, 0] = 1.0
    k = np.arange(1, n)
    jacobian[k, k] = jacobian[k + n - 1, k] = PENALTY_WEIGHT * e[1:] / 10.0
    jacobian[k, k - 1] = PENALTY_WEIGHT * e[:-1] / 10.0
    jacobian[2 * n - 1] = 2.0 * weights * x
    return r, jacobian


def variably_dimensioned(x: Vector) -> tuple[Vector, Vector]:
    """Problem 25."""
    j = np.arange(1.0, x.size + 1)
    s = j @ (x - 1.0)
    return np.concatenate([x - 1.0, [s, s**2]]), np.vstack([np.eye(x.size), j, 2.0 * s * j])


def trigonometric(x: Vector) -> tuple[Vector, Vector]:
    """Problem 26."""
    i = np.arange(1, x.size + 1)
    c, s = np.cos(x), np.sin(x)
    r = x.size - c.sum() + i * (1.0 - c) - s
    return r, s + np.diag(i * s - c)


def brown_almost_linear(x: Vector) -> tuple[Vector, Vector]:
    """Problem 27: 0 at (a, ..., a, a^(1 - n)), and the local minimum 1 at (0, ..., 0, n + 1)."""
    n = x.size
    r = x + x.sum() - (n + 1.0)
    r[-1] = x.prod() - 1.0
    jacobian = np.eye(n, dtype=x.dtype) + 1.0
    ones = np.ones(1, dtype=x.dtype)
    before = np.cumprod(np.concatenate([ones, x[:-1]]))
    after = np.cumprod(np.concatenate([ones, x[:0:-1]]))[::-1]
    jacobian[-1] = before * after
    return r, jacobian


def discrete_boundary_value(x: Vector) -> tuple[Vector, Vector]:
    """Problem 28."""
    n = x.size
    h = 1.0 / (n + 1)
    u = x + h * np.arange(1, n + 1) + 1.0
    r = 2.0 * x + h**2 * u**3 / 2.0
    r[1:] -= x[:-1]
    r[:-1] -= x[1:]
    return r, np.diag(2.0 + 1.5 * h**2 * u**2) - np.eye(n, k=1) - np.eye(n, k=-1)


def discrete_integral(x: Vector) -> tuple[Vector, Vector]:
    """Problem 29."""
    n = x.size
    h = 1.0 / (n + 1)
    t = h * np.arange(1, n + 1)
    u = x + t + 1.0
    low = np.tril(np.outer(1.0 - t, t))
    high = np.triu(np.outer(t, 1.0 - t), 1)
    kernel = h * (low + high) / 2.0
    return x + kernel @ u**3, np.eye(n) + 3.0 * kernel * u**2


def broyden_tridiagonal(x: Vector) -> tuple[Vector, Vector]:
    """Problem 30."""
    n = x.size
    r = (3.0 - 2.0 * x) * x + 1.0
    r[1:] -= x[:-1]
    r[:-1] -= 2.0 * x[1:]
    return r, np.diag(3.0 - 4.0 * x) - np.eye(n, k=-1) - 2.0 * np.eye(n, k=1)


def broyden_banded(x: Vector) -> tuple[Vector, Vector]:
    """Problem 31: five bands below the diagonal, one above."""
    n = x.size
    band = np.tri(n, k=1) - np.tri(n, k=-6) - np.eye(n)
    r = x * (2.0 + 5.0 * x**2) + 1.0 - band @ (x * (1.0 + x))
    return r, np.diag(2.0 + 15.0 * x**2) - band * (1.0 + 2.0 * x)


def linear_full_rank(m: int) -> Residuals:
    """Problem 32 with `m` residuals."""

    def residuals(x: Vector) -> tuple[Vector, Vector]:
        jacobian = np.eye(m, x.size) - 2.0 / m
        return jacobian @ x - 1.0, jacobian

    return residuals


def linear_rank_1(m: int) -> Residuals:
    """Problem 33 with `m` residuals."""

    def residuals(x: Vector) -> tuple[Vector, Vector]:
        jacobian = np.outer(np.arange(1.0, m + 1), np.arange(1.0, x.size + 1))
        return jacobian @ x - 1.0, jacobian

    return residuals


def linear_rank_1_zeros(m: int) -> Residuals:
    """Problem 34 (zero columns and rows) with `m` residuals."""

    def residuals(x: Vector) -> tuple[Vector, Vector]:
        left, right = np.arange(m, dtype=float), np.arange(1.0, x.size + 1)
        left[-1] = right[0] = right[-1] = 0.0
        jacobian = np.outer(left, right)
        return jacobian @ x - 1.0, jacobian

    return residuals


def chebyquad(x: Vector) -> tuple[Vector, Vector]:
    """Problem 35, m = n: Chebyshev polynomials shifted to [0, 1], and their integrals."""
    n = x.size
    y = 2.0 * x - 1.0
    value = np.empty((n + 1, n), dtype=x.dtype)
    slope = np.zeros((n + 1, n), dtype=x.dtype)
    value[0], value[1], slope[1] = 1.0, y, 2.0
    for i in range(1, n):
        value[i + 1] = 2.0 * y * value[i] - value[i - 1]
        slope[i + 1] = 4.0 * value[i] + 2.0 * y * slope[i] - slope[i - 1]
    integral = np.zeros(n)
    integral[1::2] = -1.0 / (np.arange(2, n + 1, 2) ** 2 - 1.0)
    return value[1:].mean(axis=1) - integral, slope[1:] / n
