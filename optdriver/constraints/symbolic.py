"""Templates: the form of a term without its parameters and numbers, differentiated by SymPy.

``3*(x1 - 2)^2`` and ``0.5*(x7 - 1)^2`` are one template, ``(p0 - k0)^2``, which is
differentiated and compiled once and then evaluated for all its instances together.

`lambdify` prints its expressions and executes what it printed.  What reaches it here was built
node by node from the whitelist, its symbols are called p0, p1, ..., k0, k1, ..., and
`_checked` looks at every node again before it is printed.  No text of a user, not even the
name of a parameter, gets that far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optdriver.constraints.syntax import (
    Call,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Slot,
    Sum,
)
from optdriver.errors import ConstraintError, missing_extra
from optdriver.geometry.functions import NAMES, applied, arctan2, power

if TYPE_CHECKING:
    import sympy  # type: ignore[import-untyped]

Array = NDArray[np.float64]
Key = tuple[Any, ...]
Evaluate = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Template:
    """A form of a term: its value and derivatives in its slots, for arrays of instances.

    Attributes
    ----------
    value, gradient, hessian : callable
        From the slots' values, then the constants' values, to the value, to the derivatives
        named in `firsts`, and to those named in `seconds`.
    firsts : tuple of int
        The slots in which the derivative is not zero.
    seconds : tuple of (int, int)
        The pairs of slots, the first not after the second, with a second derivative.
    constant_curvature : bool
        Whether the second derivatives do not depend on the slots.
    """

    value: Evaluate
    gradient: Evaluate
    hessian: Evaluate
    firsts: tuple[int, ...]
    seconds: tuple[tuple[int, int], ...]
    constant_curvature: bool


def signature(node: Node) -> tuple[Key, list[int], list[float]]:
    """Return the template's key, and the slots and numbers that make `node` of it."""
    slots: dict[int, int] = {}
    numbers: list[float] = []

    def key(here: Node) -> Key:
        match here:
            case Slot(index):
                return "p", slots.setdefault(index, len(slots))
            case Number(value):
                numbers.append(value)
                return "k", len(numbers) - 1
            case Sum(terms):
                return "+", *((sign, key(term)) for sign, term in terms)
            case Product(factors):
                return "*", *((operator, key(factor)) for operator, factor in factors)
            case Negative(operand):
                return "-", key(operand)
            case Power(base, Number(value)):
                return "^", key(base), ("exponent", str(Fraction(repr(value))))
            case Power(base, exponent):
                return "^", key(base), key(exponent)
            case Call(function, arguments):
                return "call", function, *(key(a) for a in arguments)
            case _:
                raise TypeError(f"a template holds no {here!r}")

    made = key(node)
    return made, list(slots), numbers


@lru_cache(maxsize=4096)
def template(key: Key) -> Template:
    """Differentiate and compile the template of `key`; the same key is compiled once."""
    if key[0] == "call" and key[1] in _BUILT_IN:
        return _BUILT_IN[key[1]]
    return _compiled(key)


def _sympy() -> Any:
    try:
        import sympy
    except ImportError:
        raise missing_extra("a nonlinear constraint as a text", "sympy", "constraints") from None
    return sympy


def _compiled(key: Key) -> Template:
    sp = _sympy()
    slots, numbers = _count(key, "p"), _count(key, "k")
    p = [sp.Symbol(f"p{i}") for i in range(slots)]
    k = [sp.Symbol(f"k{i}") for i in range(numbers)]
    expression = _expression(sp, key, p, k)
    gradient = {i: expression.diff(p[i]) for i in range(slots)}
    firsts = tuple(i for i in gradient if gradient[i] != 0)
    hessian = {(i, j): gradient[i].diff(p[j]) for i in firsts for j in firsts if i <= j}
    seconds = tuple(pair for pair in hessian if hessian[pair] != 0)
    symbols = [*p, *k]
    return Template(
        value=_function(sp, symbols, [expression]),
        gradient=_function(sp, symbols, [gradient[i] for i in firsts]),
        hessian=_function(sp, symbols, [hessian[pair] for pair in seconds]),
        firsts=firsts,
        seconds=seconds,
        constant_curvature=all(hessian[s].free_symbols.isdisjoint(p) for s in seconds),
    )


def _count(key: Key, kind: str) -> int:
    """Return how many slots (``"p"``) or numbers (``"k"``) the key has."""
    if key[0] in ("p", "k"):
        return int(key[1]) + 1 if key[0] == kind else 0
    return max((_count(part, kind) for part in key if isinstance(part, tuple)), default=0)


