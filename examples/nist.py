"""What the fits of NIST's reference data share: reading, fitting, comparing the digits."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import log10
from pathlib import Path

import numpy as np

import optdriver


@dataclass(frozen=True)
class Data:
    """A data set, and NIST's certified residual sum of squares (``rss``) and parameters."""

    name: str
    x: np.ndarray
    y: np.ndarray
    certified: dict[str, float]


def load(name: str) -> Data:
    """Read ``data/<name>.dat``: certified values in the comments, then two columns y, x."""
    path = Path(__file__).with_name("data") / f"{name.lower()}.dat"
    found = re.findall(r"# certified (\w+) = (\S+)", path.read_text(encoding="utf-8"))
    y, x = np.loadtxt(path, unpack=True)
    return Data(name, x, y, {key: float(value) for key, value in found})


def fit(data: Data, model: Callable, box: dict, minimizers: int = 16) -> optdriver.Study:
    """Fit by least squares from `minimizers` starts in the box, each to the last digits."""
    total = np.sum((data.y - data.y.mean()) ** 2)

    def unexplained(**b: float) -> tuple[float, np.ndarray]:
        """Return the share of the variance that the model does not explain, and its gradient."""
        fitted, jacobian = model(data.x, *b.values())
        residual = fitted - data.y
        return residual @ residual / total, 2 * jacobian @ residual / total

    study = optdriver.create_study(box, study_name=data.name)
    study.set_parameters(jac=True, ftol=0.0, gtol=1e-8, max_num_minimizers=minimizers, seed=0)
    study.run(unexplained)
    return study


def report(data: Data, model: Callable, study: optdriver.Study) -> float:
    """Print the fit beside the certified answer; return the digits that the rss agrees to."""
    fitted = study.best.params
    rss = float(np.sum((model(data.x, *fitted.values())[0] - data.y) ** 2))
    print(f"{data.name}: {len(data.y)} observations, {len(fitted)} parameters")
    print(f"{len(study.runs)} minimizers, {study.num_evaluations} evaluations; minima found:")
    for minimum in study.minima:
        print(f"{minimum.value:14.6e} of the variance unexplained, {minimum.times_found} times")
    print(f"\n{'':4}{'fitted':>20}{'certified by NIST':>20}{'digits':>8}")
    for name, value in {**fitted, "rss": rss}.items():
        error = max(abs(value / data.certified[name] - 1), 1e-11)
        print(f"{name:4}{value:20.10e}{data.certified[name]:20.10e}{-log10(error):8.1f}")
    return -log10(error)
