"""A loss on structured parameters as a function of a vector, called as it is."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import EvaluationError, InputError, InputTypeError
from optdriver.reading import real_array, real_number
from optdriver.space.pytree import ONE_ARRAY, Leaf, Structure, with_unit
from optdriver.space.units import Unit, number_in, number_of, unit_of

Vector = NDArray[np.float64]


def _leaves(made: Any) -> Iterator[Any]:
    """Yield the arrays in dictionaries, lists and tuples; a list of numbers is one."""
    if isinstance(made, Mapping):
        made = [made[key] for key in sorted(made)]
    if isinstance(made, list | tuple) and any(
        isinstance(part, Mapping | list | tuple) or np.ndim(number_of(part)) for part in made
    ):
        for part in made:
            yield from _leaves(part)
    else:
        yield number_of(made)


class PlainObjective:
    """A loss called with NumPy arrays and Python's numbers; it gives values only.

    Parameters
    ----------
    loss : callable
    structure : Structure
    units : bool
        Hand over quantities where the bounds have units; otherwise plain numbers.

    Attributes
    ----------
    calls : int
        How often the loss was called.
    """

    gives_gradient = False
    resolution = float(np.finfo(np.float64).eps)

    def __init__(self, loss: Callable[..., Any], structure: Structure, units: bool = True) -> None:
        self._loss, self._structure, self._units = loss, structure, units
        self._unit: Unit | None = None
        self._called = False
        self.calls = 0

    @property
    def unit(self) -> Unit | None:
        """The unit of the loss, known after the first call."""
        return self._unit

    def residuals(self, x: Vector) -> Vector:
        """Return the residuals at a vector, (m,), of a function that returns arrays of them."""
        self.calls += 1
        made = self._structure.call(self._loss, self.params(x))
        parts = [np.ravel(real_array("the residuals", part)) for part in _leaves(made)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def value(self, x: Vector) -> float:
        """Return the loss at a vector."""
        self.calls += 1
        made = self._structure.call(self._loss, self.params(x))
        check_alone(made)
        unit = unit_of(made)
        number = number_in(made, self._unit, "the loss") if self._called else number_of(made)
        checked = real_number("what the loss returns", number)
        self._unit, self._called = (self._unit if self._called else unit), True
        return checked

    def params(self, x: Vector) -> Any:
        """Return the parameters of a vector as the loss gets them."""
        return self._structure.build(x, self._leaf)

    result = params

    def _leaf(self, leaf: Leaf, part: Any) -> Any:
        typed = _typed(leaf, part)
        return with_unit(leaf, typed) if self._units else typed


def _typed(leaf: Leaf, part: Any) -> Any:
    typed = part.astype(np.float64 if leaf.dtype is None else leaf.dtype)
    return typed if leaf.shape else typed[()]


def check_call(loss: Any, structure: Structure) -> None:
    """Check that a loss can be called with the parameters.

    Raises
    ------
    InputTypeError
        It is no function, or takes other arguments.
    """
    if not callable(loss):
        raise InputTypeError(f"the loss must be a function of the parameters, not {loss!r}")
    params = structure.build(0.5 * np.zeros(structure.n))
    positional, named = structure.arguments(params)
    strange = [name for name in named if not isinstance(name, str)]
    if strange:
        raise InputTypeError(
            f"the members of a dictionary of bounds are handed over by name, but {strange[0]!r} is "
            "no name: use strings, or a list or tuple of bounds"
        )
    try:
        signature = inspect.signature(loss)
    except (TypeError, ValueError):  # a builtin that does not tell: the first call will show
        return
    try:
        signature.bind(*positional, **named)
    except TypeError as error:
        handed = ", ".join([f"{len(positional)} by position"] * bool(positional) + list(named))
        raise InputTypeError(
            f"the loss does not take the parameters of the bounds: {error}; it is called with "
            f"{handed} (a list or tuple of bounds is handed over by position, a dictionary by name)"
            f"{ONE_ARRAY * (len(positional) > 1)}"
        ) from None


def check_alone(made: Any) -> None:
    """Refuse what has a gradient beside the value, or is another list.

    Raises
    ------
    InputTypeError
    """
    if isinstance(made, list | tuple) and len(made) != 1:
        hint = (
            ": return the value alone (gradients are made here, by JAX or by differences), or say "
            "jac=True if the second is the gradient"
            if len(made) == 2
            else ""
        )
        kind = "list" if isinstance(made, list) else "tuple"
        raise InputTypeError(f"the loss must return one number, not a {kind} of {len(made)}{hint}")


def attempt(function: Callable[[], Any]) -> tuple[Any, str]:
    """Return what a call gives and "", or None and the reason why it failed.

    Mistakes in the use of this library are raised.
    """
    try:
        return function(), ""
    except EvaluationError as error:
        return None, str(error)
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it costs one evaluation only
        kind = TypeError if isinstance(error, TypeError) else type(error)
        return None, f"{kind.__name__}: {error}".partition("\n")[0]
