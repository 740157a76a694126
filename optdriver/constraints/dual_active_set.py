"""The nearest point of a small polyhedron whose rows may be of any length, or nothing.

minimise 1/2 |d - p|^2  subject to  A d <= b,  E d = e
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.matrices import row_norms
from optdriver.geometry.active_set import Polyhedron, solve

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]

NOTHING = 1e-100  # a row shorter than this is none


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """Nearest point and multipliers; `solved` is False when no point satisfies the rows."""

    point: Vector
    inequality: Vector
    equality: Vector
    solved: bool


def dual_active_set(
    p: Vector, a: Vector, b: Vector, e_rows: Vector, e: Vector, tolerance: float = 1e-13
) -> Nearest:
    """Project `p` onto {d : a d <= b, e_rows d = e}.

    Parameters
    ----------
    p : ndarray, shape (n,)
    a, b : ndarrays, shapes (m, n), (m,)
    e_rows, e : ndarrays, shapes (q, n), (q,)
    tolerance : float
        Violation that counts as none, relative to the largest of `p` and of what it violates.
    """
    rows = np.vstack([e_rows, a])
    lengths = row_norms(rows)
    usable = lengths > NOTHING
    safe = np.where(usable, lengths, 1.0)
    levels = np.concatenate([e, b]) / safe
    if _impossible(levels[~usable], np.flatnonzero(~usable) < len(e)):
        return _answer(p, np.zeros(len(rows)), safe, len(e), solved=False)
    problem = Polyhedron(p, rows / safe[:, None], levels, len(e), usable)
    solved = solve(problem, tolerance)
    return _answer(problem.solution(), problem.multipliers(), safe, len(e), solved=solved)


def _impossible(levels: Vector, equal: Mask) -> bool:
    """Say whether a row without coefficients contradicts its level."""
    return bool(np.any(levels < 0.0) or np.any(levels[equal] != 0.0))


def _answer(point: Vector, duals: Vector, lengths: Vector, q: int, *, solved: bool) -> Nearest:
    with np.errstate(over="ignore"):  # multipliers of rows that are next to nothing
        original = duals / lengths
    return Nearest(
        point=point,
        equality=original[:q],
        inequality=original[q:],
        solved=solved,
    )
