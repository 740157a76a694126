"""Quantities with units, whoever made them: those of saiunit and brainunit, and Pint's.

They are known by their shape, so that nothing has to be imported here: a quantity of the first
kind has ``mantissa``, ``unit`` and ``in_unit``, one of Pint's ``magnitude``, ``units`` and ``to``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optdriver.errors import InputError


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit, and the kind of quantity that carries it.

    Attributes
    ----------
    kind : type
        The class of the quantities.
    unit : object
        The unit, as that class takes it.
    """

    kind: type
    unit: Any

    def attach(self, number: Any) -> Any:
        """Return the quantity of a number or an array, a traced one too."""
        if _is_pint(self.unit):
            return self.kind(number, self.unit)
        return self.kind(number, unit=self.unit)

    def __truediv__(self, other: Unit | None) -> Unit:
        """Return the unit of a quotient."""
        return self if other is None else Unit(self.kind, self.unit / other.unit)

    def inverse(self) -> Unit:
        """Return one over the unit."""
        return Unit(self.kind, self.unit**-1)

    def __str__(self) -> str:
        return str(self.unit)


def is_quantity(value: Any) -> bool:
    """Return whether a value is a quantity with a unit, dimensionless ones included."""
    if isinstance(value, type):
        return False
    first = hasattr(value, "mantissa") and hasattr(value, "unit") and hasattr(value, "in_unit")
    return first or (hasattr(value, "magnitude") and hasattr(value, "units"))


def number_of(value: Any) -> Any:
    """Return the number or the array of a quantity, and anything else as it is."""
    if not is_quantity(value):
        return value
    return value.mantissa if hasattr(value, "mantissa") else value.magnitude


def unit_of(value: Any) -> Unit | None:
    """Return the unit of a quantity; None for a number, and for what has no dimension."""
    if not is_quantity(value):
        return None
    if not hasattr(value, "mantissa"):
        return Unit(type(value), value.units)
    plain = bool(getattr(value.unit, "is_unitless", False))
    return None if plain else Unit(type(value), value.unit)


def number_in(value: Any, unit: Unit | None, what: str) -> Any:
    """Return the number that a value has in a unit.

    Parameters
    ----------
    value : quantity, number, array
    unit : Unit or None
    what : str
        What the value is, for the message.

    Raises
    ------
    InputError
        The value has a unit of another kind, or one is missing on either side.
    """
    given = unit_of(value)
    if unit is None and given is None:
        return number_of(value)
    if unit is None or given is None:
        raise InputError(
            f"{what} is {value!r}, {'without a unit' if given is None else 'with a unit'}, where "
            f"{'no unit' if unit is None else f'one that fits {unit}'} is expected"
        )
    if given == unit:
        return number_of(value)
    try:
        made = value.to(unit.unit) if _is_pint(unit.unit) else value.in_unit(unit.unit)
    except Exception as error:  # noqa: BLE001 - each library has its own error for this
        raise InputError(f"{what} is {value!r}, which is no amount of {unit}: {error}") from None
    return number_of(made)


def _is_pint(unit: Any) -> bool:
    return hasattr(unit, "_REGISTRY")
