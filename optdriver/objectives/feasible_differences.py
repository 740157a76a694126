"""Gradients from values at feasible points alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError
from optdriver.multistart import directions
from optdriver.multistart.directions import Directions
from optdriver.objectives.differences import Differences, Floats, Scheme


@dataclass(kw_only=True, eq=False)
class FeasibleDifferences(Scheme):
    """A difference scheme under constraints: no point violates one.

    Each variable is moved by the first feasible of h, -h and shorter steps, and along feasible
    directions where it cannot be moved alone (see `optdriver.multistart.directions`).

    Parameters
    ----------
    scheme : {'2-point', '3-point'}
        One-sided differences, or central ones where both sides are feasible and one-sided ones,
        with their own step, elsewhere.
    constraints : ConstraintSet
    abs_step, rel_step : None or array_like
        As for `Differences`.
    """

    scheme: str
    constraints: ConstraintSet
    abs_step: ArrayLike | None = None
    rel_step: ArrayLike | None = None
    _planned: Directions | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.scheme not in ("2-point", "3-point"):
            raise InputError(f"unknown difference scheme {self.scheme!r}")
        self._unconstrained(self.scheme)  # checks the steps

    @property
    def cost(self) -> int:
        """Values that one gradient takes at most, beside the one at the point itself."""
        return self._unconstrained(self.scheme).cost

    def possible(self, x: Floats) -> bool:
        """Whether there is any feasible difference at `x`: nothing is evaluated to know it."""
        return self._at(x) is not None

    def points(self, x: Floats, f: float | np.floating[Any]) -> Iterator[NDArray[Any]]:
        """Yield the feasible points whose values are wanted; none where there are none."""
        del f  # which steps are feasible does not depend on it
        planned = self._at(x)
        return iter([] if planned is None else [end.copy() for end in planned.ends])

    def gradient(self, x: Floats, f: float | np.floating[Any], values: ArrayLike) -> Floats:
        """Return the gradient at `x`; NaN where a value is not finite or there is no difference.

        On a surface, where only directions along it are feasible, it is the gradient along it.
        """
        planned = self._at(x)
        told = np.asarray(values, dtype=np.float64)
        if planned is None or not np.isfinite(told).all():
            return np.full(x.size, np.nan)
        planned.f, planned.values = float(f), told.tolist()
        return directions.gradient(planned)

    def _at(self, x: Floats) -> Directions | None:
        """Return the differences at `x`; the last ones are kept."""
        if self._planned is None or not np.array_equal(self._planned.x, x):
            self._planned = self._plan(x)
        return self._planned

    def _plan(self, x: Floats) -> Directions | None:
        one_sided = directions.plan(x, self.constraints, self._steps("2-point", x), False)
        if self.scheme == "2-point" or one_sided is None:
            return one_sided
        return _central(one_sided, self.constraints, self._steps("3-point", x))

    def _steps(self, scheme: str, x: Floats) -> Any:
        """Return the size of the step of each variable."""
        return np.abs(self._unconstrained(scheme).steps(x, 1.0))

    def _unconstrained(self, scheme: str) -> Differences:
        return Differences(
            scheme=scheme,
            lower=self.constraints.lower,
            upper=self.constraints.upper,
            abs_step=self.abs_step,
            rel_step=self.rel_step,
        )


def _central(one_sided: Directions, constraints: ConstraintSet, steps: Floats) -> Directions:
    """Put two points in the place of one where both sides of a variable are feasible."""
    x = one_sided.x
    made = Directions(x, one_sided.f, one_sided.step, [], [], [], 1)
    for i, end in zip(one_sided.coordinate, one_sided.ends, strict=True):
        both = [] if i < 0 else [_moved(x, i, step) for step in (steps[i], -steps[i])]
        central = bool(both) and all(constraints.is_feasible(place) for place in both)
        ends = both if central else [end]
        made.coordinate.extend([i] * len(ends))
        made.ends.extend(ends)
    return made


def _moved(x: Floats, i: int, step: float) -> Floats:
    y = x.copy()
    y[i] += step
    return y
