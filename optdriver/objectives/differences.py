"""Gradients from values: forward, central and complex-step differences inside a box.

The schemes, their default steps and the way a step gives way to a bound are those that
`scipy.optimize.minimize` documents, so that a run with differences takes SciPy's path.  Nothing
is called here: `points` says where the objective is wanted, `gradient` takes the values.

References
----------
B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Mathematics
of Computation 51 (1988) 699, for the one-sided formula of the second order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdriver.errors import InputError, InputTypeError

Floats = NDArray[np.float64]

SCHEMES = ("2-point", "3-point", "cs")


class Scheme(ABC):
    """Says where the objective is wanted for a gradient, and makes it of the values."""

    @property
    @abstractmethod
    def cost(self) -> int:
        """Values that one gradient takes at most, beside the one at the point itself."""

    @abstractmethod
    def points(self, x: Floats, f: float | np.floating[Any]) -> Iterator[NDArray[Any]]:
        """Where values are wanted for the gradient at `x`, where the value is `f`."""

    @abstractmethod
    def gradient(self, x: Floats, f: float | np.floating[Any], values: ArrayLike) -> Floats:
        """Return the gradient at `x` from the values at `points`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Differences(Scheme):
    """A difference scheme in a box.

    Parameters
    ----------
    scheme : {'2-point', '3-point', 'cs'}
        Forward differences (backward at an upper bound), central differences (one-sided of the
        second order at a bound), or the complex step.
    lower, upper : (n,) arrays
        The box; no point leaves it.  A variable whose bounds coincide has no difference.
    abs_step, rel_step : None or array_like
        The step, or the step relative to ``abs(x)``; an absolute one wins.  With neither, the
        step is ``eps**(1/2) * max(1, abs(x))``, or ``eps**(1/3)`` for central differences.
    """

    scheme: str
    lower: Floats
    upper: Floats
    abs_step: ArrayLike | None = None
    rel_step: ArrayLike | None = None

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise InputError(f"unknown difference scheme {self.scheme!r}; known: {SCHEMES}")
        for name in ("abs_step", "rel_step"):
            _check_step(name, getattr(self, name), self.lower.size)

    @cached_property
    def free(self) -> NDArray[np.intp]:
        """Indices of the variables that can move."""
        return np.flatnonzero(self.lower < self.upper)

    @property
    def cost(self) -> int:
        """Values that one gradient takes, beside the one at the point itself."""
        return int(self.free.size) * (2 if self.scheme == "3-point" else 1)

    def points(self, x: Floats, f: float | np.floating[Any]) -> Iterator[NDArray[Any]]:
        """Where values are wanted for the gradient at `x`, where the value is `f`.

        One point is made at a time: all of them together would be an (n, n) array.
        """
        for i, first, second in zip(self.free, *self._coordinates(x, f), strict=True):
            yield _moved(x, i, first)
            if self.scheme == "3-point":
                yield _moved(x, i, second)

    def gradient(self, x: Floats, f: float | np.floating[Any], values: ArrayLike) -> Floats:
        """Return the gradient at `x` from the values at `points`; zero where nothing can move."""
        at, told = x[self.free], np.asarray(values)
        first, second = self._coordinates(x, f)
        g = np.zeros(x.size)
        if self.scheme == "cs":
            g[self.free] = told.imag / first.imag
        elif self.scheme == "2-point":
            g[self.free] = (told - float(f)) / (first - at)
        else:
            g[self.free] = _second_order(at, float(f), first, second, told[::2], told[1::2])
        return g

    def _coordinates(
        self, x: Floats, f: float | np.floating[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """For each variable that can move, the one or two places to which it goes."""
        at, h = x[self.free], self.steps(x, f)[self.free]
        lower, upper = self.lower[self.free], self.upper[self.free]
        if self.scheme == "cs":
            return at + 1j * h, at
        if self.scheme == "2-point":
            return np.clip(at + _one_sided(h, at - lower, upper - at), lower, upper), at
        first, second = _two_places(np.abs(h), at - lower, upper - at)
        return np.clip(at + first, lower, upper), np.clip(at + second, lower, upper)

    def steps(self, x: Floats, f: float | np.floating[Any]) -> Floats:
        """Signed steps before any bound is looked at; never one that rounding swallows."""
        away = np.where(x >= 0, 1.0, -1.0)
        usual = _relative_step(self.scheme, f) * away * np.maximum(1.0, np.abs(x))
        if self.abs_step is not None:
            h = np.broadcast_to(np.asarray(self.abs_step, dtype=float), x.shape)
        elif self.rel_step is not None:
            h = np.asarray(self.rel_step, dtype=float) * away * np.abs(x)
        else:
            return usual
        return np.where((x + h) - x == 0, usual, h)


def _check_step(name: str, step: ArrayLike | None, n: int) -> None:
    """Refuse a step that is not finite, or is for another number of variables."""
    if step is None:
        return
    try:
        given = np.asarray(step, dtype=float)
    except (TypeError, ValueError):
        raise InputTypeError(f"{name} must be a number or {n} of them, got {step!r}") from None
    if given.shape not in ((), (1,), (n,)) or not np.isfinite(given).all():
        raise InputError(f"{name} must be a finite number or {n} of them, got {step!r}")


def _relative_step(scheme: str, f: float | np.floating[Any]) -> float:
    """Balance truncation against the rounding of `f`, in the precision that `f` comes in."""
    kind = np.asarray(f).dtype
    narrow = kind.kind == "f" and kind.itemsize < 8
    eps = float(np.finfo(kind).eps) if narrow else float(np.finfo(float).eps)
    return float(eps ** (1 / 3)) if scheme == "3-point" else float(eps**0.5)


def _one_sided(h: Floats, below: Floats, above: Floats) -> Floats:
    """Turn a step round, or shorten it towards the farther bound, where it would leave the box."""
    fits = np.where(h >= 0, h <= above, -h <= below)
    turned = np.abs(h) <= np.maximum(below, above)
    shortened = np.where(above >= below, above, -below)
    return np.where(fits, h, np.where(turned, -h, shortened))


def _two_places(h: Floats, below: Floats, above: Floats) -> tuple[Floats, Floats]:
    """Return steps ``-h, h`` where both fit, else ``s, 2 s`` towards the farther bound."""
    room, far = np.minimum(below, above), np.maximum(below, above)
    halved = np.minimum(h, 0.5 * far)
    central = (room >= h) | (room >= halved)
    width = np.where(room >= h, h, room)
    s = np.where(above >= below, halved, -halved)
    return np.where(central, -width, s), np.where(central, width, 2 * s)


def _second_order(
    x: Floats, f: float, first: Floats, second: Floats, f1: Floats, f2: Floats
) -> Floats:
    """Central formula where `x` lies between the two places, one-sided formula elsewhere."""
    central = (first < x) == (x < second)
    one_sided = -3.0 * f + 4 * f1 - f2
    return np.where(central, f2 - f1, one_sided) / np.where(central, second - first, second - x)


def _moved(x: Floats, i: np.intp, value: complex) -> NDArray[Any]:
    """Return `x` with one coordinate replaced."""
    y = x.astype(np.result_type(x, value))
    y[i] = value
    return y
