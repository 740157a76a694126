"""A JAX loss on structured parameters as a function of a vector, with its derivatives.

Everything is compiled once, for the vector as a whole, and serves all starts.  The vector is
float64 for whoever drives; the loss computes in what JAX is set to, and its numbers come back as
float64.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError, say
from optdriver.objectives.plain import PlainObjective, attempt, check_alone
from optdriver.objectives.widths import in_one_precision, traced_once, widths_clash
from optdriver.space.pytree import Leaf, Structure, with_unit
from optdriver.space.units import Unit, is_quantity, number_of, unit_of

Vector = NDArray[np.float64]


class JaxObjective:
    """A loss that JAX differentiates.

    Parameters
    ----------
    loss : callable
    structure : Structure
    units : bool
        Hand over quantities where the bounds have units; otherwise plain numbers.
    x64 : bool or None
        Compute in 64 bits or not, whatever JAX is set to; None leaves it as it is set.
    compiled : bool
        Whether the loss can be traced as a whole.  Otherwise its gradient is taken call by call.
    residuals : bool
        Whether it returns residuals, in arrays of any shape: see `fit`.
    reverse : bool
        Whether the rows of their Jacobian are few beside its columns, as a rule.

    Attributes
    ----------
    compiled : bool
        Whether it is compiled.
    calls : int
        How many values were asked for, with or without gradient.
    """

    gives_gradient = True

    def __init__(
        self,
        loss: Callable[..., Any],
        structure: Structure,
        units: bool = True,
        x64: bool | None = None,
        compiled: bool = True,
        residuals: bool = False,
        reverse: bool = False,
    ) -> None:
        self._reverse = reverse
        self._loss, self._structure, self._units, self._x64 = loss, structure, units, x64
        self._jax = importlib.import_module("jax")
        self.compiled, self._residuals = compiled, residuals
        self._unit: Unit | None = None
        self._traced: dict[Any, Callable[..., Any]] = {}
        self.calls = 0

    # -- precision ----------------------------------------------------------------------------

    def precision(self) -> AbstractContextManager[Any]:
        """Return the context in which JAX computes for this objective."""
        return nullcontext() if self._x64 is None else x64_mode(self._x64)

    @cached_property
    def wide(self) -> bool:
        """Whether it computes in 64 bits."""
        return bool(self._jax.config.jax_enable_x64) if self._x64 is None else self._x64

    @property
    def _type(self) -> Any:
        return np.float64 if self.wide else np.float32

    def dtype(self, leaf: Leaf) -> Any:
        """Return the type that a leaf has in the loss."""
        widened = self._x64 and leaf.dtype is not None and leaf.dtype.kind == "f"
        if leaf.dtype is None or widened or (leaf.dtype == np.float64 and not self.wide):
            return np.dtype(self._type)
        return leaf.dtype

    @property
    def resolution(self) -> float:
        """The relative spacing of the numbers that the loss computes with."""
        types = [self.dtype(leaf) for leaf in self._structure.leaves]
        return max(float(self._jax.numpy.finfo(kind).eps) for kind in types)

    # -- the function -------------------------------------------------------------------------

    @property
    def unit(self) -> Unit | None:
        """The unit of the loss, known after it was traced."""
        return self._unit

    def scalar(self, vector: Any) -> Any:
        """Return the loss of a traced vector as a traced number: what is compiled."""
        return self._once(self._scalar, vector)

    def vector(self, vector: Any) -> Any:
        """Return the residuals of a traced vector, one after the other."""
        return self._once(self._vector, vector)

    def _once(self, function: Callable[..., Any], vector: Any) -> Any:
        """Return what a function gives, which calls the loss once for each type of numbers."""
        if not self.compiled:
            return function(vector)
        kind = np.dtype(vector.dtype)
        if kind not in self._traced:
            like = self._jax.ShapeDtypeStruct(vector.shape, kind)
            self._traced[kind] = traced_once(function, like)
        return self._traced[kind](vector)

    def _scalar(self, vector: Any) -> Any:
        params = self._structure.build(vector, self._leaf)
        made = self._structure.call(self._loss, params)
        self._unit = unit_of(made)
        return _as_scalar(self._jax, number_of(made), self._type)

    def _vector(self, vector: Any) -> Any:
        jnp = self._jax.numpy
        params = self._structure.build(vector, self._leaf)
        made = self._structure.call(self._loss, params)
        leaves = self._jax.tree_util.tree_leaves(made, is_leaf=is_quantity)
        parts = [jnp.ravel(jnp.asarray(number_of(leaf))) for leaf in leaves]
        if not parts:
            raise InputTypeError(f"the residuals must be arrays of numbers, not {made!r}")
        return jnp.concatenate(parts).astype(self._type)

    def _residuals_and_jacobian(self, vector: Any) -> Any:
        found = self.vector(vector)
        by_rows = self._reverse and found.size < vector.size
        differentiated = self._jax.jacrev if by_rows else self._jax.jacfwd
        return found, differentiated(self.vector)(vector)

    def _leaf(self, leaf: Leaf, part: Any) -> Any:
        typed = part.astype(self.dtype(leaf))
        return with_unit(leaf, typed) if self._units else typed

    def _prepared(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return self._jax.jit(function) if self.compiled else function

    @cached_property
    def _value_and_grad(self) -> Any:
        if self._residuals:
            return self._prepared(self._residuals_and_jacobian)
        return self._prepared(self._jax.value_and_grad(self.scalar))

    @cached_property
    def _value(self) -> Any:
        return self._prepared(self.scalar)

    @cached_property
    def _hessian(self) -> Any:
        return self._prepared(self._jax.hessian(self.scalar))

    @cached_property
    def _product(self) -> Any:
        grad = self._jax.grad(self.scalar)
        return self._prepared(lambda x, v: self._jax.jvp(grad, (x,), (v,))[1])

    @cached_property
    def batched(self) -> Any:
        """The compiled value and gradient of many vectors, (k, n) -> (k,), (k, n)."""
        return self._jax.jit(self._jax.vmap(self._jax.value_and_grad(self.scalar)))

    # -- what drivers call --------------------------------------------------------------------

    def value_and_grad(self, x: Vector) -> tuple[float, Vector]:
        """Return value and gradient at a vector, in float64."""
        self.calls += 1
        f, g = self._run(self._value_and_grad, x)
        return float(f), np.asarray(g, dtype=np.float64)

    def fit(self, x: Vector) -> tuple[Vector, Vector]:
        """Return the residuals at a vector, (m,), and their Jacobian, (m, n), in float64."""
        self.calls += 1
        r, jacobian = self._run(self._value_and_grad, x)
        return np.asarray(r, dtype=np.float64), np.asarray(jacobian, dtype=np.float64)

    def value(self, x: Vector) -> float:
        """Return the loss at a vector."""
        self.calls += 1
        return float(self._run(self._value, x))

    def hessian(self, x: Vector) -> Vector:
        """Return the matrix of second derivatives, (n, n)."""
        return np.asarray(self._run(self._hessian, x), dtype=np.float64)

    def hessian_product(self, x: Vector, v: Vector) -> Vector:
        """Return the second derivatives times a vector; the matrix is never formed."""
        return np.asarray(self._run(self._product, x, v), dtype=np.float64)

    def many(self, points: Vector) -> tuple[Vector, Vector]:
        """Return values and gradients at many vectors, (k, n) -> (k,), (k, n), in one call."""
        self.calls += len(points)
        f, g = self._run(self.batched, points)
        return np.asarray(f, dtype=np.float64), np.asarray(g, dtype=np.float64)

    def _run(self, function: Any, *arguments: Vector) -> Any:
        with self.precision():
            handed = [np.asarray(a, dtype=self._type) for a in arguments]
            if not self.compiled:
                handed = [self._jax.numpy.asarray(a) for a in handed]
            return self._jax.device_get(self._in_one_precision(function, *handed))

    def trace(self, x: Vector) -> None:
        """Trace value and gradient, which shows whether the loss can be compiled."""
        with self.precision():
            self._in_one_precision(self._value_and_grad.trace, np.asarray(x, dtype=self._type))

    def trace_many(self, points: Vector) -> None:
        """Trace the function of many vectors, which shows whether there is one."""
        with self.precision():
            self._in_one_precision(self.batched.trace, np.asarray(points, dtype=self._type))

    def _in_one_precision(self, function: Any, *arguments: Any) -> Any:
        if not self.compiled:
            return function(*arguments)
        return in_one_precision(function, *arguments)

    # -- what users get -----------------------------------------------------------------------

    def result(self, x: Vector) -> Any:
        """Return the parameters of a vector as arrays, with units where the loss gets them.

        They are JAX's, or NumPy's if the loss computes in 64 bits while JAX is set to 32: JAX
        would not take its own then.
        """
        foreign = self.wide and not self._jax.config.jax_enable_x64

        def leaf(leaf: Leaf, part: Any) -> Any:
            typed = part.astype(self.dtype(leaf))
            if foreign:
                made = typed if leaf.shape else typed[()]
            else:
                made = self._jax.numpy.asarray(typed)
            return with_unit(leaf, made) if self._units else made

        with self.precision():
            return self._structure.build(x, leaf)


def x64_mode(wide: bool) -> AbstractContextManager[Any]:
    """Return the context in which JAX computes in 64 bits, or does not."""
    jax = importlib.import_module("jax")
    switch = getattr(jax, "enable_x64", None)
    if switch is None:  # its place in older versions
        switch = importlib.import_module("jax.experimental").enable_x64
    made: AbstractContextManager[Any] = switch(wide)
    return made


def _as_scalar(jax: Any, made: Any, kind: Any) -> Any:
    """Return a traced loss as one floating-point number, or say what it is instead."""
    check_alone(made)
    try:
        array = jax.numpy.asarray(made)
    except TypeError:
        raise InputTypeError(f"the loss must return one number, not {made!r}") from None
    if isinstance(made, list | tuple) or array.size != 1 or jax.numpy.iscomplexobj(array):
        shape = f"{array.dtype} of shape {array.shape}"
        raise InputTypeError(f"the loss must return one real number, not {shape}")
    return array.reshape(()).astype(kind)


# -- which way a loss can go --------------------------------------------------------------------


def traced(
    loss: Callable[..., Any],
    structure: Structure,
    *,
    units: bool = True,
    x64: bool | None = None,
    residuals: bool = False,
    reverse: bool = False,
) -> tuple[JaxObjective | None, str]:
    """Return the loss, or residuals, compiled, or None and the reason why that cannot be done.

    Nothing is evaluated.

    Raises
    ------
    InputError
        The loss returns something else than one number.
    """
    if find_spec("jax") is None:
        return None, "JAX is not installed"
    objective = JaxObjective(loss, structure, units, x64, residuals=residuals, reverse=reverse)
    point = np.clip(0.5, structure.lower, structure.upper)
    _, reason = attempt(lambda: objective.trace(point))
    return (None if reason else objective), reason


def untraced(
    loss: Callable[..., Any],
    structure: Structure,
    points: Vector,
    reason: str,
    *,
    units: bool = True,
    x64: bool | None = None,
) -> JaxObjective | PlainObjective:
    """Return a loss that could not be compiled, differentiated call by call or called only.

    Parameters
    ----------
    loss, structure, units, x64
        As for `JaxObjective`.
    points : ndarray, shape (k, n)
        Where to try it.
    reason : str
        Why it could not be compiled.

    Warns
    -----
    ObjectiveWarning
        Which way its gradients come, and why.
    """
    plain = PlainObjective(loss, structure, units)
    if find_spec("jax") is None:
        _say(reason, "finite differences", "pip install 'optdriver[jax]' for exact ones")
        return plain
    eager = JaxObjective(loss, structure, units, x64, compiled=False)
    for x in points:
        if not attempt(partial(eager.value_and_grad, x))[1]:
            why, advice = "the loss cannot be compiled", "write it with jax.lax.cond for speed"
            if widths_clash(reason):
                advice = (
                    "JAX has compiled other functions of its data in another precision, and these "
                    "still live: give the loss a copy (data.copy()) for speed"
                )
            _say(f"{why} ({reason})", "JAX call by call, which is slow", advice)
            return eager
        if not attempt(partial(plain.value, x))[1]:
            why, advice = "JAX cannot differentiate the loss", "write it with jax.numpy"
            _say(f"{why} ({reason})", "finite differences", f"{advice} for exact ones")
            return plain
    return plain


def _say(why: str, how: str, advice: str) -> None:
    say(f"{why}: its gradients come from {how}; {advice}")


def checked_x64(x64: Any) -> bool | None:
    """Check the switch of the precision."""
    if x64 is not None and not isinstance(x64, bool):
        raise InputError(f"x64 is True, False or None, not {x64!r}")
    return x64
