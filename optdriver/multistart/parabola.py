"""The parabola through values, or gradients, round a point, along directions of like rises.

Values need a point for each pair of directions besides two on each; gradients tell the change along
all directions, and what is left of them where it is not linear is their noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.factors import LowerUpper
from optdriver.geometry.products import times, transposed_times

Vector = NDArray[np.float64]
Rows = list[list[float]]
Sides = Sequence[tuple[float, float]]

_FEW: Final = 4.0  # the noise of gradients is enlarged by 1 + _FEW / k for k directions


@dataclass(frozen=True, slots=True)
class Parabola:
    """A parabola by k directions.

    Attributes
    ----------
    slope : list of float
        By the lengths of the directions.
    bent : list of list of float, k by k
        Its curvature, by these.
    gradient : ndarray, shape (n,)
        The gradient, as far as it is known.
    noise : float
        Of the values through which it is laid; NaN where it is laid through gradients.
    left : ndarray, shape (k + 1, k)
        What these leave unexplained, along the directions.
    """

    slope: list[float]
    bent: Rows
    gradient: Vector
    noise: float
    left: Vector

    def error(self, row: Sequence[float]) -> float:
        """Return the standard deviation of the slope along a combination of directions."""
        if not math.isnan(self.noise):
            return math.sqrt(0.5 * math.fsum(c * c for c in row)) * self.noise
        return self._deviation(row) / math.sqrt(2 * len(self.slope) + 1)

    def _deviation(self, row: Sequence[float]) -> float:
        """Return the standard deviation of one gradient along a combination of directions."""
        k = len(self.slope)
        unexplained = [
            math.fsum(c * e for c, e in zip(row, each, strict=True)) for each in self.left.tolist()
        ]
        return (1.0 + _FEW / k) * math.sqrt(math.fsum(e * e for e in unexplained) / k)


def pairs(n: int) -> list[tuple[int, int]]:
    """Return each pair of n directions once."""
    return [(i, j) for i in range(n) for j in range(i)]


def is_sure(bent: Rows, found: list[float], longer: list[float], wanted: float) -> bool:
    """Tell whether f was seen to rise on every direction, in lengths that are right for it."""
    n = len(bent)
    return (
        all(0.25 * wanted <= d <= 4.0 * wanted for d in found)
        and all(0.25 * wanted <= bent[k][k] <= 4.0 * wanted for k in range(n))
        and all(abs(bent[i][j]) < 0.5 * wanted for i, j in pairs(n))
        and max(longer) <= 1.6
    )


def through_values(
    basis: Vector,
    sides: Sides,
    shares: Sequence[float],
    f: float,
    values: Sequence[float],
    noise: float,
    wide: Vector,
) -> Parabola:
    """Return the parabola through values: two on each direction, then one for each pair.

    `sides` are where the two points are, in lengths of the directions; `shares` which part of both
    the point of a pair has, `wide` the widths of the box.
    """
    n, rise = len(sides), [each - f for each in values]
    a, bent = [0.0] * n, [[0.0] * n for _ in range(n)]
    for k, (s, t) in enumerate(sides):
        here, there = rise[2 * k] / s, rise[2 * k + 1] / t
        bent[k][k] = 2.0 * (here - there) / (s - t)
        a[k] = here - 0.5 * bent[k][k] * s
    for slot, (i, j) in enumerate(pairs(n), start=2 * n):
        share = shares[slot - 2 * n]
        s, t = share * sides[i][0], share * sides[j][0]
        known = a[i] * s + a[j] * t + 0.5 * bent[i][i] * s * s + 0.5 * bent[j][j] * t * t
        bent[i][j] = bent[j][i] = (rise[slot] - known) / (s * t)
    return Parabola(a, bent, _gradient(basis, a, wide), noise, np.zeros((0, n)))


def _gradient(basis: Vector, a: list[float], wide: Vector) -> Vector:
    """Return the gradient whose parts along the directions are `a`, the least one by `wide`."""
    free, g = np.flatnonzero(np.any(basis != 0.0, axis=0)), np.zeros(basis.shape[1])
    kept = np.ascontiguousarray(basis[:, free])
    if len(free) == len(basis):
        factors = LowerUpper.of(kept)
        if factors is not None:
            g[free] = factors.solve(a)
        return g
    scaled = kept / wide[free]  # a surface has fewer directions than variables
    factors = LowerUpper.of(np.array([times(scaled, row) for row in scaled]))
    if factors is not None:
        g[free] = transposed_times(scaled, factors.solve(a)) / wide[free]
    return g


def through_slopes(
    basis: Vector,
    sides: Sides,
    g: Vector,
    slopes: Vector,
    wide: Vector,
    bases: Sequence[Vector] = (),
) -> Parabola:
    """Return the parabola of gradients: that at the point, and at two on each direction.

    On the surface of constraints `bases` are the directions at the point and at the others, along
    it; across it the gradient is that at the point.
    """
    n, every = len(sides), np.vstack([g, slopes])
    if len(bases):
        along = np.array([times(ways, each) for ways, each in zip(bases, every, strict=True)])
    else:
        along = np.array([times(basis, each) for each in every])
    bent, at, weights = np.zeros((n, n)), [along[0]], [1.0]
    for k, (s, t) in enumerate(sides):
        here, there = along[2 * k + 1], along[2 * k + 2]
        bent[:, k] = (here - there) / (s - t)
        at.append((s * there - t * here) / (s - t))  # of both, at the point
        weights.append((s - t) ** 2 / (s * s + t * t))
    shares = np.array(weights)[:, None]
    a = np.sum(shares * np.array(at), axis=0) / np.sum(shares)
    left = np.sqrt(shares) * (np.array(at) - a)
    if len(bases):
        gradient = g + _gradient(basis, (a - along[0]).tolist(), wide)
    else:
        gradient = np.sum(every, axis=0) / len(every)
    half = 0.5 * (bent + bent.T)
    return Parabola(a.tolist(), half.tolist(), gradient, math.nan, left)


def conjugate(bent: Rows, least: float) -> tuple[Rows, list[float]]:
    """Return combinations of the directions that are conjugate, and the curvature along each.

    Pivots of Cholesky's factorisation, the largest first.  Where `least` is more than what is left,
    the rest stays as it is, with the size of what is seen there, and no less than that.
    """
    n = len(bent)
    left, rest = list(range(n)), [row[:] for row in bent]
    shear = [[float(i == k) for i in range(n)] for k in range(n)]
    found = [0.0] * n
    while left:
        k = max(left, key=lambda i: rest[i][i])
        if rest[k][k] <= least:
            for i in left:
                found[i] = max(least, *(abs(rest[i][j]) for j in left))
            break
        left.remove(k)
        found[k] = rest[k][k]
        for i in left:
            part = rest[i][k] / rest[k][k]
            shear[i] = [c - part * d for c, d in zip(shear[i], shear[k], strict=True)]
            for j in left:
                rest[i][j] -= part * rest[k][j]
    return shear, found
