"""All rows at one point: by the compiled page.

Where there is none, or it does not know a function, rows of one form go together as arrays and the
others one by one.

All ways carry out the operations of the text in the order of the text, so that a point always has
the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from optdriver.formulas.syntax import (
    Name,
    Node,
    Number,
    Power,
    Slot,
    Sum,
    children,
    rebuilt,
    transformed,
)
from optdriver.formulas.tape import Tape
from optdriver.formulas.templates import Key, signature

Array = NDArray[np.float64]

_TOGETHER = 16
"""So many rows of one form are worth an array."""
_WIDE = 64
"""So many terms of a sum are."""


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
        self._formulas, self._names = formulas, names

    def __call__(self, x: Array) -> Array:
        """Return the values at x, (n,); NaN where a formula has no real value."""
        if self._all.compiled:
            return np.asarray(self._all.at(x))
        return self.by_parts(x)

    def by_parts(self, x: Array) -> Array:
        """Return the same without the compiled page."""
        sums, rows = self._parts
        n = x.size
        y = np.concatenate([x, np.empty(len(sums))]) if sums else x
        for i, wide in enumerate(sums):
            y[n + i] = wide(y)
        return rows(y)

    def many(self, points: Array) -> Array:
        """Return the values at the rows of `points`."""
        return self._all.many(points)

    @cached_property
    def _parts(self) -> tuple[list[_WideSum], _Rows]:
        """Wide sums, and the rows with a number in the place of each of these."""
        sums: dict[Node, str] = {}
        short = [_shortened(node, sums) for node in self._formulas]
        known = [*self._names, *sums.values()]
        return [_WideSum(node, known) for node in sums], _Rows(short, known)

    @cached_property
    def _all(self) -> Tape:
        return Tape(self._formulas, self._names)


class _Rows:
    """Formulas over named numbers, those of one form together."""

    def __init__(self, formulas: Sequence[Node], names: Sequence[str]) -> None:
        self._size = len(formulas)
        forms = _by_form(formulas, names) if self._size >= _TOGETHER else {}
        large = {key: found for key, found in forms.items() if len(found) >= _TOGETHER}
        self._forms = [_form(formulas, found) for found in large.values()]
        together = {row for found in large.values() for row, _, _ in found}
        self._rest = np.array([i for i in range(self._size) if i not in together], dtype=np.intp)
        self._tape = Tape([formulas[i] for i in self._rest], names)

    def __call__(self, y: Array) -> Array:
        values = np.empty(self._size)
        if self._rest.size:
            values[self._rest] = self._tape.at(y)
        for form in self._forms:
            columns = np.concatenate([y[form.slots], form.numbers])
            values[form.rows] = form.tape.many(columns.T)[:, 0]
        return values


class _WideSum:
    """A sum of many terms, added from left to right as it is written."""

    def __init__(self, node: Node, names: Sequence[str]) -> None:
        if not isinstance(node, Sum):
            raise TypeError(f"a sum is expected, not {node!r}")
        self._signs = np.array([1.0 if sign == "+" else -1.0 for sign, _ in node.terms])
        self._terms = _Rows([term for _, term in node.terms], names)

    def __call__(self, y: Array) -> float:
        with np.errstate(all="ignore"):
            return float(np.add.accumulate(self._signs * self._terms(y))[-1])


def _shortened(node: Node, sums: dict[Node, str]) -> Node:
    """Return the formula with a name for every wide sum, inner ones first."""

    def change(here: Node) -> Node:
        if not isinstance(here, Sum) or len(here.terms) < _WIDE:
            return here
        return Name(sums.setdefault(here, f"sum {len(sums)}"))  # no parameter has a blank

    return transformed(node, change)


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
