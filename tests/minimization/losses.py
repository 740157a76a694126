"""Losses whose minima are known."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

COVARIANCE = np.array([[0.04, 0.01, 0.005], [0.01, 0.09, 0.02], [0.005, 0.02, 0.16]])
RETURNS = np.array([0.08, 0.12, 0.15])
WEIGHTS = np.array([121, 46, 30]) / 197
VARIANCE = 57 / 1970
ASSETS = {"w": (np.zeros(3), 1.0)}


def quadratic(x, y):
    return (x - 2) ** 2 + (y + 1) ** 2


def rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(x, y):
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def variance(w):
    return w @ COVARIANCE @ w


def rooted(x):
    """NaN for half of the box [-5, 5]; its minimum is where 1 = 4 sqrt(x) (1 - x)."""
    return jnp.sqrt(x) + (x - 1) ** 2


def rastrigin(x):
    return 10 * x.size + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))
