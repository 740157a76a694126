"""The feasible set as the method sees it: scaled rows c(x) <= 0, e(x) = 0, and a box.

A row is divided by the length of its gradient, in the scaled variables u = x / D, at a reference
point: a violation of 1e-9 means the same for every constraint.  A pair c <= 0, -c <= 0 is one
equality (it has no interior otherwise), and a row without any variable in it is left to whoever
compiled the constraints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from optdriver.constraints import ConstraintSet
from optdriver.constraints.constraint_set import COARSEST
from optdriver.constraints.rows import EQUALITY
from optdriver.feasible.options import LARGE
from optdriver.feasible.types import Constraints, Indices, Mask, Vector
from optdriver.feasible.work import Work
from optdriver.formulas.programs import FEW_ROWS, MOST_WITH_FEW_ROWS
from optdriver.geometry.elementary import cosines
from optdriver.geometry.formulas import System
from optdriver.geometry.matrices import (
    chosen,
    csr,
    dense,
    is_sparse,
    row_norms,
    scaled,
    transposed_times,
)
from optdriver.geometry.products import extents, flat, largest, largest_size, row_units
from optdriver.geometry.sparse_hessian import SparseHessian
from optdriver.geometry.steps import COMPILED

NEIGHBOURS = 8  # rows of equal size at the reference that are looked at for a partner
NARROW = 1e-4  # a box narrower than this part of its variable is the variable's size
EXACT = 1e-9  # slopes with less than this of relative error are as good as exact
STEEP = 1e10  # a slope beyond is infinite: the rows give 1e12 for one that is
SMALLEST_SCALE = 1e-8  # a gradient below this part of the largest one does not blow its row up


@dataclass(frozen=True, kw_only=True)
class Region:
    """Constraints, box and scales.

    Attributes
    ----------
    constraints : Constraints
        Values, Jacobian and Hessian of all rows, unscaled.
    lower, upper : ndarray, shape (n,)
    scale : ndarray, shape (n,)
        D: the size of each variable.
    inequalities, equalities : ndarray of int
        Which rows are which; rows recognised as the second half of an equality are in neither.
    row_scale : ndarray, shape (rows,)
        What each row is multiplied by.
    sparse_from : int
        Variables from which on matrices are sparse.
    work : Work
        The calls of functions that are left for the present point.
    """

    constraints: Constraints
    lower: Vector
    upper: Vector
    scale: Vector
    inequalities: Indices
    equalities: Indices
    row_scale: Vector
    sparse_from: int = LARGE
    work: Work = field(default_factory=Work, compare=False)

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.lower)

    @cached_property
    def box(self) -> tuple[Vector, Vector]:
        """Both sides of the box."""
        return self.lower, self.upper

    @cached_property
    def free(self) -> Mask:
        """Which variables can move."""
        return np.asarray(self.lower < self.upper)

    @cached_property
    def moving(self) -> Indices:
        """Indices of the variables that can move."""
        return self.free.nonzero()[0]

    @cached_property
    def no_variable(self) -> Mask:
        """A mask of the variables that holds for none."""
        return np.zeros(self.n, dtype=bool)

    @cached_property
    def no_row(self) -> Mask:
        """A mask of the inequalities that holds for none."""
        return np.zeros(len(self.inequalities), dtype=bool)

    @cached_property
    def in_order(self) -> bool:
        """Whether all rows are in use, and as they come: inequalities, then equalities."""
        used = [*self.inequalities.tolist(), *self.equalities.tolist()]
        return used == list(range(len(self.row_scale)))

    @cached_property
    def steep(self) -> float:
        """The least slope of a scaled row that can be infinite."""
        return STEEP * float(np.min(self.row_scale[self.inequalities], initial=np.inf))

    @cached_property
    def has_exact_slopes(self) -> bool:
        """Whether the rows' gradients are as good as exact, as those of texts are."""
        errors = getattr(self.constraints, "slope_errors", None)
        return errors is None or not largest(errors) > EXACT

    @cached_property
    def places(self) -> Indices:
        """Which of the variables that can move each variable is, which of (c, e) each row, or -1.

        Then 0, so that there is something.
        """
        n, m = self.n, len(self.row_scale)
        made = np.zeros(n + m + 1, dtype=np.intp)
        made[: n + m] = -1
        made[self.moving] = np.arange(len(self.moving))
        p = len(self.inequalities)
        made[n + self.inequalities] = np.arange(p)
        made[n + self.equalities] = np.arange(p, p + len(self.equalities))
        return made

    def apart(self) -> Region:
        """Return the same region with a count of work of its own."""
        return self._with(work=Work.of(self.constraints))

    def measured_by(self, scale: Vector) -> Region:
        """Return the same set and rows, with other sizes of the variables."""
        return self._with(scale=scale)

    def within(self, lower: Vector, upper: Vector) -> Region:
        """Return the same rows in another box."""
        made = self._with(lower=lower, upper=upper)
        for name in ("box", "free", "moving", "places"):
            made.__dict__.pop(name, None)
        return made

    def _with(self, **changed: Any) -> Region:
        made = object.__new__(Region)
        made.__dict__.update(self.__dict__, **changed)
        return made

    def values(self, x: Vector) -> tuple[Vector, Vector]:
        """Return the scaled c(x) and e(x); not finite where a formula has no value."""
        quick = self.formulas
        if quick is not None and x.shape == self.lower.shape:
            return self._split(quick.rows(flat(x), self.unit, self.row_scale))
        made: tuple[Vector, Vector] = self.work.remembered("values", x, self._values)
        return made

    def _values(self, x: Vector) -> tuple[Vector, Vector]:
        self.work.spend(0)
        made = self.constraints
        if isinstance(made, ConstraintSet):
            return self._split(made.weighted(x, self.row_scale))
        with np.errstate(all="ignore"):
            return self._split(made.values(x) * self.row_scale)

    def _split(self, rows: Any) -> tuple[Any, Any]:
        """Return the rows c and e of all rows."""
        if self.in_order:
            p = len(self.inequalities)
            return rows[:p], rows[p:]
        return rows[self.inequalities], rows[self.equalities]

    def jacobians(self, x: Vector) -> tuple[Vector, Vector]:
        """Return the scaled Jacobians of c and e, shapes (m, n) and (q, n)."""
        self.work.spend(1)
        made = self.constraints
        if isinstance(made, ConstraintSet):
            return self._split(dense(made.weighted_slopes(x, self.row_scale)))
        with np.errstate(all="ignore"):
            return self._split(made.jacobian(x) * self.row_scale[:, None])

    @cached_property
    def formulas(self) -> System | None:
        """The rows as programs of the compiled pages, if they are formulas and dense.

        Their values take less time than to look up what is known of a point.
        """
        made = self.constraints
        return (
            made.system if COMPILED and isinstance(made, ConstraintSet) and not self.large else None
        )

    @cached_property
    def unit(self) -> Vector | None:
        """What x is multiplied by to be the formulas' variables, unless it is those."""
        unit = getattr(self.constraints, "unit", 1.0)
        return None if isinstance(unit, float) else np.asarray(unit)

    @cached_property
    def large(self) -> bool:
        """Whether matrices are sparse: from so many variables on, if the constraints can."""
        made = self.constraints
        return self.n >= self.sparse_from and isinstance(made, ConstraintSet) and made.sparse

    def linearised(self, x: Vector) -> tuple[Any, Any]:
        """Return the scaled Jacobians of c and e, dense arrays or, if `large`, CSR ones."""
        made: tuple[Any, Any] = self.work.remembered("linearised", x, self._linearised)
        return made

    def _linearised(self, x: Vector) -> tuple[Any, Any]:
        quick = self.formulas
        if quick is not None and x.shape == self.lower.shape:
            rows = quick.jacobian(flat(x), self.unit, self.row_scale)
            if rows is not None:
                return self._split(rows)
        if not self.large:
            return self.jacobians(x)
        self.work.spend(1)
        with np.errstate(all="ignore"):
            rows = scaled(csr(_linearised(self.constraints, x)), rows=self.row_scale)
        return chosen(rows, self.inequalities), chosen(rows, self.equalities)

    def gradients(self, x: Vector, multipliers: Vector) -> Vector:
        """Return the sum of multipliers times gradients of the unscaled rows, shape (n,)."""
        with np.errstate(all="ignore"):
            return transposed_times(_linearised(self.constraints, x), multipliers)

    def hessian(self, x: Vector, inequality: Vector, equality: Vector) -> Vector:
        """Return the Hessian of multipliers times scaled rows, shape (n, n)."""
        bends, made, weights = (
            self.work.bends,
            self.constraints,
            self._weights(inequality, equality),
        )
        before = bends.made
        with np.errstate(all="ignore"):
            if not isinstance(made, ConstraintSet):
                found = made.hessian(x, weights)
            else:
                found = made.hessian(x, weights, known=bends)
        if bends.made > before or not getattr(made, "coarse", False):
            self.work.spend(2)
        return found

    def curvature(self, x: Vector, inequality: Vector, equality: Vector) -> SparseHessian | Vector:
        """Return the same, in sparse parts if the region is `large`."""
        if not (self.large and isinstance(self.constraints, ConstraintSet)):
            return self.hessian(x, inequality, equality)
        with np.errstate(all="ignore"):
            return self.constraints.hessian_parts(x, self._weights(inequality, equality))

    def _weights(self, inequality: Vector, equality: Vector) -> Vector:
        weights = np.zeros(len(self.row_scale))
        weights[self.inequalities] = inequality
        weights[self.equalities] = equality
        return np.asarray(weights * self.row_scale)

    def violation(self, x: Vector) -> tuple[float, float]:
        """Return the largest scaled violations, of the inequalities and of the equalities."""
        c, e = self.values(x)
        outside = max(largest(self.lower - x), largest(x - self.upper))
        return max(largest(c), outside), largest_size(e)

    def is_feasible(self, x: Vector, tolerance: float = 0.0) -> bool:
        """Say whether c(x) <= tolerance, |e(x)| <= 1e-10 and x is in the box."""
        above, off = self.violation(x)
        return above <= tolerance and off <= EQUALITY

    def clip(self, x: Vector) -> Vector:
        """Return the point of the box nearest to `x`."""
        return np.asarray(np.minimum(np.maximum(x, self.lower), self.upper))


