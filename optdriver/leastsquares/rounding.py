"""How exact residuals are that are printed with few digits: learnt of trials and differences.

A residual that the derivatives at both ends of a step say must have changed, by far more than the
rounding of Python's numbers, and that is the same to the last bit, was rounded.  What the others
have changed by, beside what was foreseen, tells to how many digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.products import norm, times

if TYPE_CHECKING:
    from optdriver.leastsquares.state import State

Vector = NDArray[np.float64]

RESOLVED: Final = 2.0**-40
"""The part of its size from which on a change that was foreseen shows in Python's numbers."""

SILENT: Final = 0.25
"""The part of the residuals that have to be the same where they were to change."""

FORGETTING: Final = 0.5

EXPLAINED: Final = 4.0
"""Times the noise, what a trial leaves unexplained where that is rounding and nothing else."""

SPREAD: Final = 1.0 / math.sqrt(12.0)
"""The standard deviation of a rounding error, in units of the last digit."""


def learn(state: State, r: Vector, jacobian: Vector) -> None:
    """Take in what a trial shows of the rounding of residuals."""
    if state.x is None or state.pending is None or state.r is None or state.jacobian is None:
        raise ValueError("there is no trial")
    moved = state.pending - state.x
    here, there = times(state.jacobian, moved), times(jacobian, moved)
    foreseen = 0.5 * (here + there)
    size = np.abs(state.r) + times(np.abs(state.jacobian), np.abs(state.x))
    size[np.abs(here - there) > np.abs(foreseen)] = math.inf  # a long step foretells nothing there
    change = r - state.r
    if found := level(change, foreseen, size):
        if not (state.noise and np.all(change == 0.0)):
            state.noise = max(found, FORGETTING * state.noise)
        state.rounds = True
    elif state.noise and math.isfinite(most := _most(change, foreseen)):
        state.noise = min(state.noise, most)
        state.rounds = most <= EXPLAINED * state.noise


def level(change: Vector, foreseen: Vector, size: Vector) -> float:
    """Return the standard deviation of rounding errors that a change shows, 0 where none are shown.

    Parameters
    ----------
    change, foreseen : ndarray, shape (m,)
        By what residuals have changed, and by what they were to.
    size : ndarray, shape (m,)
        Of what they were computed from.
    """
    told = np.abs(foreseen) > RESOLVED * size
    silent, count = int(np.count_nonzero(told & (change == 0.0))), int(np.count_nonzero(told))
    if not silent >= max(min(2, count), 1, SILENT * count):
        return 0.0
    if silent == count:  # the least last digit with which that is likely
        found = SPREAD * math.fsum(np.abs(foreseen[told]).tolist())
    else:
        seen = SPREAD * norm(change[told]) / math.sqrt(count - silent)
        found = min(_most(change[told], foreseen[told]), seen)
    return found if math.isfinite(found) else 0.0


def _most(change: Vector, foreseen: Vector) -> float:
    """Return the standard deviation of rounding errors if they are all that was not foreseen.

    Over less than a last digit q residuals change by it or not at all, with a mean square of q
    times what was foreseen; over more that is q^2/6.  Infinite where too few have changed to tell.
    """
    wanted = math.fsum(np.abs(foreseen).tolist())
    if not wanted > 0.0 or np.count_nonzero(change) < (1.0 - 2.0 * SILENT) * change.size:
        return math.inf
    squares = norm(change - foreseen) ** 2
    return SPREAD * max(math.sqrt(6.0 * squares / change.size), squares / wanted)
