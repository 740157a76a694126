"""Numbers that formulas of other parameters give: values, and derivatives by the chain rule.

The formulas are those of constraints: parsed by a whitelist, evaluated exactly as they are written
(`optdriver.formulas.tape`), so that the same point has the same numbers everywhere.  Derivatives
are taken forward through the tree of a formula, by the names in it; from one formula to the next
they go backward, as the chain rule has it.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import ConstraintError, InputError
from optdriver.formulas.parser import parse
from optdriver.formulas.printing import formula
from optdriver.formulas.syntax import (
    STEPS,
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Sum,
    names_in,
    transformed,
    walk,
)
from optdriver.formulas.tape import Tape

Vector = NDArray[np.float64]
Slopes = dict[str, float]

LONGEST: Final = 4000
"""Characters that are put into a formula for the dependent names in it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Compiled:
    """One formula: its tree, what it is compiled to, and the places of its names and of itself."""

    tree: Node
    tape: Tape
    names: tuple[str, ...]
    places: tuple[int, ...]
    place: int


class Dependents:
    """Dependent parameters over a vector.

    Parameters
    ----------
    texts : mapping of str to str
        The formula of each by its name, in their order.
    free : sequence of str
        The names of the numbers of the vector.
    fixed : mapping of str to float
        Fixed numbers that formulas can name.

    Attributes
    ----------
    written : dict of str to str
        Each formula over free and fixed names alone.

    Raises
    ------
    InputError
        A formula cannot be parsed, is a comparison, or needs itself.
    """

    def __init__(
        self, texts: Mapping[str, str], free: Sequence[str], fixed: Mapping[str, float]
    ) -> None:
        self._n, self._fixed = len(free), [float(value) for value in fixed.values()]
        names = [*free, *fixed, *texts]
        self._where = {name: i for i, name in enumerate(names)}
        self._first = len(names) - len(texts)
        trees = {name: _parsed(name, text, names) for name, text in texts.items()}
        order = _in_order(trees)
        self._formulas = [self._compiled(name, trees[name]) for name in order]
        self.written = _expanded(trees, order)

    def _compiled(self, name: str, tree: Node) -> _Compiled:
        used = tuple(names_in(tree))
        places = tuple(self._where[each] for each in used)
        return _Compiled(tree, Tape([tree], used), used, places, self._where[name])

    def values(self, x: Vector) -> list[float]:
        """Return the numbers at a vector, in the order in which the formulas were given."""
        return self._registers(x)[self._first :]

    def _registers(self, x: Vector) -> list[float]:
        registers = [*x.tolist(), *self._fixed, *[math.nan] * len(self._formulas)]
        for each in self._formulas:
            registers[each.place] = each.tape([registers[i] for i in each.places])[0]
        return registers

    def traced(self, x: Any) -> list[Any]:
        """Return the numbers at a vector that JAX traces."""
        registers: list[Any] = [None] * (self._first + len(self._formulas))
        registers[self._n : self._first] = self._fixed
        for each in self._formulas:
            given = {
                name: x[i] if i < self._n else registers[i]
                for name, i in zip(each.names, each.places, strict=True)
            }
            registers[each.place] = _traced(each.tree, given)
        return registers[self._first :]

    def pulled_back(self, x: Vector, slopes: Sequence[float]) -> Vector:
        """Return the derivatives by the vector of what has `slopes` by the dependent numbers."""
        registers = self._registers(x)
        total = [0.0] * self._first + [float(slope) for slope in slopes]
        for each in reversed(self._formulas):
            slope = total[each.place]
            if slope == 0.0:
                continue
            given = dict(zip(each.names, [registers[i] for i in each.places], strict=True))
            partial = _dual(each.tree, given)[1]
            for name, i in zip(each.names, each.places, strict=True):
                total[i] += slope * partial.get(name, 0.0)
        return np.array(total[: self._n])


