"""Objectives at many points at once, and where to start on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
INF = np.inf


def rosenbrock(x: Floats) -> tuple[Floats, Floats]:
    t, u = x[:, 1:] - x[:, :-1] ** 2, 1.0 - x[:, :-1]
    g = np.zeros_like(x)
    g[:, :-1] = -400.0 * x[:, :-1] * t - 2.0 * u
    g[:, 1:] += 200.0 * t
    return (100.0 * t**2 + u**2).sum(axis=1), g


def ripples(x: Floats) -> tuple[Floats, Floats]:
    """Smooth, with several minima."""
    k = np.arange(1.0, x.shape[1] + 1)
    t, angle = x - 0.3, 3.0 * x + k
    f = 0.1 * (t**2).sum(axis=1) + np.cos(angle).sum(axis=1)
    return f, 0.2 * t - 3.0 * np.sin(angle)


def valley(x: Floats) -> tuple[Floats, Floats]:
    """Convex and badly scaled, with its minimum at 1."""
    scale = 10.0 ** np.linspace(0, 3, x.shape[1])
    t = x - 1.0
    return (scale * t**2).sum(axis=1) + (t**4).sum(axis=1), 2.0 * scale * t + 4.0 * t**3


FUNCTIONS = {"rosenbrock": rosenbrock, "ripples": ripples, "valley": valley}

BOUNDS = {
    "none": None,
    "box": [(-2.0, 2.0)] * 4,
    "active": [(-2.0, 0.5), (0.25, 2.0), (-1.0, 0.0), (1.5, 2.0)],
    "half": [(None, 0.5), (-INF, INF), (0.1, None), (-1.0, INF)],
    "fixed": [(0.5, 0.5), (-2.0, 2.0), (None, None), (-1.5, -1.5)],
    "all fixed": [(0.5, 0.5)] * 4,
}


def starts(count: int, n: int = 4) -> Floats:
    """Return starts, some of them outside the bounds."""
    return np.random.default_rng(count).uniform(-3.0, 3.0, (count, n))
