"""What the fits of NIST's reference data share: reading, fitting, comparing the digits."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import log10
from pathlib import Path

import numpy as np

import optdriver

COMMENTS = ("certified", "standard deviation of")


@dataclass(frozen=True)
class Data:
    """A data set, and NIST's certified sum of squares (``rss``), parameters and their errors."""

    name: str
    x: np.ndarray
    y: np.ndarray
    certified: dict[str, float]
    errors: dict[str, float]


def load(name: str) -> Data:
    """Read ``data/<name>.dat``: certified values in the comments, then two columns y, x."""
    path = Path(__file__).with_name("data") / f"{name.lower()}.dat"
    text = path.read_text(encoding="utf-8")
    found = (re.findall(rf"# {what} (\w+) = (\S+)", text) for what in COMMENTS)
    y, x = np.loadtxt(path, unpack=True)
    return Data(name, x, y, *({key: float(number) for key, number in pairs} for pairs in found))


def fit(data: Data, model: Callable, box: dict, minimizers: int = 16) -> optdriver.Study:
    """Fit by least squares from `minimizers` starts in the box, each to the last digits."""

    def residuals(**b: float) -> tuple[np.ndarray, np.ndarray]:
        fitted, jacobian = model(data.x, *b.values())
        return fitted - data.y, jacobian.T

    study = optdriver.create_study(box, driver="least-squares", study_name=data.name)
    study.set_parameters(jac=True, max_num_minimizers=minimizers, seed=0)
    study.run(residuals)
    return study


def report(data: Data, study: optdriver.Study) -> float:
    """Print the fit beside the certified answer; return the digits that agree everywhere."""
    print(f"{data.name}: {len(study.runs)} minimizers, {study.num_evaluations} evaluations")
    print(f"{study.minima}\n\n{'':12}{'fitted':>18}{'certified by NIST':>18}{'digits':>8}")
    rows = [("rss", 2 * study.best.value, data.certified["rss"])]
    for row in study.uncertainty().table:
        rows += [(row.name, row.value, data.certified[row.name])]
        rows += [(f"{row.name} error", row.standard_error, data.errors[row.name])]
    digits = [-log10(max(abs(fitted / certified - 1), 1e-11)) for _, fitted, certified in rows]
    for (name, fitted, certified), agreed in zip(rows, digits, strict=True):
        print(f"{name:12}{fitted:18.10e}{certified:18.10e}{agreed:8.1f}")
    return min(digits)
