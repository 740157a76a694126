"""What is known of each start: where its run stands, or how it ended."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver import stored
from optdriver.lbfgsb import State, Stop

Vector = NDArray[np.float64]
Integers = NDArray[np.intp]

NUMBERS = ("x", "fun", "jac")
COUNTS = ("nfev", "nit", "nfail", "stop")

_SUCCESS = {int(stop): stop.success for stop in Stop}
_STATUS = {int(stop): stop.status for stop in Stop}
_MESSAGES = {int(stop): stop.message for stop in Stop}


@dataclass(slots=True)
class Records:
    """A row for each of N starts.

    Attributes
    ----------
    x, jac : (N, n) arrays
        The best point evaluated and its gradient; before there is one, the start and NaN.
    fun : (N,) array
        Its value, or NaN.
    nfev, nit, nfail, stop : (N,) arrays of int
        Evaluations, iterations, failed evaluations; `Stop` as a number.
    """

    x: Vector
    fun: Vector
    jac: Vector
    nfev: Integers
    nit: Integers
    nfail: Integers
    stop: Integers

    @classmethod
    def of(cls, starts: Vector) -> Records:
        """Return the records of starts that have not begun."""
        count = len(starts)
        nothing = np.full(count, math.nan), np.full(starts.shape, math.nan)
        return cls(starts, *nothing, *(np.zeros(count, dtype=np.intp) for _ in COUNTS))

    def write(self, row: int, state: State) -> None:
        """Write down where the run of start `row` stands."""
        if state.best_f < math.inf:
            self.x[row] = state.vector("xb")
            self.jac[row] = state.vector("gb")
            self.fun[row] = state.best_f
        else:
            self.x[row] = state.vector("xt")
        self.nfev[row], self.nit[row] = state.nfev, state.nit
        self.nfail[row], self.stop[row] = state.nfail, state.stop

    def to_dict(self) -> dict[str, Any]:
        """Return copies of the arrays by name."""
        return {name: getattr(self, name).copy() for name in NUMBERS + COUNTS}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], n: int) -> Records:
        """Return the records of which `to_dict` made `fields`, or lists like them.

        Raises
        ------
        TypeError, ValueError
            If the numbers are not such as runs write down.
        """
        count = len(fields["stop"])
        shapes = {"x": (count, n), "fun": (count,), "jac": (count, n)}
        columns: dict[str, Any] = {
            name: stored.array(name, fields[name], shape, nan=name != "x")
            for name, shape in shapes.items()
        }
        columns |= {name: stored.counts(name, fields[name], count) for name in COUNTS}
        records = cls(**columns)
        if not np.isin(records.stop, list(Stop)).all():
            raise ValueError("'stop' holds numbers that are no `Stop`")
        if not (records.nfail <= records.nfev).all():
            raise ValueError("more evaluations have failed than were told")
        known = ~np.isnan(records.fun)
        finite = np.isfinite(records.fun) == known
        if not (finite.all() and (np.isfinite(records.jac) == known[:, None]).all()):
            raise ValueError("'fun' and 'jac' are not both finite, or both NaN")
        return records

    def result(self, reasons: Mapping[int, str]) -> OptimizeResult:
        """Return copies of the arrays, and what they mean."""
        stops = self.stop.tolist()
        messages = [_MESSAGES[stop] for stop in stops]
        for row, reason in reasons.items():
            messages[row] = f"{messages[row]}: {reason}"
        result = OptimizeResult()
        result.update(
            self.to_dict(),
            status=np.array([_STATUS[stop] for stop in stops], dtype=np.intp),
            success=np.array([_SUCCESS[stop] for stop in stops], dtype=bool),
            message=messages,
            best=None if np.isnan(self.fun).all() else int(np.nanargmin(self.fun)),
        )
        return result
