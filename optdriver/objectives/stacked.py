"""A loss that returns outputs beside its value as one that returns all of them in a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from optdriver.errors import InputTypeError
from optdriver.reading import short
from optdriver.space.units import number_of


class Stacked:
    """The value and the outputs of a loss, in a list.

    Parameters
    ----------
    loss : callable
        Returns ``(value, outputs)``, outputs by name, or a dict of ``value`` and the outputs.

    Attributes
    ----------
    names : tuple of str
        The outputs, in the order of the list; known after a call.
    """

    def __init__(self, loss: Callable[..., Any]) -> None:
        self._loss = loss
        self.__wrapped__ = loss
        self.names: tuple[str, ...] = ()

    def __call__(self, *arguments: Any, **named: Any) -> list[Any]:
        """Return the value, then the outputs."""
        value, put = _split(self._loss(*arguments, **named))
        for name, each in (("value", value), *put.items()):
            if getattr(number_of(each), "size", 1) != 1 or isinstance(each, list | tuple | Mapping):
                raise InputTypeError(
                    f"{name!r} must be one number, not {short(each)}: JAX differentiates it, and "
                    "each number has a name of its own"
                )
        self.names = tuple(put)
        return [value, *put.values()]


def _split(made: Any) -> tuple[Any, dict[str, Any]]:
    if isinstance(made, Mapping) and "value" in made:
        put = {name: each for name, each in made.items() if name not in ("value", "outputs")}
        return made["value"], {**put, **made.get("outputs", {})}
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[1], Mapping):
        return made[0], dict(made[1])
    raise InputTypeError(
        "the loss returns (value, {'stress': ...}) or {'value': ..., 'stress': ...}, not "
        f"{short(made)}"
    )
