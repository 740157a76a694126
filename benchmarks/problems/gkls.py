"""Classes of functions with known minima, by the generator of Gaviano, Kvasov, Lera and Sergeyev.

A paraboloid in [-1, 1]^n is changed inside of balls that do not overlap, each of which has a
minimum at its centre: by quadratics that meet it (ND), by cubics that meet it with their gradients
(D), or by quintics that meet it with their second derivatives (D2).  One ball, of a given radius
and at a given distance from the vertex, has the global minimum -1.

The construction (places, radii, values, polynomials) is the paper's; the random numbers are
NumPy's, so that the k-th function of a class is not the one that the authors' program gives.

References
----------
M. Gaviano, D. E. Kvasov, D. Lera, Ya. D. Sergeyev, "Algorithm 829: Software for generation of
classes of test functions with known local and global minima for global optimization", ACM
Transactions on Mathematical Software 29 (2003) 469.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

GLOBAL = -1.0
"""The value of the global minimum; that at the vertex of the paraboloid is 0."""

TYPES = ("ND", "D", "D2")
SHRUNK = 0.99  # of the balls, so that they do not touch
CURVATURE = 10.0  # of the quintics at their centres
CLASSES: dict[tuple[int, str], tuple[float, float]] = {
    (2, "simple"): (0.90, 0.20),
    (2, "hard"): (0.90, 0.10),
    (3, "simple"): (0.66, 0.20),
    (3, "hard"): (0.90, 0.20),
    (5, "simple"): (0.66, 0.30),
    (5, "hard"): (0.66, 0.20),
    (10, "simple"): (0.90, 0.40),
}
"""Distance and radius of the global minimum in the classes that the field uses."""


@dataclass(frozen=True, slots=True, eq=False)
class Gkls:
    """One function of a class; calling it gives value and gradient.

    Attributes
    ----------
    type : {'D', 'ND', 'D2'}
    places : ndarray, shape (m, n)
        The minima: the vertex of the paraboloid, the global one, the others.
    values, radii : ndarray, shape (m,)
        Their values, and the radii of their balls (that of the vertex changes nothing).
    """

    type: str
    places: Vector
    values: Vector
    radii: Vector

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient; on the edge of a ball of type ND one of the two."""
        away = x - self.places[1:]
        distance = np.sqrt(np.einsum("ij,ij->i", away, away))
        inside = np.flatnonzero(distance <= self.radii[1:])
        from_vertex = x - self.places[0]
        if not inside.size:
            return float(from_vertex @ from_vertex), 2.0 * from_vertex
        ball = int(inside[0])
        return self._in_ball(ball + 1, away[ball], float(distance[ball]))

    def _in_ball(self, i: int, away: Vector, r: float) -> tuple[float, Vector]:
        """Return ``f_i + sum_k (a_k s + b_k) r^k`` and its gradient, s along `away`."""
        f, to_vertex = float(self.values[i]), self.places[0] - self.places[i]
        if r == 0.0:
            return f, np.zeros_like(away)
        unit = away / r
        s = float(unit @ to_vertex)
        depth = float(to_vertex @ to_vertex) - f
        g = np.zeros_like(away)
        for k, a, b in polynomial(self.type, float(self.radii[i]), depth):
            factor = a * s + b
            f += factor * r**k
            g += r ** (k - 1) * (a * (to_vertex - s * unit) + k * factor * unit)
        return f, g


def polynomial(type: str, rho: float, depth: float) -> list[tuple[int, float, float]]:
    """Return power, a and b of each term ``(a s + b) r^k`` inside of a ball.

    `depth` is how far the centre lies below the paraboloid there: A_i of the paper (2003, 2.3).
    """
    if type == "ND":
        return [(2, -2.0 / rho, 1.0 + depth / rho**2)]
    if type == "D":
        return [
            (3, 2.0 / rho**2, -2.0 * depth / rho**3),
            (2, -4.0 / rho, 1.0 + 3.0 * depth / rho**2),
        ]
    rest = 1.0 - CURVATURE / 2.0
    return [
        (5, -6.0 / rho**4, 6.0 * depth / rho**5 + rest / rho**3),
        (4, 16.0 / rho**3, -15.0 * depth / rho**4 - 3.0 * rest / rho**2),
        (3, -12.0 / rho**2, 10.0 * depth / rho**3 + 3.0 * rest / rho),
        (2, 0.0, CURVATURE / 2.0),
    ]


def gkls(n: int, seed: int, *, type: str = "D", minima: int = 10, level: str = "simple") -> Gkls:
    """Return the function number `seed` of a class.

    Parameters
    ----------
    n : int
        Variables: 2, 3, 5 or 10.
    seed : int
    type : {'D', 'ND', 'D2'}
    minima : int
        How many minima it has, the global one and the vertex among them.
    level : {'simple', 'hard'}
        See `CLASSES`.
    """
    if type not in TYPES:
        raise ValueError(f"type is one of {TYPES}, not {type!r}")
    far, radius = CLASSES[n, level]
    random = np.random.default_rng((n, minima, seed))
    vertex = random.uniform(-1.0, 1.0, n)
    best = _at_distance(random, vertex, far)
    places = [vertex, best]
    while len(places) < minima:
        x = random.uniform(-1.0, 1.0, n)
        near = [float(np.linalg.norm(x - y)) for y in places]
        if near[1] > 2.0 * radius and min(near) > 0.05:
            places.append(x)
    made = np.array(places)
    radii = _radii(made, radius)
    return Gkls(type, made, _values(random, made, radii), radii)


def _at_distance(random: Any, centre: Vector, far: float) -> Vector:
    """Return a point of the box at a distance in a random direction, coordinates turned round."""
    for _ in range(1000):
        direction = random.standard_normal(centre.size)
        step = far * direction / np.linalg.norm(direction)
        x = np.where(np.abs(centre + step) <= 1.0, centre + step, centre - step)
        if np.all(np.abs(x) <= 1.0):
            return np.asarray(x)
    raise RuntimeError("no place for the global minimum")


def _radii(places: Vector, radius: float) -> Vector:
    """Return the radii of the balls: as large as they can be, one after the other."""
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, math.inf)
    rho = apart.min(axis=1) / 2.0
    rho[1] = radius
    for i in range(len(places)):
        if i != 1:
            rho[i] = min(rho[i], float(apart[i, 1]) - radius)
            rho[i] = max(rho[i], float(np.min(np.delete(apart[i] - rho, i))))
    rho *= SHRUNK
    rho[1] = radius
    return np.asarray(rho)


def _values(random: Any, places: Vector, rho: Vector) -> Vector:
    """Return the values at the minima: below the lowest one on the edge of each ball."""
    values = np.zeros(len(places))
    values[1] = GLOBAL
    for i in range(2, len(places)):
        edge = (rho[i] - float(np.linalg.norm(places[i] - places[0]))) ** 2
        deep = min((1.0 + random.random()) * rho[i], random.random() * (edge - GLOBAL))
        values[i] = edge - deep
    return values
