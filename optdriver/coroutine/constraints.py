"""Constraints for methods of SciPy's: handed to those that take them, kept for some of the others.

A method that takes them proposes points that violate them on its way, and is asked for these.  A
method of values alone is none the wiser: where it proposes a point outside, it is told the value at
the nearest feasible one, and where there is none, infinity.  What it sees is
``f(P(x))``, with P(x) the nearest feasible point, which has the same least value as f has within
the constraints, so that no penalty and no weight is needed; and P(x) is what is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.scipy_methods import GIVEN, KEPT, method_names, named
from optdriver.errors import InputError

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

TOLERANCE = 1e-6
"""Scaled violation up to which a point counts as feasible, of methods that leave the set."""

CLEAN = 1e-10
"""Scaled violation that rounding may leave."""

NO_VALUE = 1e10
"""The scaled violation of a row that has no value at a point."""

SOME_STEPS = 40
"""Newton steps to the nearest feasible point, which may be far away."""


def compiled(
    constraints: Any,
    bounds: Any,
    n: int,
    names: Sequence[str] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> ConstraintSet | None:
    """Return constraints over x1 to xn, or `names`, as a set; a set as it is; None for none."""
    if constraints is None or (isinstance(constraints, list | tuple) and not constraints):
        return None
    from optdriver.constraints import ConstraintSet
    from optdriver.constraints.specification import names_of

    if isinstance(constraints, ConstraintSet):
        if constraints.n != n:
            raise InputError(f"the constraints have {constraints.n} parameters, the start {n}")
        return constraints
    return ConstraintSet(constraints, names_of(n, names), bounds, fixed=fixed)


def bounded(lower: Vector, upper: Vector) -> NDArray[np.bool_]:
    """Return which variables vary and have a bound, shape (n,)."""
    return (lower < upper) & (np.isfinite(lower) | np.isfinite(upper))


def has_rows(constraints: ConstraintSet | None) -> TypeGuard[ConstraintSet]:
    """Return whether there is more than a box."""
    return constraints is not None and len(constraints) > 0


def may_leave(method: str, constraints: ConstraintSet | None) -> bool:
    """Return whether a method may want points that violate the constraints."""
    return has_rows(constraints) and named(method).constraints == GIVEN


def is_admitted(constraints: ConstraintSet, x: Vector, kind: str) -> bool:
    """Return whether a point that was asked as an iterate, or as a difference, can be the best.

    The step of a difference violates constraints on purpose, by no more than the tolerance: it must
    satisfy them.
    """
    return constraints.violation(x) <= (CLEAN if kind == "difference" else TOLERANCE)


def check(method: str, constraints: ConstraintSet | None) -> None:
    """Refuse constraints that a method neither takes nor can be kept within.

    Raises
    ------
    InputError
        The message names the methods that can be used.
    """
    if has_rows(constraints) and not named(method).constraints:
        raise InputError(
            f"method {method!r} takes no constraints: 'L-BFGS-B' (optdriver.FeasibleMinimizer) "
            f"never leaves them, and with values alone {_listed(KEPT)} do not either; "
            f"{_listed(GIVEN)} take them, and leave them on their way"
        )


def leaving(method: str) -> str:
    """Return what is to be said of a method that leaves constraints on its way."""
    return (
        f"method {method!r} takes the constraints, and evaluates points that violate them on its "
        f"way; 'L-BFGS-B' never does, nor do, with values alone, {_listed(KEPT)}, 'CMA-ES' and "
        "Nevergrad's"
    )


def _listed(how: str) -> str:
    return ", ".join(repr(name) for name in method_names(constraints=how))


def nearest(constraints: ConstraintSet, x: Vector, weights: Vector) -> Vector | None:
    """Return `x` if it is feasible, else the nearest feasible point found, None without one."""
    if constraints.is_feasible(x):
        return x
    found = constraints.nearest(x, weights, SOME_STEPS)
    return found.x if found.feasible else None


def sizes(lower: Vector, upper: Vector, x: Vector) -> Vector:
    """Return by what distances are measured: widths of the box, or the variables' own sizes."""
    width = upper - lower
    return np.where(np.isfinite(width) & (width > 0.0), width, np.maximum(1.0, np.abs(x)))


