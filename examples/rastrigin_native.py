"""Minimise the Rastrigin function with a study whose points this loop asks for itself."""

from __future__ import annotations

import numpy as np

import optdriver


def rastrigin(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value and the gradient."""
    turn = 2 * np.pi * x
    value = 10 * x.size + np.sum(x**2 - 10 * np.cos(turn))
    return float(value), 2 * x + 20 * np.pi * np.sin(turn)


def main() -> optdriver.Study:
    """Ask and tell until the study has enough."""
    study = optdriver.create_study({"x1": (-1.5, 1.5), "x2": (-1.5, 1.5)})
    study.set_parameters(jac=True, num_initial=3, max_iter=200, max_num_minimizers=12)
    while not study.is_done():
        suggestion = study.ask()
        value, gradient = rastrigin(np.array(list(suggestion.params.values())))
        study.tell(suggestion.id, value, gradient)
    return study


if __name__ == "__main__":
    study = main()
    x1, x2 = study.best.x
    print(f"best: {study.best.value:.1e} at ({x1:.1e}, {x2:.1e})")
    for minimum in study.minima:
        x1, x2 = minimum.x
        place = f"({x1:9.6f}, {x2:9.6f})"
        print(f"{minimum.value:10.6f} at {place}, times found: {minimum.times_found}")
