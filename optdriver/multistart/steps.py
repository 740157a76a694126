"""Steps of finite differences by a rule, and what a run learns for it.

The best step of a forward difference balances the noise e of the values against the curvature c:

    h = 8^(1/4) sqrt(e / c)                                           (More and Wild 2012, sec. 3)

and that of a central one is ``e^(-1/6)`` times as long (here the nearest power of two, the same on
any machine), with e relative to the value.  Where
nothing is known, c is taken to be ``|f| / L^2`` with a length L between the size of the coordinate
and the width of its box, and e to be 64 roundings of f.  So the first steps are 2e-7 L.

Then a run learns.  The change of the gradient along a step bounds the curvature from below; where
a step turns out to have been far too long for it, the gradient is made once more with the right
one (a box may be a million times wider than the objective's own length).  And the first gradient of
a run comes with one point more, quite near the iterate.  If its value is not what the gradient
says, the noise is measured (`optdriver.multistart.noise`).

References
----------
J. J. More, S. M. Wild, "Estimating derivatives of noisy simulations", ACM Transactions on
Mathematical Software 38 (2012) 19.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

ROUNDING: Final = 2.0**-46
"""Noise of values about which nothing is known, relative to them: 64 roundings."""

TOO_LONG: Final = 16.0
"""A step that is so many times the right one is not left as it is."""

_FORWARD: Final = 1.6817928305074292  # 8^(1/4)
_CENTRAL: Final = 0.86
_INSIDE: Final = 2.0**-6  # least length, in widths of the box
_SHORTEST, _LONGEST, _LONGEST_NOISY = 2.0**-24, 4.0, 32.0  # of the first step
MOST: Final = 2.0**-4
"""Longest step, in lengths."""

_MOST_TOLD: Final = 2.0**-3  # the same in widths of the box, where the noise is known to be there
_SMALL: Final = 2.0**-20  # values are this exact at most, relative to the largest seen
_FORGETTING: Final = 0.25
_DOUBT: Final = 3.0  # standard deviations of the difference of two gradients, about


@dataclass(slots=True)
class Learnt:
    """What a run knows of its objective.

    Attributes
    ----------
    noise : float
        The noise of its values as it was measured, 0 where it is that of rounding.
    checked : bool
        Whether the noise has been looked at.
    told : bool
        Whether it was told with the values.
    repeated : bool
        Whether the pending gradient has been made once more already.
    f, largest : float
        The last value with a gradient, and the largest size of one.
    x, g : ndarray or None
        Where that was, and the gradient.
    curvature : ndarray or None
        Size of the second derivative by each coordinate, as far as it has shown.
    error : ndarray or None
        How exact the gradient is, where the noise of the values was told.
    """

    noise: float = 0.0
    checked: bool = False
    told: bool = False
    repeated: bool = False
    f: float = math.nan
    largest: float = 0.0
    x: Vector | None = None
    g: Vector | None = None
    curvature: Vector | None = None
    error: Vector | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what is known as numbers and arrays."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in values.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Learnt:
        """Return what `to_dict` made `data` of."""
        values = dict(data)
        for name in ("x", "g", "curvature", "error"):
            if values.get(name) is not None:
                values[name] = np.array(values[name], dtype=np.float64)
        return cls(**values)


def wanted(learnt: Learnt, x: Vector, lower: Vector, upper: Vector, two_sided: bool) -> Vector:
    """Return the step of each coordinate at `x`, shape (n,)."""
    lengths = typical(x, lower, upper)
    relative = _relative_noise(learnt)
    first = _FORWARD * math.sqrt(relative) * lengths
    steps = first
    if learnt.curvature is not None:
        longest = _LONGEST_NOISY if learnt.noise else _LONGEST
        with np.errstate(divide="ignore", over="ignore"):
            best = _FORWARD * np.sqrt(_noise(learnt) / learnt.curvature)
        steps = np.clip(best, _SHORTEST * first, longest * first)
    if two_sided:
        steps = steps * _longer(relative)
    most = _MOST_TOLD * widths(x, lower, upper) if learnt.told else MOST * lengths
    bounded: Vector = np.minimum(steps, most)
    return bounded


def balanced(relative: float, two_sided: bool) -> float:
    """Return the step, in lengths, for errors of this part of what changes over a length."""
    relative = _possible(relative)
    step = _FORWARD * math.sqrt(relative)
    return min(step * _longer(relative) if two_sided else step, MOST)


def _longer(relative: float) -> float:
    """Return how many times as long steps are on both sides, for values with such errors."""
    return float(_CENTRAL * 2.0 ** round(-math.frexp(relative)[1] / 6))


def _possible(relative: float) -> float:
    """Return a relative error, no less than rounding and no more than any step is made for."""
    return min(max(relative, ROUNDING), MOST**2)


def typical(x: Vector, lower: Vector, upper: Vector) -> Vector:
    """Return the length of each coordinate: its size, but some part of the width of its box."""
    wide = widths(x, lower, upper)
    lengths: Vector = np.clip(np.abs(x), _INSIDE * wide, wide)
    return lengths


def widths(x: Vector, lower: Vector, upper: Vector) -> Vector:
    """Return the width of the box by each coordinate; where it has none, the size, or 1."""
    with np.errstate(over="ignore"):
        wide = upper - lower
    boxed = np.isfinite(wide) & (wide > 0.0)
    sizes: Vector = np.where(boxed, wide, np.maximum(1.0, np.abs(x)))
    return sizes


def learn(
    learnt: Learnt, x: Vector, f: float, g: Vector, lower: Vector, upper: Vector, rule: int = 3
) -> None:
    """Take in a gradient with which the run goes on.

    From rule 3 on, where there is no noise, the largest value is that of the start: what a step
    that was far too long has met says nothing of how exact values are elsewhere.
    """
    learnt.curvature = curvature(learnt, x, g, lower, upper)
    if rule < 3 or learnt.x is None or learnt.noise > 0.0:
        learnt.largest = max(learnt.largest, abs(f))
    learnt.x, learnt.g, learnt.f = x.copy(), g.copy(), f
    learnt.repeated = False


def curvature(learnt: Learnt, x: Vector, g: Vector, lower: Vector, upper: Vector) -> Vector | None:
    """Return the curvatures as they would be known with the gradient `g` at `x`.

    The change of the gradient, divided by the longest part of the step (in lengths), so that a
    coordinate that hardly moved is not taken for a stiff one.
    """
    known = learnt.curvature
    if learnt.x is None or learnt.g is None:
        return known
    lengths = typical(x, lower, upper)
    moved = float(np.max(np.abs(x - learnt.x) / lengths, initial=0.0))
    if not 0.0 < moved < math.inf:
        return known
    with np.errstate(over="ignore"):
        shown = np.abs(g - learnt.g) / (moved * lengths)
    shown = np.where(np.isfinite(shown), shown, 0.0)
    if learnt.error is not None:  # what noise may have changed shows nothing
        real = np.abs(g - learnt.g) > _DOUBT * learnt.error
        before = np.zeros_like(shown) if known is None else known
        kept: Vector = np.where(real, np.maximum(shown, _FORGETTING * before), before)
        return kept if kept.any() else known
    return shown if known is None else np.maximum(shown, _FORGETTING * known)


def too_long(
    learnt: Learnt, x: Vector, f: float, g: Vector, used: Vector, lower: Vector, upper: Vector
) -> Vector:
    """Return the steps to take instead of those `used`; NaN where these were right.

    A step was too long where it is so for the curvature that `g` shows, and the error that this
    makes is a large part of the derivative.
    """
    none = np.full(x.size, math.nan)
    shown = curvature(learnt, x, g, lower, upper)
    if learnt.repeated or shown is None:
        return none
    largest = max(learnt.largest, abs(f))
    now = Learnt(noise=learnt.noise, told=learnt.told, f=f, largest=largest, curvature=shown)
    right = wanted(now, x, lower, upper, two_sided=False)
    wrong = (used > TOO_LONG * right) & (0.5 * used * shown > 0.1 * np.abs(g))
    return np.where(wrong, right, none)


def _noise(learnt: Learnt) -> float:
    size = max(abs(learnt.f), _SMALL * learnt.largest)
    return max(learnt.noise, ROUNDING * size)


def _relative_noise(learnt: Learnt) -> float:
    """Return the noise relative to the value, as far as both are known."""
    if learnt.noise == 0.0:
        return ROUNDING
    size = learnt.largest if learnt.largest > 0.0 else 1.0
    return _possible(learnt.noise / size)