def region(
    constraints: Constraints,
    lower: Vector,
    upper: Vector,
    reference: Vector,
    *,
    narrow: bool = True,
    compact: bool = False,
) -> Region:
    """Scale `constraints` at the `reference` point and find the equalities among them.

    Without `narrow` a variable's size does not depend on its box.  If `compact`, few rows are dense
    below `MOST_WITH_FEW_ROWS` variables, where they are programs.
    """
    scale = sizes(reference, lower, upper) if narrow else sizes(reference)
    row_scale = _row_scales(constraints, reference, scale)
    which = _pairs(constraints, reference, lower, upper, len(row_scale))
    few = compact and FEW_ROWS * len(row_scale) <= len(reference)
    return Region(
        constraints=constraints,
        lower=lower,
        upper=upper,
        scale=scale,
        inequalities=which[0],
        equalities=which[1],
        row_scale=row_scale,
        sparse_from=MOST_WITH_FEW_ROWS if few else LARGE,
        work=Work.of(constraints),
    )


def sizes(x: Vector, lower: Vector | None = None, upper: Vector | None = None) -> Vector:
    """Return D, the sizes of the variables at x; with the box, its width where that is narrow."""
    if lower is None or upper is None:
        return np.asarray(np.maximum(1.0, np.abs(x)))
    return np.asarray(extents(x, lower, upper, NARROW))


