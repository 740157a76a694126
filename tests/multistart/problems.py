"""Objectives with known minima, each with its gradient."""

from __future__ import annotations

import itertools

import numpy as np


def quadratic(x):
    """One minimum, at 1, 1/2, 1/3, ..."""
    weight = np.arange(1.0, x.size + 1)
    d = x - 1 / weight
    return float(np.sum(weight * d**2)), 2 * weight * d


def rastrigin(x):
    """A minimum near every integer point."""
    f = 10 * x.size + np.sum(x**2 - 10 * np.cos(2 * np.pi * x))
    return float(f), 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)


def rastrigin_minima(n, reach):
    """All minima with coordinates near -reach, ..., reach."""
    line = []
    for k in range(-reach, reach + 1):
        x = float(k)
        for _ in range(50):
            slope = 2 * x + 20 * np.pi * np.sin(2 * np.pi * x)
            x -= slope / (2 + 40 * np.pi**2 * np.cos(2 * np.pi * x))
        line.append(x)
    return [np.array(point) for point in itertools.product(line, repeat=n)]


def rosenbrock(x):
    """One minimum, at 1, 1, ..."""
    d = x[1:] - x[:-1] ** 2
    f = np.sum(100 * d**2 + (1 - x[:-1]) ** 2)
    g = np.zeros_like(x)
    g[:-1] = -400 * d * x[:-1] - 2 * (1 - x[:-1])
    g[1:] += 200 * d
    return float(f), g


def waves(x):
    """Some minima in a bowl, everywhere smooth, none at a round number."""
    k = np.arange(1.0, x.size + 1)
    f = np.sum(0.1 * (x - 0.3) ** 2 + np.cos(3 * x + k))
    return float(f), 0.2 * (x - 0.3) - 3 * np.sin(3 * x + k)


def drive(ms, objective, n=1, *, most=10_000):
    """Ask and tell to the end; return all points with their values, in the order of tells."""
    log = []
    while not ms.done and len(log) < most:
        for point in ms.ask(n):
            f, g = objective(point.x)
            ms.tell(point.id, f, g)
            log.append((point, f))
    return log


def iterates(log, run):
    """The points of one run, without difference points."""
    return [p.x for p, _ in log if p.run == run and p.kind == "iterate"]
