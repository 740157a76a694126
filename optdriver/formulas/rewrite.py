"""What is done to a tree before it is used: values put in, kinks split, straight lines found.

Every rewriting here keeps the value in floating point, bit for bit, where the row is evaluated;
`affine` alone reorders, and serves derivatives and the detection of bounds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from optdriver.formulas.parser import MAX_POWER
from optdriver.formulas.syntax import (
    KINKS,
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Sum,
    children,
    functions_in,
    is_constant,
    rebuilt,
    transformed,
)
from optdriver.formulas.tape import constant_value
from optdriver.formulas.tokens import pointed

MAX_PIECES = 16
"""A row with kinks is split into at most this many smooth rows."""


def bound(node: Node, fixed: Mapping[str, float], text: str) -> Node:
    """Put the values of the fixed parameters in and compute what is constant.

    Raises
    ------
    ConstraintError
        If a constant part has no finite real value, or a constant exponent is too large.
    """

    def put_in(here: Node) -> Node:
        if isinstance(here, Name) and here.name in fixed:
            return Number(fixed[here.name], start=here.start)
        below = children(here)
        _check_division(here, text)
        if not below or not all(isinstance(b, Number) for b in below):
            return _checked_power(here, text)
        value = constant_value(here)
        if not math.isfinite(value):
            raise pointed(text, here.start, f"this has no finite real value{_why(value)}")
        return Number(value, start=here.start)

    return transformed(node, put_in)


def _why(value: float) -> str:
    return "" if math.isnan(value) else ": it overflows"


def _check_division(node: Node, text: str) -> None:
    if isinstance(node, Product):
        for operator, factor in node.factors:
            if operator == "/" and isinstance(factor, Number) and factor.value == 0.0:
                raise pointed(text, factor.start, "this divides by zero")


def _checked_power(node: Node, text: str) -> Node:
    if (
        isinstance(node, Power)
        and isinstance(node.exponent, Number)
        and abs(node.exponent.value) > MAX_POWER
    ):
        raise pointed(
            text, node.exponent.start, f"the size of an exponent is at most {MAX_POWER:g}"
        )
    return node


def pieces(node: Node) -> list[Node]:
    """Split ``node <= 0`` at its kinks where that is exact: all pieces hold, or none does.

    ``max(a, b) - c`` gives ``a - c`` and ``b - c``; ``abs(a) - c`` gives ``a - c`` and
    ``-a - c``; ``-min(a, b)`` gives ``-a`` and ``-b``.  A row that would need more than
    `MAX_PIECES` pieces stays as it is.
    """
    found = _pieces(node, upward=True)
    return [node] if found is None else found


def _pieces(node: Node, upward: bool) -> list[Node] | None:
    """Return nodes whose maximum (or minimum, if not `upward`) is `node`; None: too many."""
    match node:
        case Call("max", arguments) if upward:
            return _joined([_pieces(a, upward) for a in arguments])
        case Call("min", arguments) if not upward:
            return _joined([_pieces(a, upward) for a in arguments])
        case Call("abs", (argument,)) if upward:
            below = _pieces(argument, False)
            minus = None if below is None else list[Node](Negative(b, node.start) for b in below)
            return _joined([_pieces(argument, True), minus])
        case Negative(operand):
            below = _pieces(operand, not upward)
            return None if below is None else [Negative(b, node.start) for b in below]
        case Sum(terms):
            parts = [_pieces(t, upward if sign == "+" else not upward) for sign, t in terms]
            return _combined(node, parts)
        case Product(factors):
            return _product_pieces(node, factors, upward)
        case _:
            return [node]


def _joined(parts: list[list[Node] | None]) -> list[Node] | None:
    kept = [part for part in parts if part is not None]
    if len(kept) < len(parts) or sum(map(len, kept)) > MAX_PIECES:
        return None
    return [piece for part in kept for piece in part]


def _combined(node: Node, parts: list[list[Node] | None]) -> list[Node] | None:
    kept = [part for part in parts if part is not None]
    if len(kept) < len(parts) or math.prod(map(len, kept)) > MAX_PIECES:
        return None
    if all(len(part) == 1 for part in kept):
        return [node]
    return [rebuilt(node, choice) for choice in itertools.product(*kept)]


def _product_pieces(
    node: Node, factors: tuple[tuple[str, Node], ...], upward: bool
) -> list[Node] | None:
    """Split the only factor that is not a number, if the others' sign is known."""
    open_places = [i for i, (_, f) in enumerate(factors) if not isinstance(f, Number)]
    if len(open_places) != 1 or factors[open_places[0]][0] != "*":
        return [node]
    numbers = [f.value for _, f in factors if isinstance(f, Number)]
    if 0.0 in numbers:
        return [node]
    downward = math.prod(math.copysign(1.0, v) for v in numbers) < 0.0
    place = open_places[0]
    parts = _pieces(factors[place][1], upward != downward)
    return _combined(node, [parts if i == place else [f] for i, (_, f) in enumerate(factors)])


