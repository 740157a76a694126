"""What kind the ends are that the catalogue lists as minima, judged by all that was evaluated.

Beside a minimum nothing is lower, but by what the tests allow for that ended the run.  Where an
evaluation is, the end is none: a *saddle* if f falls to there as it does along a parabola whose top
is the end (of the slopes at both ends, by the secant's, the first is 0 then, and the second 2), and
*doubtful* if it does not, or no gradient tells.  Ends that are nearer to each other than the
catalogue tells apart may be two minima, and then a way from one to the other leads over a barrier:
so no saddle has another minimum beside it, and without such a parabola only points that are nearer
still are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart import Minimum, Run
from optdriver.study.state import State

FloatArray = NDArray[np.float64]

MINIMUM: Final = "minimum"
MAXIMUM: Final = "maximum"
SADDLE: Final = "saddle"
DOUBTFUL: Final = "doubtful"

NEAR: Final = 1e-3
"""How far from an end a point may lie, in widths of the box (as in the catalogue)."""

NEARER: Final = 0.1
"""How far where no parabola leads there, as a part of that."""

EXACT: Final = 1e-12
"""By what part values at a minimum differ by their own rounding, where `ftol` is less."""

ALLOWED: Final = 10.0
"""So many times what the tests allow for a value has to be lower."""

TOP: Final = 0.25
"""How far from 2 the slope at the lower point may be, by the secant's."""


class Kinds:
    """What is known of ends; evaluations are put in order when the first one is asked for."""

    def __init__(self, state: State, row: Callable[[int], Run]):
        self._state, self._row = state, row
        self._ordered: tuple[NDArray[np.intp], FloatArray] | None = None

    def of(self, minimum: Minimum) -> str:
        """Return what an end is known to be: a minimum of what is minimised, or something else."""
        minimal = MINIMUM if self._state.spec.sign > 0.0 else MAXIMUM
        if not minimum.x.size:
            return minimal
        near = NEAR * self._width(minimum.x)
        rows, step = self._beside(minimum.x, near)
        sign, ledger = self._state.spec.sign, self._state.ledger
        fall = minimum.f - sign * ledger.value[rows]
        lower = np.flatnonzero(fall > self._allowed(minimum))
        tops = (self._has_its_top_there(int(rows[k]), step[k], float(fall[k])) for k in lower)
        if any(tops) and self._is_alone(minimum, near):
            return SADDLE
        part = np.max(np.abs(step[lower]) / near, axis=1, initial=0.0)
        return DOUBTFUL if np.any(part <= NEARER) else minimal

    def _is_alone(self, minimum: Minimum, near: FloatArray) -> bool:
        """Tell whether no other minimum is so near that lower points may belong to that."""
        places = np.array([other.x for other in self._state.driver.minima])
        beside = (np.abs(places - minimum.x) <= 2.0 * near).all(axis=1)
        return int(np.count_nonzero(beside)) == 1

    def _width(self, z: FloatArray) -> FloatArray:
        bounds = self._state.spec.space.driver_bounds
        with np.errstate(over="ignore"):
            width = bounds[:, 1] - bounds[:, 0]
        return np.where(np.isfinite(width), width, np.maximum(1.0, np.abs(z)))

    def _allowed(self, minimum: Minimum) -> float:
        """Return how much lower than a minimum values beside it may be."""
        noise = max(self._row(run).noise for run in minimum.runs)
        ftol = max(float(self._state.parameters["ftol"]), EXACT)
        return ALLOWED * (ftol * max(1.0, abs(minimum.f)) + noise)

    def _beside(self, z: FloatArray, near: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
        """Return the evaluations that are as near to a point in every coordinate, and the steps."""
        if self._ordered is None:
            self._ordered = self._in_order()
        rows, places = self._ordered
        first = np.searchsorted(places[:, 0], z[0] - near[0], side="left")
        last = np.searchsorted(places[:, 0], z[0] + near[0], side="right")
        step = places[first:last] - z
        inside = np.flatnonzero((np.abs(step) <= near).all(axis=1))
        return rows[first:last][inside], step[inside]

    def _in_order(self) -> tuple[NDArray[np.intp], FloatArray]:
        """Return the rows that count, in the order of their first coordinate, and their places."""
        state, ledger = self._state, self._state.ledger
        rows = np.flatnonzero(ledger.observed())
        rows = rows[rows >= ledger.since]
        if ledger.outside:
            rows = rows[~np.isin(rows, list(ledger.outside))]
        places = state.spec.space.to_driver(ledger.x[rows])
        order = np.argsort(places[:, 0], kind="stable")
        return rows[order], places[order]

    def _has_its_top_there(self, row: int, step: FloatArray, fall: float) -> bool:
        """Tell whether f falls along a step as along a parabola from its top, to a lower point."""
        ledger, spec = self._state.ledger, self._state.spec
        gradient = ledger.gradient_of(row)
        if gradient is None:
            return False
        slope = spec.sign * spec.space.gradient_to_driver(gradient, ledger.x[row])
        return bool(abs(float(slope @ step) / -fall - 2.0) <= TOP)
