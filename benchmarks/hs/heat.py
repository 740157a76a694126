"""Problems 88 to 92: heating a rod at discrete times; the constraint bounds the final deviation.

The temperature is a series over the roots mu of mu tan mu = 1; thirty terms, as in the book. The
deviation is a double sum over them: a function, since its text has more than 40,000 characters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import brentq

from benchmarks.hs.problem import Vector

TERMS = 30


def heat_constraint(n: int) -> Callable[[], Any]:
    """Return what makes the constraint of the problem with `n` variables."""
    return lambda: Heat(n)


def _roots() -> Vector:
    """Return the first roots of mu sin mu = cos mu."""
    found = [
        brentq(lambda z: z * np.sin(z) - np.cos(z), k * np.pi, (k + 0.5) * np.pi, xtol=1e-15)
        for k in range(TERMS)
    ]
    return np.array(found)


class Heat:
    """f(x) - 1e-4 <= 0, f = rho'Q rho - q'rho + 2/15, rho_j = -sum_k s_k exp(-mu_j^2 T_k)/mu_j^2.

    T_k is the sum of x_i^2 from i = k on (T_n = 0 beyond the last), s = (1, -2, 2, ..., (-1)^n).
    """

    names = ("heat",)
    n_inequalities = 1

    def __init__(self, n: int) -> None:
        self.n = n
        mu = _roots()
        weight = 2.0 * np.sin(mu) / (mu + np.sin(mu) * np.cos(mu)) * mu**2
        plus, minus = mu[:, None] + mu, mu[:, None] - mu
        overlap = np.sin(plus) / plus + np.sinc(minus / np.pi)
        self._mu2 = mu**2
        self._q_matrix = 0.5 * np.outer(weight, weight) * overlap
        self._q = 2.0 * weight * (np.sin(mu) / mu**3 - np.cos(mu) / mu**2)
        signs = [1.0, *(2.0 * (-1.0) ** k for k in range(1, n)), (-1.0) ** n]
        self._signs = np.array(signs)
        self.lower, self.upper = np.full(n, -np.inf), np.full(n, np.inf)

    def _rho(self, x: Vector) -> tuple[Vector, Vector, Vector]:
        """Return rho and its first and second derivatives with respect to w = x^2."""
        tails = np.append(np.cumsum(x[::-1] ** 2)[::-1], 0.0)
        waves = self._signs * np.exp(-np.outer(self._mu2, tails))
        inside = np.tril(np.ones((self.n, self.n)))  # w_i is in T_k for k <= i
        first = waves[:, :-1] @ inside.T
        pairs = np.minimum.outer(np.arange(self.n), np.arange(self.n))
        second = -self._mu2[:, None, None] * first[:, pairs]
        return -waves.sum(axis=1) / self._mu2, first, second

    def values(self, x: Vector) -> Vector:
        """Return the one row."""
        rho, _, _ = self._rho(x)
        return np.array([rho @ self._q_matrix @ rho - self._q @ rho + 2.0 / 15.0 - 1e-4])

    def jacobian(self, x: Vector) -> Vector:
        """Return its gradient."""
        rho, first, _ = self._rho(x)
        slope = 2.0 * self._q_matrix @ rho - self._q
        return np.array((slope @ first) * 2.0 * x).reshape(1, -1)

    def hessian(self, x: Vector, multipliers: Vector) -> Vector:
        """Return its Hessian times the multiplier."""
        rho, first, second = self._rho(x)
        slope = 2.0 * self._q_matrix @ rho - self._q
        bend = 2.0 * first.T @ self._q_matrix @ first + np.tensordot(slope, second, axes=1)
        full = 4.0 * np.outer(x, x) * bend + np.diag(2.0 * slope @ first)
        return np.array(multipliers[0] * full)
