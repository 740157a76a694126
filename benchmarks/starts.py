"""Claim: 64 feasible starts in less than 2 s, spread over all of the set, however small it is.

``python -m benchmarks starts`` compares them with points of the same Sobol sequence that are only
projected onto the set.  Distances are those to the nearest other start, in widths of the box.
*Discrepancy*: the largest difference between the part of the starts and the part of the set in a
box that begins at the lower corner, over 2,000 such boxes; the set is known by uniform points,
drawn where it lies and tested.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report import Section, Table, Target
from optdriver.constraints import ConstraintSet
from optdriver.multistart.feasible_starts import FeasibleStarts, widths
from optdriver.space.sampling import Starts, starts

Vector = NDArray[np.float64]
COUNT = 64
CORNERS = 2000
UNIFORM = 20_000
TEXT = """64 starts of each set, in the box [-1, 1]^n. *Time* is that of the processor; imports and
the compilation of the texts do not count. *Distances*: to the nearest other start, in widths of
the box; *projected*: the first 64 points of the Sobol sequence, moved onto the set and no further.
*Discrepancy*: largest difference between the part of the starts and the part of the set in boxes
that begin at the lower corner."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A set, its parts, and uniform points of it.

    Attributes
    ----------
    name : str
    n : int
    texts : list of str
    parts : tuple of points
        One in the middle of each component; a start belongs to the nearest.
    uniform : callable
        Draws k points from the set, or from a small neighbourhood of it, for testing.
    """

    name: str
    n: int
    texts: list[str]
    uniform: Callable[[np.random.Generator, int], Vector]
    parts: tuple[tuple[float, ...], ...] = ()


def ball(n: int, part: float, middles: Sequence[Sequence[float]], name: str) -> Shape:
    """Return balls of equal size that fill a `part` of the box."""
    unit = {2: np.pi, 5: 8.0 * np.pi**2 / 15.0}[n]
    radius = float((part * 2.0**n / unit / len(middles)) ** (1.0 / n))
    forms = [
        " + ".join(f"(x{i + 1} - ({float(m)!r}))^2" for i, m in enumerate(middle))
        for middle in middles
    ]
    joined = forms[0]
    for form in forms[1:]:
        joined = f"min({joined}, {form})"

    def uniform(random: np.random.Generator, k: int) -> Vector:
        at = np.array(middles)[random.integers(len(middles), size=k)]
        return np.asarray(at + radius * (2.0 * random.random((k, n)) - 1.0))

    return Shape(
        name=name,
        n=n,
        texts=[f"{joined} <= {radius**2!r}"],
        uniform=uniform,
        parts=tuple(tuple(map(float, middle)) for middle in middles),
    )


def _ring(random: np.random.Generator, k: int) -> Vector:
    angle, radius = 2.0 * np.pi * random.random(k), 0.899 + 0.002 * random.random(k)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


def _sphere(random: np.random.Generator, k: int) -> Vector:
    d = random.standard_normal((k, 3))
    return np.asarray(np.sqrt(0.5) * d / np.linalg.norm(d, axis=1)[:, None])


def _torus(random: np.random.Generator, k: int) -> Vector:
    u, v, height = 2.0 * np.pi * random.random((3, k))
    v = v[height < 2.0 * np.pi * (0.6 + 0.2 * np.cos(v)) / 0.8]  # area grows with the radius
    u = u[: len(v)]
    r = 0.6 + 0.2 * np.cos(v)
    return np.column_stack([r * np.cos(u), r * np.sin(u), 0.2 * np.sin(v)])


def shapes() -> list[Shape]:
    """Return the sets of the table."""
    four = [(0.6, 0.6), (-0.6, -0.6), (0.6, -0.6), (-0.6, 0.6)]
    tiny = [ball(2, 10.0**-k, [(0.1, -0.2)], f"disc, 1e-{k} of the box") for k in range(1, 7)]
    tiny += [ball(5, 10.0**-k, [(0.1,) * 5], f"ball, n = 5, 1e-{k}") for k in range(2, 7, 2)]
    inside = "x1^2 + x2^2 <= 0.81"
    return [
        *tiny,
        ball(2, 1e-4, [(0.6, 0.3), (-0.6, -0.4)], "two discs, 1e-4"),
        ball(2, 1e-4, four, "four discs, 1e-4"),
        Shape(name="annulus", n=2, texts=[inside, "x1^2 + x2^2 >= 0.809"], uniform=_ring),
        Shape(name="sickle", n=2, texts=[inside, "(x1 - 0.001)^2 + x2^2 >= 0.81"], uniform=_ring),
        Shape(name="sphere", n=3, texts=["x1^2 + x2^2 + x3^2 == 0.5"], uniform=_sphere),
        Shape(
            name="torus",
            n=3,
            texts=["(sqrt(x1^2 + x2^2) - 0.6)^2 + x3^2 == 0.04"],
            uniform=_torus,
        ),
    ]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came out for one set."""

    shape: Shape
    seconds: float
    infeasible: int
    parts: int
    gaps: Vector
    gaps_projected: Vector
    discrepancy: float
    discrepancy_projected: float


