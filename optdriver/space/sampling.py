"""Where minimizers start: points of a box as data ``(kind, seed, count)``.

The k-th start depends on the kind, the seed, k and the box only, so that no random generator has
to be kept: a sequence is three plain values, and is continued by counting on.

Sobol direction numbers are known for 21,201 dimensions.  Of a wider box those are the first, and
the further coordinates of a start are independent uniform ones: a mixed sequence, whose means are
unbiased and vary no more than those of uniform points, and as those of Sobol's where the first
dimensions count [1]_.

References
----------
.. [1] G. Okten, B. Tuffin, V. Burago, "A central limit theorem and improved error bounds for a
   hybrid-Monte Carlo sequence with applications in computational finance", Journal of Complexity
   22(4), 435-458, 2006.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError
from optdriver.space import sobol

Vector = NDArray[np.float64]
Kind = Literal["sobol", "uniform"]

MAX_SOBOL_DIMENSION = sobol.MAX_DIMENSION
"""Sobol direction numbers (Joe and Kuo, 2008) are known for so many dimensions."""

MAX_SOBOL_COUNT = 2**sobol.BITS
"""A sequence has so many points."""


_AHEAD: Final = 64
"""Points of a Sobol sequence that are made together, if they have no more than `_WIDE`
coordinates."""

_WIDE: Final = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Starts:
    """A sequence of starts and how many of it have been taken.

    Attributes
    ----------
    kind : {'sobol', 'uniform'}
        Scrambled Sobol sequence (uniform beyond its 21,201 dimensions), or independent uniform
        points.
    seed : int
        Seed of the scrambling or of the uniform points, not negative.
    count : int
        Number of starts taken so far, which is the index of the next one.
    """

    kind: Kind = "sobol"
    seed: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"kind of starts is 'sobol' or 'uniform', not {self.kind!r}")
        for name in ("seed", "count"):
            _check_count(name, getattr(self, name))


def take(sequence: Starts, number: int, lower: Vector, upper: Vector) -> tuple[Vector, Starts]:
    """Return the next `number` starts of a sequence, and the sequence after them."""
    points = starts(sequence.kind, sequence.seed, sequence.count, number, lower, upper)
    return points, replace(sequence, count=sequence.count + number)


def starts(kind: Kind, seed: int, first: int, number: int, lower: Vector, upper: Vector) -> Vector:
    """Return the starts ``first, first + 1, ..., first + number - 1`` in a box.

    Parameters
    ----------
    kind : {'sobol', 'uniform'}
        The sequence.
    seed : int
        Its seed.
    first, number : int
        Index of the first start wanted, and how many are wanted.
    lower, upper : ndarray, shape (n,)
        The box, all sides finite; ``lower == upper`` fixes a coordinate.

    Returns
    -------
    ndarray, shape (number, n)
        Points of the box, bounds included.

    Raises
    ------
    InputError
        A side of the box is infinite, or the Sobol sequence has no such point.
    """
    _check_count("first", first)
    _check_count("number", number)
    lower, upper = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    check_box(lower, upper)
    unit = _unit_points(kind, seed, first, number, lower.size)
    # Not lower + u * (upper - lower): the width of a box can overflow.
    points = lower * (1.0 - unit) + upper * unit
    return np.clip(points, lower, upper, out=points)


def check_box(lower: Vector, upper: Vector) -> None:
    """Raise `InputError` unless starts can be drawn from the box."""
    infinite = np.flatnonzero(~(np.isfinite(lower) & np.isfinite(upper)))
    if infinite.size:
        i = int(infinite[0])
        raise InputError(
            f"starts can only be drawn where all bounds are finite, but coordinate {i} has "
            f"({lower[i]}, {upper[i]}): give finite bounds, or the starts "
            "(initial_samples=, or starts=)"
        )


def _unit_points(kind: Kind, seed: int, first: int, number: int, n: int) -> Vector:
    if kind == "uniform":
        return _uniform(seed, first, number, n)
    if first + number > MAX_SOBOL_COUNT:
        raise InputError(
            f"a Sobol sequence has {MAX_SOBOL_COUNT} points, and all of them are used: "
            "use another seed"
        )
    if n > MAX_SOBOL_DIMENSION:
        known = sobol.points(seed, MAX_SOBOL_DIMENSION, first, number)
        return np.hstack([known, _uniform(seed, first, number, n - MAX_SOBOL_DIMENSION)])
    if number > _AHEAD // 2 or n > _WIDE:
        return sobol.points(seed, n, first, number)
    block, place = divmod(first, _AHEAD)
    if place + number <= _AHEAD:
        return _block(seed, n, block)[place : place + number]
    return np.concatenate([_block(seed, n, block)[place:], _block(seed, n, block + 1)])[:number]


def _uniform(seed: int, first: int, number: int, n: int) -> Vector:
    rows = [np.random.default_rng((seed, k)).random(n) for k in range(first, first + number)]
    return np.array(rows).reshape(number, n)


@lru_cache(maxsize=4)
def _block(seed: int, n: int, number: int) -> Vector:
    """Return a block of points, most of which are wanted soon: starts are taken one by one."""
    points = sobol.points(seed, n, number * _AHEAD, _AHEAD)
    points.setflags(write=False)
    return points


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise InputTypeError(f"{name} must be an integer, not {value!r}")
    if value < 0:
        raise InputError(f"{name} must not be negative, but is {value}")
