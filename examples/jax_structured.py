"""Numbers by position, arrays by name; a file that is named gets a picture of the last one."""

from __future__ import annotations

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optdriver

TARGET = np.arange(6).reshape(3, 2) / 4


def quadratic(x, y):
    """Lowest at (2, -1)."""
    return (x - 2) ** 2 + (y + 1) ** 2


def regression(W, b):
    """Lowest where W is the target and b is (1, -1)."""
    return jnp.sum((W - TARGET) ** 2) + jnp.sum((b - jnp.array([1, -1])) ** 2)


def rosenbrock(x, y):
    """Lowest at (1, 1), at the end of a curved valley."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def main() -> tuple[Any, Any, Any]:
    """Minimise the three; lists are handed over by position, dictionaries by name."""
    numbers = optdriver.minimize(quadratic, [(-5, 5), (-5, 5)], n_iter=3, x64=True)
    bounds = {"W": optdriver.Interval(-3, 3, shape=(3, 2)), "b": (-np.ones(2), 1.0)}
    arrays = optdriver.minimize(regression, bounds, n_iter=3, x64=True)
    named = optdriver.minimize(rosenbrock, {"x": (-2, 2), "y": (-1, 3)}, n_iter=6, x64=True)
    return numbers, arrays, named


def draw(result: Any, path: str) -> None:
    """Draw the valley, the starts, and where they led."""
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="x", ylabel="y")
    x, y = np.meshgrid(np.linspace(-2, 2, 200), np.linspace(-1, 3, 200))
    axes.contourf(x, y, np.log1p(rosenbrock(x, y)), 20, cmap="Blues")
    for start in result.starts:
        ends = [(float(p["x"]), float(p["y"])) for p in (start.x0, start.x)]
        axes.plot(*zip(*ends, strict=True), "o:", color="#c0392b", markevery=[0])
    axes.plot(*map(float, result.x.values()), "k*", markersize=14)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    for result in (results := main()):
        found = enumerate(result.x) if isinstance(result.x, list) else result.x.items()
        print({name: np.round(value, 4).tolist() for name, value in found}, result.message)
    if len(sys.argv) > 1:
        draw(results[-1], sys.argv[1])
