"""Fit NIST's MGH09 set, which some very good algorithms fail: a ratio of quadratics."""

from __future__ import annotations

import numpy as np

from examples.nist import fit, load, report

BOX = {"b1": (0, 50), "b2": (0, 50), "b3": (0, 50), "b4": (0, 50)}


def model(x: np.ndarray, *b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return b1 (x^2 + b2 x) / (x^2 + b3 x + b4) and its Jacobian."""
    b1, b2, b3, b4 = b
    above, below = x**2 + b2 * x, x**2 + b3 * x + b4
    slope = -b1 * above / below**2
    return b1 * above / below, np.array([above / below, b1 * x / below, slope * x, slope])


def main() -> float:
    """Run the study and print it."""
    data = load("MGH09")
    return report(data, fit(data, model, BOX))


if __name__ == "__main__":
    main()
