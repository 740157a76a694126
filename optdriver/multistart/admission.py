"""What the constraints let in: starts of the user, added points, and the set as it was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import has_rows
from optdriver.errors import InputError
from optdriver.multistart.feasible_starts import (
    FeasibleStarts,
    check_not_empty,
    nothing_feasible,
    widths,
)
from optdriver.multistart.options import MultiStartOptions

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

SLACK = 1e-9
"""Scaled violation of a row that is accepted of points given by the user."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Moved:
    """An initial sample that violated a constraint.

    Attributes
    ----------
    sample : int
        Its number.
    given, x : ndarray, shape (n,)
        Where it was, and the nearest feasible point that was found, where its minimizer starts.
    constraint : str
        The constraint that it violated most.
    violation : float
        By how much, scaled.
    """

    sample: int
    given: Vector
    x: Vector
    constraint: str
    violation: float

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain values and arrays."""
        return {
            "sample": self.sample,
            "given": self.given.copy(),
            "x": self.x.copy(),
            "constraint": self.constraint,
            "violation": self.violation,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Moved:
        """Return the record of which `to_dict` made `data`."""
        given, x = (np.array(data[name], dtype=np.float64) for name in ("given", "x"))
        return cls(**{**data, "given": given, "x": x})


def compiled(constraints: Any, lower: Vector, upper: Vector) -> ConstraintSet | None:
    """Return constraints over x1 to xn as a set, a set as it is, and None for no constraints.

    Raises
    ------
    InputError
        A set has another number of parameters, or a box that leaves the bounds.
    """
    if constraints is None or (isinstance(constraints, list | tuple) and not constraints):
        return None
    from optdriver.constraints import ConstraintSet

    if not isinstance(constraints, ConstraintSet):
        names = [f"x{i + 1}" for i in range(lower.size)]
        return ConstraintSet(constraints, names, np.column_stack([lower, upper]))
    if constraints.n != lower.size:
        raise InputError(f"the constraints have {constraints.n} parameters, bounds {lower.size}")
    if np.any(constraints.lower < lower) or np.any(constraints.upper > upper):
        raise InputError(
            "the box of the constraints leaves the bounds: make the ConstraintSet with the same "
            "bounds, ConstraintSet(texts, names, bounds)"
        )
    return constraints


def read(stored: Any) -> ConstraintSet | None:
    """Return the constraints of a stored state, which may have been handed over as they are."""
    if stored is None:
        return None
    from optdriver.constraints import ConstraintSet

    return stored if isinstance(stored, ConstraintSet) else ConstraintSet.from_dict(stored)


def sequence_of(
    constraints: ConstraintSet | None, options: MultiStartOptions
) -> FeasibleStarts | None:
    """Return where starts come from under constraints; None where the box is all."""
    if not has_rows(constraints):
        return None
    return FeasibleStarts(
        constraints,
        options.sequence,
        options.seed,
        off_faces=options.constraint_rule > 1,
        patient=options.constraint_rule < 3,
        exact=options.constraint_rule > 4,
        small=options.convergence_rule > 12,
    )


def admit(
    constraints: ConstraintSet | None,
    samples: Vector,
    starts: FeasibleStarts | None,
    project_starts: bool,
) -> tuple[Vector, list[Moved]]:
    """Return the user's starts, moved where they violate a constraint, and a record of the moves.

    Raises
    ------
    InputError
        One violates a constraint and must not be moved.
    ConstraintError
        No feasible point exists, as far as can be told.
    """
    if constraints is None:
        return samples, []
    samples, moved = samples.copy(), []
    for k, given in enumerate(samples):
        if constraints.is_feasible(given):
            continue
        if _is_feasible_but_for_rounding(constraints, given):
            samples[k] = _nearest(constraints, given, starts)
            continue
        name, violation = violated(constraints, given)
        if not project_starts:
            raise InputError(
                f"initial sample {k} violates {name!r} by {violation:.3g} (scaled): give a "
                "feasible one, or let it be moved with project_starts=True"
            )
        x = _nearest(constraints, given, starts)
        moved.append(Moved(sample=k, given=given.copy(), x=x, constraint=name, violation=violation))
        samples[k] = x
    if starts is not None and not len(samples):
        check_not_empty(constraints)
    return samples, moved


def _is_feasible_but_for_rounding(constraints: ConstraintSet, x: Vector) -> bool:
    """Say whether nobody who computes by hand would call `x` infeasible: it is moved in silence."""
    clipped = np.clip(x, constraints.lower, constraints.upper)
    near = np.all(np.abs(clipped - x) <= SLACK * np.maximum(1.0, np.abs(x)))
    return bool(near) and constraints.is_feasible(clipped, SLACK)


def _nearest(constraints: ConstraintSet, x: Vector, starts: FeasibleStarts | None) -> Vector:
    clipped = np.clip(x, constraints.lower, constraints.upper)
    if starts is None or constraints.is_feasible(clipped):
        return clipped
    width = widths(constraints)
    made = constraints.nearest(clipped, width)
    if made.feasible:
        return made.x
    if not np.all(np.isfinite(constraints.lower) & np.isfinite(constraints.upper)):
        raise nothing_feasible([made])
    others = starts.check()
    nearest: Vector = others[np.argmin(np.linalg.norm((others - x) / width, axis=1))]
    return nearest.copy()


def violated(constraints: ConstraintSet, x: Vector) -> tuple[str, float]:
    """Return the name of the constraint, or side of the box, that `x` violates most."""
    name, violation = constraints.worst(x)
    outside = np.maximum(constraints.lower - x, x - constraints.upper)
    i = int(np.argmax(outside))
    if violation > 0.0 or outside[i] <= 0.0:
        return name, violation
    side = "lower" if x[i] < constraints.lower[i] else "upper"
    parameter = constraints.parameters[i]
    return constraints.bound_names.get((i, side), f"bounds of {parameter}"), float(outside[i])


def check_added(constraints: ConstraintSet | None, x: Vector) -> None:
    """Refuse a point that violates a constraint."""
    if constraints is not None and not constraints.is_feasible(x, SLACK):
        name, violation = violated(constraints, x)
        raise InputError(
            f"the point violates {name!r} by {violation:.3g} (scaled); only feasible points can "
            "be added"
        )
