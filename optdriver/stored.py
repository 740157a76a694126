"""Reading stored data that anybody may have written: every value is checked before it is used.

The functions raise plain `TypeError` and `ValueError`; `restoring` turns these, and whatever else
comes of data that do not fit, into the library's own error.
"""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copyreg import __newobj__  # type: ignore[attr-defined]  # as pickles name it
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, OptDriverError

Vector = NDArray[np.float64]

T = TypeVar("T")

LARGEST = 2**53
"""No count is larger: beyond it a float does not hold every integer."""

FINITE = float(np.finfo(np.float64).max)
"""No finite number is larger."""

_FAULTS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


Own = tuple[dict[str, Any] | None, dict[str, Any]]
"""What a derived class, or a user, has set on an object: without slots, and in slots."""


class Derived(NamedTuple):
    """What is pickled of an object with something of its own; no stored data can look so."""

    state: Any
    own: Own


def own(instance: object, ours: Iterable[str]) -> Own | None:
    """Return what is set beside the attributes `ours` of an object's class; None if nothing is."""
    found = object.__getstate__(instance)  # whatever a derived class makes of it
    without, slots = found if isinstance(found, tuple) else (found, None)
    known = frozenset(ours)
    plain, slotted = (
        {name: value for name, value in (each or {}).items() if name not in known}
        for each in (without, slots)
    )
    return (plain or None, slotted) if plain or slotted else None


def pickled_beside(instance: object, ours: Iterable[str]) -> Any:
    """Return what goes into a pickle beside the state: `own`, or what a derived class says."""
    if says_itself(instance, object):
        return instance.__getstate__()
    return own(instance, ours)


def says_itself(instance: object, base: type) -> bool:
    """Return whether a class derived from `base` has its own `__getstate__`."""
    method = "__getstate__"
    return getattr(type(instance), method) is not getattr(base, method)


def reduced(instance: object, base: type, ours: Iterable[str]) -> tuple[Any, ...] | None:
    """Return what pickles an object of a class derived from `base` with what is its own.

    None if nothing is, or if its class says by a `__getstate__` of its own what goes along.
    """
    added = None if says_itself(instance, base) else own(instance, ours)
    if added is None:
        return None
    return __newobj__, (type(instance),), Derived(instance.__getstate__(), added)


def hand_on(given: Own | None, new: T) -> T:
    """Set on an object what `own` has found on another one, and return it."""
    if given is not None:
        plain, slotted = given
        if plain is not None:
            new.__dict__.update(plain)
        for name, value in slotted.items():
            setattr(new, name, value)
    return new


def hand_on_copied(given: Own | None, new: T, old: object, memo: dict[int, Any]) -> T:
    """Set on `new`, a deep copy of `old`, deep copies of what `own` has found there."""
    memo[id(old)] = new
    return hand_on(copy.deepcopy(given, memo), new)


@contextmanager
def restoring(what: str) -> Iterator[None]:
    """Say of data that do not fit that they are no stored `what`.

    Raises
    ------
    InputError
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except OptDriverError:
        raise
    except _FAULTS as error:
        raise InputError(f"this is no stored {what}: {error!r:.300}") from error


def check_version(data: Any, *known: int, what: str = "a state") -> None:
    """Refuse what is no dict, or one of another version than those that are known.

    Raises
    ------
    InputError
    """
    version = data.get("version") if isinstance(data, Mapping) else None
    if version not in known:
        expected = " or ".join(map(str, known))
        raise InputError(f"{what} of version {expected} is expected, got {version!r}")


def whole(name: str, value: Any, least: int = 0, most: int = LARGEST) -> int:
    """Return an integer in a range."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name!r} is {value!r}, and an integer is expected")
    number = operator.index(value)
    if not least <= number <= most:
        raise ValueError(f"{name!r} is {number}, and between {least} and {most} is expected")
    return number


def real(name: str, value: Any, least: float = -np.inf, most: float = np.inf) -> float:
    """Return a number in a range; infinite only where an end of the range is, and never NaN."""
    if isinstance(value, (str, bytes, bool)):
        raise TypeError(f"{name!r} is {value!r}, and a number is expected")
    number = float(value)
    if not least <= number <= most:
        raise ValueError(f"{name!r} is {number}, and between {least} and {most} is expected")
    return number


def flag(name: str, value: Any) -> bool:
    """Return a truth value."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name!r} is {value!r}, and True or False is expected")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise TypeError(f"{name!r} is {value!r:.100}, and a text is expected")
    return str(value)


def one_of(name: str, value: Any, known: Iterable[str]) -> Any:
    """Return one of the texts `known`."""
    if text(name, value) not in known:
        raise ValueError(f"{name!r} is {value!r}, which is unknown")
    return value


def rows(name: str, value: Any) -> list[Any]:
    """Return a list."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise TypeError(f"{name!r} is {type(value).__name__}, and a list is expected")
    return list(value)


def mapping(name: str, value: Any) -> dict[str, Any]:
    """Return a dict with texts as keys."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{name!r} is {type(value).__name__}, and a dict is expected")
    return dict(value)


def array(
    name: str, value: Any, shape: tuple[int, ...], *, finite: bool = False, nan: bool = False
) -> Vector:
    """Return a fresh array of float64 of a shape; lists may have lost the shape of nothing."""
    made = np.array(value)
    if made.size and made.dtype.kind not in "fiu":
        raise TypeError(f"{name!r} holds {made.dtype}, and numbers are expected")
    made = made.astype(np.float64)
    if made.shape != shape and not (made.size == math.prod(shape) == 0):
        raise ValueError(f"{name!r} has shape {made.shape}, and {shape} is expected")
    if finite and not np.isfinite(made).all():
        raise ValueError(f"{name!r} holds numbers that are not finite")
    if not nan and np.isnan(made).any():
        raise ValueError(f"{name!r} holds NaN")
    return made.reshape(shape)


def counts(name: str, value: Any, size: int) -> NDArray[np.intp]:
    """Return a fresh array of `size` counts."""
    made = np.array(value)
    if made.size and made.dtype.kind not in "iu":
        raise TypeError(f"{name!r} holds {made.dtype}, and integers are expected")
    if made.shape != (size,):
        raise ValueError(f"{name!r} has shape {made.shape}, and {(size,)} is expected")
    if not all(0 <= count <= LARGEST for count in made.tolist()):
        raise ValueError(f"{name!r} holds counts that are not between 0 and {LARGEST}")
    return made.astype(np.intp)


def box(lower: Any, upper: Any) -> tuple[Vector, Vector]:
    """Return both sides of a box, of one size, the lower not above the upper."""
    n = len(lower)
    low, high = array("lower", lower, (n,)), array("upper", upper, (n,))
    if not (low <= high).all() or (low == np.inf).any() or (high == -np.inf).any():
        raise ValueError("a lower bound is above the upper one, or infinite on the wrong side")
    return low, high


def inside(name: str, value: Any, low: Vector, high: Vector) -> Vector:
    """Return a finite point of the box."""
    x = array(name, value, low.shape, finite=True)
    if not ((low <= x) & (x <= high)).all():
        raise ValueError(f"{name!r} is not inside the bounds")
    return x
