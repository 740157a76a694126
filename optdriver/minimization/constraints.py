"""Constraints on structured parameters as constraints on a vector.

Texts are about the numbers of the parameters by name.  Functions are called as the loss is, if
they take the same arguments, and otherwise with the vector of all numbers; JAX differentiates
them where it can.  They are computed in 64 bits whatever the loss computes in, since feasibility
is decided to the last bits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, NonlinearConstraint

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputError, InputTypeError
from optdriver.formulas.logarithms import over_logarithms
from optdriver.minimization.logarithms import hessian, jacobian, over_t, traced_outer
from optdriver.objectives.jax_objective import x64_mode
from optdriver.objectives.plain import attempt
from optdriver.objectives.widths import in_one_precision, traced_once
from optdriver.space.coordinates import Coordinates
from optdriver.space.pytree import Leaf, Structure, with_unit
from optdriver.space.spelling import spelled
from optdriver.space.units import number_of

Vector = NDArray[np.float64]

KEYS = ("constraint", "expression")
"""Under which a constraint with a name has its text."""


def compiled(
    constraints: Any,
    structure: Structure,
    loss: Callable[..., Any],
    units: bool,
    coordinates: Coordinates,
) -> ConstraintSet | None:
    """Return constraints as a set over z; None where there are none.

    Raises
    ------
    InputError
        Something given is no constraint.
    """
    listed = _listed(constraints)
    if not listed:
        return None
    if len(listed) == 1 and isinstance(listed[0], ConstraintSet):
        if coordinates.logarithmic:
            raise InputError(
                "a ConstraintSet is over the numbers that minimizers see, and with a logarithmic "
                "parameter these are not its own: give the texts or functions of its constraints"
            )
        return listed[0].rescaled(coordinates.scale)
    named = structure.with_positions(positions(loss))
    reader = _Reader(named, units, coordinates)
    made = ConstraintSet(
        [reader.read(item, k + 1) for k, item in enumerate(listed)],
        named.names,
        coordinates.sides.T,
        fixed=named.named.fixed,
    )
    return made.rescaled(coordinates.scale)


def boxed(constraints: Any, lower: Vector, upper: Vector) -> tuple[Vector, Vector]:
    """Return a box over x cut down to the boxes (`scipy.optimize.Bounds`) among constraints."""
    for item in _listed(constraints):
        if isinstance(item, Bounds):
            lower, upper = np.maximum(lower, item.lb), np.minimum(upper, item.ub)
    if np.any(lower > upper):
        i = int(np.flatnonzero(lower > upper)[0])
        raise InputError(f"the bounds leave nothing: {lower[i]:g} to {upper[i]:g}")
    return lower, upper


def positions(loss: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that a loss takes by position."""
    try:
        parameters = inspect.signature(loss).parameters.values()
    except (TypeError, ValueError):  # a builtin that does not tell
        return []
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in parameters if p.kind in kinds]


