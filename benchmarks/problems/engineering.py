"""Designs and shapes that engineers meet, each with its gradient and a trap of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Design:
    """A problem over x1, x2, ... with constraints as texts.

    Attributes
    ----------
    name, trap : str
        What it is, and what makes it hard.
    box : sequence of (float, float)
    texts : sequence of str
    value, slope : callable
        f(x), and its gradient.
    best : float or None
        The least value, where SLSQP does not find it from the starts: where the minimum has no
        multipliers; of the epigraph it is SLSQP's from (0, 0, 2).
    starts : sequence of tuples
        Where to begin, before the starts of the study.
    """

    name: str
    trap: str
    box: Sequence[tuple[float, float]]
    texts: Sequence[str]
    value: Callable[[Vector], float]
    slope: Callable[[Vector], Vector]
    best: float | None = None
    starts: Sequence[tuple[float, ...]] = field(default=())


def compressor() -> Design:
    """Return the design of a gas compressor (Beightler and Phillips 1976), in dollars."""

    def parts(x: Vector) -> tuple[float, float]:
        first = 8.61e5 * x[0] ** 0.5 * x[1] * x[2] ** (-2 / 3) * x[3] ** -0.5
        return first, 7.72e8 / x[0] * x[1] ** 0.219

    def value(x: Vector) -> float:
        return float(sum(parts(x)) + 3.69e4 * x[2] - 765.43e6 / x[0])

    def slope(x: Vector) -> Vector:
        a, b = parts(x)
        return np.array(
            [
                0.5 * a / x[0] - b / x[0] + 765.43e6 / x[0] ** 2,
                a / x[1] + 0.219 * b / x[1],
                -2 / 3 * a / x[2] + 3.69e4,
                -0.5 * a / x[3],
            ]
        )

    box = [(20.0, 50.0), (1.0, 10.0), (20.0, 50.0), (0.1, 60.0)]
    text = "x4/x2^2 + 1/x2^2 <= 1"
    return Design(
        name="gas compressor", trap="in dollars", box=box, texts=[text], value=value, slope=slope
    )


def product(n: int = 10) -> Design:
    """Return the product of n variables on a sphere; its minimum is -1."""
    size = float(n) ** (n / 2)

    def slope(x: Vector) -> Vector:
        return np.array([-size * np.prod(np.delete(x, i)) for i in range(n)])

    return Design(
        name=f"product of {n} on a sphere",
        trap="no slope on the faces of the box",
        box=[(0.0, 1.0)] * n,
        texts=[" + ".join(f"x{i + 1}^2" for i in range(n)) + " == 1"],
        value=lambda x: float(-size * np.prod(x)),
        slope=slope,
    )


def robot(points: int = 20) -> Design:
    """Return the smoothest way of a robot round two discs, with steps of at most 1."""
    ends = np.array([[0.0, 0.0]]), np.array([[10.0, 0.0]])
    discs = ((3.0, 0.5), (7.0, -0.5))
    names = [("0", "0"), *((f"x{2 * k + 1}", f"x{2 * k + 2}") for k in range(points)), ("10", "0")]
    texts = []
    for k in range(points):
        (a, b), (x, y) = discs[k >= points // 2], names[k + 1]
        texts.append(f"({x} - {a})^2 + ({y} - ({b}))^2 >= 1.44")
    for (x, y), (u, v) in itertools.pairwise(names):
        texts.append(f"({u} - {x})^2 + ({v} - {y})^2 <= 1")

    def way(x: Vector) -> Vector:
        return np.vstack([ends[0], x.reshape(points, 2), ends[1]])

    def value(x: Vector) -> float:
        steps = np.diff(way(x), axis=0)
        return float((steps**2).sum() + 5.0 * (np.diff(steps, axis=0) ** 2).sum())

    def slope(x: Vector) -> Vector:
        steps = np.diff(way(x), axis=0)
        bends = np.diff(steps, axis=0)
        g = np.zeros((points + 2, 2))
        g[1:] += 2.0 * steps
        g[:-1] -= 2.0 * steps
        g[:-2] += 10.0 * bends
        g[1:-1] -= 20.0 * bends
        g[2:] += 10.0 * bends
        return g[1:-1].ravel()

    return Design(
        name="way of a robot",
        trap="40 variables, 41 rows",
        box=[(-1.0, 11.0), (-5.0, 5.0)] * points,
        texts=texts,
        value=value,
        slope=slope,
    )


def power_flow() -> Design:
    """Return the dispatch of three generators in a network of three nodes with losses."""
    angles = ("0", "x4", "x5")

    def flow(i: int) -> str:
        lines = (f"({angles[i]} - {angles[j]})" for j in range(3) if j != i)
        return " + ".join(f"1*(1 - cos{d}) + 10*sin{d}" for d in lines)

    square, linear = np.array([1100.0, 850.0, 1225.0]), np.array([500.0, 1200.0, 1000.0])
    return Design(
        name="power flow",
        trap="prices are multipliers of equalities",
        box=[(0.0, 5.0)] * 3 + [(-1.0, 1.0)] * 2,
        texts=[f"x{i + 1} - {load} == {flow(i)}" for i, load in enumerate(("1", "1.5", "0.5"))],
        value=lambda x: float(square @ x[:3] ** 2 + linear @ x[:3]),
        slope=lambda x: np.append(2.0 * square * x[:3] + linear, [0.0, 0.0]),
    )


def _linear(g: Sequence[float]) -> dict[str, Callable[[Vector], float | Vector]]:
    slope = np.array(g)
    return {"value": lambda x: float(slope @ x), "slope": lambda _: slope}


def shapes() -> list[Design]:
    """Return small ones: epigraphs, valleys, cusps."""
    rows = ["x3 >= 100*(x2 - x1^2)^2 + (1 - x1)^2", "x3 >= 100*(x2 - x1^2)^2 + (1 + x1)^2"]
    return [
        Design(
            name="epigraph of e^100",
            trap="begins at 1e39",
            box=[(-1.0, 1.0), (-1.0, 1.0), (0.0, 1e300)],
            texts=["x3 >= exp(100*x1) + x2^2", "x3 >= exp(-100*(x1 - x2)) - 0.3*x2"],
            starts=[(0.9, 0.5, 1.0)],
            best=0.0317882423393,
            **_linear([0.0, 0.0, 1.0]),  # type: ignore[arg-type]
        ),
        Design(
            name="two rows of a valley",
            trap="curved",
            box=[(-3.0, 3.0), (-10.0, 10.0), (-100.0, 1000.0)],
            texts=rows,
            starts=[(-1.2, 1.0, 30.0)],
            **_linear([1e-2, 0.0, 1.0]),  # type: ignore[arg-type]
        ),
        Design(
            name="disc in its box",
            trap="the box touches it",
            box=[(-1.0, 1.0)] * 2,
            texts=["x1^2 + x2^2 <= 1"],
            value=lambda x: float(x[0] + 2.0 * x[1] + 0.1 * x[0] ** 2),
            slope=lambda x: np.array([1.0 + 0.2 * x[0], 2.0]),
        ),
        Design(
            name="cusp of a row and a side",
            trap="no multipliers",
            box=[(-3.0, 3.0), (0.0, 3.0)],
            texts=["x2 <= (1 - x1)^3"],
            best=-1.0,
            **_linear([-1.0, 0.0]),  # type: ignore[arg-type]
        ),
        Design(
            name="cusp of a root",
            trap="no multipliers",
            box=[(0.0, 3.0), (0.0, 3.0)],
            texts=["x2 <= 1 - sqrt(x1)"],
            best=-1.0,
            **_linear([-0.5, -1.0]),  # type: ignore[arg-type]
        ),
    ]


def designs() -> list[Design]:
    """Return all."""
    return [compressor(), product(), robot(), power_flow(), *shapes()]
