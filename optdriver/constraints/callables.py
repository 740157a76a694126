"""Constraints that are functions, as SciPy takes them, behind the rows that texts become."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.precision import Precision, measured
from optdriver.errors import ConstraintError, InputError, InputTypeError, unknown_option
from optdriver.geometry.matrices import csr, dense, is_sparse, scaled, times, transposed_times
from optdriver.geometry.products import product

Array = NDArray[np.float64]


COARSE = 1e-4
"""Steps of second differences beyond this are those of functions that are not exact to 64 bits."""


@dataclass(frozen=True, slots=True)
class Functions:
    """Rows ``sign * function(x)[component] - offset`` of one vector function.

    Attributes
    ----------
    name : str
        What the rows are called.
    fun : callable
        From x to the values, shape (k,).
    jac : callable or None
        From x to the (k, n) Jacobian; without it two-sided differences are taken.
    hess : callable or None
        From x and multipliers to the (n, n) sum; without it differences of the Jacobian.
    components, signs, offsets : ndarray, shape (m,)
        What the rows are made of.
    kinds : tuple of str
        ``"<="`` or ``"=="`` of each row.
    size : int
        k.
    linear : bool
        Whether the function is affine.
    precision : Precision
        How precisely its k values are computed.
    """

    name: str
    fun: Callable[[Array], Any]
    jac: Callable[[Array], Any] | None
    hess: Callable[[Array, Array], Any] | None
    components: NDArray[np.intp]
    signs: Array
    offsets: Array
    kinds: tuple[str, ...]
    size: int
    linear: bool = False
    precision: Precision = Precision(np.zeros(0))  # noqa: RUF009 - it is frozen

    @property
    def noise(self) -> Array:
        """The noise in the values of the rows."""
        made = self.precision.noise
        return made[self.components] if made.size else np.zeros(self.components.size)

    @property
    def slope_error(self) -> float:
        """The relative error of the rows' gradients."""
        known = self.jac is not None
        return self.precision.relative if known else self.precision.slope_error

    def cost(self, n: int) -> tuple[int, int]:
        """Return how often a Jacobian and a Hessian call the function or its Jacobian."""
        first = 2 * n if self.jac is None else 1
        return first, 1 if self.hess is not None or self.linear else 2 * n * first

    def values(self, x: Array) -> Array:
        """Return the values of the rows; NaN where the function raised an arithmetic error."""
        made = self._raw(x)
        return np.asarray(self.signs * made[self.components] - self.offsets)

    def values_many(self, points: Array) -> Array:
        """Return the values, (k, m), at the rows of `points`; the last bits can differ."""
        if not (self.linear and len(points)):
            return np.array([self.values(x) for x in points]).reshape(len(points), len(self.kinds))
        slopes = dense(self.jacobian(points[0]))
        return np.asarray(self.values(points[0]) + product(points - points[0], slopes.T))

    def _raw(self, x: Array) -> Array:
        with np.errstate(all="ignore"):
            try:
                made = _numbers(self.fun(x.copy()), f"{self.name}: the function")
            except ArithmeticError:
                made = np.full(self.size, np.nan)
        if made.size != self.size:
            raise InputError(
                f"{self.name}: the function gave {self.size} values before, and {made.size} now"
            )
        return made.ravel()

    def jacobian(self, x: Array) -> Any:
        """Return the (m, n) Jacobian of the rows, dense or CSR."""
        raw = self._raw_jacobian(x)
        return scaled(raw[self.components], rows=self.signs)

    def _raw_jacobian(self, x: Array) -> Any:
        if self.jac is None:
            return differences(self._raw, x, self.precision.first_step)
        given = self.jac(x.copy())
        made = csr(given) if is_sparse(given) else _numbers(given, f"{self.name}: the Jacobian")
        shape = (self.size, x.size)
        if made.shape != shape and (is_sparse(made) or made.size != math.prod(shape)):
            raise InputError(
                f"{self.name}: the Jacobian must have the shape {shape}, a row for each value and "
                f"a column for each variable; it has {made.shape}"
            )
        return made if is_sparse(made) else made.reshape(shape)

    @property
    def coarse(self) -> bool:
        """Whether second derivatives are differences of values that are not exact to 64 bits."""
        return self.hess is None and self.jac is None and self.precision.second_step > COARSE

    def bends(self, x: Array) -> Array:
        """Return the Hessian of each value by differences of differences, (k, n, n)."""
        step = self.precision.second_step
        return differences(lambda z: differences(self._raw, z, step), x, step)

    def hessian(self, x: Array, multipliers: Array, known: Bends | None = None) -> Array:
        """Return the (n, n) sum of the rows' Hessians times the multipliers.

        `known` keeps those of coarse functions.
        """
        if self.linear or not multipliers.any():
            return np.zeros((x.size, x.size))
        weights = np.zeros(self.size)
        np.add.at(weights, self.components, self.signs * multipliers)
        if known is not None and self.coarse:
            total = np.tensordot(weights, known.of(self, x), axes=1)
        elif self.hess is not None:
            made = self.hess(x.copy(), weights)
            total = np.asarray(made @ np.eye(x.size), dtype=np.float64)
        else:
            total = self._bend(x, weights)
        return np.asarray(0.5 * (total + total.T), dtype=np.float64)

    def _bend(self, x: Array, weights: Array) -> Array:
        """Return the Hessian by differences of the gradient, which may be one of differences."""
        if self.jac is not None:
            step = self.precision.first_step
            return differences(
                lambda z: transposed_times(dense(self._raw_jacobian(z)), weights), x, step
            )
        step = self.precision.second_step
        return differences(
            lambda z: transposed_times(differences(self._raw, z, step), weights), x, step
        )


