"""All rows at one point: rows of one form together as arrays, the others one by one.

Both ways carry out the operations of the text in the order of the text; a set decides once, by
its texts alone, which way a row goes, so that a point always has the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.symbolic import Key, signature
from optdriver.constraints.syntax import (
    Name,
    Node,
    Number,
    Power,
    Slot,
    children,
    rebuilt,
    transformed,
)
from optdriver.constraints.tape import Tape

Array = NDArray[np.float64]

_TOGETHER = 16
"""So many rows of one form are worth an array."""


@dataclass(frozen=True, slots=True)
class _Form:
    """Rows of one form: a tape over slots and numbers, and what each row puts into them."""

    tape: Tape
    rows: NDArray[np.intp]
    slots: NDArray[np.intp]
    numbers: Array


class Evaluation:
    """The values of formulas at one point, or at many.

    Parameters
    ----------
    formulas : sequence of Node
        The rows.
    names : sequence of str
        The parameters in the order of x.
    """

    def __init__(self, formulas: Sequence[Node], names: Sequence[str]) -> None:
        self._all = Tape(formulas, names)
        self._size = len(formulas)
        forms = _by_form(formulas, names) if self._size >= _TOGETHER else {}
        large = {key: found for key, found in forms.items() if len(found) >= _TOGETHER}
        self._forms = [_form(formulas, found) for found in large.values()]
        together = {row for found in large.values() for row, _, _ in found}
        self._rest = np.array([i for i in range(self._size) if i not in together], dtype=np.intp)
        self._tape = Tape([formulas[i] for i in self._rest], names) if together else self._all

    def __call__(self, x: Array) -> Array:
        """Return the values at x, (n,); NaN where a formula has no real value."""
        values = np.empty(self._size)
        values[self._rest] = self._tape(x.tolist())
        for form in self._forms:
            columns = np.concatenate([x[form.slots], form.numbers])
            values[form.rows] = form.tape.many(columns.T)[:, 0]
        return values

    def many(self, points: Array) -> Array:
        """Return the values at the rows of `points`; the last bits may differ from a call's."""
        return self._all.many(points)


_Instance = tuple[int, list[int], list[float]]


def _by_form(formulas: Sequence[Node], names: Sequence[str]) -> dict[Key, list[_Instance]]:
    places = {name: Slot(i) for i, name in enumerate(names)}
    forms: dict[Key, list[_Instance]] = {}
    for row, node in enumerate(formulas):
        made = transformed(node, lambda n: places[n.name] if isinstance(n, Name) else n)
        key, slots, numbers = signature(made)
        forms.setdefault(key, []).append((row, slots, numbers))
    return forms


def _form(formulas: Sequence[Node], found: list[_Instance]) -> _Form:
    rows, slots, numbers = zip(*found, strict=True)
    node, names = _generic(formulas[rows[0]])
    return _Form(
        Tape([node], names),
        np.array(rows, dtype=np.intp),
        np.array(slots, dtype=np.intp).reshape(len(rows), -1).T,
        np.array(numbers, dtype=np.float64).reshape(len(rows), -1).T,
    )


def _generic(node: Node) -> tuple[Node, list[str]]:
    """Return the form of `node` over the names p0, ..., k0, ..., as `signature` numbers them."""
    slots: dict[str, str] = {}
    numbers: list[str] = []

    def form(here: Node) -> Node:
        if isinstance(here, Name):
            return Name(slots.setdefault(here.name, f"p{len(slots)}"))
        if isinstance(here, Number):
            numbers.append(f"k{len(numbers)}")
            return Name(numbers[-1])
        if isinstance(here, Power) and isinstance(here.exponent, Number):
            return Power(form(here.base), here.exponent)
        return rebuilt(here, tuple(form(child) for child in children(here)))

    made = form(node)
    return made, [*slots.values(), *numbers]
