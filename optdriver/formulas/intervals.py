"""Interval arithmetic over the tree: what a formula can be while x is in the box.

Every result is widened by a few units in the last place, so that what is proved of the
interval holds for the rounded values too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

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

INF = math.inf

Found = TypeVar("Found")


class Interval(NamedTuple):
    """All values between `low` and `high`; `undefined` says that NaN cannot be excluded."""

    low: float
    high: float
    undefined: bool = False


_EVERYTHING = Interval(-INF, INF, True)


class Box(dict[str, tuple[float, float]]):
    """Parameters by name, each between two values; what was found of a formula is kept.

    Parts of a formula are asked for again and again while its curvature is looked for.  They are
    found by their identity, so that the look-up costs nothing; their formulas are kept alive.
    """

    def __init__(self, sides: Mapping[str, tuple[float, float]]) -> None:
        super().__init__(sides)
        self._found: dict[tuple[str, int], tuple[Node, Any]] = {}

    def once(self, kind: str, node: Node, find: Callable[[Node, Box], Found]) -> Found:
        """Return ``find(node, box)``, found only the first time."""
        key = kind, id(node)
        if key not in self._found:
            self._found[key] = node, find(node, self)
        found: Found = self._found[key][1]
        return found


def interval(node: Node, box: Mapping[str, tuple[float, float]]) -> Interval:
    """Bound the values of `node` while every parameter is between its two values in `box`."""
    return _known(node, box if isinstance(box, Box) else Box(box))


def _known(node: Node, box: Box) -> Interval:
    return box.once("interval", node, _interval)


def _interval(node: Node, box: Box) -> Interval:
    match node:
        case Number(value):
            return Interval(value, value)
        case Name(name):
            return Interval(*box[name])
        case Sum(terms):
            return _sum([(sign, _known(term, box)) for sign, term in terms])
        case Product(factors):
            return _product([(operator, _known(factor, box)) for operator, factor in factors])
        case Negative(operand):
            return _negative(_known(operand, box))
        case Power(base, exponent):
            return _power(_known(base, box), exponent, box)
        case Call(function, arguments):
            return _call(function, [_known(a, box) for a in arguments])
        case _:
            return _EVERYTHING


def _wider(low: float, high: float, undefined: bool) -> Interval:
    if math.isnan(low) or math.isnan(high):
        return _EVERYTHING
    for _ in range(4):  # never across zero: rounding keeps signs
        low = low and math.nextafter(low, -INF)
        high = high and math.nextafter(high, INF)
    return Interval(low, high, undefined)


def _negative(a: Interval) -> Interval:
    return Interval(-a.high, -a.low, a.undefined)


def _sum(parts: list[tuple[str, Interval]]) -> Interval:
    total = parts[0][1] if parts[0][0] == "+" else _negative(parts[0][1])
    for sign, part in parts[1:]:
        other = part if sign == "+" else _negative(part)
        total = _wider(
            total.low + other.low, total.high + other.high, total.undefined or other.undefined
        )
    return total


def _times(a: Interval, b: Interval) -> Interval:
    ends = [0.0 if 0.0 in (p, q) else p * q for p in a[:2] for q in b[:2]]
    unbounded = (a.low <= 0.0 <= a.high and math.inf in (-b.low, b.high)) or (
        b.low <= 0.0 <= b.high and math.inf in (-a.low, a.high)
    )
    return _wider(min(ends), max(ends), a.undefined or b.undefined or unbounded)


def _inverse(a: Interval) -> Interval:
    if a.low > 0.0 or a.high < 0.0:
        return _wider(1.0 / a.high, 1.0 / a.low, a.undefined)
    return _EVERYTHING


def _product(parts: list[tuple[str, Interval]]) -> Interval:
    total = parts[0][1]
    for operator, part in parts[1:]:
        total = _times(total, part if operator == "*" else _inverse(part))
    return total


def _safe(function: Callable[[float], float], x: float) -> float:
    """Evaluate an increasing function; beyond what a float holds it is infinite."""
    try:
        return function(x)
    except OverflowError:
        return INF if x > 0.0 else -INF


def _power(base: Interval, exponent: Node, box: Box) -> Interval:
    if not isinstance(exponent, Number):
        return _general_power(base, _known(exponent, box))
    p = exponent.value
    if p == int(p):
        return _integer_power(base, int(p))
    undefined = base.undefined or base.low < 0.0 or (p < 0.0 and base.low <= 0.0)
    low, high = max(base.low, 0.0), max(base.high, 0.0)
    if p > 0.0:
        return _wider(_pow(low, p), _pow(high, p), undefined)
    return _wider(_pow(high, p), _pow(low, p), undefined)


def _pow(x: float, p: float) -> float:
    try:
        return math.pow(x, p)
    except (OverflowError, ValueError):
        return INF


def _integer_power(base: Interval, p: int) -> Interval:
    if p == 0:
        return Interval(1.0, 1.0)
    if p < 0:
        return _inverse(_integer_power(base, -p))
    ends = [_signed_power(base.low, p), _signed_power(base.high, p)]
    inside = p % 2 == 0 and base.low <= 0.0 <= base.high
    lowest = 0.0 if inside else min(ends)
    return _wider(lowest, max(ends), base.undefined)


def _signed_power(x: float, p: int) -> float:
    size = _pow(abs(x), float(p))
    return -size if x < 0.0 and p % 2 else size


def _general_power(base: Interval, exponent: Interval) -> Interval:
    if base.low <= 0.0:
        return _EVERYTHING
    logarithm = _wider(math.log(base.low), _log(base.high), base.undefined)
    product = _times(logarithm, exponent)
    return _wider(_safe(math.exp, product.low), _safe(math.exp, product.high), product.undefined)


def _log(x: float) -> float:
    return -INF if x <= 0.0 else math.log(x)


_INCREASING: dict[str, tuple[Callable[[float], float], float, float]] = {
    "exp": (math.exp, -INF, INF),
    "log": (_log, 0.0, INF),
    "log10": (lambda x: _log(x) / math.log(10.0), 0.0, INF),
    "log2": (lambda x: _log(x) / math.log(2.0), 0.0, INF),
    "sqrt": (math.sqrt, 0.0, INF),
    "asin": (math.asin, -1.0, 1.0),
    "atan": (math.atan, -INF, INF),
    "sinh": (math.sinh, -INF, INF),
    "tanh": (math.tanh, -INF, INF),
    "erf": (math.erf, -INF, INF),
}


def _call(function: str, arguments: list[Interval]) -> Interval:
    a = arguments[0]
    undefined = any(b.undefined for b in arguments)
    if function in _INCREASING:
        return _increasing(function, a)
    if function == "acos":
        angle = _increasing("asin", a)
        return _wider(math.pi / 2.0 - angle.high, math.pi / 2.0 - angle.low, angle.undefined)
    if function == "abs":
        ends = (abs(a.low), abs(a.high))
        return Interval(0.0 if a.low <= 0.0 <= a.high else min(ends), max(ends), undefined)
    if function in ("min", "max"):
        chosen = min if function == "min" else max
        lows, highs = [b.low for b in arguments], [b.high for b in arguments]
        return Interval(chosen(lows), chosen(highs), undefined)
    if function in ("sin", "cos"):
        return Interval(-1.0, 1.0, undefined or math.inf in (-a.low, a.high))
    return _rest(function, arguments, undefined)


def _rest(function: str, arguments: list[Interval], undefined: bool) -> Interval:
    a = arguments[0]
    if function == "cosh":
        ends = [_safe(lambda x: math.cosh(abs(x)), abs(x)) for x in a[:2]]
        return _wider(1.0 if a.low <= 0.0 <= a.high else min(ends), max(ends), undefined)
    if function == "hypot":
        squares = [_integer_power(b, 2) for b in arguments]
        return _increasing("sqrt", _sum([("+", s) for s in squares]))
    if function == "atan2":
        return Interval(-3.2, 3.2, undefined)
    if function == "sign":
        return Interval(math.copysign(1.0, a.low) if a.low else 0.0, float(a.high > 0.0), undefined)
    if function in ("round", "trunc", "floor", "ceil"):
        return Interval(a.low - 1.0, a.high + 1.0, undefined)
    return _EVERYTHING


def _increasing(function: str, a: Interval) -> Interval:
    evaluate, first, last = _INCREASING[function]
    outside = a.low < first or a.high > last or (function.startswith("log") and a.low <= 0.0)
    if a.high < first or a.low > last:
        return _EVERYTHING
    low, high = max(a.low, first), min(a.high, last)
    return _wider(_safe(evaluate, low), _safe(evaluate, high), a.undefined or outside)