class Bends:
    """Second derivatives of coarse functions, kept as long as new ones would be no better.

    Differences of values that are exact to 7 digits are taken over a hundredth of the variables,
    so that they hold as far as that.

    Attributes
    ----------
    made : int
        How often they were computed.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Functions, Array, Array]] = {}
        self.made = 0

    def of(self, functions: Functions, x: Array) -> Array:
        """Return `Functions.bends` at x, or at a point that is as near as its steps are long."""
        known = self._known.get(id(functions))
        reach = functions.precision.second_step * np.maximum(1.0, np.abs(x))
        if known is None or np.any(np.abs(known[1] - x) > reach):
            self.made += 1
            known = self._known[id(functions)] = functions, x.copy(), functions.bends(x)
        return known[2]


def _numbers(given: Any, what: str) -> Array:
    """Return what a function of the user's gave as real numbers, in at least one dimension."""
    made = np.atleast_1d(np.asarray(given))
    if made.dtype.kind not in "biuf":
        raise InputTypeError(f"{what} must give real numbers, not {given!r}")
    return made.astype(np.float64)


def differences(function: Callable[[Array], Array], x: Array, relative: float) -> Array:
    """Return the Jacobian of `function` by two-sided differences of a `relative` step."""
    columns = []
    for i in range(x.size):
        step = relative * max(1.0, abs(float(x[i])))
        above, below = x.copy(), x.copy()
        above[i] += step
        below[i] -= step
        columns.append((function(above) - function(below)) / (above[i] - below[i]))
    return np.stack(columns, axis=-1)


def from_dict(spec: Mapping[str, Any], name: str, probe: Array) -> Functions:
    """Take SciPy's ``{'type': 'ineq' | 'eq', 'fun': ..., 'jac': ..., 'args': ...}``.

    SciPy's ``'ineq'`` means fun(x) >= 0, so that the row is its negative.  Beside SciPy's keys
    there are ``'name'``, ``'hess'``, from x and multipliers to the (n, n) sum, and ``'linear'``,
    which says that the function is affine.
    """
    for key in spec:
        if key not in ("type", "fun", "jac", "args", "name", "hess", "linear"):
            raise unknown_option("key of a constraint", str(key), ["type", "fun", "jac", "args"])
    kind = str(spec["type"]).lower()
    if kind not in ("ineq", "eq"):
        raise ConstraintError(f"{name}: the type is 'ineq' (fun >= 0) or 'eq', not {kind!r}")
    if not callable(spec.get("fun")):
        raise InputTypeError(f"{name}: 'fun' must be a function of x, not {spec.get('fun')!r}")
    arguments = spec.get("args", ())
    arguments = tuple(arguments) if isinstance(arguments, Sequence) else (arguments,)
    fun = _Partial(spec["fun"], arguments)
    jac, hess = (
        _Partial(spec[key], arguments) if callable(spec.get(key)) else None
        for key in ("jac", "hess")
    )
    size, precision = _looked_at(fun, name, probe)
    sign = -1.0 if kind == "ineq" else 1.0
    return Functions(
        name,
        fun,
        jac,
        hess,
        np.arange(size),
        np.full(size, sign),
        np.zeros(size),
        ("<=" if kind == "ineq" else "==",) * size,
        size,
        bool(spec.get("linear", False)),
        precision,
    )


