"""What SciPy's methods print at their end, where `disp`, `iprint` or `verbose` ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, Final

from scipy.optimize import OptimizeResult

from optdriver.errors import InputTypeError
from optdriver.space.units import number_of

LEAST: Final = {"disp": 1, "iprint": 0, "verbose": 1}
"""From which number on each of these options asks for it, as SciPy has it."""


def taken(options: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return options without those that ask for printing, and whether one does.

    Raises
    ------
    InputTypeError
        One of them is no number and no truth value.
    """
    rest, asks = dict(options), False
    for name, least in LEAST.items():
        value = rest.pop(name, None)
        if value is None:
            continue
        if not isinstance(value, Real):
            raise InputTypeError(f"option {name!r} is a number or a truth value, not {value!r}")
        asks = asks or float(value) >= least
    return rest, asks


def show(result: OptimizeResult) -> None:
    """Print how a minimisation has ended."""
    print(  # noqa: T201  # that is what it is asked for
        f"{result.message}\n"
        f"         Current function value: {float(number_of(result.fun)):.6f}\n"
        f"         Function evaluations: {result.nfev}\n"
        f"         Starts: {len(result.starts)}"
    )
