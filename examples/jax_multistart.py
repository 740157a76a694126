"""Fit the places of charges on a ring: a whole multi-start in one compiled loop of JAX."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from optdriver.batch.jax import Minima, minimize

CHARGES = 6


def energy(angles: Array, field: Array) -> Array:
    """Return the energy of unit charges on a ring of radius 1, in a field with three valleys."""
    x, y = jnp.cos(angles), jnp.sin(angles)
    i, j = np.triu_indices(CHARGES, 1)
    squares = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2
    return jnp.sum(1 / jnp.sqrt(squares + 1e-9)) + field * jnp.sum(jnp.cos(3 * angles))


def main() -> list[Minima]:
    """Return the results for two fields; the second needs no compilation."""
    bounds = [(0.0, 2 * np.pi)] * CHARGES
    return [minimize(energy, bounds, total=400, lanes=64, args=(field,)) for field in (1.0, 4.0)]


if __name__ == "__main__":
    for result in main():
        best = result.best
        print(
            f"energy {result.fun[best]:.6f} at {np.sort(result.x[best]).round(3)}, "
            f"{np.unique(result.fun[result.success].round(5)).size} energies from "
            f"{len(result.fun)} starts, {result.nfev.sum()} evaluations"
        )
