"""Fit the growth of onions: NIST's Rat43 set, a sigmoid with a free shape."""

from __future__ import annotations

import numpy as np

from examples.nist import fit, load, report

BOX = {"b1": (100, 1000), "b2": (1, 10), "b3": (0.1, 2), "b4": (0.1, 4)}


def model(x: np.ndarray, *b: float) -> tuple[np.ndarray, np.ndarray]:
    """Return b1 / (1 + exp(b2 - b3 x))^(1/b4) and its Jacobian."""
    b1, b2, b3, b4 = b
    e = np.exp(b2 - b3 * x)
    shape = (1 + e) ** (-1 / b4)
    slope = -b1 / b4 * shape * e / (1 + e)
    return b1 * shape, np.array([shape, slope, -x * slope, b1 / b4**2 * shape * np.log1p(e)])


def main() -> float:
    """Run the study and print it."""
    data = load("Rat43")
    return report(data, fit(data, model, BOX))


if __name__ == "__main__":
    main()
