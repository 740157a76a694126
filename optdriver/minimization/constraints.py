"""Constraints on structured parameters as constraints on a vector.

Texts are about the numbers of the parameters by name.  Functions are called as the loss is, if
they take the same arguments, and otherwise with the vector of all numbers; JAX differentiates
them where it can.  They are computed in 64 bits whatever the loss computes in, since feasibility
is decided to the last bits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import NonlinearConstraint

from optdriver.constraints import ConstraintSet
from optdriver.errors import InputTypeError
from optdriver.objectives.jax_objective import x64_mode
from optdriver.objectives.plain import attempt
from optdriver.structures.pytree import Leaf, Structure, with_unit
from optdriver.structures.spelling import spelled
from optdriver.structures.units import number_of

Vector = NDArray[np.float64]


def compiled(
    constraints: Any, structure: Structure, loss: Callable[..., Any], units: bool, scale: Vector
) -> ConstraintSet | None:
    """Return constraints as a set over z, where x = z * scale; None where there are none.

    Raises
    ------
    InputError
        Something given is no constraint.
    """
    listed = _listed(constraints)
    if not listed:
        return None
    if len(listed) == 1 and isinstance(listed[0], ConstraintSet):
        return listed[0].rescaled(scale)
    named = structure.with_positions(positions(loss))
    made = ConstraintSet(
        [_translated(item, named, units, k + 1) for k, item in enumerate(listed)],
        named.names,
        np.column_stack([structure.lower, structure.upper]),
        fixed=named.named.fixed,
    )
    return made.rescaled(scale)


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


def _translated(item: Any, structure: Structure, units: bool, number: int) -> Any:
    """Return one constraint as `ConstraintSet` takes it, functions with their derivatives."""
    if isinstance(item, str) or (isinstance(item, Mapping) and "type" not in item):
        return spelled(item, structure)
    if isinstance(item, Mapping) and callable(item.get("fun")):
        return _from_mapping(item, structure, units, number)
    if isinstance(item, NonlinearConstraint):
        function = Function(item.fun, structure, units)
        given = {name: getattr(item, name) for name in ("jac", "hess")}
        kept = {name: value for name, value in given.items() if callable(value)}
        return NonlinearConstraint(
            function.values, item.lb, item.ub, **{**function.derivatives, **kept}
        )
    if callable(item):
        function = Function(item, structure, units, sign=-1.0)
        name = getattr(item, "__name__", "<lambda>")
        name = f"constraint {number}" if name == "<lambda>" else name
        made = {"type": "ineq", "name": name, "fun": function.values, "linear": function.linear}
        return made | function.derivatives
    return item


def _from_mapping(item: Mapping[str, Any], structure: Structure, units: bool, number: int) -> Any:
    arguments = item.get("args", ())
    arguments = tuple(arguments) if isinstance(arguments, list | tuple) else (arguments,)
    function = Function(item["fun"], structure, units, arguments=arguments)
    made = {**item, "fun": function.values, "args": ()}
    made["name"] = item.get("name") or f"constraint {number}"
    jac = item.get("jac")
    if callable(jac):
        made["jac"] = Function(jac, structure, units, arguments=arguments, matrix=True).values
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
    """

    def __init__(
        self,
        function: Callable[..., Any],
        structure: Structure,
        units: bool,
        sign: float = 1.0,
        arguments: tuple[Any, ...] = (),
        matrix: bool = False,
    ) -> None:
        self._function, self._structure, self._units = function, structure, units
        self._sign, self._arguments, self._matrix = sign, arguments, matrix
        self._structured = self._fits()
        self._jax = import_module("jax") if find_spec("jax") and not matrix else None
        self._linear = False
        self._slopes: Vector | None = None
        point = np.clip(0.5, structure.lower, structure.upper)
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
        return self._sign * numpy.ravel(numpy.asarray(self._call(vector)))

    def _weighted(self, vector: Any, weights: Any) -> Any:
        return weights @ self._flat(vector)

    @cached_property
    def _prepared(self) -> dict[str, Any]:
        jax: Any = self._jax
        return {
            "fun": jax.jit(self._flat),
            "jac": jax.jit(jax.jacrev(self._flat)),
            "hess": jax.jit(jax.hessian(self._weighted)),
        }

    def _trace(self, point: Vector) -> None:
        jax: Any = self._jax
        with x64_mode(True):
            self._linear = _is_constant(jax.make_jaxpr(jax.jacrev(self._flat))(point).jaxpr)

    def _run(self, name: str, *arguments: Vector) -> Vector:
        with x64_mode(True):
            return np.asarray(self._prepared[name](*arguments), dtype=np.float64)

    # -- what is handed on --------------------------------------------------------------------

    def values(self, x: Vector) -> Any:
        """Return the values, (m,)."""
        if self._jax:
            return self._run("fun", x)
        made = np.asarray(self._call(x), dtype=np.float64)
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
