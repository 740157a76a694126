"""Canonical printing: the fewest parentheses that parse back into an equal tree."""

from __future__ import annotations

from optdriver.formulas.syntax import (
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Slot,
    Sum,
)

_SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(5)


def _level(node: Node) -> int:
    match node:
        case Sum():
            return _SUM
        case Product():
            return _PRODUCT
        case Negative():
            return _UNARY
        case Power():
            return _POWER
        case Number(value, symbol) if value < 0.0 and not symbol:
            return _UNARY
        case _:
            return _ATOM


def _wrapped(node: Node, least: int) -> str:
    text = formula(node)
    return text if _level(node) >= least else f"({text})"


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e16 and str(value) != "-0.0":
        return str(int(value))
    return repr(value)


def formula(node: Node) -> str:
    """Print `node` canonically.

    Parsing the text again gives an equal tree, values put in for parameters and slots aside.
    """
    match node:
        case Number(value, symbol):
            return symbol or _number(value)
        case Name(name):
            return name
        case Slot(index):
            return f"#{index}"
        case Sum(terms):
            return _sum(terms)
        case Product(factors):
            return _product(factors)
        case Negative(operand):
            return f"-{_wrapped(operand, _UNARY)}"
        case Power(base, exponent):
            return f"{_wrapped(base, _ATOM)}^{_wrapped(exponent, _UNARY)}"
        case Call(function, arguments):
            return f"{function}({', '.join(formula(a) for a in arguments)})"


def _sum(terms: tuple[tuple[str, Node], ...]) -> str:
    (sign, first), rest = terms[0], terms[1:]
    head = formula(first) if sign == "+" else f"-{_wrapped(first, _UNARY)}"
    return head + "".join(f" {sign} {_wrapped(term, _PRODUCT)}" for sign, term in rest)


def _product(factors: tuple[tuple[str, Node], ...]) -> str:
    (_, first), rest = factors[0], factors[1:]
    return _wrapped(first, _UNARY) + "".join(
        f"{operator}{_wrapped(factor, _UNARY)}" for operator, factor in rest
    )
