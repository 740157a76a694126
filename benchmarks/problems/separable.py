"""Partially separable problems of any size, most with bounds.

From the CUTE collection (I. Bongartz, A. R. Conn, N. Gould, Ph. L. Toint, ACM Trans. Math.
Softw. 21 (1995) 123), which is where the tables of the L-BFGS-B papers (Byrd, Lu, Nocedal, Zhu
1995; Zhu, Byrd, Lu, Nocedal 1997) take their problems from, and the sample problem of the
algorithm's published driver.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .problem import Objective, Problem, Vector, rows, vector

CUTE = "CUTE: Bongartz, Conn, Gould, Toint, ACM Trans. Math. Softw. 21 (1995) 123"
DRIVER = "sample problem of Zhu, Byrd, Lu, Nocedal, ACM Trans. Math. Softw. 23 (1997) 550"


def nonscomp(x: Vector) -> tuple[Any, Vector]:
    """(x1 - 1)^2 + 4 sum (x_i - x_{i-1}^2)^2, also the sample problem of Algorithm 778."""
    d = x[1:] - x[:-1] ** 2
    g = np.zeros_like(x)
    g[0] = 2.0 * (x[0] - 1.0)
    g[1:] += 8.0 * d
    g[:-1] -= 16.0 * x[:-1] * d
    return (x[0] - 1.0) ** 2 + 4.0 * (d @ d), g


def biggsb1(x: Vector) -> tuple[Any, Vector]:
    """(x1 - 1)^2 + sum (x_{i+1} - x_i)^2 + (1 - x_n)^2."""
    d = np.diff(x)
    g = np.zeros_like(x)
    g[1:] += 2.0 * d
    g[:-1] -= 2.0 * d
    g[0] += 2.0 * (x[0] - 1.0)
    g[-1] += 2.0 * (x[-1] - 1.0)
    return (x[0] - 1.0) ** 2 + d @ d + (x[-1] - 1.0) ** 2, g


def bdexp(x: Vector) -> tuple[Any, Vector]:
    """Sum of (x_i + x_{i+1}) exp(-x_{i+2} (x_i + x_{i+1}))."""
    s, z = x[:-2] + x[1:-1], x[2:]
    e = np.exp(-z * s)
    by_s = e * (1.0 - z * s)
    g = np.zeros_like(x)
    g[:-2] += by_s
    g[1:-1] += by_s
    g[2:] -= s**2 * e
    return s @ e, g


def mccormick(x: Vector) -> tuple[Any, Vector]:
    """Chained McCormick functions."""
    a, b = x[:-1], x[1:]
    d, c = a - b, np.cos(a + b)
    g = np.zeros_like(x)
    g[:-1] += -1.5 + 2.0 * d + c
    g[1:] += 2.5 - 2.0 * d + c
    return (-1.5 * a + 2.5 * b + 1.0 + d**2 + np.sin(a + b)).sum(), g


def cvxbqp1(x: Vector) -> tuple[Any, Vector]:
    """Sum of i (x_i + x_j + x_k)^2 / 2 with j = mod(2i - 1, n) + 1, k = mod(3i - 1, n) + 1."""
    n = x.size
    i = np.arange(1, n + 1)
    first, second = (2 * i - 1) % n, (3 * i - 1) % n
    s = x + x[first] + x[second]
    g = i * s
    np.add.at(g, first, i * s)
    np.add.at(g, second, i * s)
    return (i @ s**2) / 2.0, g


def hatflda(x: Vector) -> tuple[Any, Vector]:
    """(x1 - 1)^2 + sum (x_{i-1} - sqrt(x_i))^2; HATFLDA and HATFLDB."""
    root = np.sqrt(x[1:])
    d = x[:-1] - root
    g = np.zeros_like(x)
    g[0] = 2.0 * (x[0] - 1.0)
    g[:-1] += 2.0 * d
    g[1:] -= d / root
    return (x[0] - 1.0) ** 2 + d @ d, g


def hatfldc(x: Vector) -> tuple[Any, Vector]:
    """(x1 - 1)^2 + sum over the inner i of (x_{i+1} - x_i^2)^2 + (x_n - 1)^2."""
    d = x[2:] - x[1:-1] ** 2
    g = np.zeros_like(x)
    g[0] = 2.0 * (x[0] - 1.0)
    g[2:] += 2.0 * d
    g[1:-1] -= 4.0 * x[1:-1] * d
    g[-1] += 2.0 * (x[-1] - 1.0)
    return (x[0] - 1.0) ** 2 + d @ d + (x[-1] - 1.0) ** 2, g


def pspdoc(x: Vector) -> tuple[Any, Vector]:
    """Sum over i = 1, 2 of sqrt(x_i^2 + (x_{i+1} - x_{i+2})^2 + 1)."""
    a, d = x[:2], x[1:3] - x[2:4]
    root = np.sqrt(a**2 + d**2 + 1.0)
    g = np.zeros_like(x)
    g[:2] += a / root
    g[1:3] += d / root
    g[2:4] -= d / root
    return root.sum(), g


def explin(x: Vector) -> tuple[Any, Vector]:
    """Sum over i <= 10 of exp(0.1 x_i x_{i+1}), less 10 sum i x_i."""
    a, b = x[:10], x[1:11]
    e = np.exp(0.1 * a * b)
    weights = 10.0 * np.arange(1, x.size + 1)
    g = -weights + 0.0 * x
    g[:10] += 0.1 * b * e
    g[1:11] += 0.1 * a * e
    return e.sum() - weights @ x, g


def qudlin(x: Vector) -> tuple[Any, Vector]:
    """Sum over i <= n / 2 of x_i x_{i+1}, less 10 sum i x_i."""
    m = x.size // 2
    a, b = x[:m], x[1 : m + 1]
    weights = 10.0 * np.arange(1, x.size + 1)
    g = -weights + 0.0 * x
    g[:m] += b
    g[1 : m + 1] += a
    return a @ b - weights @ x, g


def camel6(x: Vector) -> tuple[Any, Vector]:
    """Six-hump camel back."""
    a, b = x
    f = (4.0 - 2.1 * a**2 + a**4 / 3.0) * a**2 + a * b + (-4.0 + 4.0 * b**2) * b**2
    by_a = 8.0 * a - 8.4 * a**3 + 2.0 * a**5 + b
    return f, rows(by_a, a - 8.0 * b + 16.0 * b**3)


HART_A = vector(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
HART_P = 1e-4 * vector(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
HART_C = vector([1.0, 1.2, 3.0, 3.2])


def hart6(x: Vector) -> tuple[Any, Vector]:
    """Hartman's function in six variables (Dixon, Szegő 1978)."""
    d = x - HART_P
    e = HART_C * np.exp(-(HART_A * d**2).sum(axis=1))
    return -e.sum(), 2.0 * e @ (HART_A * d)


