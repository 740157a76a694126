"""Variational problems on a grid, from the MINPACK-2 collection and CUTE.

B. M. Averick, R. G. Carter, J. J. Moré, G.-L. Xue, "The MINPACK-2 test problem collection",
Argonne MCS-P153-0692 (1992), and R. Dembo, U. Tulowitzki (1983) for the obstacle problem.
Linear elements on triangles: each cell of the grid has a lower-left and an upper-right one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .problem import Objective, Problem, Vector

MINPACK2 = "MINPACK-2: Averick, Carter, Moré, Xue, Argonne MCS-P153-0692 (1992)"
OBSTACLE = "OBSTCLAE of CUTE, after Dembo, Tulowitzki, Yale WP 71 (1983)"
Density = Callable[[Vector, Vector], tuple[Any, Vector, Vector]]


def energy(v: Vector, hx: float, hy: float, density: Density) -> tuple[Any, Vector]:
    """Integrate ``density(v_x, v_y)`` over all triangles; and the derivative by each node.

    `v` holds the boundary too; ``density`` returns its value and both partial derivatives.
    """
    v_x, v_y = np.diff(v, axis=0) / hx, np.diff(v, axis=1) / hy
    area = hx * hy / 2.0
    by_x, by_y = np.zeros_like(v_x), np.zeros_like(v_y)
    lower, p, q = density(v_x[:, :-1], v_y[:-1, :])
    by_x[:, :-1] += p
    by_y[:-1, :] += q
    upper, p, q = density(v_x[:, 1:], v_y[1:, :])
    by_x[:, 1:] += p
    by_y[1:, :] += q
    g = np.zeros_like(v)
    g[1:] += by_x / hx
    g[:-1] -= by_x / hx
    g[:, 1:] += by_y / hy
    g[:, :-1] -= by_y / hy
    return area * (lower.sum() + upper.sum()), area * g


def dirichlet(p: Vector, q: Vector) -> tuple[Any, Vector, Vector]:
    """Half the squared gradient."""
    return (p**2 + q**2) / 2.0, p, q


def surface(p: Vector, q: Vector) -> tuple[Any, Vector, Vector]:
    """Area of a graph."""
    root = np.sqrt(1.0 + p**2 + q**2)
    return root, p / root, q / root


def composite(p: Vector, q: Vector) -> tuple[Any, Vector, Vector]:
    """Optimal design with composite materials: lambda = 0.008, mu = (1, 2)."""
    t1, t2 = np.sqrt(0.008), np.sqrt(0.032)
    t = np.sqrt(p**2 + q**2)
    linear = 2.0 * t1 * (t - t1 / 2.0)
    far = (t**2 - t2**2) / 2.0 + 2.0 * t1 * (t2 - t1 / 2.0)
    value = np.where(t <= t1, t**2, np.where(t < t2, linear, far))
    slope = np.where(t <= t1, 2.0, np.where(t < t2, 2.0 * t1 / np.maximum(t, t1), 1.0))
    return value, slope * p, slope * q


def square(nx: int, ny: int) -> tuple[Vector, float, float]:
    """Distance to the boundary of the unit square on its (nx, ny) inner nodes; mesh widths."""
    hx, hy = 1.0 / (nx + 1), 1.0 / (ny + 1)
    i, j = np.arange(1, nx + 1), np.arange(1, ny + 1)
    near_x, near_y = np.minimum(i, nx + 1 - i) * hx, np.minimum(j, ny + 1 - j) * hy
    return np.minimum.outer(near_x, near_y), hx, hy


def on_square(nx: int, ny: int, density: Density, load: Callable[[Vector], Any]) -> Objective:
    """Energy plus a load ``load(v) -> (value, derivative)`` per unit area; v = 0 outside."""
    _, hx, hy = square(nx, ny)

    def fun(x: Vector) -> tuple[Any, Vector]:
        v = np.pad(x.reshape(nx, ny), 1)
        f, g = energy(v, hx, hy, density)
        value, slope = load(x)
        return f + hx * hy * value, g[1:-1, 1:-1].ravel() + hx * hy * slope

    return fun


def torsion(c: float, nx: int, ny: int) -> Problem:
    """Elastic-plastic torsion of a bar: v within the distance to the boundary."""
    distance, _, _ = square(nx, ny)
    return Problem(
        name=f"TORSION c={c:g}",
        fun=on_square(nx, ny, dirichlet, lambda x: (-c * x.sum(), np.full(x.size, -c))),
        x0=distance.ravel(),
        lower=-distance.ravel(),
        upper=distance.ravel(),
        source=MINPACK2,
    )


def combustion(nx: int, ny: int) -> Problem:
    """Steady state combustion (Bratu), lambda = 5."""
    distance, _, _ = square(nx, ny)

    def load(x: Vector) -> tuple[Any, Vector]:
        e = 5.0 * np.exp(x)
        return -e.sum(), -e

    fun = on_square(nx, ny, dirichlet, load)
    start = 5.0 / 6.0 * np.sqrt(distance.ravel())
    return Problem(name="combustion", fun=fun, x0=start, source=MINPACK2)


def design(nx: int, ny: int) -> Problem:
    """Optimal design with composites."""
    distance, _, _ = square(nx, ny)
    return Problem(
        name="optimal design",
        fun=on_square(nx, ny, composite, lambda x: (x.sum(), np.ones(x.size))),
        x0=-(distance.ravel() ** 2),
        smooth=False,
        source=MINPACK2,
    )


def bearing(eccentricity: float, nodes: int) -> Problem:
    """Journal bearing on (0, 2 pi) x (0, 20), v >= 0; `nodes` a side, boundary included."""
    n = nodes - 2
    hx, hy = 2.0 * np.pi / (nodes - 1), 20.0 / (nodes - 1)
    xi = hx * np.arange(nodes)
    w = (1.0 + eccentricity * np.cos(xi)) ** 3
    lower, upper = (2.0 * w[:-1] + w[1:]) / 3.0, (2.0 * w[1:] + w[:-1]) / 3.0
    force = eccentricity * np.sin(xi[1:-1])

    def fun(x: Vector) -> tuple[Any, Vector]:
        turn = iter((lower, upper))

        def density(p: Vector, q: Vector) -> tuple[Any, Vector, Vector]:
            weight = next(turn)[:, None]
            return weight * (p**2 + q**2) / 2.0, weight * p, weight * q

        inner = x.reshape(n, n)
        f, g = energy(np.pad(inner, 1), hx, hy, density)
        load = np.broadcast_to(hx * hy * force[:, None], inner.shape)
        return f - (load * inner).sum(), (g[1:-1, 1:-1] - load).ravel()

    return Problem(
        name=f"JNLBRNG {nodes}, eccentricity {eccentricity:g}",
        fun=fun,
        x0=np.repeat(np.sin(xi[1:-1]), n),
        lower=np.zeros(n * n),
        upper=np.full(n * n, np.inf),
        published={10: "-0.17896", 23: "-0.18005"}[nodes] if eccentricity == 0.1 else None,
        source=MINPACK2,
    )


def obstacle(nodes: int, case: str) -> Problem:
    """Membrane over (case A) or between (case B) obstacles; `nodes` a side with boundary.

    As in CUTE, an edge that touches the boundary has half the weight of an inner one.
    """
    n, h = nodes - 2, 1.0 / (nodes - 1)
    s = h * np.arange(1, nodes - 1)
    if case == "A":
        lower = np.outer(np.sin(3.2 * s), np.sin(3.3 * s))
        upper = np.full((n, n), 2000.0)
    else:
        waves = np.outer(np.sin(9.2 * s), np.sin(9.3 * s))
        lower, upper = waves**3, waves**2 + 0.02

    weight = np.full(nodes - 1, 0.5)
    weight[[0, -1]] = 0.25

    def fun(x: Vector) -> tuple[Any, Vector]:
        v = np.pad(x.reshape(n, n), 1)
        d_x, d_y = np.diff(v[:, 1:-1], axis=0), np.diff(v[1:-1, :], axis=1)
        flow_x, flow_y = weight[:, None] * d_x, d_y * weight
        f = (flow_x * d_x).sum() + (flow_y * d_y).sum() - h * h * x.sum()
        g = -2.0 * (np.diff(flow_x, axis=0) + np.diff(flow_y, axis=1)) - h * h
        return f, g.ravel()

    values = {10: "1.397897560", 23: "1.678027027", 32: "1.748270031"}
    return Problem(
        name=f"OBSTCL {case} {nodes}",
        fun=fun,
        x0=np.ones(n * n),
        lower=lower.ravel(),
        upper=upper.ravel(),
        published=values.get(nodes) if case == "A" else None,
        source=OBSTACLE,
    )


def enneper(x: Vector, y: Vector) -> Vector:
    """Height of Enneper's minimal surface over the points (x, y), by Newton's method."""
    u, v = x.copy(), -y
    for _ in range(20):
        p = u + u * v**2 - u**3 / 3.0 - x
        q = -v - u**2 * v + v**3 / 3.0 - y
        a, b = 1.0 + v**2 - u**2, 2.0 * u * v
        det = -(a * (1.0 + u**2 - v**2)) + b * b
        u, v = u - (-(1.0 + u**2 - v**2) * p - b * q) / det, v - (a * q + b * p) / det
    return np.asarray(u**2 - v**2)


def minimal_surface(n: int) -> Problem:
    """Enneper's minimal surface from its boundary values on (-1/2, 1/2)^2."""
    s = np.linspace(-0.5, 0.5, n + 2)
    h = 1.0 / (n + 1)
    frame = enneper(*np.meshgrid(s, s, indexing="ij"))
    frame[1:-1, 1:-1] = 0.0

    def fun(x: Vector) -> tuple[Any, Vector]:
        v = frame + np.pad(x.reshape(n, n), 1)
        f, g = energy(v, h, h, surface)
        return f, g[1:-1, 1:-1].ravel()

    return Problem(name="minimal surface", fun=fun, x0=np.zeros(n * n), source=MINPACK2)


def problems() -> list[Problem]:
    """All of them, on grids of about 400 to 900 inner nodes."""
    return [
        torsion(5.0, 20, 20),
        torsion(20.0, 20, 20),
        bearing(0.1, 10),
        bearing(0.1, 23),
        bearing(0.8, 23),
        obstacle(10, "A"),
        obstacle(32, "A"),
        obstacle(23, "B"),
        combustion(20, 20),
        design(20, 20),
        minimal_surface(20),
    ]
