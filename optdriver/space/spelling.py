"""Constraints over a structure, in the names of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optdriver.space.pytree import Structure


def spelled(given: Any, structure: Structure) -> Any:
    """Return constraints with the names of numbers in place of their places in the structure.

    Formulas of dependent parameters are put in for these; a text that has no name keeps what was
    written as its name then.  What is no text is returned as it is.
    """
    if isinstance(given, str | Mapping):
        return _one(given, structure)
    if isinstance(given, Sequence):
        return [_one(item, structure) for item in given]
    return given


def _one(item: Any, structure: Structure) -> Any:
    if isinstance(item, str):
        spaced, text = structure.spaced(item), structure.spelled(item)
        return text if text == spaced else {"name": item, "constraint": text}
    if not isinstance(item, Mapping) or "type" in item:
        return item
    texts = {
        key: structure.spelled(value)
        for key, value in item.items()
        if key != "name" and isinstance(value, str)
    }
    return {**item, **texts}
