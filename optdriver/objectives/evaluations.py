"""A user's objective with its gradient, called with copies and counted as SciPy counts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError
from optdriver.objectives.differences import Scheme

Floats = NDArray[np.float64]
Mapping = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Objective:
    """The value alone: one number at a point; can be pickled where `fun` and `args` can."""

    fun: Callable[..., Any]
    args: tuple[Any, ...]

    def __call__(self, x: NDArray[Any]) -> Any:
        """Return the value at `x`."""
        return scalar(self.fun(x.copy(), *self.args))


@dataclass(kw_only=True)
class Evaluator:
    """Value and gradient at a point.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns the value, or the value and the gradient if `jac` is True.
    args : tuple
        Given to `fun` and `jac` after the point.
    jac : callable, True or Scheme
        Where the gradient comes from.
    mapping : callable
        ``mapping(objective, points)`` evaluates the points of a difference scheme.

    Attributes
    ----------
    nfev, njev : int
        Calls of `fun`, those for differences included, and gradients.
    """

    fun: Callable[..., Any]
    args: tuple[Any, ...]
    jac: Callable[..., Any] | bool | Scheme
    mapping: Mapping = map
    nfev: int = field(default=0, init=False)
    njev: int = field(default=0, init=False)

    @property
    def cost(self) -> int:
        """Calls of `fun` that one evaluation takes."""
        return 1 + (self.jac.cost if isinstance(self.jac, Scheme) else 0)

    def __call__(self, x: Floats) -> tuple[float, Any]:
        """Return the value and the gradient at `x`; no gradient where the value is not finite."""
        self.nfev += 1
        told = self.fun(x.copy(), *self.args)
        value, gradient = _pair(told) if self.jac is True else (told, None)
        f = _real(scalar(value))
        if not math.isfinite(f):
            return float(f), None
        self.njev += 1
        return float(f), _vector(gradient if self.jac is True else self._gradient(x, f), x.size)

    def _gradient(self, x: Floats, f: Any) -> Any:
        if isinstance(self.jac, Scheme):
            objective = Objective(self.fun, self.args)
            values = list(self.mapping(objective, self.jac.points(x, f)))
            self.nfev += len(values)
            return self.jac.gradient(x, f, values)
        if not callable(self.jac):
            raise InputError(f"jac must be callable, True or differences, got {self.jac!r}")
        return self.jac(x.copy(), *self.args)


def scalar(value: Any) -> Any:
    """Return the only number in `value`, in the precision in which it came."""
    if isinstance(value, float):
        return value
    hint = " (a pair: is jac=True missing?)" if isinstance(value, tuple) else ""
    try:
        array = np.asarray(value)
        number = array.reshape(())[()]
        return float(number) if array.dtype.kind not in "fiubc" else number
    except (TypeError, ValueError) as error:
        raise InputError(
            "The user-provided objective function must return a scalar value, "
            f"got {_described(value)}{hint}"
        ) from error


def _real(value: Any) -> Any:
    if isinstance(value, complex | np.complexfloating):
        raise InputError(
            f"The user-provided objective function must return a real number, got {value!r}"
        )
    return value


def _pair(told: Any) -> tuple[Any, Any]:
    """Split what an objective with ``jac=True`` returned."""
    if not isinstance(told, tuple | list) or len(told) != 2:
        raise InputError(
            "with jac=True the objective must return a pair (value, gradient), "
            f"got {_described(told)}"
        )
    return told[0], told[1]


def _vector(gradient: Any, n: int) -> Any:
    """Let a row, a column or (for n = 1) a number pass as a gradient; the rest is checked later."""
    array = np.asarray(gradient)
    return array.reshape(n) if array.ndim != 1 and array.size == n else array


def _described(value: Any) -> str:
    """Say in a few words what `value` is."""
    shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
    text = repr(value)
    return f"{type(value).__name__}{shape}" + (f" {text}" if len(text) < 60 else "")