def _listed(constraints: Any) -> list[Any]:
    if constraints is None:
        return []
    single = isinstance(constraints, str | Mapping | ConstraintSet) or callable(constraints)
    if single or hasattr(constraints, "lb"):
        return [constraints]
    if isinstance(constraints, Sequence):
        return list(constraints)
    raise InputTypeError(
        "constraints are texts such as 'x + y <= 1', functions of the parameters, SciPy's, or a "
        f"list of these; not {constraints!r}"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """Reads constraints over structured parameters as `ConstraintSet` takes them."""

    structure: Structure
    units: bool
    coordinates: Coordinates

    def read(self, item: Any, number: int) -> Any:
        """Return one constraint, functions with their derivatives."""
        if isinstance(item, str) or (isinstance(item, Mapping) and "type" not in item):
            return self._text(spelled(item, self.structure))
        if isinstance(item, Mapping) and callable(item.get("fun")):
            return self._mapping(item, number)
        if isinstance(item, NonlinearConstraint):
            function = self._function(item.fun)
            derivatives = {**function.derivatives, **self._own(item)}
            return NonlinearConstraint(function.values, item.lb, item.ub, **derivatives)
        if callable(item):
            function = self._function(item, sign=-1.0)
            name = getattr(item, "__name__", "<lambda>")
            name = f"constraint {number}" if name == "<lambda>" else name
            made = {"type": "ineq", "name": name, "fun": function.values, "linear": function.linear}
            return made | function.derivatives
        return over_t(item, self.coordinates) if self.coordinates.logarithmic else item

    def _function(self, function: Callable[..., Any], **more: Any) -> Function:
        return Function(function, self.structure, self.units, coordinates=self.coordinates, **more)

    def _text(self, item: Any) -> Any:
        if not self.coordinates.logarithmic:
            return item
        texts = [item] if isinstance(item, str) else [item.get(key) for key in KEYS if key in item]
        if len(texts) != 1 or not isinstance(texts[0], str):
            return item  # which is refused where it is compiled
        name = "" if isinstance(item, str) else str(item.get("name") or "")
        seen = [self.structure.names[i] for i in np.flatnonzero(self.coordinates.log)]
        return over_logarithms(name, texts[0], seen)

    def _own(self, item: NonlinearConstraint) -> dict[str, Any]:
        """Return the derivatives that came with a constraint."""
        given: tuple[Any, Any] = item.jac, getattr(item, "hess", None)
        jac, hess = (made if callable(made) else None for made in given)
        if self.coordinates.logarithmic:
            hess = hess and jac and hessian(hess, jac, self.coordinates)
            jac = jac and jacobian(jac, self.coordinates)
        return {name: made for name, made in (("jac", jac), ("hess", hess)) if made}

    def _mapping(self, item: Mapping[str, Any], number: int) -> Any:
        arguments = item.get("args", ())
        arguments = tuple(arguments) if isinstance(arguments, list | tuple) else (arguments,)
        function = self._function(item["fun"], arguments=arguments)
        made = {**item, "fun": function.values, "args": ()}
        made["name"] = item.get("name") or f"constraint {number}"
        jac = item.get("jac")
        if callable(jac):
            own = Function(jac, self.structure, self.units, arguments=arguments, matrix=True).values
            made["jac"] = jacobian(own, self.coordinates) if self.coordinates.logarithmic else own
            return made
        return {**made, "linear": function.linear, **function.derivatives}


class Function:
    """A function of the parameters as one of a vector, with derivatives if JAX finds them.

    Parameters
    ----------
    function : callable
        Called as the loss is, if it takes the same arguments, and otherwise with the vector.
    structure : Structure
    units : bool
        Hand over quantities where the bounds have units.
    sign : float
        A factor, 1 or -1.
    arguments : tuple
        Further arguments.
    matrix : bool
        Whether it returns a Jacobian.
    coordinates : Coordinates, optional
        Of what vector it is to be a function, if not of the numbers themselves.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        structure: Structure,
        units: bool,
        sign: float = 1.0,
        arguments: tuple[Any, ...] = (),
        matrix: bool = False,
        coordinates: Coordinates | None = None,
    ) -> None:
        self._function, self._structure, self._units = function, structure, units
        self._sign, self._arguments, self._matrix = sign, arguments, matrix
        self._structured = self._fits()
        self._jax = import_module("jax") if find_spec("jax") and not matrix else None
        self._linear = False
        self._slopes: Vector | None = None
        self._traced: Any = None
        seen = coordinates is not None and coordinates.logarithmic
        self._coordinates = coordinates if seen else None
        point = np.clip(0.5, structure.lower, structure.upper)
        point = point if self._coordinates is None else self._coordinates.inner(point)
        if self._jax and attempt(lambda: self._trace(point))[1]:
            self._jax = None

    def _fits(self) -> bool:
        positional, named = self._structure.arguments(self._structure.build(self._structure.lower))
        try:
            signature = inspect.signature(self._function)
        except (TypeError, ValueError):  # a builtin that does not tell
            return False
        try:
            signature.bind(*positional, *self._arguments, **named)
        except TypeError as error:
            try:
                signature.bind(None, *self._arguments)
            except TypeError:
                raise InputTypeError(
                    f"a constraint takes neither the parameters, as the loss does ({error}), nor "
                    "the vector of all numbers"
                ) from None
            return False
        return True

    def _call(self, vector: Any) -> Any:
        if not self._structured:
            return number_of(self._function(vector, *self._arguments))
        params = self._structure.build(vector, self._leaf)
        return number_of(self._structure.call(self._function, params, *self._arguments))

    def _leaf(self, leaf: Leaf, part: Any) -> Any:
        if isinstance(part, np.ndarray) and not leaf.shape:
            part = part[()]
        return with_unit(leaf, part) if self._units else part

    # -- with JAX -----------------------------------------------------------------------------

    def _flat(self, vector: Any) -> Any:
        numpy: Any = self._jax.numpy  # type: ignore[union-attr]
        if self._coordinates is not None:
            vector = traced_outer(self._coordinates, vector)
        return self._sign * numpy.ravel(numpy.asarray(self._call(vector)))

    def _weighted(self, vector: Any, weights: Any) -> Any:
        return weights @ self._traced(vector)

    @cached_property
    def _prepared(self) -> dict[str, Any]:
        jax: Any = self._jax
        return {
            "fun": jax.jit(self._traced),
            "jac": jax.jit(jax.jacrev(self._traced)),
            "hess": jax.jit(jax.hessian(self._weighted)),
        }

    def _trace(self, point: Vector) -> None:
        jax: Any = self._jax
        with x64_mode(True):
            self._traced = in_one_precision(traced_once, self._flat, point)
            self._linear = _is_constant(jax.make_jaxpr(jax.jacrev(self._traced))(point).jaxpr)

    def _run(self, name: str, *arguments: Vector) -> Vector:
        with x64_mode(True):
            return np.asarray(self._prepared[name](*arguments), dtype=np.float64)

    # -- what is handed on --------------------------------------------------------------------

    def values(self, x: Vector) -> Any:
        """Return the values, (m,)."""
        if self._jax:
            return self._run("fun", x)
        at = x if self._coordinates is None else self._coordinates.outer(x)
        made = np.asarray(self._call(at), dtype=np.float64)
        return made if self._matrix else self._sign * made.ravel()

    @property
    def derivatives(self) -> dict[str, Callable[..., Any]]:
        """The Jacobian and the Hessian of a weighted sum; empty where JAX has none."""
        if not self._jax:
            return {}
        return {"jac": self._jacobian, "hess": self._hessian}

    @property
    def linear(self) -> bool:
        """Whether JAX knows that the function is affine."""
        return self._jax is not None and self._linear

    def _jacobian(self, x: Vector) -> Vector:
        if not self._linear:
            return self._run("jac", x)
        if self._slopes is None:
            self._slopes = self._run("jac", x)
        return self._slopes.copy()

    def _hessian(self, x: Vector, weights: Vector) -> Vector:
        return self._run("hess", x, weights)


def _is_constant(jaxpr: Any) -> bool:
    """Return whether what a traced function gives does not depend on its arguments."""
    moving = {id(variable) for variable in jaxpr.invars}
    for step in jaxpr.eqns:
        if any(id(variable) in moving for variable in step.invars):
            moving.update(id(variable) for variable in step.outvars)
    return not any(id(variable) in moving for variable in jaxpr.outvars)
