"""What both ends of the messages between programs know: the version, and numbers as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from optdriver.errors import InputTypeError

VERSION: Final = 1
"""Of the messages; `hello` tells it."""

_NOT_FINITE: Final = MappingProxyType(
    {"nan": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}
)


def plain(value: Any) -> Any:
    """Return a value as JSON knows it; numbers that are not finite become texts.

    A quantity is its number, in its unit.
    """
    value = getattr(value, "mantissa", getattr(value, "magnitude", value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def encoded(value: Any) -> bytes:
    """Return a value as JSON; see `plain`.

    Raises
    ------
    TypeError, ValueError, RecursionError
        If there is something in it that JSON does not know.
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError):  # a number is not finite, say: all is gone through
        return json.dumps(plain(value), allow_nan=False).encode()


def _known(value: Any) -> Any:
    """Return what JSON does not know itself as something that it knows."""
    found = getattr(value, "mantissa", getattr(value, "magnitude", value))
    if isinstance(found, Mapping):
        return {str(key): item for key, item in found.items()}
    if hasattr(found, "tolist"):
        return found.tolist()
    if found is value:
        raise TypeError(f"JSON knows no {type(value).__name__}")
    return found


_ENCODER: Final = json.JSONEncoder(allow_nan=False, default=_known)


def number(value: Any) -> Any:
    """Return a number that came as JSON; texts stand for those that are not finite."""
    if isinstance(value, str):
        found = _NOT_FINITE.get(value.strip().lower())
        if found is None:
            raise InputTypeError(f"{value[:60]!r} is no number; texts are 'nan', 'inf' and '-inf'")
        return found
    return value


def numbers(value: Any) -> Any:
    """Return lists and objects with numbers in place of the texts that stand for them."""
    if isinstance(value, str):
        return _NOT_FINITE.get(value, value)
    if isinstance(value, list):
        return [numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items()}
    return value