class Rows:
    """A set of constraints as SciPy's methods take it: scaled rows over the free variables.

    Parameters
    ----------
    constraints : ConstraintSet
    start : ndarray, shape (n,)
        Has the values of the variables that the bounds fix.
    free : ndarray of bool, shape (n,)
    origin, unit : ndarray, shape (k,) or (1,)
        From where, and by what, the method measures the free ones.
    small : bool
        Whether that is by a small part of the box, in which rows, scaled for the box, are as small
        themselves and hold nothing: they have slopes of about 1 at the start then.
    """

    def __init__(
        self,
        constraints: ConstraintSet,
        start: Vector,
        free: NDArray[np.bool_],
        origin: Vector,
        unit: Vector,
        *,
        small: bool = False,
    ) -> None:
        self._constraints, self._start, self._free = constraints, start, free
        self._origin, self._unit = origin, unit
        self._scales = self._sizes() if small else constraints.scales

    def _sizes(self) -> Vector:
        """Return the sizes of the slopes of the rows at the start, powers of two."""
        slopes = np.abs(self._constraints.jacobian(self._start)[:, self._free] * self._unit)
        sizes = np.max(slopes, axis=1, initial=0.0)
        usual = np.isfinite(sizes) & (sizes > 0.0)
        sizes[usual] = np.ldexp(1.0, np.frexp(sizes[usual])[1] - 1)
        return np.where(usual, sizes, self._constraints.scales)

    def objects(self, *, equalities: bool = True) -> list[Any]:
        """Return SciPy's constraint objects, linear rows and equalities by themselves.

        A method that is told what is at the nearest feasible point needs no equalities: along what
        leads to them the values are the same.
        """
        known, count = self._constraints, self._constraints.n_inequalities
        rows = np.arange(len(known))
        made = []
        for linear in (True, False):
            for equal in (False, True)[: 1 + equalities]:
                chosen = rows[(known.linear == linear) & ((rows >= count) == equal)]
                if chosen.size:
                    made.append(self._linear(chosen, equal) if linear else self._of(chosen, equal))
        return made

    def _linear(self, rows: NDArray[np.intp], equal: bool) -> Any:
        from scipy.optimize import LinearConstraint  # takes long to import, and is there by now

        x = (self._start[self._free] - self._origin) / self._unit
        matrix = self._jacobian(x, rows)
        level = matrix @ x - self._values(x, rows)
        return LinearConstraint(matrix, level if equal else -np.inf, level)

    def _of(self, rows: NDArray[np.intp], equal: bool) -> Any:
        from scipy.optimize import NonlinearConstraint

        def hessian(x: Vector, weights: Vector) -> Vector:
            return self._hessian(x, rows, weights)

        return NonlinearConstraint(
            lambda x: self._values(x, rows),
            0.0 if equal else -np.inf,
            0.0,
            jac=lambda x: self._jacobian(x, rows),
            hess=hessian,  # type: ignore[arg-type]  # SciPy calls it with weights, too
        )

    def _full(self, x: Vector) -> Vector:
        full = self._start.copy()
        full[self._free] = self._origin + self._unit * x
        return np.minimum(np.maximum(full, self._constraints.lower), self._constraints.upper)

    def _values(self, x: Vector, rows: NDArray[np.intp]) -> Vector:
        values = (self._constraints.values(self._full(x)) / self._scales)[rows]
        return np.nan_to_num(values, nan=NO_VALUE, posinf=NO_VALUE, neginf=-NO_VALUE)

    def _jacobian(self, x: Vector, rows: NDArray[np.intp]) -> Vector:
        jacobian = self._constraints.jacobian(self._full(x))[rows] / self._scales[rows, None]
        return np.ascontiguousarray(jacobian[:, self._free] * self._unit)

    def _hessian(self, x: Vector, rows: NDArray[np.intp], weights: Vector) -> Vector:
        multipliers = np.zeros(len(self._scales))
        multipliers[rows] = weights / self._scales[rows]
        full = self._constraints.hessian(self._full(x), multipliers)
        chosen = full[np.ix_(self._free, self._free)]
        return np.ascontiguousarray(chosen * self._unit * self._unit[:, None])
