"""Templates: the form of a term without its parameters and numbers, with its derivatives.

``3*(x1 - 2)^2`` and ``0.5*(x7 - 1)^2`` are one template, ``(p0 - k0)^2``, which is
differentiated once and then evaluated for all its instances together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.formulas.derivatives import Derivatives, Graph, Rows, sweep
from optdriver.formulas.syntax import (
    Call,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Slot,
    Sum,
)
from optdriver.geometry.functions import power

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
    """Differentiate the template of `key`; the same key is differentiated once."""
    if key[0] == "call" and key[1] in _BUILT_IN:
        return _BUILT_IN[key[1]]
    return _differentiated(key)


def _differentiated(key: Key) -> Template:
    slots, numbers = _count(key, "p"), _count(key, "k")
    graph = Graph(slots + numbers, slots)
    output = _node(graph, key, slots)
    gradient = sweep(graph, output)
    firsts = tuple(sorted(gradient))
    hessian = {
        (i, j): bend
        for i in firsts
        for j, bend in sorted(sweep(graph, gradient[i]).items())
        if i <= j
    }
    return Template(
        value=Rows(graph.tape([output])),
        gradient=Derivatives(graph, [gradient[i] for i in firsts]),
        hessian=Derivatives(graph, list(hessian.values())),
        firsts=firsts,
        seconds=tuple(hessian),
        constant_curvature=not any(graph.varies[bend] for bend in hessian.values()),
    )


def _count(key: Key, kind: str) -> int:
    """Return how many slots (``"p"``) or numbers (``"k"``) the key has."""
    if key[0] in ("p", "k"):
        return int(key[1]) + 1 if key[0] == kind else 0
    return max((_count(part, kind) for part in key if isinstance(part, tuple)), default=0)


def _node(graph: Graph, key: Key, slots: int) -> int:
    """Write down the operations of `key`; return its node."""

    def chain(parts: Any, first: float) -> int:
        value = graph.constant(first)
        for operator, part in parts:
            value = graph.step(operator, value, node(part))
        return value

    def node(part: Key) -> int:
        kind, rest = part[0], part[1:]
        if kind in ("p", "k"):
            return int(rest[0]) + (0 if kind == "p" else slots)
        if kind == "exponent":
            return graph.constant(float(Fraction(rest[0])))
        if kind == "+":
            return chain(rest, 0.0)
        if kind == "*":
            return chain(rest, 1.0)
        if kind == "-":
            return graph.step("negative", node(rest[0]))
        if kind == "^":
            return graph.step("power", node(rest[0]), node(rest[1]))
        return graph.step(rest[0], *(node(a) for a in rest[1:]))

    return node(key)


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
