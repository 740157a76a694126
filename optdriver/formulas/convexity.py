"""Curvature of a formula by the rules of disciplined convex programming.

Grant, Boyd and Ye (2006): signs come from interval arithmetic over the box, so that ``x^3`` is
convex where the box says x >= 0.  "Unknown" never means "not convex".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from optdriver.formulas.intervals import Box, Interval, interval
from optdriver.formulas.syntax import (
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Sum,
)


class Curvature(Enum):
    """What is known of the curvature of a formula over the box."""

    CONSTANT = "constant"
    AFFINE = "affine"
    CONVEX = "convex"
    CONCAVE = "concave"
    UNKNOWN = "unknown"


_OPPOSITE = {Curvature.CONVEX: Curvature.CONCAVE, Curvature.CONCAVE: Curvature.CONVEX}
_FLAT = (Curvature.CONSTANT, Curvature.AFFINE)


def curvature(node: Node, box: Mapping[str, tuple[float, float]]) -> Curvature:
    """Return what the rules say of `node` while x is in `box`."""
    return _known(node, box if isinstance(box, Box) else Box(box))


def _known(node: Node, box: Box) -> Curvature:
    return box.once("curvature", node, _curvature)


def _curvature(node: Node, box: Box) -> Curvature:
    match node:
        case Number():
            return Curvature.CONSTANT
        case Name():
            return Curvature.AFFINE
        case Negative(operand):
            return _opposite(_known(operand, box))
        case Sum(terms):
            return _total([_signed(_known(t, box), sign == "-") for sign, t in terms])
        case Product(factors):
            return _product(factors, box)
        case Power(base, Number(p)):
            return _power(_known(base, box), interval(base, box), p)
        case Call(function, arguments):
            return _call(function, arguments, box)
        case _:
            return Curvature.UNKNOWN


def _opposite(known: Curvature) -> Curvature:
    return _OPPOSITE.get(known, known)


def _signed(known: Curvature, minus: bool) -> Curvature:
    return _opposite(known) if minus else known


def _total(parts: list[Curvature]) -> Curvature:
    found = set(parts)
    if Curvature.UNKNOWN in found or {Curvature.CONVEX, Curvature.CONCAVE} <= found:
        return Curvature.UNKNOWN
    order = (Curvature.CONVEX, Curvature.CONCAVE, Curvature.AFFINE)
    return next((known for known in order if known in found), Curvature.CONSTANT)


def _product(factors: tuple[tuple[str, Node], ...], box: Box) -> Curvature:
    minus, inner = False, []
    for operator, factor in factors:
        if isinstance(factor, Number):
            minus ^= factor.value < 0.0
        else:
            inner.append((operator, factor))
    if not inner:
        return Curvature.CONSTANT
    if len(inner) > 1:
        return Curvature.UNKNOWN
    operator, factor = inner[0]
    if operator == "/" and isinstance(factor, Power) and isinstance(factor.exponent, Number):
        operator, factor = "*", Power(factor.base, Number(-factor.exponent.value))
    known = _known(factor, box)
    if operator == "/":
        known = _power(known, interval(factor, box), -1.0)
    return _signed(known, minus)


def _power(base: Curvature, values: Interval, p: float) -> Curvature:
    if p == 0.0 or base is Curvature.CONSTANT:
        return Curvature.CONSTANT
    if p == 1.0:
        return base
    even = p == int(p) and p % 2 == 0
    whole = p == int(p)
    if p > 1.0:
        convex = (base in _FLAT and (even or not whole or values.low >= 0.0)) or (
            base is Curvature.CONVEX and values.low >= 0.0
        )
        concave = base in _FLAT and whole and not even and values.high <= 0.0
    elif p > 0.0:
        convex, concave = False, base in (*_FLAT, Curvature.CONCAVE)
    else:
        convex = base in (*_FLAT, Curvature.CONCAVE) and values.low > 0.0
        concave = base in _FLAT and whole and not even and values.high < 0.0
        convex = convex or (base in _FLAT and even and values.high < 0.0)
    if convex:
        return Curvature.CONVEX
    return Curvature.CONCAVE if concave else Curvature.UNKNOWN


_CONVEX_INCREASING = {"exp"}
_CONCAVE_INCREASING = {"log", "log10", "log2", "sqrt"}


def _call(function: str, arguments: tuple[Node, ...], box: Box) -> Curvature:
    parts = [_known(a, box) for a in arguments]
    if all(part is Curvature.CONSTANT for part in parts):
        return Curvature.CONSTANT
    flat, first = all(part in _FLAT for part in parts), parts[0]
    if function == "sqrt" and _is_sum_of_squares(arguments[0], box):
        return Curvature.CONVEX
    if function in _CONVEX_INCREASING and (flat or first is Curvature.CONVEX):
        return Curvature.CONVEX
    if function in _CONCAVE_INCREASING and (flat or first is Curvature.CONCAVE):
        return Curvature.CONCAVE
    if function in ("abs", "cosh", "hypot") and flat:
        return Curvature.CONVEX
    if function == "max" and all(p in (*_FLAT, Curvature.CONVEX) for p in parts):
        return Curvature.CONVEX
    if function == "min" and all(p in (*_FLAT, Curvature.CONCAVE) for p in parts):
        return Curvature.CONCAVE
    return Curvature.UNKNOWN


def _is_sum_of_squares(node: Node, box: Box) -> bool:
    """Tell whether sqrt(node) is a Euclidean norm of affine formulas."""
    terms = node.terms if isinstance(node, Sum) else (("+", node),)
    return all(sign == "+" and _is_square(term, box) for sign, term in terms)


def _is_square(term: Node, box: Box) -> bool:
    match term:
        case Number(value):
            return value >= 0.0
        case Power(base, Number(2.0)):
            return _known(base, box) in _FLAT
        case Product(factors):
            numbers = [f.value for _, f in factors if isinstance(f, Number)]
            inner = [(o, f) for o, f in factors if not isinstance(f, Number)]
            positive = all(v > 0.0 for v in numbers)
            return (
                positive and len(inner) == 1 and inner[0][0] == "*" and _is_square(inner[0][1], box)
            )
        case _:
            return False
