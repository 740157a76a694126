"""The constraints of a study as one vector function with exact derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optdriver import stored
from optdriver.constraints.assembly import Assembly, Cut
from optdriver.constraints.callables import Bends, Functions
from optdriver.constraints.nearest import nearest
from optdriver.constraints.projection import InsetRows, Projection, moved
from optdriver.constraints.restoration import descend, project
from optdriver.constraints.rows import EQUALITY, Note, Row, announce, read
from optdriver.constraints.specification import Specification, middle, specified
from optdriver.errors import ConstraintError, InputError, InputTypeError
from optdriver.formulas.evaluation import Evaluation
from optdriver.formulas.programs import MOST_VARIABLES, system
from optdriver.formulas.syntax import functions_in
from optdriver.formulas.tokens import pointed
from optdriver.geometry.elementary import nearest_powers_of_two
from optdriver.geometry.formulas import System
from optdriver.geometry.matrices import FLOAT, csr, dense, row_norms, scaled, stacked, times
from optdriver.geometry.sparse_hessian import SparseHessian
from optdriver.geometry.steps import COMPILED
from optdriver.numerics import quiet

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


class ConstraintSet:
    """Constraints over an ordered set of free parameters.

    Parameters
    ----------
    constraints : str, mapping, SciPy constraint, or a sequence of these
        Texts such as ``"x1^2 + x2^2 <= radius^2"``, mappings with a ``name`` and a
        ``constraint`` (or ``expression``), SciPy's dictionaries with ``type`` and ``fun``,
        ``NonlinearConstraint``, ``LinearConstraint`` and ``Bounds``.
    names : sequence of str
        The free parameters in the order of x.
    bounds : sequence of pairs, (n, 2) array, or scipy.optimize.Bounds, optional
        The box; None or infinite where there is no bound.
    fixed : mapping of str to float, optional
        Parameters with a fixed value, which the texts may use too.
    reference : array_like, shape (n,), optional
        Where the rows are scaled by their gradients; default the middle of the box.

    Attributes
    ----------
    names : tuple of str
        Names of the rows: inequalities c <= 0 first, then equalities e = 0.
    parameters : tuple of str
        Names of the free parameters.
    lower, upper : ndarray, shape (n,)
        The box, tightened by constraints that were bounds in disguise, which are no rows.
    bound_names : dict
        ``(i, "lower" | "upper")`` -> name of the constraint that is that bound.
    scales : ndarray, shape (m,)
        Sizes of the rows' gradients at the reference, powers of two; for a function that is
        computed less precisely than in 64 bits so much larger that 1e-10 of them can be met.
    noise, slope_errors : ndarray, shape (m,)
        The noise that was measured in the values of functions, and the relative error of their
        gradients; 0 for texts.
    costs : tuple of int
        How often functions are called for values, a Jacobian and a Hessian; texts are not counted.
    linear, convex, smooth, unions : ndarray of bool, shape (m,)
        What is known of the rows. ``convex`` False means not known. Rows that are not smooth
        are followed by one-sided derivatives; unions by their active branch.
    notes : tuple of Note
        What was dropped, split, joined or is worth a warning.

    Raises
    ------
    ConstraintError
        For a text that does not parse, with a caret at the place, and for a constraint that
        no point of the box satisfies.

    Notes
    -----
    `values` are the formulas exactly as they were written; nothing is simplified before it is
    evaluated. Derivatives are exact and never NaN: one that does not exist is 0, an infinite
    one is 1e12. No method changes the set; it can be shared between threads. Texts are
    pickled, compiled functions are made again.

    Examples
    --------
    >>> constraints = ConstraintSet(
    ...     [{"name": "disc", "constraint": "x1^2 + x2^2 <= radius^2"}, "x1 <= 1"],
    ...     names=["x1", "x2"],
    ...     bounds=[(-1.5, 1.5), (-1.5, 1.5)],
    ...     fixed={"radius": 1.25},
    ... )
    >>> constraints.names
    ('disc',)
    >>> constraints.upper.tolist()
    [1.0, 1.5]
    >>> constraints.values([1.0, 0.75]).tolist()
    [0.0]
    >>> constraints.jacobian([1.0, 0.75]).tolist()
    [[2.0, 1.5]]
    >>> constraints.is_feasible([1.0, 0.75])
    True
    >>> nearest = constraints.nearest([1.0, 1.5], weights=1.0)
    >>> nearest.feasible, nearest.x.round(3).tolist()
    (True, [0.693, 1.04])
    """

    def __init__(
        self,
        constraints: Any,
        names: Sequence[str],
        bounds: Any = None,
        *,
        fixed: Mapping[str, float] | None = None,
        reference: ArrayLike | None = None,
    ) -> None:
        self._build(specified(constraints, names, bounds, fixed, reference), None)
        announce(self.notes)

    @quiet
    def _build(
        self, specification: Specification, units: Array | None, programs: bool = True
    ) -> None:
        """Compile; without `programs` derivatives are taken term by term."""
        self._specification = specification
        made = read(
            specification.texts,
            specification.names,
            specification.fixed,
            specification.lower,
            specification.upper,
        )
        self.parameters = tuple(specification.names)
        self.n = len(self.parameters)
        self.notes: tuple[Note, ...] = tuple(made.notes)
        self.bound_names = dict(made.bound_names)
        nodes = [row.node for row in made.rows]
        self._evaluation = Evaluation(nodes, self.parameters)
        self._nodes = nodes
        self._assembly = _assembled(made.rows, self.parameters, made.cut)
        self._functions = specification.functions
        self._arrange(made.rows)
        self._box = made.lower, made.upper
        texts = np.zeros(len(made.rows))
        self.noise = np.concatenate([texts, *(f.noise for f in self._functions)])[self._order]
        errors = [np.full(len(f.kinds), f.slope_error) for f in self._functions]
        self.slope_errors = np.concatenate([texts, *errors])[self._order]
        self.costs = self._costs()
        if not programs:
            self.__dict__["system"] = None
        self._measure(units)

    def _measure(self, units: Array | None) -> None:
        """Set what depends on the units: the box and the rows' scales."""
        self._units = units
        lower, upper = self._box
        sizes = self.unit
        self.lower, self.upper = lower / sizes, upper / sizes
        self.scales = self._scales()
        p = self.n_inequalities
        self._sides = np.array(self.lower, dtype=float), np.array(self.upper, dtype=float)
        self._limits = np.concatenate([np.zeros(p), -EQUALITY * self.scales[p:]])

    def _costs(self) -> tuple[int, int, int]:
        made = [f.cost(self.n) for f in self._functions]
        return len(made), sum(first for first, _ in made), sum(second for _, second in made)

    def _arrange(self, rows: Sequence[Any]) -> None:
        """Order the rows: inequalities, then equalities."""
        kinds = [row.kind for row in rows] + [k for f in self._functions for k in f.kinds]
        equal = np.array([kind == "==" for kind in kinds], dtype=bool)
        self._order = np.argsort(equal, kind="stable")
        self._parts = np.cumsum([len(rows), *(len(f.kinds) for f in self._functions)])
        self.n_equalities = int(equal.sum())
        self.n_inequalities = equal.size - self.n_equalities
        names = [row.name for row in rows] + [n for f in self._functions for n in _numbered(f)]
        self.names = tuple(names[i] for i in self._order)
        others = [f.linear for f in self._functions for _ in f.kinds]
        self.linear = self._facts([row.linear for row in rows], others)
        self.smooth = self._facts([row.smooth for row in rows], [True] * len(others))
        self.unions = self._facts([row.union for row in rows], [False] * len(others))
        self.convex = self._facts([row.convex for row in rows], others)
        self._find_convex(len(rows))

    def _facts(self, texts: list[bool], functions: list[bool]) -> Mask:
        return np.array([*texts, *functions], dtype=bool)[self._order]

    def _find_convex(self, texts: int) -> None:
        """Look at the eigenvalues of rows whose second derivatives are constant."""
        candidates = np.flatnonzero(self._assembly.constant_curvature())
        where = np.argsort(self._order)
        for row in candidates[: _EIGENVALUES if self.n <= _EIGENVALUES else 0]:
            place = where[row]
            if self.convex[place] or place >= self.n_inequalities or row >= texts:
                continue
            unit = np.zeros(texts)
            unit[row] = 1.0
            bend = dense(self._assembly.hessian(np.ones(self.n), unit))
            eigenvalues = np.linalg.eigvalsh(bend)
            self.convex[place] = eigenvalues[0] >= -1e-13 * np.abs(eigenvalues).max()

    def _scales(self) -> Array:
        given = self._specification.reference
        first = middle(self.lower, self.upper) if given is None else given / self.unit
        sizes = np.zeros(len(self))
        for attempt in range(4):
            point = first + attempt * 0.01 * np.maximum(1.0, np.abs(first))
            found = row_norms(self.linearised(np.clip(point, self.lower, self.upper)))
            usable = (sizes == 0.0) & np.isfinite(found) & (found < 1e9)
            sizes = np.where(usable, found, sizes)
            if sizes.all():
                break
        everywhere = (sizes == 0.0) & np.isfinite(found) & (found > _HUGE)  # no pole nearby
        sizes = np.where(everywhere, found, sizes)
        sizes[sizes == 0.0] = 1.0
        sizes = np.maximum(sizes, COARSEST * self.noise)
        return np.clip(nearest_powers_of_two(sizes), 2.0**-200, 2.0**1000)

    @cached_property
    def system(self) -> System | None:
        """The rows as programs of the kernel, over the parameters in their own units.

        None for a set that has functions in it, or is large.
        """
        if self._functions:
            return None
        return system([self._nodes[i] for i in self._order], self.parameters)

    @property
    def unit(self) -> Array | float:
        """What x is multiplied by to be the parameters."""
        return 1.0 if self._units is None else self._units

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.n_inequalities + self.n_equalities

    def __repr__(self) -> str:
        """Show what the set holds."""
        return (
            f"ConstraintSet({self.n_inequalities} inequalities, {self.n_equalities} equalities,"
            f" {self.n} parameters)"
        )

    def _given(self, x: ArrayLike) -> Array:
        made = np.asarray(x, FLOAT, order="C")
        if made.ndim != 1 or made.size != self.n:
            raise InputError(f"x has shape {made.shape} and ({self.n},) is expected")
        return made

    def _point(self, x: ArrayLike) -> Array:
        return self._given(x) * self.unit

    def _checked(self, multipliers: ArrayLike) -> Array:
        made = np.asarray(multipliers, FLOAT, order="C")
        if made.ndim != 1 or made.size != len(self):
            raise InputError(f"multipliers have shape {made.shape} and ({len(self)},) is expected")
        return made

    def _weights(self, multipliers: ArrayLike) -> Array:
        made = self._checked(multipliers)
        unordered = np.empty_like(made)
        unordered[self._order] = made
        return unordered

    def values(self, x: ArrayLike) -> Array:
        """Return the rows' values, (m,), as written; NaN where there is no real value."""
        return self.weighted(x, None)

    def weighted(self, x: ArrayLike, weights: Array | None) -> Array:
        """Return the values, each times its weight, shape (m,)."""
        quick = self.system if COMPILED else None
        if quick is not None:
            made: Array = quick.rows(self._given(x), self._units, weights)
            return made
        values = self._evaluated(x)
        if weights is None:
            return values
        with np.errstate(all="ignore"):
            return values * weights

    def _evaluated(self, x: ArrayLike) -> Array:
        point = self._point(x)
        parts = [self._evaluation(point)]
        parts += [f.values(point) for f in self._functions]
        return np.concatenate(parts)[self._order]

    @quiet
    def values_many(self, points: ArrayLike) -> Array:
        """Return the values, (k, m), at the rows of `points`, (k, n), vectorised.

        The last bits can differ from those of `values`, by which feasibility is decided.
        """
        many = np.atleast_2d(np.asarray(points, dtype=np.float64)) * self.unit
        parts = [self._evaluation.many(many)]
        parts += [f.values_many(many) for f in self._functions]
        return np.hstack(parts)[:, self._order]

    def linearised(self, x: ArrayLike) -> Any:
        """Return the (m, n) Jacobian, a dense array or, for large sets, a CSR one."""
        return self.weighted_slopes(x, None)

    def weighted_slopes(self, x: ArrayLike, weights: Array | None) -> Any:
        """Return the same Jacobian, each row times its weight."""
        if self.system is not None:
            quick = self.system.jacobian(self._given(x), self._units, weights)
            if quick is not None:
                return quick
        return self._assembled(x, weights)

    @quiet
    def _assembled(self, x: ArrayLike, weights: Array | None) -> Any:
        """Return the Jacobian of rows of one form together, and of functions."""
        point = self._point(x)
        parts = [self._assembly.jacobian(point), *(f.jacobian(point) for f in self._functions)]
        matrix = stacked(parts)
        if self.n_equalities:
            matrix = matrix[self._order]
        if self._units is not None:
            matrix = scaled(matrix, columns=self._units)
        return matrix if weights is None else scaled(matrix, rows=weights)

    def jacobian(self, x: ArrayLike) -> Array:
        """Return the (m, n) Jacobian as a dense array."""
        programs = self.system
        if programs is not None:
            quick: Array | None = programs.jacobian(self._given(x), self._units)
            if quick is not None:
                return quick
        return dense(self._assembled(x, None))

    @quiet
    def jacobian_sparse(self, x: ArrayLike) -> Any:
        """Return the (m, n) Jacobian as a CSR array."""
        return csr(self.linearised(x))

    def _curvature(self, x: ArrayLike, multipliers: ArrayLike, known: Bends | None = None) -> Any:
        programs = self.system
        if programs is not None:
            weights = self._checked(multipliers)
            quick = programs.hessian(self._given(x), weights, self._units)
            if quick is not None:
                return quick
        return self._bends(x, multipliers, known)

    @quiet
    def _bends(self, x: ArrayLike, multipliers: ArrayLike, known: Bends | None) -> Any:
        point = self._point(x)
        weights = self._weights(multipliers)
        total = self._assembly.hessian(point, weights[: self._parts[0]])
        for f, first, last in zip(self._functions, self._parts, self._parts[1:], strict=False):
            if not f.linear:
                total = total + f.hessian(point, weights[first:last], known)
        return total if self._units is None else scaled(total, self._units, self._units)

    def hessian(self, x: ArrayLike, multipliers: ArrayLike, *, known: Bends | None = None) -> Array:
        """Return sum_j multipliers_j Hess c_j as a dense (n, n) array.

        `known` keeps second derivatives of functions that are computed coarsely.
        """
        made: Array = self._curvature(x, multipliers, known)
        return made if type(made) is np.ndarray else dense(made)  # it is, of programs

    @quiet
    def hessian_sparse(self, x: ArrayLike, multipliers: ArrayLike) -> Any:
        """Return sum_j multipliers_j Hess c_j as a CSR array, both triangles."""
        return csr(self._curvature(x, multipliers))

    @property
    def coarse(self) -> bool:
        """Whether all functions whose second derivatives matter are computed coarsely."""
        return bool(self._functions) and all(f.linear or f.coarse for f in self._functions)

    @property
    def sparse(self) -> bool:
        """Whether second derivatives are had without an (n, n) array: no function has any."""
        return all(f.linear for f in self._functions)

    @quiet
    def hessian_parts(self, x: ArrayLike, multipliers: ArrayLike) -> SparseHessian:
        """Return sum_j multipliers_j Hess c_j in parts, no denser than the texts."""
        point, weights = self._point(x), self._weights(multipliers)
        total = SparseHessian.of(*self._assembly.extended_hessian(point, weights[: self._parts[0]]))
        for f, first, last in zip(self._functions, self._parts, self._parts[1:], strict=False):
            if not f.linear:
                total = total.plus(f.hessian(point, weights[first:last]))
        return total if self._units is None else total.scaled(self._units)

    @quiet
    def hessian_product(self, x: ArrayLike, multipliers: ArrayLike, v: ArrayLike) -> Array:
        """Return sum_j multipliers_j Hess c_j times v; dense Hessians are never formed."""
        point, weights = self._point(x), self._weights(multipliers)
        vector = np.asarray(v, dtype=np.float64) * self.unit
        total = self._assembly.hessian_product(point, weights[: self._parts[0]], vector)
        for f, first, last in zip(self._functions, self._parts, self._parts[1:], strict=False):
            if not f.linear:
                total = total + times(f.hessian(point, weights[first:last]), vector)
        return np.asarray(total * self.unit)

    def _violations(self, x: ArrayLike) -> Array:
        scaled = self.values(x) / self.scales
        p = self.n_inequalities
        made = np.concatenate([np.maximum(scaled[:p], 0.0), np.abs(scaled[p:])])
        return np.where(np.isnan(made), np.inf, made)

    @quiet
    def violation(self, x: ArrayLike) -> float:
        """Return the largest scaled violation of a row; infinite where one has no value."""
        return float(self._violations(x).max(initial=0.0))

    @quiet
    def worst(self, x: ArrayLike) -> tuple[str, float]:
        """Return the name of the row that is violated most, and by how much, scaled."""
        found = self._violations(x)
        if not found.size:
            return "", 0.0
        place = int(np.argmax(found))
        return self.names[place], float(found[place])

    def is_feasible(self, x: ArrayLike, slack: float = 0.0) -> bool:
        """Tell whether x is in the box and satisfies every row.

        An inequality must hold exactly in floating point, or up to `slack`, scaled; an
        equality up to 1e-10, scaled, or `slack` if that is more.
        """
        point = self._given(x)
        if slack == 0.0 and COMPILED and self.system is not None:
            return bool(self.system.hold(point, self._units, self._sides, self._limits))
        values, p = self.values(point), self.n_inequalities
        inside = (self.lower <= point).all() and (point <= self.upper).all()
        below = (values[:p] <= slack * self.scales[:p]).all()
        equal = (np.abs(values[p:]) <= max(EQUALITY, slack) * self.scales[p:]).all()
        return bool(inside and below and equal)

    @quiet
    def project(
        self, x: ArrayLike, weights: ArrayLike | None = None, max_steps: int = 15
    ) -> Projection:
        """Move x onto the constraints by damped Newton steps of least weighted norm.

        Parameters
        ----------
        x : array_like, shape (n,)
            Where to begin.
        weights : array_like, shape (n,), optional
            Sizes D of the parameters: the norm is ``|d / D|``; default ``max(1, |x|)``.
        max_steps : int
            At most so many steps, from the start and from each of up to three points beside it.

        Returns
        -------
        Projection
            With ``feasible`` False, and the constraint that resists, if it failed.
        """
        start = self._start(x)
        return moved(self, start, self._sizes(start, weights), max_steps, project)

    @quiet
    def project_inside(
        self, x: ArrayLike, part: float, weights: ArrayLike | None = None, max_steps: int = 15
    ) -> Array | None:
        """Move x onto the constraints, off the faces of the box by a `part` of its widths.

        Returns
        -------
        ndarray or None
            None if there is no such point, as far as `max_steps` Newton steps can tell.
        """
        start = self._start(x)
        rows = InsetRows(constraints=self, scale=self._sizes(start, weights), part=part)
        made = descend(rows, start, max_steps)
        return made.x if made.strict and self.is_feasible(made.x) else None

    def nearest(
        self, x: ArrayLike, weights: ArrayLike | None = None, max_steps: int = 15
    ) -> Projection:
        """Move x to a (locally) nearest feasible point in the weighted norm.

        As `project`, and then along the feasible set until no neighbour is nearer.
        """
        start = self._start(x)
        return moved(self, start, self._sizes(start, weights), max_steps, nearest)

    def _start(self, x: ArrayLike) -> Array:
        self._point(x)
        start = np.array(x, dtype=np.float64)
        if not np.isfinite(start).all():
            raise InputError(f"a finite point is needed to begin at, not {start}")
        return start

    def _sizes(self, start: Array, weights: ArrayLike | None) -> Array:
        if weights is None:
            return np.maximum(1.0, np.abs(start))
        made = np.broadcast_to(np.asarray(weights, dtype=np.float64), start.shape)
        if not (np.isfinite(made) & (made > 0.0)).all():
            raise InputError("weights must be positive and finite")
        return np.array(made)

    @quiet
    def rescaled(self, units: ArrayLike) -> ConstraintSet:
        """Return the same constraints over z, where x = z * units; powers of two are exact."""
        made = np.broadcast_to(np.asarray(units, dtype=np.float64), (self.n,))
        if not (np.isfinite(made) & (made > 0.0)).all():
            raise InputError("units must be positive and finite")
        return self._measured(np.array(made * self.unit))

    @quiet
    def by_rule(self, rule: int) -> ConstraintSet:
        """Return the set with the last digits of derivatives that runs of a `constraint_rule` know.

        Up to 7, sets over 150 variables or more were differentiated term by term, and up to 4 those
        with ``hypot`` in them.
        """
        apart = rule < WITH_HUNDREDS and self.n >= MOST_VARIABLES
        lengths = rule < WITH_LENGTHS and any("hypot" in functions_in(n) for n in self._nodes)
        return self._measured(self._units, system=None) if apart or lengths else self

    @quiet
    def within(self, lower: ArrayLike, upper: ArrayLike) -> ConstraintSet:
        """Return the same constraints in a box that is not larger; equal sides hold a variable.

        Raises
        ------
        InputError
            Nothing is left of the box.
        """
        sides = (
            np.broadcast_to(np.asarray(s, dtype=np.float64), (self.n,)) for s in (lower, upper)
        )
        low, high = (side * self.unit for side in sides)
        box = np.maximum(self._box[0], low), np.minimum(self._box[1], high)
        if not (box[0] <= box[1]).all():
            raise InputError("the box has no point in common with that of the constraints")
        return self._measured(self._units, _box=box)

    def _measured(self, units: Array | None, **changed: Any) -> ConstraintSet:
        """Return the same set in other units."""
        other = object.__new__(ConstraintSet)
        other.__dict__.update(self.__dict__, **changed)  # nobody changes what was compiled
        other._measure(units)
        return other

    def to_dict(self) -> dict[str, Any]:
        """Return the set as plain data: texts, names and numbers.

        Raises
        ------
        InputError
            If a constraint is a function, which is no data.
        """
        units = None if self._units is None else self._units.tolist()
        kept = {"units": units, "programs": self.system is not None}
        return {"version": _VERSION, **self._specification.to_dict(), **kept}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ConstraintSet:
        """Make the set again that `to_dict` described, without repeating its warnings."""
        if not isinstance(data, Mapping) or "texts" not in data:
            raise InputTypeError("from_dict takes what ConstraintSet.to_dict returned")
        if data.get("version") != _VERSION:
            raise InputError(
                f"this set has version {data.get('version')!r}; version {_VERSION} is read here"
            )
        other = object.__new__(cls)
        with stored.restoring("set of constraints"):
            specification, units = Specification.from_dict(data), data.get("units")
            if units is not None:
                units = stored.array("units", units, specification.lower.shape, finite=True)
                if not (units > 0.0).all():
                    raise ValueError("a unit is not positive")
            before = _had_programs(specification)  # in versions that did not say so
            other._build(
                specification, units, stored.flag("programs", data.get("programs", before))
            )
        return other

    def __getstate__(self) -> tuple[Specification, Array | None, bool]:
        """Return what is pickled: texts, not compiled functions, and whether they are programs."""
        return self._specification, self._units, self.system is not None

    def __setstate__(self, state: Any) -> None:
        """Compile again."""
        specification, units, *kept = state
        self._build(specification, units, *(kept or (_had_programs(specification),)))


