"""Design a short-pass filter on glass: twelve thin films, two limits that the best design meets.

The index of the dense material is free.  A denser film absorbs more, as its band gap shrinks
with index^4 (Moss's rule): this bounds index^4 times the thickness that is dense.
"""

from __future__ import annotations

import numpy as np

import optdriver
from examples.optics import transmittance

WAVELENGTHS = np.r_[400:531:2.5, 580:701:2.5]  # nm; the edge lies in the gap
TARGET = (WAVELENGTHS < 550).astype(float)
PAIRS, SILICA = 6, 1.46
DENSE, LIGHT = ([f"{material}{i}" for i in range(1, PAIRS + 1)] for material in "hl")
FILMS = [name for pair in zip(DENSE, LIGHT, strict=True) for name in pair]  # from the air on
BOX = {"index": (1.9, 2.4)} | dict.fromkeys(FILMS, (20.0, 160.0))  # nm, none thinner than 20
CONSTRAINTS = [
    {"name": "total", "constraint": f"{' + '.join(FILMS)} <= 900"},
    {"name": "absorption", "constraint": f"index^4*({' + '.join(DENSE)}) <= 8000"},
]
QUARTER_WAVES = [2.2] + [640 / 4 / 2.2, 640 / 4 / SILICA] * PAIRS  # the textbook's reflector


def spectrum(index: float, **films: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the transmittance and its derivatives, a row for each parameter."""
    indices = np.tile([index, SILICA], PAIRS)
    value, by_thickness, by_index = transmittance(
        WAVELENGTHS, np.array([films[name] for name in FILMS]), indices
    )
    return value, np.vstack([by_index[::2].sum(axis=0), by_thickness])


def merit(**design: float) -> tuple[float, np.ndarray]:
    """Return the mean squared deviation from the target, and its gradient."""
    value, slopes = spectrum(**design)
    off = value - TARGET
    return off @ off / off.size, 2 * slopes @ off / off.size


def main() -> optdriver.Study:
    """Run four minimizers: one from the quarter waves, made thinner, three from elsewhere."""
    study = optdriver.create_study(BOX, constraints=CONSTRAINTS, study_name="short-pass filter")
    study.set_parameters(jac=True, gtol=1e-8, initial_samples=[QUARTER_WAVES])
    study.set_parameters(num_initial=4, max_num_minimizers=4)
    study.run(merit)
    return study


if __name__ == "__main__":
    study = main()
    best = study.info()
    print(f"mean squared deviation {best['min_objective']:.6f}, {best['num_evaluations']} designs")
    units = {"index": ""}  # all others are thicknesses
    for name, value in best["min_params"].items():
        print(f"  {name:6}{value:7.2f} {units.get(name, 'nm')}".rstrip())
    for name, multiplier in best["multipliers"].items():
        print(f"active: {name}, multiplier {multiplier:.2e}")