def _expanded(trees: Mapping[str, Node], order: Sequence[str]) -> dict[str, str]:
    """Return each formula as a text without dependent names."""
    made: dict[str, Node] = {}
    written: dict[str, str] = {}

    def put_in(node: Node) -> Node:
        return made.get(node.name, node) if isinstance(node, Name) else node

    for name in order:
        put = [written.get(node.name, "") for node in walk(trees[name]) if isinstance(node, Name)]
        if sum(map(len, put)) > LONGEST:
            raise InputError(
                f"the formula of {name!r}, with those put in that it needs, is longer than "
                f"{LONGEST} characters"
            )
        made[name] = transformed(trees[name], put_in)
        written[name] = formula(made[name])
    return written


def _parsed(name: str, text: str, names: Sequence[str]) -> Node:
    try:
        parsed = parse(text, names)
    except ConstraintError as error:
        raise InputError(f"the formula of {name!r}: {error}") from None
    if parsed.relations:
        raise InputError(f"the formula of {name!r} is a comparison, {text!r}: leave out one side")
    return parsed.operands[0]


def _in_order(trees: Mapping[str, Node]) -> list[str]:
    """Return the names so that each comes after those that it needs."""
    needs = {
        name: [each for each in names_in(tree) if each in trees] for name, tree in trees.items()
    }
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " -> ".join(map(str, error.args[1]))
        raise InputError(f"dependent parameters need each other in a circle: {circle}") from None


# -- derivatives --------------------------------------------------------------------------------


def _slope(function: Callable[[float], float]) -> Callable[[float], float]:
    def guarded(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError, ZeroDivisionError):
            return math.nan

    return guarded


_SLOPES: Final[dict[str, Callable[[float], float]]] = {
    "sqrt": _slope(lambda a: 0.5 / math.sqrt(a)),
    "exp": _slope(math.exp),
    "log": _slope(lambda a: 1.0 / a),
    "log10": _slope(lambda a: 1.0 / (a * math.log(10.0))),
    "log2": _slope(lambda a: 1.0 / (a * math.log(2.0))),
    "sin": _slope(math.cos),
    "cos": _slope(lambda a: -math.sin(a)),
    "tan": _slope(lambda a: 1.0 + math.tan(a) ** 2),
    "asin": _slope(lambda a: 1.0 / math.sqrt(1.0 - a * a)),
    "acos": _slope(lambda a: -1.0 / math.sqrt(1.0 - a * a)),
    "atan": _slope(lambda a: 1.0 / (1.0 + a * a)),
    "sinh": _slope(math.cosh),
    "cosh": _slope(math.sinh),
    "tanh": _slope(lambda a: 1.0 - math.tanh(a) ** 2),
    "erf": _slope(lambda a: 2.0 / math.sqrt(math.pi) * math.exp(-a * a)),
    "abs": lambda a: math.copysign(1.0, a) if a else 0.0,
    **dict.fromkeys(sorted(STEPS), lambda _: 0.0),
}
"""The derivatives of the functions of one argument; one-sided, or 0, where there is none."""


def _value(node: Node, given: Mapping[str, float]) -> float:
    """Return the value of a node, with the rounding of the tape."""
    names = names_in(node)
    return Tape([node], names)([given[name] for name in names])[0]


def _dual(node: Node, given: Mapping[str, float]) -> tuple[float, Slopes]:
    """Return value and derivatives of a formula by its names."""
    match node:
        case Number(value):
            return value, {}
        case Name(name):
            return given[name], {name: 1.0}
        case Negative(operand):
            value, slopes = _dual(operand, given)
            return -value, _scaled(slopes, -1.0)
        case Sum(terms):
            parts = [(1.0 if sign == "+" else -1.0, _dual(term, given)) for sign, term in terms]
            value = sum(sign * part[0] for sign, part in parts)
            return value, _added(*(_scaled(part[1], sign) for sign, part in parts))
        case Product(factors):
            value, slopes = _dual(factors[0][1], given)
            for sign, factor in factors[1:]:
                value, slopes = _multiplied(sign, (value, slopes), _dual(factor, given))
            return value, slopes
        case Power(base, exponent):
            return _raised(node, _dual(base, given), _dual(exponent, given), given)
        case Call(function, arguments):
            return _called(node, function, [_dual(each, given) for each in arguments], given)
        case _:
            raise TypeError(f"a formula holds no {node!r}")


