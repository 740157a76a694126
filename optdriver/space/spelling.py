"""Constraints over a structure, in the names of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optdriver.errors import ConstraintError
from optdriver.formulas.parser import parse
from optdriver.space.pytree import Structure


def spelled(given: Any, structure: Structure, *, whole: bool = True) -> Any:
    """Return constraints with the names of numbers in place of their places in the structure.

    Formulas of dependent parameters are put in for these; a text that has no name keeps what was
    written as its name then.  What is no text is returned as it is.

    Parameters
    ----------
    given : object
        The constraints.
    structure : Structure
        Of the parameters.
    whole : bool
        Whether they name parameters only; otherwise nothing is looked for in them.

    Raises
    ------
    ConstraintError
        For a text that cannot be read, as it was written.
    """
    if isinstance(given, str | Mapping):
        return _one(given, structure, whole)
    if isinstance(given, Sequence):
        return [_one(item, structure, whole) for item in given]
    return given


def _one(item: Any, structure: Structure, whole: bool) -> Any:
    if isinstance(item, str):
        spaced, text = structure.spaced(item), structure.spelled(item)
        if whole:
            _check(spaced, text, structure)
        return text if text == spaced else {"name": item, "constraint": text}
    if not isinstance(item, Mapping) or "type" in item:
        return item
    texts = {
        key: structure.spelled(value)
        for key, value in item.items()
        if key != "name" and isinstance(value, str)
    }
    for key, text in texts.items() if whole else ():
        _check(structure.spaced(item[key]), text, structure, item.get("name"))
    return {**item, **texts}


def _check(written: str, text: str, structure: Structure, label: Any = None) -> None:
    """Raise what cannot be read about a text as it was written, before formulas were put in."""
    named = structure.named
    if not named.dependent:
        return
    try:
        parse(text, [*named.free, *named.fixed])
    except ConstraintError as wrong:
        error = wrong
    else:
        return
    try:
        parse(written, [*named.free, *named.fixed, *named.dependent])
    except ConstraintError as wrong:
        error = wrong
    where = f"constraint {label!r}: " if isinstance(label, str) and label else ""
    said = ConstraintError(f"{where}{error}")
    said.position = error.position
    raise said