def _linearised(constraints: Constraints, x: Vector) -> Any:
    """Return the unscaled Jacobian, CSR where the constraints find that natural."""
    if isinstance(constraints, ConstraintSet):
        return constraints.linearised(x)
    return constraints.jacobian(x)


def _row_scales(constraints: Constraints, reference: Vector, scale: Vector) -> Vector:
    own = getattr(constraints, "scales", None)  # what the constraints call a unit: the finer one
    with np.errstate(all="ignore"):
        rows = _linearised(constraints, reference)
        if own is not None and not is_sparse(rows):
            noise = COARSEST * getattr(constraints, "noise", np.zeros(len(own)))
            return np.asarray(row_units(rows, scale, own, noise, SMALLEST_SCALE))
        lengths = row_norms(scaled(rows, columns=scale))
    usable = np.isfinite(lengths) & (lengths > 0.0)
    floor = SMALLEST_SCALE * float(np.max(lengths[usable], initial=0.0))
    sizes = np.where(usable, np.maximum(lengths, floor), 1.0)
    if own is None:
        return np.asarray(1.0 / sizes)
    noise = getattr(constraints, "noise", np.zeros(len(sizes)))
    return np.asarray(1.0 / np.maximum(np.minimum(sizes, own), COARSEST * noise))


def _pairs(
    constraints: Constraints, reference: Vector, lower: Vector, upper: Vector, rows: int
) -> tuple[Indices, Indices]:
    """Return which of the rows are inequalities, and which are equalities.

    Where two inequalities are each other's negative, the first is an equality, the second nothing.
    """
    p = constraints.n_inequalities
    as_they_come = np.arange(p), np.arange(p, rows)
    if p < 2:
        return as_they_come
    with np.errstate(all="ignore"):
        first = constraints.values(reference)
        if not _may_pair(first[:p]):
            return as_they_come
        probes = _probes(reference, lower, upper)
        seen = np.array([first, *(constraints.values(probe) for probe in probes)])
    equality, kept = np.arange(rows) >= p, np.ones(rows, dtype=bool)
    usable = np.flatnonzero(~equality & np.all(np.isfinite(seen), axis=0))
    order = usable[np.argsort(np.abs(seen[0, usable]), kind="stable")]  # partners are neighbours
    for place, i in enumerate(order):
        for j in order[place + 1 : place + 1 + NEIGHBOURS]:
            size = np.abs(seen[:, i])
            if kept[i] and kept[j] and np.all(np.abs(seen[:, i] + seen[:, j]) <= 1e-14 * size):
                equality[min(i, j)], kept[max(i, j)] = True, False
                break
    return np.flatnonzero(kept & ~equality), np.flatnonzero(kept & equality)


def _may_pair(values: Vector) -> bool:
    """Say whether two of the rows may have values of one size."""
    sizes = np.sort(np.abs(values[np.isfinite(values)]))
    return bool(np.any(np.diff(sizes) <= 4e-14 * sizes[1:]))


def _probes(reference: Vector, lower: Vector, upper: Vector) -> list[Vector]:
    """Return a few points of the box off every symmetry."""
    n = len(reference)
    probes: list[Vector] = []
    for k in range(1, 4):
        offsets = cosines(1.0 + k * np.arange(1, n + 1, dtype=float)) * (0.3 + 0.2 * k)
        step = offsets * np.maximum(1.0, np.abs(reference))
        probes.append(np.minimum(np.maximum(reference + step, lower), upper))
    return probes