def _scaled(slopes: Slopes, factor: float) -> Slopes:
    return {name: factor * slope for name, slope in slopes.items()}


def _added(*parts: Slopes) -> Slopes:
    total: Slopes = {}
    for part in parts:
        for name, slope in part.items():
            total[name] = total.get(name, 0.0) + slope
    return total


def _multiplied(
    sign: str, left: tuple[float, Slopes], right: tuple[float, Slopes]
) -> tuple[float, Slopes]:
    (a, da), (b, db) = left, right
    if sign == "*":
        return a * b, _added(_scaled(da, b), _scaled(db, a))
    if b == 0.0:
        return math.nan, _scaled(da | db, math.nan)
    return a / b, _added(_scaled(da, 1.0 / b), _scaled(db, -a / b / b))


def _raised(
    node: Node, base: tuple[float, Slopes], exponent: tuple[float, Slopes], given: Mapping[str, Any]
) -> tuple[float, Slopes]:
    (a, da), (p, dp) = base, exponent
    value = _value(node, given)
    try:
        by_base = p * math.pow(a, p - 1.0) if p else 0.0
        by_exponent = value * math.log(a) if dp else 0.0
    except (ValueError, OverflowError, ZeroDivisionError):
        by_base = by_exponent = math.nan
    return value, _added(_scaled(da, by_base), _scaled(dp, by_exponent))


def _called(
    node: Node, function: str, parts: Sequence[tuple[float, Slopes]], given: Mapping[str, Any]
) -> tuple[float, Slopes]:
    value = _value(node, given)
    if function in ("min", "max"):
        chosen = (min if function == "min" else max)(parts, key=operator.itemgetter(0))
        return value, chosen[1]
    if len(parts) == 1:
        a, da = parts[0]
        return value, _scaled(da, _SLOPES[function](a))
    (a, da), (b, db) = parts
    size = a * a + b * b if function == "atan2" else value
    if size == 0.0:
        return value, _scaled(da | db, math.nan)
    if function == "atan2":
        return value, _added(_scaled(da, b / size), _scaled(db, -a / size))
    return value, _added(_scaled(da, a / size), _scaled(db, b / size))  # hypot


# -- under JAX ----------------------------------------------------------------------------------

_OTHER_NAMES: Final = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2"}


def _traced(node: Node, given: Mapping[str, Any]) -> Any:
    """Return a formula of traced numbers."""
    match node:
        case Number(value):
            return value
        case Name(name):
            return given[name]
        case Negative(operand):
            return -_traced(operand, given)
        case Sum(terms):
            parts = [(sign, _traced(term, given)) for sign, term in terms]
            first = -parts[0][1] if parts[0][0] == "-" else parts[0][1]
            return reduce(_joined, parts[1:], first)
        case Product(factors):
            parts = [(sign, _traced(factor, given)) for sign, factor in factors]
            return reduce(_joined, parts[1:], parts[0][1])
        case Power(base, Number(2.0)):
            return _traced(base, given) * _traced(base, given)
        case Power(base, exponent):
            return _traced(base, given) ** _traced(exponent, given)
        case Call(function, arguments):
            return _jax_function(function)(*(_traced(each, given) for each in arguments))
        case _:
            raise TypeError(f"a formula holds no {node!r}")


_OPERATORS: Final = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}


def _joined(left: Any, part: tuple[str, Any]) -> Any:
    return _OPERATORS[part[0]](left, part[1])


def _jax_function(name: str) -> Callable[..., Any]:
    if name == "erf":
        made: Callable[..., Any] = import_module("jax.scipy.special").erf
        return made
    numpy = import_module("jax.numpy")
    if name in ("min", "max"):
        two = numpy.minimum if name == "min" else numpy.maximum
        return lambda *numbers: reduce(two, numbers)
    made = getattr(numpy, _OTHER_NAMES.get(name, name))
    return made  # noqa: RET504 - its type is not known otherwise
