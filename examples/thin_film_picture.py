"""Draw the spectra of the thin-film filter: where a minimizer started, and the best design."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import optdriver
from examples import thin_film


def draw(study: optdriver.Study, path: str | Path) -> None:
    """Draw the target, the spectrum of the first start and that of the best design."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    passing = thin_film.TARGET > 0
    for band, wanted in ((passing, 1.0), (~passing, 0.0)):
        ends = thin_film.WAVELENGTHS[band][[0, -1]]
        axes.plot(ends, [wanted, wanted], color="#35507a", linewidth=5, alpha=0.3)
    start, best = dict(study.runs[0].start), dict(study.best.params)
    for design, color, label in (
        (start, "#7a7a7a", "quarter waves, made thinner"),
        (best, "#c0392b", "best design"),
    ):
        value, _ = thin_film.spectrum(**design)
        shown = np.insert(value, np.count_nonzero(passing), np.nan)  # no line across the edge
        at = np.insert(thin_film.WAVELENGTHS, np.count_nonzero(passing), 550.0)
        axes.plot(at, shown, color=color, label=label)
    axes.set(xlabel="wavelength in nm", ylabel="transmittance", ylim=(-0.03, 1.03))
    figure.legend(loc="outside upper center", ncols=2)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()) / "thin_film.png"
    draw(thin_film.main(), path)
    print(f"the spectra are in {path}")
