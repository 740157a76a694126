"""Comparison of a supplied gradient with finite differences, as data.

One point next to the first told one: the change of the objective against the trapezoidal rule

    f(x + d) - f(x)  =  (g(x) + g(x + d))'d / 2  +  O(|d|^3),

which needs no small step, and so stands some noise.  The direction gives every parameter the same
share of the predicted change as far as it can.  Only if that disagrees is every parameter tried by
itself, to name the one whose derivative fits worst.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored

FloatArray = NDArray[np.float64]
Admitted = Callable[[FloatArray], bool]

STEP: Final = 1e-3
TOLERANCE: Final = 1e-2
ROUNDING: Final = 1e3 * np.finfo(np.float64).eps
BASES: Final = 3
ALONG: Final = -1  # the index of the point along the direction; others are parameters


@dataclass(slots=True)
class GradientCheck:
    """What is known so far; everything in the driver's coordinates.

    Attributes
    ----------
    z, f, g : ndarray, float, ndarray
        The base: the first told point with its value and gradient; `z` is None before.
    step : ndarray, shape (n,)
        The change of each coordinate.
    misfit : ndarray, shape (n,)
        Relative misfit of each derivative tried by itself, NaN before.
    predicted, observed : ndarray, shape (n,)
        The change of the objective for each, by the gradient and by the values.
    weights : ndarray, shape (1 + rows,), or None
        Of the value, and of limits on outputs, in the sum that is compared; None for the value.
    missing : int
        Points that have not ended yet.
    bases : int
        How many bases have been tried (a failed point means another one).
    done : bool
        Nothing more to do.
    """

    z: FloatArray | None = None
    f: float = 0.0
    g: FloatArray | None = None
    step: FloatArray | None = None
    misfit: FloatArray | None = None
    predicted: FloatArray | None = None
    observed: FloatArray | None = None
    weights: FloatArray | None = None
    missing: int = 0
    bases: int = 0
    done: bool = False


_ARRAYS: Final = ("z", "g", "step", "misfit", "predicted", "observed", "weights")


def anywhere(_z: FloatArray) -> bool:
    """Admit every point: there are no constraints."""
    return True


def begin(
    check: GradientCheck,
    z: FloatArray,
    f: float,
    g: FloatArray,
    bounds: FloatArray,
    admitted: Admitted = anywhere,
) -> list[tuple[int, FloatArray]]:
    """Take a base; return the point along the direction as ``[(ALONG, z + d)]``.

    Where that violates a constraint the direction is turned round or shortened; where nothing
    helps, another base is waited for.
    """
    largest = np.where(np.isfinite(bounds).all(axis=1), 1.0, np.maximum(1.0, np.abs(z))) * STEP
    size, steep = np.abs(g), g != 0.0
    step = largest.copy()
    if steep.any():
        step[steep] *= np.clip(size[steep].min() / size[steep], 1e-2, 1.0)
    below, above = z - bounds[:, 0], bounds[:, 1] - z
    up = np.where(g >= 0.0, above >= step, below < step)
    room = np.where(up, above, below)
    signed = np.where(up, 1.0, -1.0) * np.minimum(step, room)
    check.z, check.f, check.g = z.copy(), f, g.copy()
    check.step = _fitting(z, signed, bounds, admitted)
    check.misfit = check.predicted = check.observed = None
    check.missing = 1
    check.bases += 1
    if not np.any(check.step):
        failed(check)
        check.done = check.done or not np.any(signed)
        return []
    return [(ALONG, np.clip(z + check.step, bounds[:, 0], bounds[:, 1]))]


def _fitting(
    z: FloatArray, wanted: FloatArray, bounds: FloatArray, admitted: Admitted
) -> FloatArray:
    """Return the first admitted step among d, -d, and shorter ones; zero if there is none."""
    for part in (1.0, -1.0, 0.25, -0.25, 0.0625, -0.0625):
        step = np.clip(z + part * wanted, bounds[:, 0], bounds[:, 1]) - z
        if np.any(step) and admitted(np.clip(z + step, bounds[:, 0], bounds[:, 1])):
            return step
    return np.zeros_like(z)


def told(
    check: GradientCheck, index: int, f: float, g: FloatArray, admitted: Admitted = anywhere
) -> list[tuple[int, FloatArray]]:
    """Take the result of a point; return the points that are wanted next."""
    if check.done or check.z is None or check.g is None or check.step is None:
        return []
    check.missing -= 1
    if index == ALONG:
        return _along(check, f, g, admitted)
    _single(check, index, f, g)
    check.done = check.missing == 0
    return []


def failed(check: GradientCheck) -> None:
    """Note that a point of the check failed: take another base, or give up."""
    check.z = None
    check.missing = 0
    check.done = check.bases >= BASES


def wants_base(check: GradientCheck) -> bool:
    """Return whether the next supplied gradient is to be checked."""
    return check.z is None and not check.done


def suspicious(check: GradientCheck) -> int | None:
    """Return the parameter whose derivative fits worst, or None if all fit (or are not done)."""
    if not check.done or check.misfit is None or check.missing:
        return None
    worst = int(np.argmax(check.misfit))
    return worst if check.misfit[worst] > TOLERANCE else None


def report(check: GradientCheck, index: int, scale: float) -> tuple[float, float]:
    """Return the supplied and the observed derivative by a parameter, in the user's units."""
    if check.step is None or check.predicted is None or check.observed is None:
        return float("nan"), float("nan")
    step = check.step[index] * scale
    return float(check.predicted[index] / step), float(check.observed[index] / step)


