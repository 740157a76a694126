"""Draw where a study evaluates under a constraint: never outside of the disc."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import optdriver

RADIUS = 1.2


def rastrigin(x1: float, x2: float, radius: float) -> tuple[float, list[float]]:
    """Return the value and the gradient; outside of the disc there is none."""
    if x1**2 + x2**2 > radius**2:
        raise ValueError("evaluated outside of the disc")
    x = np.array([x1, x2])
    value = 20 + np.sum(x**2 - 10 * np.cos(2 * np.pi * x))
    return float(value), (2 * x + 20 * np.pi * np.sin(2 * np.pi * x)).tolist()


def search() -> optdriver.Study:
    """Run minimizers until twenty have converged."""
    study = optdriver.create_study(
        {"x1": (-1.5, 1.5), "x2": (-1.5, 1.5), "radius": RADIUS},
        constraints=[{"name": "circle", "constraint": "x1^2 + x2^2 <= radius^2"}],
    )
    study.set_parameters(jac=True, num_initial=3, num_parallel=3, max_num_minimizers=20)
    study.run(rastrigin)
    return study


def draw(study: optdriver.Study, path: Path) -> None:
    """Draw the disc, the evaluated points and the minima."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot()
    axes.add_patch(Circle((0, 0), RADIUS, facecolor="#e8eef7", edgecolor="#35507a"))
    axes.plot(*study.history.x.T, ".", color="#7a7a7a", markersize=4, label="evaluated")
    minima = np.array([minimum.x for minimum in study.minima])
    axes.plot(*minima.T, "*", color="#c0392b", markersize=11, label="local minima")
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xlabel="x1", ylabel="x2")
    axes.legend(loc="upper right")
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()) / "disc.png"
    study = search()
    draw(study, path)
    reached = sum("circle" in run.active_constraints for run in study.runs)
    print(f"{study.num_evaluations} evaluations, {len(study.minima)} minima in {path}")
    print(f"{reached} of {len(study.runs)} minimizers ended on the circle")