def genrose(x: Vector) -> tuple[Any, Vector]:
    """1 + the chained Rosenbrock function."""
    d, u = x[1:] - x[:-1] ** 2, x[1:] - 1.0
    g = np.zeros_like(x)
    g[1:] += 200.0 * d + 2.0 * u
    g[:-1] -= 400.0 * x[:-1] * d
    return 1.0 + 100.0 * (d @ d) + u @ u, g


def engval1(x: Vector) -> tuple[Any, Vector]:
    """Sum of (x_i^2 + x_{i+1}^2)^2 - 4 x_i + 3."""
    s = x[:-1] ** 2 + x[1:] ** 2
    g = np.zeros_like(x)
    g[:-1] += 4.0 * s * x[:-1] - 4.0
    g[1:] += 4.0 * s * x[1:]
    return s @ s - 4.0 * x[:-1].sum() + 3.0 * s.size, g


def edensch(x: Vector) -> tuple[Any, Vector]:
    """16 + sum of (x_i - 2)^4 + (x_i x_{i+1} - 2 x_{i+1})^2 + (x_{i+1} + 1)^2."""
    a, b = x[:-1] - 2.0, x[1:]
    g = np.zeros_like(x)
    g[:-1] += 4.0 * a**3 + 2.0 * a * b**2
    g[1:] += 2.0 * a**2 * b + 2.0 * (b + 1.0)
    return 16.0 + (a**4 + (a * b) ** 2 + (b + 1.0) ** 2).sum(), g


