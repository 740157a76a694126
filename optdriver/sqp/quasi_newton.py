"""The matrix of the model: second derivatives of the Lagrangian, of what was seen along steps.

The changes of the gradients of the objective and of each row are kept apart, and put together with
the multipliers of the moment: so nothing that was learnt is spoilt when these change.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.products import dot, row_lengths, times, transposed_times
from optdriver.geometry.singular import Singular

Vector = NDArray[np.float64]

DAMPED: Final = 0.2
"""The least part of the curvature of the matrix that an update leaves (Powell 1978)."""

LEAST: Final = 1e-6
"""A curvature below this part of the first one is none."""

INDEPENDENT: Final = 1e-2
"""Directions that steps span by a smaller part are not told apart."""

FEWEST: Final = 10
"""Steps that are kept at least; otherwise as many as there are variables."""


def kept(n: int) -> int:
    """Return how many steps are kept of `n` variables."""
    return max(FEWEST, n)


def matrix(
    steps: Vector, slopes: Vector, bends: Vector, multipliers: Vector, first: float
) -> Vector:
    """Return the matrix, positive definite: damped BFGS updates by every step, the newest last.

    Parameters
    ----------
    steps, slopes, bends : ndarray, shapes (k, n), (k, n) and (k, rows, n)
        Steps, and the changes of the gradients of the objective and of the rows along them.
    multipliers : ndarray, shape (rows,)
    first : float
        The curvature before there is a step along which it was seen to be positive.
    """
    changes = slopes.copy()
    for change, bend in zip(changes, bends, strict=True):
        change += transposed_times(bend, multipliers)
    made = np.eye(steps.shape[1]) * _curvature(steps, changes, first)
    for s, y in zip(steps, changes, strict=True):
        made = _updated(made, s, y)
    return made


def _curvature(steps: Vector, changes: Vector, first: float) -> float:
    """Return the curvature along the newest step along which it is positive."""
    for s, y in zip(steps[::-1], changes[::-1], strict=True):
        along, size = dot(s, y), dot(s, s)
        if along > LEAST * first * size and np.isfinite(along / size):
            return along / size
    return first


def foreseen(steps: Vector, bends: Vector, d: Vector) -> Vector:
    """Return what rows differ by from their linear model at the end of a step d, shape (rows,).

    Along what d has in common with the newest steps their second derivatives are known.
    """
    n = d.size
    newest, changes = steps[-n:], bends[-n:]
    if not newest.size:
        return np.zeros(bends.shape[1])
    lengths = row_lengths(newest)
    shares = Singular((newest / lengths[:, None]).T).solve(d, INDEPENDENT)
    along = np.array([times(each, d) for each in changes])  # (k, rows)
    made: Vector = 0.5 * transposed_times(along, shares / lengths)
    return made


def _updated(B: Vector, s: Vector, y: Vector) -> Vector:
    """Return the matrix after an update, y moved toward B s where its curvature is too small."""
    Bs = times(B, s)
    known, seen = dot(s, Bs), dot(s, y)
    if not known > 0.0:
        return B
    if seen < DAMPED * known:  # Powell (1978), eq. (5.10)
        part = (1.0 - DAMPED) * known / (known - seen)
        y = part * y + (1.0 - part) * Bs
        seen = dot(s, y)
    made = B - np.outer(Bs, Bs) / known + np.outer(y, y) / seen
    usable = seen > 0.0 and np.isfinite(made).all()
    return 0.5 * (made + made.T) if usable else B
