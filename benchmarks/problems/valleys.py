"""Narrow, curved valleys whose floors fall gently: random ones with minima that are known.

In the valley's own variables `z` the objective is ``slope(z_1) + sum_i k_i (z_i - a_i c(z_1))^2``,
with a curve `c` that is a parabola, a cubic or a sine.  Two to six variables, walls 10^2 to 10^7
steep, slopes of 10^-4 to 1, turned or not, variables in units of 10^-6 to 10^6 or powers of two.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .problem import Vector

WIDTH = 0.5  # of the bend at the end of a floor
END = -3.0  # where one without a bend meets the side of its box
SIDE = 20.0  # of the box of the others

Curve = Callable[[float], tuple[float, float]]
CURVES: dict[str, Curve] = {
    "parabola": lambda t: (t * t / 2.0, t),
    "cubic": lambda t: (t**3 / 6.0, t * t / 2.0),
    "sine": lambda t: (float(np.sin(2.0 * t)), 2.0 * float(np.cos(2.0 * t))),
}


class Valley:
    """One of them, in its own unit of f.

    Attributes
    ----------
    start, lower, upper, units : ndarray, shape (n,)
        Of the variables that are asked, which are `units` times those of the box of `z`.
    unit : float
        A factor for the objective.
    least : float
        Its value at the minimum, without that factor.
    """

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng([77, seed])
        self.n = int(rng.integers(2, 7))
        self.curve = CURVES[str(rng.choice(list(CURVES)))]
        self.walls = 10.0 ** rng.uniform(2.0, 7.0, self.n - 1)
        self.slope = float(10.0 ** rng.uniform(-4.0, 0.0))
        self.bends = rng.uniform(0.5, 1.5, self.n - 1) * rng.choice([-1, 1], self.n - 1)
        turned = rng.random() < 0.5
        self.turn = np.eye(self.n)
        if turned:
            self.turn = np.linalg.qr(rng.standard_normal((self.n, self.n)))[0]
        exponents = rng.uniform(-6.0, 6.0, self.n)
        kind = rng.integers(3)
        self.units = (np.ones(self.n), 2.0 ** np.round(3.0 * exponents), 10.0**exponents)[kind]
        self.unit = (1.0, float(2.0 ** rng.integers(-20, 21)))[rng.integers(2)]
        self.straight = not turned and rng.random() < 0.5  # its floor falls up to the box
        self.lowest = -float(rng.uniform(1.0, 3.0))
        z = np.empty(self.n)
        z[0] = rng.uniform(1.0, 3.0)
        z[1:] = self.bends * self.curve(z[0])[0]
        z[1:] += rng.standard_normal(self.n - 1) * 10.0 ** rng.uniform(-3.0, 0.0)
        self.start = self.turn @ z
        self.lower, self.upper = np.full(self.n, -SIDE), np.full(self.n, SIDE)
        if self.straight:
            self.lower[0], self.upper[0] = END, -END
        self.least = END * self.slope if self.straight else 0.0

    def floor(self, t: float) -> tuple[float, float]:
        """Return how high the floor is, and its slope."""
        if self.straight:
            return self.slope * t, self.slope
        u = (t - self.lowest) / WIDTH
        r = float(np.hypot(1.0, u))
        return self.slope * WIDTH * (r - 1.0), self.slope * u / r

    def fun(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient."""
        z = self.turn.T @ x
        c, dc = self.curve(float(z[0]))
        height, slope = self.floor(float(z[0]))
        off = z[1:] - self.bends * c
        g = np.empty(self.n)
        g[1:] = 2.0 * self.walls * off
        g[0] = slope - dc * float(g[1:] @ self.bends)
        return height + float(self.walls @ (off * off)), self.turn @ g