def arwhead(x: Vector) -> tuple[Any, Vector]:
    """Sum over i < n of 3 - 4 x_i + (x_i^2 + x_n^2)^2."""
    s = x[:-1] ** 2 + x[-1] ** 2
    g = np.empty_like(x)
    g[:-1] = 4.0 * s * x[:-1] - 4.0
    g[-1] = 4.0 * x[-1] * s.sum()
    return 3.0 * s.size - 4.0 * x[:-1].sum() + s @ s, g


def dqdrtic(x: Vector) -> tuple[Any, Vector]:
    """Sum of x_i^2 + 100 x_{i+1}^2 + 100 x_{i+2}^2."""
    n = x.size
    weights = np.zeros(n)
    for shift, weight in enumerate((1.0, 100.0, 100.0)):
        weights[shift : n - 2 + shift] += weight
    return weights @ x**2, 2.0 * weights * x


def tridia(x: Vector) -> tuple[Any, Vector]:
    """(x1 - 1)^2 + sum i (2 x_i - x_{i-1})^2."""
    i = np.arange(2, x.size + 1)
    d = 2.0 * x[1:] - x[:-1]
    g = np.zeros_like(x)
    g[0] = 2.0 * (x[0] - 1.0)
    g[1:] += 4.0 * i * d
    g[:-1] -= 2.0 * i * d
    return (x[0] - 1.0) ** 2 + i @ d**2, g


def cragglvy(x: Vector) -> tuple[Any, Vector]:
    """Cragg and Levy, extended, n even."""
    a, b, c, d = x[:-2:2], x[1:-1:2], x[2::2], x[3::2]
    u, v, t = np.exp(a) - b, b - c, np.tan(c - d)
    f = (u**4 + 100.0 * v**6 + t**4 + a**8 + (d - 1.0) ** 2).sum()
    by_t = 4.0 * t**3 * (1.0 + t**2)
    g = np.zeros_like(x)
    g[:-2:2] += 4.0 * u**3 * np.exp(a) + 8.0 * a**7
    g[1:-1:2] += -4.0 * u**3 + 600.0 * v**5
    g[2::2] += by_t - 600.0 * v**5
    g[3::2] += 2.0 * (d - 1.0) - by_t
    return f, g


def dixmaana(x: Vector) -> tuple[Any, Vector]:
    """Dixon and Maany, variant A: n = 3 m."""
    m = x.size // 3
    a, b = x[: 2 * m], x[m:]
    p, q = x[:m], x[2 * m :]
    g = 2.0 * x
    g[: 2 * m] += 0.25 * a * b**4
    g[m:] += 0.5 * a**2 * b**3
    g[:m] += 0.125 * q
    g[2 * m :] += 0.125 * p
    return 1.0 + x @ x + 0.125 * (a**2 @ b**4) + 0.125 * (p @ q), g


def free(
    name: str, fun: Objective, x0: Vector, f_star: float | None, published: str | None = None
) -> Problem:
    """Build an unconstrained problem of CUTE."""
    return Problem(name=name, fun=fun, x0=x0, f_star=f_star, published=published, source=CUTE)


def boxed(
    name: str,
    fun: Objective,
    x0: Any,
    lower: Any,
    upper: Any,
    f_star: float | None = None,
    published: str | None = None,
    *,
    source: str = CUTE,
    minima: tuple[float, ...] = (),
) -> Problem:
    """Build a problem with bounds; scalars stand for all the variables."""
    start = vector(x0)
    return Problem(
        name=name,
        fun=fun,
        x0=start,
        lower=np.broadcast_to(vector(lower), start.shape).copy(),
        upper=np.broadcast_to(vector(upper), start.shape).copy(),
        f_star=f_star,
        published=published,
        minima=minima,
        source=source,
    )


