"""A loss that comes with its gradient: neither JAX nor differences are needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputTypeError
from optdriver.objectives.plain import PlainObjective
from optdriver.reading import real_vector
from optdriver.space.pytree import Structure
from optdriver.space.space import Space
from optdriver.space.units import Unit

Vector = NDArray[np.float64]


class Paired:
    """A loss and its gradient, two functions of the parameters, as one that returns both."""

    def __init__(self, loss: Callable[..., Any], gradient: Callable[..., Any]) -> None:
        self._loss, self._gradient = loss, gradient
        update_wrapper(self, loss)

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        """Return the value and the gradient."""
        return self._loss(*args, **kwargs), self._gradient(*args, **kwargs)


class OwnGradientObjective:
    """A loss that returns its value and its gradient, as an objective over a vector.

    Parameters
    ----------
    loss : callable
        Returns ``(value, gradient)``; the gradient has the structure of the parameters, or is a
        vector of shape (n,).
    structure : Structure
    units : bool
        Hand over quantities where the bounds have units; otherwise plain numbers.
    sign : float
        -1 where the greatest value is wanted: what both are multiplied by.

    Attributes
    ----------
    calls : int
        How often the loss was called.
    """

    gives_gradient = True
    resolution = PlainObjective.resolution

    def __init__(
        self, loss: Callable[..., Any], structure: Structure, units: bool, sign: float = 1.0
    ) -> None:
        self._loss, self._sign = loss, sign
        self._space = Space.of(structure)
        self._gradient: Any = None
        self._plain = PlainObjective(self._value, structure, units)

    def _value(self, *args: Any, **kwargs: Any) -> Any:
        made = self._loss(*args, **kwargs)
        if not isinstance(made, tuple | list) or len(made) != 2:
            raise InputTypeError(
                "with jac=True the loss returns its value and its gradient, (f, g), not "
                f"{made!r:.200}"
            )
        value, self._gradient = made
        return value

    @property
    def calls(self) -> int:
        """How often the loss was called."""
        return self._plain.calls

    @property
    def unit(self) -> Unit | None:
        """The unit of the loss, known after the first call."""
        return self._plain.unit

    def value(self, x: Vector) -> float:
        """Return the loss at a vector."""
        return self._sign * self._plain.value(x)

    def value_and_grad(self, x: Vector) -> tuple[float, Vector]:
        """Return the loss and its gradient at a vector."""
        value = self._plain.value(x)
        gradient = self._space.gradient(self._gradient, x, self.unit)
        if gradient is None:
            gradient = real_vector("the gradient", self._gradient, x.size)
        return self._sign * value, self._sign * gradient

    def params(self, x: Vector) -> Any:
        """Return the parameters of a vector as the loss gets them."""
        return self._plain.params(x)

    def result(self, x: Vector) -> Any:
        """Return the parameters of a vector as users get them, as the loss does."""
        return self._plain.result(x)