def _along(
    check: GradientCheck, f: float, g: FloatArray, admitted: Admitted
) -> list[tuple[int, FloatArray]]:
    z, step, base = _base(check)
    terms = 0.5 * (base + g) * step
    observed = f - check.f
    scale = np.sum(np.abs(terms)) + abs(observed)
    tolerance = min(0.2 * TOLERANCE, max(1e-4, TOLERANCE / z.size))  # one wrong among n shows
    if abs(observed - np.sum(terms)) <= tolerance * scale + ROUNDING * max(abs(f), abs(check.f)):
        check.done = True
        return []
    check.misfit, check.predicted, check.observed = (np.zeros(z.size) for _ in range(3))
    points = []
    for index in np.flatnonzero(step):
        for part in (1.0, -1.0, 0.25, -0.25):
            point = z.copy()
            point[index] += part * step[index]
            if admitted(point):
                step[index] *= part
                points.append((int(index), point))
                break
        else:  # no admitted step along it alone: suspected if all others fit
            check.misfit[index] = 1.5 * TOLERANCE
            check.predicted[index] = terms[index]
            check.observed[index] = observed - np.sum(terms) + terms[index]
    check.missing = len(points)
    check.done = not points
    return points


def _single(check: GradientCheck, index: int, f: float, g: FloatArray) -> None:
    _, step, base = _base(check)
    if check.misfit is None or check.predicted is None or check.observed is None:
        return
    predicted = 0.5 * (base[index] + g[index]) * step[index]
    observed = f - check.f
    check.predicted[index], check.observed[index] = predicted, observed
    off = max(0.0, abs(observed - predicted) - ROUNDING * max(abs(f), abs(check.f)))
    scale = abs(observed) + abs(predicted)
    check.misfit[index] = off / scale if scale > 0.0 else 0.0


def _base(check: GradientCheck) -> tuple[FloatArray, FloatArray, FloatArray]:
    empty = np.empty(0)
    return (
        empty if check.z is None else check.z,
        empty if check.step is None else check.step,
        empty if check.g is None else check.g,
    )


def to_dict(check: GradientCheck) -> dict[str, Any]:
    """Return the check as numbers and arrays."""
    data: dict[str, Any] = {}
    for name in ("f", "missing", "bases", "done"):
        data[name] = getattr(check, name)
    for name in _ARRAYS:
        array = getattr(check, name)
        data[name] = None if array is None else array.copy()
    return data


def from_dict(data: Mapping[str, Any]) -> GradientCheck:
    """Return the check of which `to_dict` made `data`."""
    arrays: dict[str, Any] = {}
    for name in _ARRAYS:
        value = data.get(name) if name == "weights" else data[name]  # 0.4.0 had none
        arrays[name] = None if value is None else stored.array(name, value, (len(value),), nan=True)
    return GradientCheck(
        f=float(data["f"]),
        missing=stored.whole("missing", data["missing"]),
        bases=stored.whole("bases", data["bases"]),
        done=stored.flag("done", data["done"]),
        **arrays,
    )
