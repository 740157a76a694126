"""Whether a domain has structure, or is names with a pair or a number each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optdriver.space.bounds import is_entry
from optdriver.space.nodes import Interval, branch_of
from optdriver.space.units import is_quantity


def is_structured(domain: Any) -> bool:
    """Return whether a domain is a structure of parameters.

    It is where anything in it cannot be said by a pair of numbers or a number under a name: arrays,
    units, texts, containers in containers, parameters in an order and without names.
    """
    if isinstance(domain, Mapping):
        return any(map(_is_member_structured, domain.values()))
    if type(domain) not in (list, tuple):
        return _is_rich(domain)
    if domain and all(_is_named_entry(entry) for entry in domain):
        return any(isinstance(e, Mapping) and _is_entry_structured(e) for e in domain)
    pair = len(domain) == 2 and all(is_side(side) for side in domain)
    return bool(domain) and (pair or all(map(_is_container, domain)))


def is_side(value: Any) -> bool:
    """Return whether a value can be a side of a pair."""
    if value is None or is_quantity(value) or hasattr(value, "shape"):
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_named_entry(entry: Any) -> bool:
    """Return whether a member of a list is an entry with a name, or nearly one."""
    if not isinstance(entry, Mapping):
        return hasattr(entry, "fixed") and hasattr(entry, "to_dict")  # a Parameter
    return is_entry(entry) or isinstance(entry.get("name"), str)


def _is_member_structured(value: Any) -> bool:
    """Return whether what stands under a name is more than a pair of numbers or a number."""
    if isinstance(value, Mapping):
        return bool(value) and (_is_entry_structured(value) if is_entry(value) else True)
    if isinstance(value, str):
        return True
    if type(value) in (list, tuple):
        if len(value) == 2 and not all(map(_is_container, value)):
            return any(is_quantity(side) or np.ndim(side) > 0 for side in value)
        return bool(value) and all(map(_is_container, value))
    return _is_rich(value)


def _is_entry_structured(entry: Mapping[str, Any]) -> bool:
    domain, kind = entry.get("domain"), entry.get("type")
    if isinstance(kind, str) and kind.lower() == "fixed":
        return isinstance(domain, str) or (type(domain) not in (list, tuple) and _is_rich(domain))
    if isinstance(domain, str):
        return kind is None or (isinstance(kind, str) and kind.lower() == "dependent")
    return not isinstance(domain, Mapping) and _is_member_structured(domain)


def _is_container(value: Any) -> bool:
    if isinstance(value, list | tuple | Mapping | Interval) or hasattr(value, "lb"):
        return True
    return not is_side(value) and not isinstance(value, str | bytes) and _is_rich(value)


def _is_rich(value: Any) -> bool:
    """Return whether a value is an array, a quantity, an interval or a class of containers."""
    if value is None or isinstance(value, str | bytes | bool | int | float):
        return False
    if isinstance(value, Interval) or is_quantity(value):
        return True
    if hasattr(value, "lb") and hasattr(value, "ub"):
        return True
    if hasattr(value, "shape"):
        shape = tuple(value.shape)
        return (
            bool(shape) and shape != (1,) and not (isinstance(value, np.ndarray) and shape == (2,))
        )
    return branch_of(value) is not None
