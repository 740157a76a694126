"""A loss with a hundred minima, and one whose parameters differ by nine orders of magnitude.

`python -m examples.jax_rugged picture.png` draws the starts and the minima to which they led.
"""

from __future__ import annotations

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optdriver

BOX = (np.full(2, -4.5), np.full(2, 5.5))


def rastrigin(x):
    """Lowest at the origin, and 0 there."""
    return 10 * x.size + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))


def resonance(inductance, capacity, resistance):
    """Return how far a circuit is from 100 kHz, a quality of 50 and 1 ohm."""
    frequency = 1 / (2 * jnp.pi * jnp.sqrt(inductance * capacity))
    quality = jnp.sqrt(inductance / capacity) / resistance
    away = jnp.log(frequency / 1e5) ** 2 + jnp.log(quality / 50) ** 2
    return away + jnp.log(resistance) ** 2


def main() -> tuple[Any, Any]:
    """Minimise both; each variable is seen in units of the width of its bounds."""
    many = optdriver.minimize(rastrigin, BOX, n_iter=200, x64=True)
    bounds = {"inductance": (1e-6, 1e-3), "capacity": (1e-9, 1e-6), "resistance": (0.1, 10.0)}
    return many, optdriver.minimize(resonance, bounds, n_iter=5, x64=True, tol=1e-10)


def draw(many: Any, path: str) -> None:
    """Draw starts and ends."""
    figure = Figure(figsize=(5.5, 5), layout="constrained")
    axes = figure.add_subplot(aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    for points, style, label in (("x0", "k.", "starts"), ("x", "r+", "minima")):
        places = np.array([getattr(start, points) for start in many.starts])
        axes.plot(*places.T, style, label=label)
    axes.plot(*many.x, "*", color="#c0392b", markersize=14, label="best")
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    many, scaled = main()
    values = {round(float(start.fun), 4) for start in many.starts}
    print(f"best of {len(values)} values: {many.fun:.1e}, engine {many.engine}")
    print(", ".join(f"{name} = {float(value):.6g}" for name, value in scaled.x.items()))
    if len(sys.argv) > 1:
        draw(many, sys.argv[1])
