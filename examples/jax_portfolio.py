"""The portfolio of least variance that returns at least so much: exact at (121, 46, 30) / 197.

`python -m examples.jax_portfolio picture.png` draws variance against the return that is wanted.
"""

from __future__ import annotations

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import optdriver

COVARIANCE = np.array([[0.04, 0.01, 0.005], [0.01, 0.09, 0.02], [0.005, 0.02, 0.16]])
RETURNS = np.array([0.08, 0.12, 0.15])
EXACT, VARIANCE = np.array([121, 46, 30]) / 197, 57 / 1970


def variance(w):
    """Return the variance of the portfolio."""
    return w @ COVARIANCE @ w


def best(wanted: float, seed: int = 0) -> Any:
    """Return the portfolio; no weights that miss a constraint are ever evaluated."""
    constraints = [
        {"type": "eq", "fun": lambda w: jnp.sum(w) - 1, "name": "budget"},
        {"type": "ineq", "fun": lambda w: RETURNS @ w - wanted, "name": "return"},
    ]
    bounds = {"w": (np.zeros(3), 1.0)}
    return optdriver.minimize(
        variance, bounds, n_iter=3, seed=seed, constraints=constraints, x64=True
    )


def draw(path: str) -> None:
    """Draw the frontier and the three assets."""
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="standard deviation", ylabel="return")
    wanted = np.linspace(0.09, 0.149, 5)
    axes.plot([best(r).fun ** 0.5 for r in wanted], wanted, "o-", color="#35507a", label="frontier")
    axes.plot(np.diag(COVARIANCE) ** 0.5, RETURNS, "s", color="#7a7a7a", label="single assets")
    exact = (VARIANCE**0.5, RETURNS @ EXACT)
    axes.plot(*exact, "*", color="#c0392b", markersize=14, label="exact, return 0.1")
    axes.legend()
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    result = best(0.10)
    shares = ", ".join(f"{share:.4f}" for share in result.x["w"])
    print(f"shares {shares}, variance {result.fun:.5f}, active: {', '.join(result.active)}")
    if len(sys.argv) > 1:
        draw(sys.argv[1])
