"""By what a method measures variables in boxes that are far wider than these are large.

A study measures variables by their box.  In one of 1e6 or more the start is at 0 then, as good as,
and every slope is huge: SLSQP finds its first subproblem incompatible, and a radius or a tolerance
that is a part of the box is larger than all there is to be found.  So such variables are measured
by the size of the largest of them, a power of two, which changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.options import SHAPED, kept_start
from optdriver.coroutine.state import State

Vector = NDArray[np.float64]

MEASURES = 4
"""The `doubt_rule` from which on it is so."""

WIDE = 2.0**16
"""A box that is so many times wider than its variables are large is no measure of them."""

NEARLY = 2.0**10
"""Where one variable is so small in its box, those count that are nearly as small."""

LENGTHS = (*SHAPED, "initial_tr_radius", "rhobeg", "stepmx")
"""Options with lengths in the variables: where they are given, these keep their unit."""


def may_be(state: State) -> bool:
    """Return whether a leg may be one in a box that is far wider than its variables are large."""
    if not (state.cautious and state.doubt_rule >= MEASURES) or _are_told(state):
        return False
    size, width = _sizes(state)
    return bool(np.any(np.isfinite(width) & (size < width / WIDE)))


def units(state: State, f: float = math.nan, g: Vector | None = None) -> Vector | None:
    """Return by what each free variable is measured in a leg, shape (k,); None if by 1.

    Parameters
    ----------
    f, g : float and ndarray, shape (n,), optional
        Value and gradient where the leg begins: that over which f changes by all of itself is a
        length, too, also in a variable that begins at 0.  Without them all variables must be small
        in their box.
    """
    if not may_be(state):
        return None
    size, width = _sizes(state)
    if g is not None:
        with np.errstate(all="ignore"):
            change = np.abs(f / g[state.lower < state.upper])
        size = np.maximum(size, np.where(np.isfinite(change), change, 0.0))
    wide = np.isfinite(width) & (size < width / NEARLY)
    largest = float(np.max(size[wide], initial=0.0))
    found = bool(np.any(size[wide] < width[wide] / WIDE)) and largest > 0.0
    if not found or (g is None and not wide.all()):
        return None
    return np.where(wide, math.ldexp(1.0, math.frexp(largest)[1] - 1), 1.0)


def _sizes(state: State) -> tuple[Vector, Vector]:
    """Return the sizes of the free variables where a leg begins, and the widths of their box."""
    free = state.lower < state.upper
    x, way = state.start[free], (state.start - state.x0)[free]
    with np.errstate(over="ignore"):
        width = state.upper[free] - state.lower[free]
    return np.maximum(np.abs(x), np.abs(way)), width


def _are_told(state: State) -> bool:
    """Return whether lengths are among the options, but for that which keeps a start."""
    told = {name: state.options[name] for name in LENGTHS if state.options.get(name) is not None}
    box = np.column_stack([state.lower, state.upper])
    kept = kept_start(state.method, state.x0, box)
    return any(name not in kept or value != kept[name] for name, value in told.items())


def measured(options: Mapping[str, Any], method: str, x: Vector, box: Any, unit: Vector) -> Any:
    """Return the options of a leg that begins at `x` in `box`, in these units."""
    made = dict(options)
    for name in ("initial_simplex", "direc"):
        if name in made:
            made[name] = np.asarray(made[name]) / unit
    if "initial_tr_radius" in made:
        made |= kept_start(method, x, np.column_stack(box))
    if method == "TNC":  # which would measure by the box
        made |= {"scale": np.maximum(1.0, np.abs(x)), "offset": x.copy()}
    return made