def is_union(node: Node, upward: bool = True) -> bool:
    """Tell whether ``node <= 0`` is a union: ``min(a, b) <= 0``, or ``c <= abs(a)``."""
    match node:
        case Call("min", _):
            return upward
        case Call("max" | "abs", _):
            return not upward
        case Negative(operand):
            return is_union(operand, not upward)
        case Sum(terms):
            return any(is_union(t, upward if sign == "+" else not upward) for sign, t in terms)
        case Product(factors):
            return _product_union(factors, upward)
        case _:
            return _has_kinks(node)


def _has_kinks(node: Node) -> bool:
    return not functions_in(node).isdisjoint(KINKS)


def _product_union(factors: tuple[tuple[str, Node], ...], upward: bool) -> bool:
    inner = [f for _, f in factors if not isinstance(f, Number)]
    if len(inner) != 1:
        return any(_has_kinks(f) for f in inner)
    signs = (math.copysign(1.0, f.value) for _, f in factors if isinstance(f, Number))
    return is_union(inner[0], upward if math.prod(signs) > 0.0 else not upward)


def affine(node: Node) -> tuple[float, dict[str, float]] | None:
    """Return the constant and the coefficients of an affine formula, or None."""
    match node:
        case Number(value):
            return value, {}
        case Name(name):
            return 0.0, {name: 1.0}
        case Negative(operand):
            return _times(affine(operand), -1.0)
        case Sum(terms):
            return _affine_sum(terms)
        case Product(factors):
            return _affine_product(factors)
        case Power(base, Number(1.0)):
            return affine(base)
        case _:
            return None


def _times(
    form: tuple[float, dict[str, float]] | None, factor: float
) -> tuple[float, dict[str, float]] | None:
    if form is None:
        return None
    return form[0] * factor, {name: value * factor for name, value in form[1].items()}


def _affine_sum(
    terms: tuple[tuple[str, Node], ...],
) -> tuple[float, dict[str, float]] | None:
    constant, coefficients = 0.0, dict[str, float]()
    for sign, term in terms:
        factor = 1.0 if sign == "+" else -1.0
        if isinstance(term, Name):  # there may be a thousand
            coefficients[term.name] = coefficients.get(term.name, 0.0) + factor
            continue
        form = affine(term)
        if form is None:
            return None
        constant += factor * form[0]
        for name, value in form[1].items():
            coefficients[name] = coefficients.get(name, 0.0) + factor * value
    return constant, coefficients


def _affine_product(
    factors: tuple[tuple[str, Node], ...],
) -> tuple[float, dict[str, float]] | None:
    total: tuple[float, dict[str, float]] | None = (1.0, {})
    for operator, factor in factors:
        form = affine(factor)
        if form is None or total is None:
            return None
        if form[1] and (total[1] or operator == "/"):
            return None
        if operator == "/":
            total = None if form[0] == 0.0 else _times(total, 1.0 / form[0])
        else:
            total = _times(form, total[0]) if form[1] else _times(total, form[0])
    return total


def single(node: Node) -> tuple[str, float] | None:
    """Return the only parameter of `node` and the sign of the slope, if a float-monotone chain.

    A chain is made of one occurrence of one parameter, sums with constants, products with
    constants and minus signs: each step is monotone after rounding too, so that the set where
    the formula is <= 0 in floating point is exactly a half-line of floats.
    """
    match node:
        case Name(name):
            return name, 1.0
        case Negative(operand):
            return _turned(single(operand), -1.0)
        case Sum(terms):
            return _only([(t, 1.0 if sign == "+" else -1.0) for sign, t in terms])
        case Product(factors):
            signs = [math.copysign(1.0, f.value) for _, f in factors if isinstance(f, Number)]
            zero = any(isinstance(f, Number) and f.value == 0.0 for _, f in factors)
            divided = any(o == "/" and not isinstance(f, Number) for o, f in factors)
            if zero or divided:
                return None
            return _only([(f, math.prod(signs)) for _, f in factors])
        case _:
            return None


def _only(parts: list[tuple[Node, float]]) -> tuple[str, float] | None:
    inner = list(itertools.islice((p for p in parts if not is_constant(p[0])), 2))
    return _turned(single(inner[0][0]), inner[0][1]) if len(inner) == 1 else None


def _turned(found: tuple[str, float] | None, sign: float) -> tuple[str, float] | None:
    return None if found is None else (found[0], found[1] * sign)