def measure(shape: Shape, count: int = COUNT) -> Measured:
    """Take `count` starts of a set and compare them with projected points."""
    names = [f"x{i + 1}" for i in range(shape.n)]
    constraints = ConstraintSet(shape.texts, names, [(-1.0, 1.0)] * shape.n)
    began = time.process_time()
    source, sequence, taken = FeasibleStarts(constraints, "sobol", 0), Starts(), []
    for _ in range(count):
        x, sequence = source.take(sequence)
        taken.append(x)
    seconds = time.process_time() - began
    points = np.array(taken)
    raw = starts("sobol", 0, 0, count, constraints.lower, constraints.upper)
    projected = np.array([constraints.project(x, widths(constraints)).x for x in raw])
    known = uniform_points(shape, constraints)
    return Measured(
        shape=shape,
        seconds=seconds,
        infeasible=sum(not constraints.is_feasible(x) for x in points),
        parts=_parts(shape, points),
        gaps=gaps(points) / 2.0,
        gaps_projected=gaps(projected) / 2.0,
        discrepancy=discrepancy(points, known),
        discrepancy_projected=discrepancy(projected, known),
    )


def uniform_points(shape: Shape, constraints: ConstraintSet) -> Vector:
    """Return uniform points of the set."""
    points = shape.uniform(np.random.default_rng(1), UNIFORM)
    if constraints.n_equalities:
        return points
    return points[np.all(constraints.values_many(points) <= 0.0, axis=1)]


def gaps(points: Vector) -> Vector:
    """Return how far from each point its nearest neighbour is."""
    apart = np.linalg.norm(points[:, None] - points, axis=2)
    return np.asarray(np.min(apart + np.diag(np.full(len(points), np.inf)), axis=1))


def discrepancy(points: Vector, known: Vector) -> float:
    """Return the largest difference of the parts of both that lie below a corner."""
    corners = known[np.random.default_rng(2).integers(len(known), size=(CORNERS, known.shape[1]))]
    corners = np.stack([corners[:, i, i] for i in range(known.shape[1])], axis=1)
    below = [
        np.mean(np.all(points <= c, axis=1)) - np.mean(np.all(known <= c, axis=1)) for c in corners
    ]
    return float(np.max(np.abs(below)))


def _parts(shape: Shape, points: Vector) -> int:
    """Return how many of the components have a start."""
    if not shape.parts:
        return 0
    apart = np.linalg.norm(points[:, None] - np.array(shape.parts), axis=2)
    return len(np.unique(np.argmin(apart, axis=1)))


def run(options: Sequence[str]) -> Section:
    """Measure all sets and return the section of the results."""
    argparse.ArgumentParser(prog="starts", description=__doc__).parse_args(list(options))
    starts("sobol", 0, 0, 1, np.zeros(1), np.ones(1))  # imports
    found = [measure(shape) for shape in shapes()]
    missed = sum(len(each.shape.parts) - each.parts for each in found)
    return Section(
        name="starts",
        title="Feasible starts",
        text=TEXT,
        targets=[
            Target(
                claim="infeasible starts", value=sum(each.infeasible for each in found), limit=0
            ),
            Target(claim="components without a start", value=missed, limit=0),
            Target(
                claim="processor seconds for 64 starts, slowest set",
                value=max(each.seconds for each in found),
                limit=2.0,
            ),
            Target(
                claim="smallest distance beside that of projected points, least set",
                value=min(
                    each.gaps.min() / max(each.gaps_projected.min(), 1e-300) for each in found
                ),
                limit=1.0,
                at_least=True,
            ),
        ],
        tables=[_table(found)],
    )


def _table(found: Sequence[Measured]) -> Table:
    header = ("set", "time, s", "parts", "smallest distance", "median", "discrepancy")
    header += ("projected: smallest", "median ", "discrepancy ")
    rows = []
    for each in found:
        known = len(each.shape.parts)
        rows.append(
            (
                each.shape.name,
                f"{each.seconds:.2f}",
                f"{each.parts} of {known}" if known else "",
                f"{each.gaps.min():.1e}",
                f"{np.median(each.gaps):.1e}",
                f"{each.discrepancy:.2f}",
                f"{each.gaps_projected.min():.1e}",
                f"{np.median(each.gaps_projected):.1e}",
                f"{each.discrepancy_projected:.2f}",
            )
        )
    return Table(header=header, rows=rows)