def _expression(sp: Any, key: Key, p: list[sympy.Symbol], k: list[sympy.Symbol]) -> sympy.Expr:
    """Build the SymPy expression of `key`, node by node."""

    def build(part: Key) -> Any:
        kind, rest = part[0], part[1:]
        if kind in ("p", "k"):
            return (p if kind == "p" else k)[rest[0]]
        if kind == "exponent":
            return sp.Rational(rest[0])
        if kind == "+":
            return sp.Add(*(build(t) if sign == "+" else -build(t) for sign, t in rest))
        if kind == "*":
            return sp.Mul(*(build(f) if o == "*" else 1 / build(f) for o, f in rest))
        if kind == "-":
            return -build(rest[0])
        if kind == "^":
            return sp.Pow(build(rest[0]), build(rest[1]))
        return _call(sp, rest[0], [build(a) for a in rest[1:]])

    return build(key)


def _call(sp: Any, function: str, arguments: list[Any]) -> Any:
    if function == "hypot":
        return sp.sqrt(arguments[0] ** 2 + arguments[1] ** 2)
    return _functions(sp)[function](*arguments)


def _functions(sp: Any) -> dict[str, Any]:
    names = [
        "sqrt",
        "exp",
        "log",
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "erf",
    ]
    return {name: getattr(sp, name) for name in names}


def _function(sp: Any, symbols: list[sympy.Symbol], expressions: list[sympy.Expr]) -> Evaluate:
    for expression in expressions:
        _checked(sp, expression, set(symbols))
    made: Evaluate = sp.lambdify(
        symbols, expressions, modules=[_numeric(), "numpy"], printer=_printer(), cse=True
    )
    return made


@cache
def _printer() -> Any:
    """Return what writes powers as calls: NumPy's ``**`` has other last bits elsewhere."""
    from sympy.printing.numpy import SciPyPrinter  # type: ignore[import-untyped]

    class Printer(SciPyPrinter):  # type: ignore[misc]
        def _print_Pow(self, expr: Any, rational: bool = False) -> str:  # noqa: ARG002
            return f"power({self._print(expr.base)}, {self._print(expr.exp)})"

    return Printer({"fully_qualified_modules": False, "allow_unknown_functions": True})


def _numeric() -> dict[str, Any]:
    """Return the functions under the names that SymPy writes."""
    longer = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
    made = {longer.get(name, name): partial(applied, name) for name in NAMES}
    return made | {"power": power, "arctan2": arctan2}


def _checked(sp: Any, expression: sympy.Expr, symbols: set[sympy.Symbol]) -> None:
    """Let nothing but sums, products, powers, rationals, own symbols and known functions by."""
    kinds = (sp.Add, sp.Mul, sp.Pow, sp.Rational)
    functions = tuple(f for name, f in _functions(sp).items() if name != "sqrt")
    for node in sp.preorder_traversal(expression):
        known = node in symbols if isinstance(node, sp.Symbol) else type(node) in functions
        if not known and not isinstance(node, kinds) and node not in (sp.pi, sp.E):
            raise ConstraintError(
                f"has a term without a derivative ({type(node).__name__}):"
                " does it divide by zero everywhere?"
            )


def _no_seconds(*_: Any) -> list[Any]:
    return []


def _flat(value: Callable[..., Any]) -> Template:
    return Template(lambda u: [value(u)], _no_seconds, _no_seconds, (), (), True)


def _side(u: Array) -> Array:
    """One-sided derivative of abs: from the right at zero."""
    return np.where(u >= 0.0, 1.0, -1.0)


_BUILT_IN: dict[str, Template] = {
    "power": Template(  # of a slot; the exponent is a number of the instance
        lambda u, p: [power(u, p)],
        lambda u, p: [p * power(u, p - 1.0)],
        lambda u, p: [p * (p - 1.0) * power(u, p - 2.0)],
        (0,),
        ((0, 0),),
        constant_curvature=False,
    ),
    "abs": Template(
        lambda u: [np.abs(u)], lambda u: [_side(u)], _no_seconds, (0,), (), constant_curvature=True
    ),
    "max": Template(
        lambda u, v: [np.maximum(u, v)],
        lambda u, v: [np.where(u >= v, 1.0, 0.0), np.where(u >= v, 0.0, 1.0)],
        _no_seconds,
        (0, 1),
        (),
        constant_curvature=True,
    ),
    "min": Template(
        lambda u, v: [np.minimum(u, v)],
        lambda u, v: [np.where(u <= v, 1.0, 0.0), np.where(u <= v, 0.0, 1.0)],
        _no_seconds,
        (0, 1),
        (),
        constant_curvature=True,
    ),
    "sign": _flat(np.sign),
    "round": _flat(np.rint),
    "trunc": _flat(np.trunc),
    "floor": _flat(np.floor),
    "ceil": _flat(np.ceil),
}