COARSEST = 8.0 / EQUALITY
"""A row's unit is at least so many times its noise: else no point could satisfy an equality."""

WITH_LENGTHS = 5
"""The `constraint_rule` from which on rows with ``hypot`` in them are programs as others are."""

WITH_HUNDREDS = 8
"""And that from which on few rows over some hundred variables are."""

_HUGE = 1e100
_EIGENVALUES = 200
_VERSION = 1


def _assembled(rows: Sequence[Row], names: Sequence[str], cut: Cut) -> Assembly:
    """Differentiate the rows; if one has no derivative, say which."""
    try:
        texts = len({row.source for row in rows})
        return Assembly([row.node for row in rows], names, texts, cut)
    except ConstraintError:
        for row in rows:
            try:
                Assembly([row.node], names)
            except ConstraintError as error:
                message = f"constraint {row.name!r} {error}"
                raise pointed(row.text, row.node.start, message) from None
        raise


def _had_programs(specification: Specification) -> bool:
    """Return whether rows could be programs in optdriver 0.9.0 and before."""
    return len(specification.names) < MOST_VARIABLES


def _numbered(functions: Functions) -> list[str]:
    count = len(functions.kinds)
    if count == 1:
        return [functions.name]
    return [f"{functions.name}[{i + 1}]" for i in range(count)]
