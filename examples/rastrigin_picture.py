"""Draw the study of `rastrigin_study`, run for longer: its disc, the points and the minima."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

import optdriver
from examples.rastrigin_study import rastrigin, study


def draw(study: optdriver.Study, path: str | Path) -> None:
    """Draw the box, the disc in it with contours of the function, the points and the minima."""
    radius = study.best.params["radius"]
    figure = Figure(figsize=(5.5, 5.5), layout="constrained")
    axes = figure.add_subplot()
    x1, x2 = np.meshgrid(*[np.linspace(-1.5, 1.5, 201)] * 2)
    value = 20 + sum(x**2 - 10 * np.cos(2 * np.pi * x) for x in (x1, x2))
    inside = np.ma.masked_where(x1**2 + x2**2 > radius**2, value)
    axes.contourf(x1, x2, inside, levels=15, cmap="Blues", alpha=0.6)
    axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor="#35507a"))
    axes.plot(*study.history.x.T[:2], "o", color="#222222", markersize=4, label="evaluated")
    minima = np.array([minimum.x[:2] for minimum in study.minima]).reshape(-1, 2)
    axes.plot(*minima.T, "*", color="#c0392b", markersize=13, label="local minima")
    axes.set(xlim=(-1.5, 1.5), ylim=(-1.5, 1.5), aspect="equal", xlabel="x1", ylabel="x2")
    figure.legend(loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()) / "rastrigin.png"
    study.set_parameters(max_iter=400, max_num_minimizers=25)
    study.run(rastrigin)
    draw(study, path)
    print(f"{study.num_evaluations} evaluations, {len(study.minima)} minima in {path}")
