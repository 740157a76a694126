"""Where the minimizers start: points of the user first, then a Sobol sequence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError, InputTypeError
from optdriver.multistart.admission import admit
from optdriver.multistart.feasible_starts import FeasibleStarts
from optdriver.space.pytree import Structure
from optdriver.space.sampling import Starts, starts

Vector = NDArray[np.float64]

DEFAULT_STARTS = 10


def given_starts(x0: Any, structure: Structure) -> Vector:
    """Return the starts of the user as vectors, (k, n).

    Parameters
    ----------
    x0 : pytree, sequence of pytrees, array of shape (n,) or (k, n), or None
        One start with the structure of the parameters, or several; or vectors.

    Raises
    ------
    InputError
        It is none of these, or not finite, or outside the bounds.
    """
    if x0 is None:
        return np.empty((0, structure.n))
    found = _read(x0, structure)
    outside = ~(np.isfinite(found) & (found >= structure.lower) & (found <= structure.upper))
    for k, i in np.argwhere(outside):
        raise InputError(
            f"x0: start {k} has {found[k, i]} for {structure.where(int(i))}, whose bounds are "
            f"({structure.lower[i]}, {structure.upper[i]}); give starts inside the bounds"
        )
    return found


def _read(x0: Any, structure: Structure) -> Vector:
    tries = []
    for read in (_one, _several, _vectors):
        try:
            return read(x0, structure)
        except InputError as error:
            tries.append(str(error))
    raise InputError(f"x0 is no start and no list of starts: {tries[0]}")


def _one(x0: Any, structure: Structure) -> Vector:
    return structure.flatten(structure.around(x0))[None, :]


def _several(x0: Any, structure: Structure) -> Vector:
    if not isinstance(x0, list | tuple) or not len(x0):
        raise InputError("no list of starts")
    return np.array([structure.flatten(start) for start in x0])


def _vectors(x0: Any, structure: Structure) -> Vector:
    if not hasattr(x0, "ndim"):
        raise InputError("no array")
    table = np.atleast_2d(np.asarray(x0, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] != structure.n:
        raise InputError(f"an array of starts has {structure.n} columns, not shape {table.shape}")
    return table


def count(n_iter: Any, given: int) -> int:
    """Return how many starts there are to be.

    Raises
    ------
    InputError
        `n_iter` is not a positive integer, or less than the starts given.
    """
    if n_iter is None:
        return given or DEFAULT_STARTS
    if isinstance(n_iter, bool) or not isinstance(n_iter, int | np.integer):
        raise InputTypeError(f"n_iter is the number of starts, not {n_iter!r}")
    if n_iter < 1:
        raise InputError(f"n_iter is the number of starts, at least 1, not {n_iter}")
    if n_iter < given:
        raise InputError(f"n_iter is {n_iter}, but x0 has {given} starts")
    return int(n_iter)


def points(
    given: Vector, number: int, seed: int, lower: Vector, upper: Vector, where: Structure
) -> Vector:
    """Return `number` starts in a box: the given ones, then those of a Sobol sequence."""
    more = number - len(given)
    if not more:
        return given
    _check_finite(lower, upper, where)
    return np.concatenate([given, starts("sobol", seed, 0, more, lower, upper)])


def feasible_points(
    given: Vector, number: int, seed: int, constraints: ConstraintSet, where: Structure
) -> Vector:
    """Return `number` feasible starts; given ones that violate a constraint are moved.

    Raises
    ------
    ConstraintError
        No feasible point was found.
    """
    finite = bool(np.all(np.isfinite(constraints.lower) & np.isfinite(constraints.upper)))
    sequence = FeasibleStarts(constraints, "sobol", seed)
    found, _ = admit(constraints, given, sequence, project_starts=True)
    rows = list(found)
    if len(rows) < number and not finite:
        _check_finite(constraints.lower, constraints.upper, where)
    taken = Starts(seed=seed)
    while len(rows) < number:
        x, taken = sequence.take(taken)
        rows.append(x)
    return np.array(rows)


def _check_finite(lower: Vector, upper: Vector, where: Structure) -> None:
    infinite = np.flatnonzero(~(np.isfinite(lower) & np.isfinite(upper)))
    if infinite.size:
        i = int(infinite[0])
        raise InputError(
            f"{where.where(i)} has the bounds ({lower[i]}, {upper[i]}), in which no start can be "
            "drawn: give finite bounds, or as many starts as wanted with x0="
        )
