"""NIST's reference data sets of nonlinear regression: 27 fits, certified to 11 digits.

`SETS` has them by name.  The data are in ``sets.txt``; the models are here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Model = Callable[..., Any]

STEP = 1e-150
"""Of the complex step, whose derivative has no error but rounding."""


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set, its model, and what is certified of the fit.

    Attributes
    ----------
    name : str
    model : callable
        ``model(x, b)``, with `b` of shape (n,), real or complex, or JAX's.
    x : ndarray, shape (m,) or (2, m)
    y : ndarray, shape (m,)
    starts : ndarray, shape (2, n)
        NIST's far start and near start.
    b, sd : ndarray, shape (n,)
        Certified parameters and their standard deviations.
    rss : float
        The certified residual sum of squares.
    """

    name: str
    model: Model
    x: Vector
    y: Vector
    starts: Vector
    b: Vector
    sd: Vector
    rss: float

    @property
    def names(self) -> list[str]:
        """The names of the parameters: b1, b2, ..."""
        return [f"b{k + 1}" for k in range(self.b.size)]

    @property
    def box(self) -> Vector:
        """A wide box, shape (n, 2): from zero to four times each parameter, on one side of zero.

        It holds both of NIST's starts where these have the sign of the certified value.
        """
        reach = 4.0 * np.abs(self.b)
        for start in self.starts:
            reach = np.where(start * self.b > 0.0, np.maximum(reach, 1.25 * np.abs(start)), reach)
        zero = np.zeros_like(reach)
        return np.sort(np.column_stack([zero, np.sign(self.b) * reach]), axis=1)

    def residuals(self, b: Any) -> Vector:
        """Return the model minus the data, shape (m,)."""
        with np.errstate(all="ignore"):
            return np.asarray(self.model(self.x, np.asarray(b)) - self.y)

    def jacobian(self, b: Any) -> Vector:
        """Return the derivatives of the residuals by the parameters, shape (m, n)."""
        columns = []
        for k in range(self.b.size):
            moved = np.array(b, dtype=np.complex128)
            moved[k] += 1j * STEP
            with np.errstate(all="ignore"):
                columns.append(self.residuals(moved).imag / STEP)
        return np.column_stack(columns)


def digits(found: Any, certified: Any) -> float:
    """Return the number of digits that all numbers agree in: NIST's log relative error."""
    found, certified = np.asarray(found, dtype=float), np.asarray(certified, dtype=float)
    with np.errstate(divide="ignore"):
        agreed = -np.log10(np.abs(found - certified) / np.abs(certified))
    return float(min(11.0, np.min(np.where(np.isnan(agreed), 0.0, agreed))))


def _enso(x: Any, b: Any) -> Any:
    t = 2 * np.pi * x
    year = b[0] + b[1] * np.cos(t / 12) + b[2] * np.sin(t / 12)
    slow = b[4] * np.cos(t / b[3]) + b[5] * np.sin(t / b[3])
    return year + slow + b[7] * np.cos(t / b[6]) + b[8] * np.sin(t / b[6])


def _peaks(x: Any, b: Any) -> Any:
    first = b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2)
    return b[0] * np.exp(-b[1] * x) + first + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)


def _cubic(x: Any, b: Any) -> Any:
    above = b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3
    return above / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def _decays(x: Any, b: Any) -> Any:
    return b[0] * np.exp(-b[1] * x) + b[2] * np.exp(-b[3] * x) + b[4] * np.exp(-b[5] * x)


MODELS: dict[str, Model] = {
    "Bennett5": lambda x, b: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": lambda x, b: b[0] * (1 - np.exp(-b[1] * x)),
    "Chwirut1": lambda x, b: np.exp(-b[0] * x) / (b[1] + b[2] * x),
    "Chwirut2": lambda x, b: np.exp(-b[0] * x) / (b[1] + b[2] * x),
    "DanWood": lambda x, b: b[0] * x ** b[1],
    "Eckerle4": lambda x, b: b[0] / b[1] * np.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "ENSO": _enso,
    "Gauss1": _peaks,
    "Gauss2": _peaks,
    "Gauss3": _peaks,
    "Hahn1": _cubic,
    "Kirby2": lambda x, b: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": _decays,
    "Lanczos2": _decays,
    "Lanczos3": _decays,
    "MGH09": lambda x, b: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda x, b: b[0] * np.exp(b[1] / (x + b[2])),
    "MGH17": lambda x, b: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]),
    "Misra1a": lambda x, b: b[0] * (1 - np.exp(-b[1] * x)),
    "Misra1b": lambda x, b: b[0] * (1 - (1 + b[1] * x / 2) ** -2),
    "Misra1c": lambda x, b: b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5),
    "Misra1d": lambda x, b: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda x, b: b[0] - b[1] * x[0] * np.exp(-b[2] * x[1]),
    "Rat42": lambda x, b: b[0] / (1 + np.exp(b[1] - b[2] * x)),
    "Rat43": lambda x, b: b[0] / (1 + np.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda x, b: b[0] - b[1] * x - np.arctan(b[2] / (x - b[3])) / np.pi,
    "Thurber": _cubic,
}


def _read() -> dict[str, DataSet]:
    found: dict[str, dict[str, list[float]]] = {}
    for line in (Path(__file__).parent / "sets.txt").read_text().splitlines():
        name, *words = line.split()
        if name == "#":
            continue
        if name == "set":
            found[words[0]] = parts = {}
        else:
            parts.setdefault(name, []).extend(map(float, words))
    return {name: _made(name, parts) for name, parts in found.items()}


def _made(name: str, parts: dict[str, list[float]]) -> DataSet:
    table = np.array([numbers for key, numbers in parts.items() if key[0] == "b"])
    columns = [np.array(parts[key]) for key in ("x", "x2") if key in parts]
    y = np.array(parts["y"])
    return DataSet(
        name=name,
        model=MODELS[name],
        x=columns[0] if len(columns) == 1 else np.array(columns),
        y=np.log(y) if name == "Nelson" else y,
        starts=table[:, :2].T.copy(),
        b=table[:, 2],
        sd=table[:, 3],
        rss=parts["rss"][0],
    )


SETS = _read()
