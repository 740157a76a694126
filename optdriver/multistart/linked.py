"""What start rules need to know of a multi-start's state, which other pages change."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.products import norm
from optdriver.multistart import completeness, linkage
from optdriver.multistart.state import unit_coordinates

if TYPE_CHECKING:
    from optdriver.multistart.run import Search
    from optdriver.multistart.state import MultiStartState

Vector = NDArray[np.float64]

UNSEEN: Final = 0.89
"""What is told at most before the sides of the box have been looked at."""


def unit_slope(state: MultiStartState, g: Vector | None) -> Vector | None:
    """Return a gradient by the coordinates of the unit box; None where it has none there."""
    if g is None:
        return None
    free = state.lower < state.upper
    with np.errstate(over="ignore", invalid="ignore"):
        slope: Vector = g[free] * (state.upper[free] - state.lower[free])
    return slope if np.isfinite(slope).all() else None


def enter(state: MultiStartState, run: int, x: Vector, f: float, g: Vector | None) -> int:
    """Enter an evaluated point; return its row."""
    unit = unit_coordinates(state, x)
    return linkage.add(state.linkage, run, unit, f, unit_slope(state, g))


def settle(state: MultiStartState, search: Search, f: float, g: Vector | None) -> int:
    """Enter what was told for a start that was placed; return its row."""
    known = state.linkage
    rows = np.flatnonzero(known.run[: known.count] == search.index)
    if rows.size:
        row = int(rows[0])
    else:  # it was begun by another rule
        row = linkage.place(known, search.index, unit_coordinates(state, search.x0))
    known.samples += search.index not in known.hops.base
    linkage.settle(known, row, f, unit_slope(state, g))
    return row


def first_step(state: MultiStartState, search: Search) -> float | None:
    """Return the length of the first step of a descent, which stays in the gap where it begins."""
    known = state.linkage
    unit = unit_coordinates(state, search.x0)
    gap = linkage.nearest(known, unit, search.index)
    return step_length(state, search.x0, search.g, linkage.FIRST_STEP * gap)


def step_length(state: MultiStartState, x: Vector, g: Vector | None, length: float) -> float | None:
    """Return how long the way down from `x` is that has a length in the unit box."""
    free = state.lower < state.upper
    width = state.upper[free] - state.lower[free]
    if g is None:
        step = length * float(np.min(width))
    else:
        held = np.where(g > 0.0, x <= state.lower, x >= state.upper)[free]
        down = np.where(held, 0.0, g[free])
        size = norm(down / width)
        step = length * norm(down) / size if size > 0.0 else 0.0
    return step if 0.0 < step < math.inf else None


def leap(state: MultiStartState, search: Search, x: Vector, f: float, g: Vector) -> float | None:
    """Return the length, in the unit box, of a step from a run's best point across a barrier.

    That is one at both ends of which f falls, though not on a cubic all the way.  None if the step
    is no such, or it cannot be told.
    """
    before, after = (unit_slope(state, slope) for slope in (search.g, g))
    if before is None or after is None or search.x is None or not f < search.f:
        return None
    step = unit_coordinates(state, x) - unit_coordinates(state, search.x)
    crossed = linkage.crosses(before, after, step, f - search.f)
    return norm(step) if crossed else None


def probability(state: MultiStartState) -> float:
    """Return how likely it is that no minimum is missing: see `completeness`."""
    made = _estimated(state)
    unseen = takes_looks(state) and made >= completeness.LIKELY and not _has_looked(state)
    return UNSEEN if unseen else made


def _estimated(state: MultiStartState) -> float:
    """Return that probability, if nothing is hidden on the sides of the box."""
    aside = len(state.samples.row_of) + linkage.followers(state.linkage)
    minima, rule = len(state.catalogue), state.options.convergence_rule
    if rule < 8:
        return completeness.probability(state.converged + aside, minima)
    sides = int(np.count_nonzero(state.lower < state.upper))
    seen = takes_looks(state) and sides <= linkage.FEW
    if rule < 10 or seen or not state.catalogue.is_on_sides(state.lower, state.upper):
        sides = 0
    descents = state.converged - state.linkage.hops.converged
    return completeness.estimate(descents, aside, minima, sides=sides)


def takes_looks(state: MultiStartState) -> bool:
    """Tell whether sides of the box are looked at before all minima are likely found."""
    ruled = state.options.convergence_rule > 10 and state.linked
    return ruled and state.feasible_starts is None and bool(np.any(state.lower < state.upper))


def wants_look(state: MultiStartState) -> bool:
    """Tell whether the next start is to be on sides of the box: all else is likely found."""
    if not takes_looks(state) or linkage.has_looked(state.linkage, len(state.catalogue)):
        return False
    return _estimated(state) >= completeness.LIKELY


def _has_looked(state: MultiStartState) -> bool:
    """Tell whether enough starts on sides have been taken, and none of them is under way."""
    return linkage.has_looked(state.linkage, len(state.catalogue)) and not any(
        search.state in ("sampling", "running") and is_on_side(state, search.x0)
        for search in state.runs
    )


def is_on_side(state: MultiStartState, x: Vector) -> bool:
    """Tell whether a point is on a side of the box between whose sides it can vary."""
    return bool(np.any(((x <= state.lower) | (x >= state.upper)) & (state.lower < state.upper)))


def may_descend(state: MultiStartState) -> bool:
    """Tell whether enough starts have been evaluated for one more descent."""
    return linkage.may_begin(state.linkage, cost(state), state.options.num_initial)


def cost(state: MultiStartState) -> int:
    """Return how many evaluations a point of a path takes."""
    differenced = state.options.gradients and not state.options.jac
    return 1 + state.lower.size * differenced
