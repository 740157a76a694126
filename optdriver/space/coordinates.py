"""Between the numbers of a user and those that minimizers see: logarithms, and factors of two.

The minimizers see ``z`` with ``t_i = z_i * 2**k_i``, where ``t`` is the user's number ``x`` or, of
a logarithmic one, ``log(x)``, and ``k_i = round(log2(width))`` of the box of ``t`` (0 for an
infinite side), so that every finite box is about one unit wide.  Multiplying by a power of two
changes no digit.  Bounds map to bounds exactly, and no number lies outside; a logarithmic number
between them is the same to rounding on the way there and back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Coordinates:
    """The way from the user's numbers to the minimizer's and back.

    Attributes
    ----------
    lower, upper : ndarray, shape (n,)
        The box of x.
    log : ndarray of bool, shape (n,)
        Which numbers are seen by their logarithm; their bounds are above 0.
    logarithmic : bool
        Whether there are any.
    sides : ndarray, shape (2, n)
        The box of t.
    scale : ndarray, shape (n,)
        ``t = z * scale``.
    """

    lower: Vector
    upper: Vector
    log: NDArray[np.bool_]
    logarithmic: bool
    sides: Vector
    scale: Vector

    @classmethod
    def of(
        cls, lower: Vector, upper: Vector, log: NDArray[np.bool_], *, scaled: bool = True
    ) -> Coordinates:
        """Return the coordinates of a box; without `scaled`, ``z = t``."""
        sides = np.array([logarithms(lower, log), logarithms(upper, log)])
        scale = [factor(*pair) if scaled else 1.0 for pair in sides.T.tolist()]
        return cls(lower, upper, log, bool(log.any()), sides, np.array(scale))

    @property
    def bounds(self) -> Vector:
        """The box of z, shape (2, n)."""
        return np.array(self.sides / self.scale)

    def to_user(self, z: Vector) -> Vector:
        """Return x for z, shape (n,) or (k, n)."""
        t = np.multiply(z, self.scale)
        return self.outer(t) if self.logarithmic else t

    def to_driver(self, x: Vector) -> Vector:
        """Return z for x, shape (n,) or (k, n)."""
        return np.divide(self.inner(x), self.scale)

    def outer(self, t: Vector) -> Vector:
        """Return x for t; `t` itself where nothing is logarithmic."""
        if not self.logarithmic:
            return t
        x = np.array(t)
        for i in np.flatnonzero(self.log):
            sides, bounds = self.sides[:, i].tolist(), (float(self.lower[i]), float(self.upper[i]))
            column = x[..., i]
            x[..., i] = np.reshape(
                [_exponential(value, sides, bounds) for value in np.ravel(column).tolist()],
                column.shape,
            )
        return x

    def inner(self, x: Vector) -> Vector:
        """Return t for x; `x` itself where nothing is logarithmic."""
        return logarithms(x, self.log) if self.logarithmic else x

    def slope(self, x: Vector) -> Vector:
        """Return the derivatives of x by z, at x."""
        return np.where(self.log, x, 1.0) * self.scale if self.logarithmic else self.scale

    def gradient_to_driver(self, gradient: Vector, x: Vector) -> Vector:
        """Return derivatives by x, at x, as derivatives by z (chain rule).

        What is too large there becomes infinite, which minimizers take for a failure.
        """
        return np.multiply(gradient, self.slope(x) if self.logarithmic else self.scale)


def logarithms(x: Vector, log: NDArray[np.bool_]) -> Vector:
    """Return `x`, shape (n,) or (k, n), with the logarithms of the numbers that `log` marks.

    They are taken one at a time: those of arrays differ between processors in their last bits.
    """
    if not log.any():
        return x
    t = np.array(x)
    column = t[..., log]
    t[..., log] = np.reshape([math.log(v) for v in np.ravel(column).tolist()], column.shape)
    return t


def _exponential(t: float, sides: list[float], bounds: tuple[float, float]) -> float:
    """Return exp(t), at a bound and beyond the bound itself."""
    low, high = bounds
    if t <= sides[0]:
        return low
    if t >= sides[1]:
        return high
    try:
        return min(max(math.exp(t), low), high)
    except OverflowError:
        return high


def factor(lower: float, upper: float) -> float:
    """Return the power of two nearest to the width of a box; 1 where none is exact."""
    width = upper - lower
    if not 0.0 < width < math.inf:
        return 1.0
    power = round(math.log2(width))
    if not -900 < power < 900:
        return 1.0
    factor = 2.0**power
    exact = lower / factor * factor == lower and upper / factor * factor == upper
    return factor if exact else 1.0
