"""Which rows say the same, or the opposite, but for a factor.

Two rows are compared by their canonical forms, a constant, coefficients of the parameters and
coefficients of terms; every coefficient has to agree. So no two rows are ever taken for the
same that are not; some that only algebra would show to be the same stay two rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from optdriver.constraints.assembly import Cut, Cutter
from optdriver.formulas.printing import formula
from optdriver.formulas.syntax import Node

_SAME = 4e-15
"""Relative difference of coefficients that rounding explains."""

Form = dict[str, float]


def canonical(formulas: Sequence[Node], names: Sequence[str], cut: Cut | None = None) -> list[Form]:
    """Return the coefficients of each formula, by what they are coefficients of.

    Into `cut` go the equations that need no intermediates.
    """
    cutter = Cutter(names)
    forms = []
    for node in formulas:
        made = cutter.equation(node)
        if cut is not None and not cutter.intermediates:
            cut[id(node)] = node, made
        form: Form = {"1": made.constant}
        for index, coefficient in made.affine.items():
            form[f"#{index}"] = coefficient
        for coefficient, term in made.terms:
            key = formula(term)
            form[key] = form.get(key, 0.0) + coefficient
        forms.append({key: value for key, value in form.items() if value})
    return forms


def factor(first: Form, second: Form) -> float | None:
    """Return the factor by which `first` is `second`, or None if it is not a multiple."""
    if first.keys() != second.keys() or not first:
        return None
    largest = max(first, key=lambda key: abs(first[key]))
    ratio = first[largest] / second[largest]
    for key, value in first.items():
        if not abs(value - ratio * second[key]) <= _SAME * abs(value):
            return None
    return ratio


def candidates(forms: Sequence[Form]) -> Iterable[list[int]]:
    """Return groups of rows that are multiples of each other to nine digits, in order."""
    groups: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for row, form in enumerate(forms):
        if form:
            groups.setdefault(_shape(form), []).append(row)
    return groups.values()


def _shape(form: Form) -> tuple[tuple[str, str], ...]:
    keys = sorted(form)
    unit = form[keys[0]]
    return tuple((key, f"{form[key] / unit:.8e}") for key in keys)
