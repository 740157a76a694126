"""Where a survey may step: inside a box, and on the surface of the constraints that hold its point.

Rows that hold the point stay active: what a step along their tangents leaves of them is taken away
by Newton steps of least length, with each variable measured by the width of its box.  No other row
may be violated, and no variable at a bound is moved by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.factors import LowerUpper
from optdriver.geometry.products import norm, product, times, transposed_times
from optdriver.multistart import steps

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

_NEWTON: Final = 12
_ARRIVED: Final = 1e-13  # of the widths
_ROUNDED: Final = 1e-6  # a violation, scaled, that a projection may take away
_ASTRAY: Final = 0.05  # most by which it may move, in lengths of the step
_BENT: Final = 0.3  # of a step, most by which a surface may bend away from it
_NEAR: Final = 2.0**-6  # of a step: a row that is no farther away holds it
_DEPENDENT: Final = 1e-8


@dataclass(frozen=True, slots=True)
class Ground:
    """A box, and the constraints within it, or None."""

    lower: Vector
    upper: Vector
    rows: ConstraintSet | None = None

    def at_bounds(self, x: Vector) -> NDArray[np.bool_]:
        """Return which variables are at a side of the box."""
        made: NDArray[np.bool_] = (x == self.lower) | (x == self.upper)
        return made

    def place(self, x: Vector, way: Vector, held: Sequence[int]) -> Vector | None:
        """Return the point at a step from `x` at which the rows `held` stay active.

        None where that violates a constraint.
        """
        there = self._clipped(x + way)
        if self.rows is None or self.rows.is_feasible(there):
            return there if not held else self._settled(x, there, way, held)
        return self._settled(x, there, way, held) if held else None

    def nearest(self, x: Vector, way: Vector, held: Sequence[int]) -> Vector | None:
        """Return a feasible point at a step, or next to it where that violates a constraint."""
        made = self.place(x, way, held)
        if made is not None or self.rows is None:
            return made
        moved = self.rows.project(self._clipped(x + way), self._widths(x))
        return moved.x if moved.strict else None

    def _clipped(self, x: Vector) -> Vector:
        return np.minimum(np.maximum(x, self.lower), self.upper)

    def _widths(self, x: Vector) -> Vector:
        wide = steps.widths(x, self.lower, self.upper)
        return np.where(wide > 0.0, wide, 1.0)

    def _sizes(self, x: Vector) -> Vector:
        """Return by how much variables may be moved back: none at a bound."""
        return np.where(self.at_bounds(x), 0.0, self._widths(x))

    def _settled(self, x: Vector, there: Vector, way: Vector, held: Sequence[int]) -> Vector | None:
        rows = self.rows
        if rows is None:
            return there
        sizes, wide, chosen = self._sizes(x), self._widths(x), list(held)
        for _ in range(_NEWTON):
            left = np.asarray(rows.values(there))[chosen]
            back = self._least(np.asarray(rows.jacobian(there))[chosen], sizes, left)
            if back is None:
                return None
            there = self._clipped(there - back)
            if norm(back / wide) <= _ARRIVED:
                break
        if norm((there - x - way) / wide) > _BENT * norm(way / wide):
            return None
        if rows.is_feasible(there):
            return there
        if not rows.violation(there) <= _ROUNDED:
            return None
        moved = rows.project(there, wide)
        near = norm((moved.x - there) / wide) <= _ASTRAY * norm(way / wide)
        return moved.x if moved.strict and near else None

    @staticmethod
    def _least(slopes: Vector, sizes: Vector, target: Vector) -> Vector | None:
        """Return the step of least length by which the rows change by `target`, to first order."""
        if not (np.isfinite(slopes).all() and np.isfinite(target).all()):
            return None
        scaled = slopes * sizes
        factors = LowerUpper.of(product(scaled, np.ascontiguousarray(scaled.T)))
        if factors is None:
            return None
        made: Vector = sizes * transposed_times(scaled, factors.solve(target))
        return made if np.isfinite(made).all() else None

    # -- which rows hold a point -----------------------------------------------------------------

    def slopes(self, x: Vector, held: Sequence[int]) -> Vector:
        """Return the gradients of the rows `held`, shape (h, n)."""
        if self.rows is None or not len(held):
            return np.zeros((0, x.size))
        return np.asarray(self.rows.jacobian(x))[list(held)]

    def touching(self, x: Vector, ways: Vector, *, outward: bool = False) -> list[int]:
        """Return the rows that are next to `x`, measured by the longest of the steps `ways`.

        Only those that a step leads across, if `outward`; equalities always.
        """
        if self.rows is None or not len(self.rows):
            return []
        values, slopes = np.asarray(self.rows.values(x)), np.asarray(self.rows.jacobian(x))
        moved = [times(slopes, way) for way in ways]
        reach = np.max([part if outward else np.abs(part) for part in moved], axis=0)
        found = (-values <= _NEAR * reach) & (reach > 0.0)
        found[self.rows.n_inequalities :] = True
        return np.flatnonzero(found).tolist()

    def blocking(self, x: Vector, ways: Vector) -> list[int]:
        """Return the rows that are violated at once along these steps, either way."""
        if self.rows is None:
            return []
        ends = [self._clipped(x + sign * _NEAR * way) for way in ways for sign in (1.0, -1.0)]
        values = np.max([np.asarray(self.rows.values(end)) for end in ends], axis=0)
        return np.flatnonzero(values > 0.0).tolist()

    def is_equality(self, row: int) -> bool:
        """Tell whether a row is one."""
        return self.rows is not None and row >= self.rows.n_inequalities

    def multipliers(self, x: Vector, held: Sequence[int], g: Vector) -> Vector | None:
        """Return the multipliers of rows that explain a gradient best; None if they are dependent.

        They are above zero where f falls across an inequality.
        """
        slopes, sizes = self.slopes(x, held), self._sizes(x)
        scaled = slopes * sizes
        factors = LowerUpper.of(product(scaled, np.ascontiguousarray(scaled.T)))
        if factors is None:
            return None
        made: Vector = -np.asarray(factors.solve(times(scaled, sizes * g)))
        return made if np.isfinite(made).all() else None

    def tangent(self, x: Vector, held: Sequence[int], basis: Vector) -> Vector:
        """Return directions without what leads off the rows `held`, to first order."""
        if not len(held) or not len(basis):
            return basis
        slopes, sizes = self.slopes(x, held), self._sizes(x)
        off = [self._least(slopes, sizes, times(slopes, way)) for way in basis]
        made = [way if gone is None else way - gone for way, gone in zip(basis, off, strict=True)]
        return np.array(made).reshape(basis.shape)

    def inward(self, x: Vector, held: Sequence[int], row: int) -> Vector | None:
        """Return the step along which a row held is left, the others not; of the size of the box.

        The largest part of it is half of the width of a variable.
        """
        slopes, sizes = self.slopes(x, held), self._sizes(x)
        way = self._least(slopes, sizes, np.array([-float(each == row) for each in held]))
        if way is None:
            return None
        longest = float(np.max(np.abs(way) / self._widths(x)))
        return 0.5 / longest * way if longest > 0.0 else None


def without(basis: Vector, parts: Vector) -> Vector:
    """Return one direction fewer, of which none changes what each changes by its part.

    Not all parts are 0.
    """
    gone = int(np.argmax(np.abs(parts)))
    kept = [row for k, row in enumerate(basis) if k != gone]
    shares = [part / parts[gone] for k, part in enumerate(parts.tolist()) if k != gone]
    made = [row - share * basis[gone] for row, share in zip(kept, shares, strict=True)]
    return np.array(made).reshape(len(made), basis.shape[1])


def depends(basis: Vector, row: Vector) -> bool:
    """Tell whether no direction leads across a row, but for rounding."""
    sizes = times(np.abs(basis), np.abs(row))
    return not bool(np.any(np.abs(times(basis, row)) > _DEPENDENT * sizes))
