"""Moré, Garbow, Hillstrom (1981), problems 1 to 16: few variables.

J. J. Moré, B. S. Garbow, K. E. Hillstrom, "Testing unconstrained optimization software",
ACM Trans. Math. Softw. 7 (1981) 17-41. Each is a sum of squares of the residuals below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Residuals, Vector, columns, rows, vector

BARD_Y = vector(
    [0.14, 0.18, 0.22, 0.25, 0.29, 0.32, 0.35, 0.39, 0.37, 0.58, 0.73, 0.96, 1.34, 2.10, 4.39]
)
GAUSSIAN_Y = vector([0.0009, 0.0044, 0.0175, 0.0540, 0.1295, 0.2420, 0.3521, 0.3989])
GAUSSIAN_Y = np.concatenate([GAUSSIAN_Y, GAUSSIAN_Y[-2::-1]])
MEYER_Y = vector(
    [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744]
    + [8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872]
)
KOWALIK_Y = vector(
    [0.1957, 0.1947, 0.1735, 0.1600, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246]
)
KOWALIK_U = vector([4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625])


def rosenbrock(x: Vector) -> tuple[Vector, Vector]:
    """Problem 1."""
    r = rows(10.0 * (x[1] - x[0] ** 2), 1.0 - x[0])
    return r, rows([-20.0 * x[0], 10.0], [-1.0, 0.0])


def freudenstein_roth(x: Vector) -> tuple[Vector, Vector]:
    """Problem 2: f = 0 at (5, 4), and a local minimum 48.9842 near (11.41, -0.8968)."""
    a, b = x
    r = rows(-13.0 + a + ((5.0 - b) * b - 2.0) * b, -29.0 + a + ((b + 1.0) * b - 14.0) * b)
    return r, rows([1.0, 10.0 * b - 3.0 * b**2 - 2.0], [1.0, 3.0 * b**2 + 2.0 * b - 14.0])


def powell_badly_scaled(x: Vector) -> tuple[Vector, Vector]:
    """Problem 3."""
    e = np.exp(-x)
    r = rows(1e4 * x[0] * x[1] - 1.0, e[0] + e[1] - 1.0001)
    return r, rows([1e4 * x[1], 1e4 * x[0]], [-e[0], -e[1]])


def brown_badly_scaled(x: Vector) -> tuple[Vector, Vector]:
    """Problem 4."""
    r = rows(x[0] - 1e6, x[1] - 2e-6, x[0] * x[1] - 2.0)
    return r, rows([1.0, 0.0], [0.0, 1.0], [x[1], x[0]])


def beale(x: Vector) -> tuple[Vector, Vector]:
    """Problem 5."""
    i = np.arange(1, 4)
    r = vector([1.5, 2.25, 2.625]) - x[0] * (1.0 - x[1] ** i)
    return r, columns(x[1] ** i - 1.0, x[0] * i * x[1] ** (i - 1))


def jennrich_sampson(x: Vector) -> tuple[Vector, Vector]:
    """Problem 6, m = 10."""
    i = np.arange(1, 11)
    e, h = np.exp(i * x[0]), np.exp(i * x[1])
    return 2.0 + 2.0 * i - (e + h), columns(-i * e, -i * h)


def helical_valley(x: Vector) -> tuple[Vector, Vector]:
    """Problem 7; theta = arctan(x2/x1) / 2 pi, plus 1/2 where x1 < 0."""
    theta = np.arctan(x[1] / x[0]) / (2.0 * np.pi) + (0.5 if x[0].real < 0 else 0.0)
    square = x[0] ** 2 + x[1] ** 2
    radius = np.sqrt(square)
    slope = 100.0 / (2.0 * np.pi * square)
    r = rows(10.0 * (x[2] - 10.0 * theta), 10.0 * (radius - 1.0), x[2])
    first = [slope * x[1], -slope * x[0], 10.0]
    return r, rows(first, [10.0 * x[0] / radius, 10.0 * x[1] / radius, 0.0], [0.0, 0.0, 1.0])


def bard(x: Vector) -> tuple[Vector, Vector]:
    """Problem 8."""
    u = np.arange(1.0, 16.0)
    v = 16.0 - u
    w = np.minimum(u, v)
    d = v * x[1] + w * x[2]
    return BARD_Y - (x[0] + u / d), columns(-1.0, u * v / d**2, u * w / d**2)


def gaussian(x: Vector) -> tuple[Vector, Vector]:
    """Problem 9."""
    t = (8.0 - np.arange(1, 16)) / 2.0
    d = t - x[2]
    e = np.exp(-x[1] * d**2 / 2.0)
    return x[0] * e - GAUSSIAN_Y, columns(e, -x[0] * e * d**2 / 2.0, x[0] * x[1] * d * e)


def meyer(x: Vector) -> tuple[Vector, Vector]:
    """Problem 10."""
    d = 45.0 + 5.0 * np.arange(1, 17) + x[2]
    e = np.exp(x[1] / d)
    return x[0] * e - MEYER_Y, columns(e, x[0] * e / d, -x[0] * x[1] * e / d**2)


def gulf(x: Vector) -> tuple[Vector, Vector]:
    """Problem 11, m = 99, with abs(y_i - x2) (the paper prints a misplaced factor there)."""
    t = np.arange(1, 100) / 100.0
    d = 25.0 + (-50.0 * np.log(t)) ** (2.0 / 3.0) - x[1]
    sign = np.sign(d.real)
    power = (sign * d) ** x[2]
    e = np.exp(-power / x[0])
    by_x2 = e * x[2] * power / (d * x[0])
    return e - t, columns(e * power / x[0] ** 2, by_x2, -e * power * np.log(sign * d) / x[0])


def box(m: int) -> Residuals:
    """Problem 12 with `m` residuals."""
    t = 0.1 * np.arange(1, m + 1)
    c = np.exp(-t) - np.exp(-10.0 * t)

    def residuals(x: Vector) -> tuple[Vector, Vector]:
        e, h = np.exp(-t * x[0]), np.exp(-t * x[1])
        return e - h - x[2] * c, columns(-t * e, t * h, -c)

    return residuals


def powell_singular(x: Vector) -> tuple[Vector, Vector]:
    """Problem 13, and 22 with more variables: n a multiple of 4."""
    a, b, c, d = x.reshape(-1, 4).T
    five, ten = np.sqrt(5.0), np.sqrt(10.0)
    r = np.stack([a + 10.0 * b, five * (c - d), (b - 2.0 * c) ** 2, ten * (a - d) ** 2], axis=-1)
    blocks = np.zeros((a.size, 4, 4), dtype=x.dtype)
    blocks[:, 0, 0], blocks[:, 0, 1] = 1.0, 10.0
    blocks[:, 1, 2], blocks[:, 1, 3] = five, -five
    blocks[:, 2, 1], blocks[:, 2, 2] = 2.0 * (b - 2.0 * c), -4.0 * (b - 2.0 * c)
    blocks[:, 3, 0], blocks[:, 3, 3] = 2.0 * ten * (a - d), -2.0 * ten * (a - d)
    return r.ravel(), block_diagonal(blocks)


def block_diagonal(blocks: Vector) -> Vector:
    """Put the (k, p, q) `blocks` on the diagonal of a (k p, k q) matrix."""
    k, p, q = blocks.shape
    matrix = np.zeros((k, p, k, q), dtype=blocks.dtype)
    index = np.arange(k)
    matrix[index, :, index, :] = blocks
    return matrix.reshape(k * p, k * q)


def wood(x: Vector) -> tuple[Vector, Vector]:
    """Problem 14."""
    a, b, c, d = x
    ninety, ten = np.sqrt(90.0), np.sqrt(10.0)
    left = rows(10.0 * (b - a**2), 1.0 - a, ninety * (d - c**2), 1.0 - c)
    right = rows(ten * (b + d - 2.0), (b - d) / ten)
    jacobian: list[list[Any]] = [
        [-20.0 * a, 10.0, 0.0, 0.0],
        [-1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, -2.0 * ninety * c, ninety],
        [0.0, 0.0, -1.0, 0.0],
        [0.0, ten, 0.0, ten],
        [0.0, 1.0 / ten, 0.0, -1.0 / ten],
    ]
    return np.concatenate([left, right]), np.array(jacobian)


def kowalik_osborne(x: Vector) -> tuple[Vector, Vector]:
    """Problem 15: 3.07505e-4, and 1.02734e-3 along a ray to infinity."""
    u = KOWALIK_U
    top = u**2 + u * x[1]
    below = u**2 + u * x[2] + x[3]
    ratio = top / below
    by_x4 = x[0] * ratio / below
    return KOWALIK_Y - x[0] * ratio, columns(-ratio, -x[0] * u / below, by_x4 * u, by_x4)


def brown_dennis(x: Vector) -> tuple[Vector, Vector]:
    """Problem 16, m = 20."""
    t = np.arange(1, 21) / 5.0
    p = x[0] + t * x[1] - np.exp(t)
    q = x[2] + x[3] * np.sin(t) - np.cos(t)
    return p**2 + q**2, 2.0 * columns(p, p * t, q, q * np.sin(t))
