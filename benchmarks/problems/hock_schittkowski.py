"""The bound-constrained problems of Hock and Schittkowski (1981).

W. Hock, K. Schittkowski, "Test examples for nonlinear programming codes", Lecture Notes in
Economics and Mathematical Systems 187 (Springer 1981): 1 to 5, 25, 38, 45, 110.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .problem import Problem, Vector, rows, vector

SOURCE = "Hock, Schittkowski, Lect. Notes Econ. Math. Syst. 187 (1981)"
INF = math.inf


def hs1(x: Vector) -> tuple[Any, Vector]:
    """Problems 1 and 2: Rosenbrock."""
    a, b = x[1] - x[0] ** 2, 1.0 - x[0]
    return 100.0 * a**2 + b**2, rows(-400.0 * x[0] * a - 2.0 * b, 200.0 * a)


def hs3(x: Vector) -> tuple[Any, Vector]:
    """Problem 3."""
    d = x[1] - x[0]
    return x[1] + 1e-5 * d**2, rows(-2e-5 * d, 1.0 + 2e-5 * d)


def hs4(x: Vector) -> tuple[Any, Vector]:
    """Problem 4."""
    return (x[0] + 1.0) ** 3 / 3.0 + x[1], rows((x[0] + 1.0) ** 2, 1.0 + 0.0 * x[1])


def hs5(x: Vector) -> tuple[Any, Vector]:
    """Problem 5 (the McCormick function)."""
    d, c = x[0] - x[1], np.cos(x[0] + x[1])
    f = np.sin(x[0] + x[1]) + d**2 - 1.5 * x[0] + 2.5 * x[1] + 1.0
    return f, rows(c + 2.0 * d - 1.5, c - 2.0 * d + 2.5)


def hs25(x: Vector) -> tuple[Any, Vector]:
    """Problem 25."""
    t = np.arange(1, 100) / 100.0
    d = 25.0 + (-50.0 * np.log(t)) ** (2.0 / 3.0) - x[1]
    power = d ** x[2]
    e = np.exp(-power / x[0])
    r = e - t
    slope = 2.0 * r * e * power / x[0]
    return r @ r, rows((slope / x[0]).sum(), (slope * x[2] / d).sum(), -(slope @ np.log(d)))


def hs38(x: Vector) -> tuple[Any, Vector]:
    """Problem 38 (Colville 4)."""
    p, q = x[1] - x[0] ** 2, x[3] - x[2] ** 2
    u, v = x[1] - 1.0, x[3] - 1.0
    f = 100.0 * p**2 + (1.0 - x[0]) ** 2 + 90.0 * q**2 + (1.0 - x[2]) ** 2
    f = f + 10.1 * (u**2 + v**2) + 19.8 * u * v
    by_x1 = -400.0 * x[0] * p - 2.0 * (1.0 - x[0])
    by_x3 = -360.0 * x[2] * q - 2.0 * (1.0 - x[2])
    by_x2 = 200.0 * p + 20.2 * u + 19.8 * v
    return f, rows(by_x1, by_x2, by_x3, 180.0 * q + 20.2 * v + 19.8 * u)


def hs45(x: Vector) -> tuple[Any, Vector]:
    """Problem 45."""
    others = np.array([np.delete(x, i).prod() for i in range(5)])
    return 2.0 - x.prod() / 120.0, -others / 120.0


def hs110(x: Vector) -> tuple[Any, Vector]:
    """Problem 110."""
    low, high = np.log(x - 2.0), np.log(10.0 - x)
    product = x.prod() ** 0.2
    g = 2.0 * low / (x - 2.0) - 2.0 * high / (10.0 - x) - 0.2 * product / x
    return (low**2 + high**2).sum() - product, g


def hs2_minimum() -> tuple[float, Vector]:
    """Return the value and the point of problem 2's minimum, as the book gives them."""
    a = math.sqrt(598.0 / 1200.0)
    x = vector([2.0 * a * math.cos(math.acos(1.0 / (400.0 * a**3)) / 3.0), 1.5])
    return float(hs1(x)[0]), x


def problems() -> list[Problem]:
    """All nine."""
    f2, x2 = hs2_minimum()
    table: list[tuple[str, Any, Any, Any, Any, float | None, str, Any]] = [
        ("HS1", hs1, [-2, 1], [-INF, -1.5], [INF, INF], 0.0, "0.0", [1, 1]),
        ("HS2", hs1, [-2, 1], [-INF, 1.5], [INF, INF], f2, "0.0504261879", x2),
        ("HS3", hs3, [10, 1], [-INF, 0], [INF, INF], 0.0, "0.0", [0, 0]),
        ("HS4", hs4, [1.125, 0.125], [1, 0], [INF, INF], 8 / 3, "2.66666667", [1, 0]),
        (
            "HS5",
            hs5,
            [0, 0],
            [-1.5, -3],
            [4, 3],
            -math.sqrt(3) / 2 - math.pi / 3,
            "-1.91322295",
            [0.5 - math.pi / 3, -0.5 - math.pi / 3],
        ),
        ("HS25", hs25, [100, 12.5, 3], [0.1, 0, 0], [100, 25.6, 5], 0.0, "0.0", [50, 25, 1.5]),
        ("HS38", hs38, [-3, -1, -3, -1], [-10] * 4, [10] * 4, 0.0, "0.0", [1] * 4),
        ("HS45", hs45, [2] * 5, [0] * 5, [1, 2, 3, 4, 5], 1.0, "1.0", [1, 2, 3, 4, 5]),
        ("HS110", hs110, [9] * 10, [2.001] * 10, [9.999] * 10, None, "-45.77846971", None),
    ]
    return [
        Problem(
            name=name,
            fun=fun,
            x0=vector(x0),
            lower=vector(lower),
            upper=vector(upper),
            f_star=f_star,
            published=published,
            x_star=None if x_star is None else vector(x_star),
            source=SOURCE,
        )
        for name, fun, x0, lower, upper, f_star, published, x_star in table
    ]
