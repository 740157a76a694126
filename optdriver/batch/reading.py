"""What a batch is given: starts, bounds, values and gradients, read and checked at the edge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.lbfgsb.options import check_integer, read_bounds
from optdriver.multistart.options import check_bounds
from optdriver.reading import real_array, short
from optdriver.space import sampling

Vector = NDArray[np.float64]


def read_problem(
    x0s: Any, bounds: Any, total: int | None, seed: int
) -> tuple[Vector, Vector, Vector]:
    """Return the starts, (N, n), and lower and upper bounds, (N, n) each, or (1, n) if shared.

    Starts outside their bounds are moved in.  With `total`, the starts that are missing to it are
    drawn.
    """
    if isinstance(bounds, Iterator):
        bounds = list(bounds)
    if x0s is None:
        if total is None:
            raise InputError("there are no starts: give x0s of shape (N, n), or total= and bounds")
        starts = np.empty((0, check_bounds(bounds)[0].size))
    else:
        starts = _read_starts(x0s, bounds)
    lower, upper = _read_lane_bounds(bounds, *starts.shape)
    starts = np.minimum(np.maximum(starts, lower), upper)
    if total is not None:
        starts = np.concatenate([starts, _drawn(total, seed, len(starts), lower, upper)])
    return np.ascontiguousarray(starts), lower, upper


def read_lanes(lanes: Any) -> list[int]:
    """Return indices of starts as a list."""
    given = np.asarray(list(lanes) if isinstance(lanes, Iterable) else lanes)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputError(f"lanes is {short(lanes)}; expected whole numbers, those of the starts")
    return [int(lane) for lane in given]


def _read_starts(x0s: Any, bounds: Any) -> Vector:
    starts = real_array("x0s", x0s)
    if starts.shape == (0,) and bounds is not None:
        starts = starts.reshape(0, check_bounds(bounds)[0].size)
    elif starts.shape == (0,):
        starts = starts.reshape(0, 0)
    if starts.ndim != 2:
        one = "; for one start give [x0]" if starts.ndim == 1 else ""
        raise InputError(f"x0s has shape {starts.shape}; expected (N, n): a row for a start{one}")
    for lane, i in np.argwhere(~np.isfinite(starts))[:1]:
        raise InputError(f"x0s[{lane}, {i}] is {starts[lane, i]}; expected a finite number")
    return starts


def _drawn(total: int, seed: int, given: int, lower: Vector, upper: Vector) -> Vector:
    """Return the starts that are missing to `total`, from the Sobol sequence."""
    check_integer("total", total, 0)
    check_integer("seed", seed, 0)
    if total < given:
        raise InputError(f"total is {total}, but there are {given} starts in x0s already")
    if len(lower) != 1:
        raise InputError("total= draws starts from one box: give bounds that all lanes share")
    if total == given:
        return np.empty((0, lower.shape[1]))
    for i in np.flatnonzero(~(np.isfinite(lower[0]) & np.isfinite(upper[0])))[:1]:
        raise InputError(
            f"total= draws starts where all bounds are finite, but variable {i} has "
            f"({lower[0, i]}, {upper[0, i]}): give finite bounds, or all starts as x0s"
        )
    if lower.shape[1] == 0:
        return np.empty((int(total) - given, 0))
    return sampling.starts("sobol", int(seed), 0, int(total) - given, lower[0], upper[0])


def _read_lane_bounds(bounds: Any, lanes: int, n: int) -> tuple[Vector, Vector]:
    """Return lower and upper bounds, (1, n) where the lanes share them, else (lanes, n)."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        own = max(np.ndim(bounds.lb), np.ndim(bounds.ub)) == 2
        sides = (bounds.lb, bounds.ub)
        if own:
            lower, upper = (_spread(side, lanes, n) for side in sides)
            return _checked(lower, upper)
    elif bounds is not None and _depth(bounds) == 3:
        return _checked(*_read_table(bounds, lanes, n))
    lower, upper = read_bounds(bounds, n)
    return lower.reshape(1, n), upper.reshape(1, n)


def _depth(bounds: Any) -> int:
    """Return the number of dimensions of bounds, 0 where they are ragged."""
    try:
        return np.ndim(bounds)
    except ValueError:
        return 0


def _spread(side: Any, lanes: int, n: int) -> Vector:
    array = real_array("bounds", side)
    try:
        return np.array(np.broadcast_to(array, (lanes, n)))
    except ValueError as error:
        raise InputError(
            f"bounds of the lanes have shape {array.shape}; expected ({lanes}, {n}) or ({n},)"
        ) from error


def _read_table(bounds: Any, lanes: int, n: int) -> tuple[Vector, Vector]:
    """Read a table of pairs for each lane; None stands for a missing bound."""
    table = np.asarray(bounds)
    if table.shape != (lanes, n, 2):
        raise InputError(
            f"bounds has shape {table.shape}; expected ({n}, 2), or a pair for each variable of "
            f"each lane: ({lanes}, {n}, 2)"
        )
    if table.dtype.kind == "O":
        missing = np.array([side is None for side in table.flat]).reshape(table.shape)
        table = np.where(missing, np.array([-np.inf, np.inf]), table)
    numbers = real_array("bounds", table)
    return numbers[..., 0].copy(), numbers[..., 1].copy()


def _checked(lower: Vector, upper: Vector) -> tuple[Vector, Vector]:
    wrong = ~((lower <= upper) & (lower < np.inf) & (upper > -np.inf))
    for lane, i in np.argwhere(wrong)[:1]:
        raise InputError(
            f"bounds of variable {i} in lane {lane} are ({lower[lane, i]}, {upper[lane, i]}); "
            "expected lower <= upper, neither of them NaN, with some finite number between"
        )
    return lower, upper


def stored_bounds(lower: Any, upper: Any, shape: tuple[int, ...]) -> tuple[Vector, Vector]:
    """Return bounds that were stored; lists forget the shape of nothing."""
    sides = [np.array(side, dtype=np.float64) for side in (lower, upper)]
    rows = len(sides[0])
    if rows not in (1, shape[0]):
        raise ValueError(f"bounds of {rows} lanes for {shape[0]} starts")
    low, high = (side.reshape(rows, shape[1]) for side in sides)
    return _checked(low, high)


def read_evaluation(f: Any, g: Any, k: int, n: int) -> tuple[Vector, Vector, bool]:
    """Return values (k,) and gradients (k, n), contiguous, and whether they were float32."""
    values, first = _read_told("the values", f, (k,), "a value for each point")
    gradients, second = _read_told("the gradients", g, (k, n), "a gradient for each point")
    return values, gradients, first or second


def _is_coarse(kind: Any) -> bool:
    """Return whether numbers of this type have fewer digits than float64."""
    return bool(getattr(kind, "kind", "") == "f" and kind.itemsize < 8)


def _read_told(name: str, given: Any, shape: tuple[int, ...], what: str) -> tuple[Vector, bool]:
    array = real_array(name, given)
    if array.shape != shape:
        raise InputError(f"{name} have shape {array.shape}; expected {shape}: {what}")
    coarse = _is_coarse(getattr(given, "dtype", None))
    return np.ascontiguousarray(array), coarse
