"""One end of an interval of confidence by profile likelihood, as a thing to ask and tell.

The profile of a parameter is the least value that a fit has for each of its values, the others
being fitted anew.  The interval ends where it has risen by what the level says.  The root of the
rise is nearly a straight line over the parameter, so that the secant finds the end; each fit starts
from its neighbour (Bates and Watts, Nonlinear Regression Analysis and Its Applications, 1988,
section 6.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.errors import ProtocolError
from optdriver.leastsquares.minimizer import LeastSquares

Vector = NDArray[np.float64]

CLOSE: Final = 1e-6
"""How exactly the root of the rise is met, relatively."""

TRIES: Final = 40
"""Values of the parameter that are tried for one end."""

FARTHEST: Final = 3.0
"""How many times as far the next value may be, where the end is not enclosed yet."""

MOST: Final = 500
"""Evaluations of one fit."""

XTOL: Final = 1e-7
"""The relative offset at which one has converged: its value is exact to the square of that."""


EDGE: Final = 40
"""Halvings by which the place is found from which on no point is feasible."""

INSIDE: Final = 1e-9
"""What is kept off that place, as a part of the way there: at it hardly a point is feasible."""

AT_BOUND: Final = "at its bound"
AT_EDGE: Final = "where the constraints end"


class Fits(Protocol):
    """What fits the other parameters, one of them being held."""

    def begin(self, start: Vector, lower: Vector, upper: Vector) -> Any:
        """Return a machine that begins at, or near, `start`; None where no point is feasible."""

    def to_dict(self, machine: Any) -> dict[str, Any]:
        """Return a machine as data."""

    def from_dict(self, data: Mapping[str, Any]) -> Any:
        """Return the machine of which `to_dict` made `data`."""


class WithinBounds:
    """Fits that know bounds only; `secant` and `rounded` are those of `LeastSquares`."""

    def __init__(self, *, secant: int = 0, rounded: int = 0) -> None:
        self._rules: dict[str, Any] = {"secant": secant, "rounded": rounded, "beside": False}

    def admits(self, x: Vector) -> bool:  # noqa: ARG002  # it is within the box
        """Return whether a point may be asked."""
        return True

    def begin(self, start: Vector, lower: Vector, upper: Vector) -> LeastSquares:
        """Return a fit within a box."""
        box = list(zip(lower, upper, strict=True))
        return LeastSquares(start, box, xtol=XTOL, maxfun=MOST, **self._rules)

    def to_dict(self, machine: LeastSquares) -> dict[str, Any]:
        """Return a fit as data."""
        return machine.to_dict()

    def from_dict(self, data: Mapping[str, Any]) -> LeastSquares:
        """Return the fit of which `to_dict` made `data`."""
        return LeastSquares.from_dict(data)


class ProfileEnd:
    """One end of the interval of one parameter.

    Parameters
    ----------
    x : ndarray, shape (n,)
        The minimum.
    f : float
        Its value.
    index : int
        The parameter.
    step : float
        The first step from the minimum, above zero: the standard error.
    side : {-1, 1}
        Which end.
    rise : float
        By how much the value rises to the end.
    bounds : (lower, upper)
        Two arrays of shape (n,).
    fits : Fits
        What fits the others.

    Attributes
    ----------
    done : bool
    end : float
        The end, or the bound, or where constraints end, if that comes first; NaN where none was
        found.
    note : str
        Why it is no end, or an empty string.
    theta, values : list of float
        The profile: values of the parameter, and of the fits.
    """

    def __init__(
        self,
        x: Vector,
        f: float,
        *,
        index: int,
        step: float,
        side: int,
        rise: float,
        bounds: tuple[Vector, Vector],
        fits: Fits | None = None,
    ) -> None:
        self._fits: Fits = fits or WithinBounds()
        self._at = AT_BOUND
        self._x, self._f, self._index, self._side = x, f, index, side
        self._bounds, self._target = bounds, math.sqrt(rise)
        self._bound = float(bounds[side > 0][index])
        self._inner, self._outer = (float(x[index]), 0.0), (math.nan, math.nan)
        self._last = (float(x[index]), 0.0)
        self.theta, self.values = [float(x[index])], [f]
        self.end, self.note, self.done = math.nan, "", False
        self._start = x
        self._minimizer: Any = None
        self._begin(float(x[index]) + side * step)

    def _begin(self, theta: float) -> None:
        """Fit the others at a value of the parameter, unless there is none left."""
        beyond = (theta - self._bound) * self._side >= 0.0
        theta = self._bound if beyond else theta
        if theta == self._last[0]:
            self._finish_at(theta)
            return
        made = self._fit(theta)
        if made is None:
            theta = self._bound = self._edge(theta)
            self._at = AT_EDGE
            made = None if theta == self._last[0] else self._fit(theta)
        if made is None:
            self._finish_at(theta)
        else:
            self._minimizer = made

    def _finish_at(self, theta: float) -> None:
        """End where there is no other value of the parameter to try."""
        if theta == self._bound:
            self._finish(theta, self._at)
        else:
            self._finish(math.nan, "not found")

    def _fit(self, theta: float) -> Any:
        """Return what fits the others at a value of the parameter, None if no point is feasible."""
        lower, upper = (side.copy() for side in self._bounds)
        lower[self._index] = upper[self._index] = theta
        start = self._start.copy()
        start[self._index] = theta
        return self._fits.begin(start, lower, upper)

    def _edge(self, beyond: float) -> float:
        """Return about the last value of the parameter with feasible points, on the way there."""
        inside = float(self._start[self._index])
        for _ in range(EDGE):
            middle = inside + 0.5 * (beyond - inside)
            if middle in (inside, beyond):
                break
            if self._fit(middle) is None:
                beyond = middle
            else:
                inside = middle
        return inside - INSIDE * (inside - float(self._start[self._index]))

    def _finish(self, end: float, note: str = "") -> None:
        self.end, self.note, self.done = end, note, True

    @property
    def index(self) -> int:
        """The parameter."""
        return self._index

    def to_dict(self) -> dict[str, Any]:
        """Return the state as numbers, strings and arrays."""
        minimizer = self._minimizer
        return {
            "x": self._x.copy(),
            "f": self._f,
            "index": self._index,
            "side": self._side,
            "target": self._target,
            "bounds": [side.copy() for side in self._bounds],
            "inner": list(self._inner),
            "outer": list(self._outer),
            "last": list(self._last),
            "theta": list(self.theta),
            "values": list(self.values),
            "end": self.end,
            "note": self.note,
            "done": self.done,
            "start": self._start.copy(),
            "minimizer": None if minimizer is None or self.done else self._fits.to_dict(minimizer),
            **({} if self._at == AT_BOUND else {"bound": self._bound}),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], fits: Fits | None = None) -> ProfileEnd:
        """Return the end that goes on where the one of `to_dict` was, with the same `fits`.

        Raises
        ------
        InputError, ValueError, KeyError, TypeError
            It is no such dict.
        """
        new = cls.__new__(cls)
        new._fits = fits or WithinBounds()  # noqa: SLF001  # our own class
        new._restore(data)  # noqa: SLF001  # our own class
        return new

    def _restore(self, data: Mapping[str, Any]) -> None:
        n = len(data["x"])
        self._x = stored.array("x", data["x"], (n,), finite=True)
        self._f = stored.real("f", data["f"])
        self._index = stored.whole("index", data["index"], 0, n - 1)
        self._side = 1 if stored.whole("side", data["side"], -1, 1) > 0 else -1
        self._target = stored.real("target", data["target"], 0.0)
        low, high = (stored.array("bounds", side, (n,)) for side in data["bounds"])
        self._bounds = low, high
        self._bound, self._at = float(self._bounds[self._side > 0][self._index]), AT_BOUND
        if data.get("bound") is not None:
            self._bound, self._at = stored.real("bound", data["bound"]), AT_EDGE
        self._inner, self._outer, self._last = (
            _pair(name, data[name]) for name in ("inner", "outer", "last")
        )
        self.theta = [float(each) for each in data["theta"]]
        self.values = [float(each) for each in data["values"]]
        self.end, self.note = float(data["end"]), stored.text("note", data["note"])
        self.done = stored.flag("done", data["done"])
        self._start = stored.array("start", data["start"], (n,), finite=True)
        made = data["minimizer"]
        self._minimizer = None if made is None else self._fits.from_dict(made)
        if self.done:
            return
        if self._minimizer is None or self._minimizer.done or self._minimizer.n != n:
            raise ValueError("the end of an interval that nothing is asked for")
        stored.inside("pending", self._minimizer.ask(), low, high)

    def ask(self) -> Vector:
        """Return the point to evaluate next.

        Raises
        ------
        ProtocolError
            The end has been found.
        """
        if self.done or self._minimizer is None:
            raise ProtocolError("ask: the end of the interval has been found")
        point: Vector = self._minimizer.ask()
        return point

    def tell(self, residuals: Any, jacobian: Any) -> None:
        """Tell the residuals there, and their Jacobian."""
        self.ask()
        if self._minimizer is not None:
            self._minimizer.tell(residuals, jacobian)
            if self._minimizer.done:
                self._take(self._minimizer)

    def tell_failure(self, reason: str = "") -> None:
        """Tell that the evaluation failed."""
        self.ask()
        if self._minimizer is not None:
            self._minimizer.tell_failure(reason)
            if self._minimizer.done:
                self._take(self._minimizer)

    def _take(self, minimizer: Any) -> None:
        """Take in a fit, and go on to the next value of the parameter, or end."""
        if minimizer.best is None:
            self._finish(math.nan, f"a fit failed: {minimizer.result.message}")
            return
        x, f, _ = minimizer.best
        theta = float(x[self._index])
        self.theta.append(theta)
        self.values.append(f)
        root = math.copysign(math.sqrt(abs(f - self._f)), f - self._f)
        if root < -CLOSE * self._target:
            self._finish(math.nan, f"a lower value was found there: {f:.10g}")
        elif abs(root - self._target) <= CLOSE * self._target:
            self._finish(theta)
        elif theta == self._bound and root < self._target:
            self._finish(theta, self._at)
        elif len(self.theta) > TRIES:
            self._finish(math.nan, "not found")
        else:
            self._next(theta, root, x)

    def _next(self, theta: float, root: float, x: Vector) -> None:
        before, self._last = self._last, (theta, root)
        if root > self._target:
            self._outer = (theta, root)
        else:
            self._inner, self._start = (theta, root), x
        low, high = self._inner[0], self._outer[0]
        if math.isnan(high):
            far = float(self._x[self._index]) + FARTHEST * (theta - float(self._x[self._index]))
            self._begin(self._between(before, theta, far))
        else:
            self._begin(self._between(before, low, high))

    def _between(self, before: tuple[float, float], low: float, high: float) -> float:
        """Return where the line through the last two roots meets the target, from low to high."""
        theta, root = self._last
        slope = (root - before[1]) / (theta - before[0])
        found = theta + (self._target - root) / slope if slope != 0.0 else math.nan
        margin = 0.01 * (high - low)
        inside = (found - low - margin) * (high - margin - found) > 0.0
        if inside:
            return found
        return high if math.isnan(self._outer[0]) else low + 0.5 * (high - low)


def _pair(name: str, data: Any) -> tuple[float, float]:
    first, second = stored.rows(name, data)
    return float(first), float(second)