def _looked_at(fun: Callable[[Array], Any], name: str, probe: Array) -> tuple[int, Precision]:
    """Return how many values a function has, and how precise they are."""

    def values(x: Array) -> Array:
        with np.errstate(all="ignore"):
            try:
                made = _numbers(fun(x.copy()), f"{name}: the function").ravel()
            except ArithmeticError:
                made = np.full(size, np.nan)
        return made if made.size == size else np.full(size, np.nan)

    size = _numbers(fun(probe.copy()), f"{name}: the function").size
    return size, measured(values, probe)


@dataclass(frozen=True, slots=True)
class _Partial:
    """A function with its further arguments; unlike a lambda it can be pickled."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]

    def __call__(self, x: Array, *weights: Array) -> Any:
        return self.function(x, *weights, *self.arguments)


@dataclass(frozen=True, slots=True)
class _Matrix:
    """The function x -> A x and its Jacobian."""

    matrix: Any
    slope: bool

    def __call__(self, x: Array) -> Any:
        return self.matrix if self.slope else times(self.matrix, x)


def from_object(spec: Any, name: str, probe: Array) -> Functions:
    """Take SciPy's ``LinearConstraint`` or ``NonlinearConstraint``."""
    if hasattr(spec, "A"):
        matrix = csr(spec.A) if is_sparse(spec.A) else np.atleast_2d(np.asarray(spec.A, float))
        if matrix.shape[1] != probe.size:
            raise InputError(
                f"{name}: A must have {probe.size} columns, one a variable; it has the shape "
                f"{matrix.shape}"
            )
        fun, jac, hess = _Matrix(matrix, False), _Matrix(matrix, True), None
        return _two_sided(name, fun, jac, hess, spec, matrix.shape[0], linear=True)
    size, precision = _looked_at(spec.fun, name, probe)
    slope = spec.jac if callable(spec.jac) else None
    bend = spec.hess if callable(spec.hess) else None
    made = _two_sided(name, spec.fun, slope, bend, spec, size, linear=False)
    return replace(made, precision=precision)


def _two_sided(
    name: str, fun: Any, jac: Any, hess: Any, spec: Any, size: int, *, linear: bool
) -> Functions:
    """Make rows of ``lb <= fun <= ub``: equalities where both are equal, nothing if infinite."""
    low = np.broadcast_to(np.asarray(spec.lb, dtype=np.float64), (size,))
    high = np.broadcast_to(np.asarray(spec.ub, dtype=np.float64), (size,))
    if (low > high).any() or np.isnan(low).any() or np.isnan(high).any():
        raise ConstraintError(f"{name}: lb <= ub is needed in every component")
    equal = low == high
    above, below = (
        np.flatnonzero((high < np.inf) & ~equal),
        np.flatnonzero((low > -np.inf) & ~equal),
    )
    same = np.flatnonzero(equal)
    kinds = ("<=",) * (above.size + below.size) + ("==",) * same.size
    return Functions(
        name,
        fun,
        jac,
        hess,
        np.concatenate([above, below, same]),
        np.concatenate([np.ones(above.size), -np.ones(below.size), np.ones(same.size)]),
        np.concatenate([high[above], -low[below], low[same]]),
        kinds,
        size,
        linear,
    )
