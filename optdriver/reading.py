"""The one reader of numbers that users hand over: values, gradients, points, bounds.

Taken are real numbers in whatever holds them: Python's, NumPy's of every width, `Fraction` and
`Decimal`, arrays of JAX, PyTorch or pandas, those without dimensions, and a single element of an
array or list where one number is wanted.  NaN and infinity are numbers; what they mean is for the
caller to say.  Refused, and named in the error, are what is no real number though Python or NumPy
would make one of it: texts, truth values, complex numbers (also with a zero imaginary part), dates,
None, masked entries, and quantities with a unit.
"""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, InputTypeError

Vector = NDArray[np.float64]

_FLOATS = {float}


def real_number(name: str, value: Any) -> float:
    """Return the one real number in `value` as a float; it may be NaN or infinite.

    Raises
    ------
    InputTypeError
        It is no real number, or more numbers than one; the message begins with `name`.
    InputError
        It is too large for a float.
    """
    if isinstance(value, float):  # NumPy's float64 is one
        return float(value)
    array = real_array(name, value, "one real number")
    if array.size != 1:
        raise InputTypeError(f"{name} must be one real number, not {short(value)}")
    return float(array.reshape(-1)[0])


def real_vector(name: str, value: Any, n: int, which: str = "one number a variable") -> Vector:
    """Return `value` as a vector of n floats; they may be NaN or infinite.

    A number without dimensions is a vector of one.

    Raises
    ------
    InputTypeError
        It holds something else than real numbers; the message begins with `name`.
    InputError
        It has another shape; `which` says in the message what the numbers are.
    """
    array = real_array(name, value)
    if array.shape == (n,):
        return array
    if n == 1 and array.shape == ():
        return array.reshape(1)
    raise InputError(f"{name} has shape {array.shape}; expected ({n},): {which}")


def real_array(name: str, value: Any, expected: str = "real numbers") -> Vector:
    """Return `value` as an array of float64, or raise an error that begins with `name`.

    An array of float64 is returned as it is.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:  # most are
        return value
    if type(value) is list and set(map(type, value)) == _FLOATS:
        return np.array(value)
    if is_masked(value):
        raise InputTypeError(
            f"{name} has masked entries; expected a number in every place, NaN where there is none"
        )
    if _is_quantity(value):
        raise InputTypeError(
            f"{name} must be {expected}, not a quantity: take its number, in a unit"
        )
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            array = _of_other_kind(array)
        with np.errstate(all="ignore"):  # a longdouble beyond float64 becomes infinite, or 0
            return array.astype(np.float64, copy=False)
    except OverflowError as error:
        raise InputError(f"{name} is too large for a float: {short(value)}") from error
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor with a graph
        raise InputTypeError(
            f"{name} must be {expected}, not {short(value)} ({type(value).__name__})"
        ) from error


def masked_arrays() -> Any:
    """Return ``numpy.ma`` if there can be masked arrays, and None otherwise.

    It is not imported for a question whose answer is no: that would take a quarter of NumPy's time.
    """
    return sys.modules.get("numpy.ma")


def is_masked(value: Any) -> bool:
    """Return whether an array, or one in nested sequences, has masked entries."""
    ma = masked_arrays()
    if ma is None:
        return False
    if isinstance(value, (list, tuple)):
        return any(is_masked(item) for item in value)
    return bool(ma.is_masked(value))


def _is_quantity(value: Any) -> bool:
    """Return whether there is a unit, which NumPy would drop: Pint's, brainunit's, Astropy's."""
    if hasattr(value, "dtype") and type(value).__module__ == "numpy":
        return False
    pint = hasattr(value, "magnitude") and hasattr(value, "units")
    return pint or (hasattr(value, "unit") and hasattr(value, "to"))


def _of_other_kind(array: Any) -> Any:
    """Return an array that is none of NumPy's floats and integers as one of them."""
    if array.dtype.kind == "O":
        for item in array.flat:
            _check_object(item)
        return np.array(array, dtype=np.float64)
    if array.size == 0 or (array.dtype.kind == "V" and array.dtype.fields is None):
        return array.astype(np.float64)  # the second: bfloat16 and its like
    raise TypeError(f"{array.dtype} is no kind of real number")


def _check_object(item: Any) -> None:
    imaginary = isinstance(item, numbers.Complex) and not isinstance(item, numbers.Real)
    if item is None or imaginary or isinstance(item, (str, bytes, bool, np.bool_)):
        raise TypeError(f"{item!r} is no real number")
    if isinstance(item, (np.datetime64, np.timedelta64)):
        raise TypeError(f"{item!r} is a date")


def short(value: Any) -> str:
    """Return a value as text that fits into a message."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:70]}...{text[-30:]}"


def check_real(name: str, value: Any, *, above_zero: bool) -> None:
    """Refuse an option that is no finite number, or below 0 (or 0, where it must be above)."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise InputTypeError(f"{name} must be a number, not {short(value)}")
    if not (math.isfinite(value) and (value > 0 or (value == 0 and not above_zero))):
        least = "above 0" if above_zero else "0 or more"
        raise InputError(f"{name} must be finite and {least}, but is {value}")


def check_count(name: str, value: Any, *, least: int, infinite: bool = False) -> None:
    """Refuse what is no whole number from `least` on, nor `math.inf` where that may be."""
    if infinite and isinstance(value, float) and value == math.inf:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        kind = "an integer or math.inf" if infinite else "an integer"
        raise InputTypeError(f"{name} must be {kind}, not {short(value)}")
    if value < least:
        raise InputError(f"{name} must be at least {least}, but is {value}")


def check_flag(name: str, value: Any) -> bool:
    """Refuse what is neither true nor false, as words and numbers; return it."""
    if not isinstance(value, bool | np.bool_):
        raise InputTypeError(f"{name} is True or False, not {short(value)}")
    return bool(value)


def read_level(name: str, given: Any, most: int) -> int:
    """Return what is given as a whole number up to `most`, or as a flag, of which True is `most`.

    Raises
    ------
    InputError, InputTypeError
    """
    if isinstance(given, bool | np.bool_):
        return most * int(given)
    check_count(name, given, least=0)
    if given > most:
        raise InputError(f"{name} is a whole number up to {most}, or a flag, not {given}")
    return int(given)


def is_listed(value: Any) -> bool:
    """Return whether a value has items: a text and an array without dimensions have none here."""
    has = isinstance(value, Iterable) and not isinstance(value, str | bytes)
    return has and getattr(value, "ndim", 1) != 0
