"""Starts beside the lowest minimum that is known: as many as they pay for.

Where minima lie in funnels, the next lower one is beside the lowest, and a start anywhere in the
box hardly ever finds it.  So with the rule ``'auto'`` some runs begin beside the lowest minimum
(monotonic basin hopping: Wales and Doye 1997, Leary 2000); where one ends lower, the next begin
beside that.  How far they are and how many is decided by what they have led to
(`optdriver.multistart.hops`).

They are no samples of the box: neither single linkage nor the estimate of what has not been found
(`optdriver.multistart.completeness`) counts them among the starts.  Links that are longer than the
cube is wide are not believed of them, and they are not paused: where ripples lie on a funnel most
links cross one.

References
----------
D. J. Wales, J. P. K. Doye, "Global optimization by basin-hopping and the lowest energy structures
of Lennard-Jones clusters containing up to 110 atoms", Journal of Physical Chemistry A 101 (1997)
5111.

R. H. Leary, "Global optimization on funneling landscapes", Journal of Global Optimization 18 (2000)
367.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.products import norm
from optdriver.multistart import hops, linkage
from optdriver.multistart.state import unit_coordinates
from optdriver.space.sampling import starts

if TYPE_CHECKING:
    from optdriver.multistart.run import Search
    from optdriver.multistart.state import MultiStartState

Vector = NDArray[np.float64]

RULE: Final = 13
"""The `convergence_rule` from which on there are such starts."""

FIRST: Final = 3
"""Minima that are known before there is one."""

SHARE: Final = 0.25
"""How many of the runs under way these may be, if there is more than one."""


def is_wanted(state: MultiStartState) -> bool:
    """Tell whether the next start is to be beside the lowest minimum."""
    known, minima = state.linkage.hops, len(state.catalogue)
    if not state.linked or state.options.convergence_rule < RULE or minima < FIRST:
        return False
    live = sum(state.runs[run].state in ("sampling", "running") for run in known.open)
    return live < max(1.0, SHARE * state.live) and known.pay(state.nfev)


def place(state: MultiStartState) -> Vector | None:
    """Return a start beside the lowest minimum.

    None where no point there satisfies the constraints, as far as was looked.
    """
    known = state.linkage.hops
    _, x = state.catalogue.lowest()
    if not known.radius:
        known.radius = _first_radius(state)
    drawn = _draw(state, x, known)
    known.tried += 1
    return drawn if state.feasible_starts is None else state.feasible_starts.near(drawn)


def begin(state: MultiStartState) -> None:
    """Note that the run that is opened next begins beside the lowest minimum."""
    state.linkage.hops.begin(len(state.runs), state.catalogue.lowest()[0])


def _draw(state: MultiStartState, x: Vector, known: hops.Hops) -> Vector:
    """Return a point of the cube around `x`, as far as that is inside the box."""
    half = known.radius * (state.upper / 2 - state.lower / 2)
    with np.errstate(over="ignore"):
        low = np.maximum(state.lower, x - 2 * half)
        high = np.minimum(state.upper, x + 2 * half)
    options = state.options
    drawn: Vector = starts(options.sequence, options.seed + 1, known.tried, 1, low, high)[0]
    return drawn


def _first_radius(state: MultiStartState) -> float:
    """Return half the side of a cube that is as wide as runs go from their starts to their ends."""
    ways = [
        norm(unit_coordinates(state, run.x) - unit_coordinates(state, run.x0))
        for run in state.runs
        if run.state == "converged" and run.x is not None
    ]
    n = max(1, int(np.count_nonzero(state.lower < state.upper)))
    made = math.sqrt(3.0 / n) * float(np.median(ways))
    return min(max(made, hops.LEAST), hops.WIDEST)


def is_believed(state: MultiStartState, row: int) -> bool:
    """Tell whether the link of such a start is believed: it is short, and the slope is known."""
    known = state.linkage
    return bool(known.gap[row] <= known.hops.radius and not np.isnan(known.slope[row]).any())


def note_linked(state: MultiStartState, search: Search, row: int) -> None:
    """Note where a start leads that is put aside, if it is one of these."""
    known = state.linkage.hops
    if search.index in known.open:
        followed = linkage.followed(state.linkage, row)
        known.lead(search.index, back=_leads_back(state, search, followed))


def note_end(state: MultiStartState, search: Search, *, new: bool) -> None:
    """Note where a run has come to, if it is one of these, and whether it is a `new` minimum."""
    known = state.linkage.hops
    if search.index not in known.base:
        return
    known.converged += search.state == "converged"
    lower = new and state.catalogue.lowest()[0] == search.index
    if new:
        known.find(state.nfev, len(state.catalogue), lower=lower)
    if search.index in known.open:
        known.lead(search.index, back=_leads_back(state, search, search.index), lower=lower)


def _leads_back(state: MultiStartState, search: Search, run: int) -> bool:
    """Tell whether a run leads to the minimum beside which another one began."""
    base = state.linkage.hops.base[search.index]
    return run == base or state.catalogue.is_found_by_both(run, base)