def alternating(odd: float, even: float, n: int) -> Vector:
    """Return `n` values: `odd` at the 1st, 3rd, ..., `even` at the others."""
    return np.where(np.arange(n) % 2 == 0, odd, even)


def with_bounds() -> list[Problem]:
    """Those with bounds."""
    last_free = np.append(np.full(99, 0.9), np.inf)
    return [
        boxed(
            "Algorithm 778 sample",
            lambda x: tuple_times(4.0, sample(x)),
            np.full(25, 3.0),
            alternating(1.0, -100.0, 25),
            100.0,
            0.0,
            source=DRIVER,
        ),
        boxed("NONSCOMP", nonscomp, np.full(1000, 3.0), alternating(1.0, -100.0, 1000), 100.0, 0.0),
        boxed(
            "BIGGSB1",
            biggsb1,
            np.zeros(100),
            np.append(np.zeros(99), -np.inf),
            last_free,
            None,
            "0.015",
        ),
        boxed("BDEXP", bdexp, np.ones(200), 0.0, np.inf),
        boxed("MCCORMCK", mccormick, np.zeros(200), -1.5, 3.0),
        boxed("CVXBQP1", cvxbqp1, np.full(1000, 0.5), 0.1, 10.0, 0.045 * 1000 * 1001 / 2),
        boxed("HATFLDA", hatflda, np.full(4, 0.1), 1e-7, np.inf, 0.0),
        boxed(
            "HATFLDB",
            hatflda,
            np.full(4, 0.1),
            1e-7,
            [np.inf, 0.8, np.inf, np.inf],
            None,
            "5.57281e-3",
        ),
        boxed("HATFLDC", hatfldc, np.full(25, 0.9), 0.0, 10.0, 0.0),
        boxed("PSPDOC", pspdoc, np.full(4, 3.0), -np.inf, [-1, np.inf, np.inf, np.inf], None),
        boxed("EXPLIN", explin, np.zeros(120), 0.0, 10.0, None, "-7.2376e5"),
        boxed("QUDLIN", qudlin, np.ones(12), 0.0, 10.0, None, "-7.2000e3"),
        boxed(
            "CAMEL6",
            camel6,
            [1.1, 1.1],
            [-3, -1.5],
            [3, 1.5],
            None,
            "-1.0316",
            minima=(-0.21546382438372, 2.1042503103112),
        ),
        boxed("HART6", hart6, np.full(6, 0.2), 0.0, 1.0, None, "-3.3223", minima=(-3.20316,)),
    ]


def without_bounds() -> list[Problem]:
    """Those without."""
    chain = np.arange(1, 101) / 101.0
    return [
        free("GENROSE", genrose, chain, 1.0),
        free("ENGVAL1", engval1, np.full(100, 2.0), None),
        free("EDENSCH", edensch, np.full(36, 8.0), None, "219.28"),
        free("ARWHEAD", arwhead, np.ones(500), 0.0),
        free("DQDRTIC", dqdrtic, np.full(500, 3.0), 0.0),
        free("TRIDIA", tridia, np.ones(100), 0.0),
        free("CRAGGLVY", cragglvy, np.append(1.0, np.full(99, 2.0)), None),
        free("DIXMAANA", dixmaana, np.full(300, 2.0), 1.0),
    ]


def sample(x: Vector) -> tuple[Any, Vector]:
    """(x1 - 1)^2 / 4 + sum (x_i - x_{i-1}^2)^2; the sample problem is four times this."""
    return tuple_times(0.25, nonscomp(x))


def tuple_times(factor: float, value: tuple[Any, Vector]) -> tuple[Any, Vector]:
    """Scale an objective's value and gradient."""
    return factor * value[0], factor * value[1]


def problems() -> list[Problem]:
    """All of them."""
    return with_bounds() + without_bounds()
