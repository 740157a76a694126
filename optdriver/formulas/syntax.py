"""The syntax tree of a formula: six kinds of node, and the table of functions.

Sums and products are flat, in the order in which they were written, because that is the order
in which they are evaluated.  The place of a node in its text takes no part in comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Number:
    """A literal, a constant (`symbol` keeps its name), or a value put in for a parameter."""

    value: float
    symbol: str = ""
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A parameter."""

    name: str
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the extended vector of parameters and intermediates (see `assembly`)."""

    index: int
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms, each with the sign (``"+"``, ``"-"``) in front of it, from left to right."""

    terms: tuple[tuple[str, Node], ...]
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Product:
    """Factors, each with the ``"*"`` or ``"/"`` in front of it, from left to right."""

    factors: tuple[tuple[str, Node], ...]
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Negative:
    """A unary minus."""

    operand: Node
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Power:
    """``base ^ exponent``."""

    base: Node
    exponent: Node
    start: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the table, applied."""

    function: str
    arguments: tuple[Node, ...]
    start: int = field(default=0, compare=False)


Node: TypeAlias = Number | Name | Slot | Sum | Product | Negative | Power | Call

FUNCTIONS: dict[str, int | None] = {
    **dict.fromkeys(
        [
            "sqrt",
            "exp",
            "log",
            "log10",
            "log2",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "erf",
            "abs",
            "sign",
            "round",
            "trunc",
            "floor",
            "ceil",
        ],
        1,
    ),
    "atan2": 2,
    "hypot": 2,
    "min": None,
    "max": None,
}
"""Name -> number of arguments; None means two or more."""

CONSTANTS = {"pi": math.pi, "PI": math.pi, "e": math.e, "E": math.e}
STEPS = frozenset({"sign", "round", "trunc", "floor", "ceil"})
"""Functions that are constant between jumps: no gradient leads along them."""
KINKS = frozenset({"abs", "min", "max"})
"""Functions that are smooth but for kinks."""


_LEAVES = frozenset({Name, Number, Slot})


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below `node`, from left to right."""
    if type(node) in _LEAVES:  # as most are
        return ()
    match node:
        case Sum(terms):
            return tuple([term for _, term in terms])
        case Product(factors):
            return tuple([factor for _, factor in factors])
        case Negative(operand):
            return (operand,)
        case Power(base, exponent):
            return (base, exponent)
        case Call(_, arguments):
            return arguments
        case _:
            return ()


def rebuilt(node: Node, below: tuple[Node, ...]) -> Node:
    """Return `node` with the nodes right below it replaced by `below`."""
    match node:
        case Sum(terms, start):
            return Sum(tuple((s, b) for (s, _), b in zip(terms, below, strict=True)), start)
        case Product(factors, start):
            return Product(tuple((o, b) for (o, _), b in zip(factors, below, strict=True)), start)
        case Negative(_, start):
            return Negative(below[0], start)
        case Power(_, _, start):
            return Power(below[0], below[1], start)
        case Call(function, _, start):
            return Call(function, below, start)
        case _:
            return node


def transformed(node: Node, change: Callable[[Node], Node]) -> Node:
    """Apply `change` to every node of the tree, from the leaves up."""
    if below := children(node):
        made = tuple([transformed(child, change) for child in below])
        if any(new is not old for new, old in zip(made, below, strict=True)):
            node = rebuilt(node, made)
    return change(node)


def walk(node: Node) -> Iterator[Node]:
    """Yield all nodes of the tree, those below a node before it, from left to right."""
    stack: list[tuple[Node, bool]] = [(node, False)]
    while stack:
        here, opened = stack.pop()
        below = () if opened else children(here)
        if not below:
            yield here
        else:
            stack.append((here, True))
            stack.extend([(child, False) for child in reversed(below)])


def names_in(node: Node) -> list[str]:
    """Return the names of the parameters in the tree, each once, in order of appearance."""
    return list(dict.fromkeys(n.name for n in walk(node) if isinstance(n, Name)))


def functions_in(node: Node) -> set[str]:
    """Return the names of the functions in the tree."""
    return {n.function for n in walk(node) if isinstance(n, Call)}


def is_constant(node: Node) -> bool:
    """Tell whether the tree holds no parameter."""
    return not any(isinstance(n, Name | Slot) for n in walk(node))


def sum_of(terms: list[tuple[str, Node]], start: int = 0) -> Node:
    """Build a flat sum: ``(a + b) - c`` is ``a + b - c``, evaluated in the same order."""
    (sign, first), rest = terms[0], terms[1:]
    if sign == "+" and isinstance(first, Sum):
        return Sum(first.terms + tuple(rest), start) if rest else first
    if not rest:
        return first if sign == "+" else Negative(first, start)
    return Sum(tuple(terms), start)
