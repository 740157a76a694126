"""Fit electron mobility in a semiconductor: NIST's Thurber set, a cubic over a cubic.

The model has poles, and the sum of squares has local minima in which a single minimizer ends.
"""

from __future__ import annotations

import numpy as np

from examples.nist import fit, load, report

BOX = {
    "b1": (500, 2500), "b2": (500, 2500), "b3": (100, 1000), "b4": (10, 200),
    "b5": (0.1, 2), "b6": (0.05, 1), "b7": (0.01, 0.2),
}  # fmt: skip


def model(x: np.ndarray, *b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (b1 + b2 x + b3 x^2 + b4 x^3) / (1 + b5 x + b6 x^2 + b7 x^3) and its Jacobian."""
    powers = np.array([np.ones_like(x), x, x**2, x**3])
    above = np.array(b[:4]) @ powers
    below = 1 + np.array(b[4:]) @ powers[1:]
    return above / below, np.concatenate([powers / below, -above / below**2 * powers[1:]])


def main() -> float:
    """Run the study and print it."""
    data = load("Thurber")
    return report(data, fit(data, model, BOX))


if __name__ == "__main__":
    main()
