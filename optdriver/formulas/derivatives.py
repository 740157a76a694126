"""Derivatives of a straight list of operations, by reverse sweeps, as further such lists.

Operations are nodes of a graph, numbered so that a node comes after its arguments.  A sweep from
an output down to the inputs adds to every node's adjoint what the nodes above it hand on,

    adjoint(a) += adjoint(v) * dv/da,

and writes these products and sums down as nodes again: to differentiate twice is to sweep twice,
and what is zero, one or known already is never computed.  Nothing is printed or executed; the
result is data, as the list that it came from.

Source: Griewank, Walther, Evaluating Derivatives, 2nd ed. (2008), ch. 3 and 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import ConstraintError
from optdriver.formulas.tape import STEEP, Tape, folded

Array = NDArray[np.float64]
Slopes: TypeAlias = list[tuple[int, int]]
"""Arguments of a node, and the nodes that are its derivatives by them."""


class Graph:
    """Operations on numbered inputs; equal ones are one node.

    Parameters
    ----------
    size : int
        How many inputs there are.
    variables : int
        By how many of them, the first ones, is differentiated; the others are parameters.
    most : int, optional
        More nodes than this are an error.
    left : float
        How many nodes may be passed in sweeps; more are an error, too.

    Attributes
    ----------
    nodes : list of (str, tuple of int)
        Name of the operation and its arguments; ``"input"`` and ``"constant"`` have none.
    varies : list of bool
        Which nodes depend on a variable.
    """

    def __init__(
        self, size: int, variables: int, most: int | None = None, left: float = math.inf
    ) -> None:
        self.size = size
        self.left = left
        self.nodes: list[tuple[str, tuple[int, ...]]] = [("input", ()) for _ in range(size)]
        self.varies = [i < variables for i in range(size)]
        self.most = most
        self.numbers: dict[int, float] = {}
        self._constants: dict[tuple[float, float], int] = {}
        self._known: dict[tuple[str, tuple[int, ...]], int] = {}

    def _append(self, name: str, where: tuple[int, ...]) -> int:
        if self.most is not None and len(self.nodes) >= self.most:
            raise TooLongError
        self.nodes.append((name, where))
        self.varies.append(any(self.varies[i] for i in where))
        return len(self.nodes) - 1

    def constant(self, value: float) -> int:
        """Return the node of a number."""
        key = value, math.copysign(1.0, value)
        if key not in self._constants:
            self._constants[key] = self._append("constant", ())
            self.numbers[self._constants[key]] = value
        return self._constants[key]

    def step(self, name: str, *where: int) -> int:
        """Return the node of an operation; of constants, the constant that it makes.

        Raises
        ------
        ConstraintError
            That constant is not finite.
        """
        if all(i in self.numbers for i in where):
            value = folded(name, [self.numbers[i] for i in where])
            if not math.isfinite(value):
                raise ConstraintError(
                    "has a term without a derivative: does it divide by zero everywhere?"
                )
            return self.constant(value)
        simple = _SIMPLE.get(name, _as_it_is)(self, *where)
        if simple is not None:
            return simple
        key = name, where
        if key not in self._known:
            self._known[key] = self._append(name, where)
        return self._known[key]

    def is_number(self, node: int, value: float) -> bool:
        """Tell whether the node is this constant."""
        return self.numbers.get(node) == value

    def take(self, tape: Tape, inputs: Sequence[int] | None = None) -> list[int]:
        """Write down the operations of a tape; return the nodes of its outputs."""
        registers = list(range(tape.size)) if inputs is None else list(inputs)
        registers += [self.constant(value) for value in tape.constants]
        for name, where in tape.steps:
            registers.append(self.step(name, *(registers[i] for i in where)))
        return [registers[i] for i in tape.outputs]

    def tape(
        self, outputs: Sequence[int], *, tamed: bool = False, inputs: int | None = None
    ) -> Tape:
        """Return the list of the operations that the outputs need.

        Parameters
        ----------
        outputs : sequence of int
            Nodes.
        tamed : bool
            Slopes that are infinite, of single operations, are `STEEP`.
        inputs : int, optional
            The outputs depend on so many inputs only, the first ones; it has no others then.
        """
        size = self.size if inputs is None else inputs
        needed = self._needed(outputs)
        numbers = [node for node in needed if node in self.numbers]
        places = {node: node for node in range(size)}
        places |= {node: size + i for i, node in enumerate(numbers)}
        steps: list[tuple[str, tuple[int, ...]]] = []
        following = size + len(numbers)
        for node in needed:
            name, where = self.nodes[node]
            if node in places:
                continue
            if name == "slope" and not tamed:
                places[node] = places[where[0]]
                continue
            steps.append((name, tuple(places[i] for i in where)))
            places[node] = following
            following += 1
        constants = [self.numbers[node] for node in numbers]
        return Tape.of(size, constants, steps, [places[node] for node in outputs])

    def _needed(self, outputs: Iterable[int]) -> list[int]:
        found = set(outputs)
        stack = list(found)
        while stack:
            for below in self.nodes[stack.pop()][1]:
                if below not in found:
                    found.add(below)
                    stack.append(below)
        return sorted(found)


class TooLongError(Exception):
    """The list of operations would be longer, or take longer to make, than it is worth."""


def sweep(graph: Graph, output: int) -> dict[int, int]:
    """Return the nodes of the derivatives of `output` by those variables on which it depends."""
    found: dict[int, int] = {}
    if not graph.varies[output]:
        return found
    adjoints, waiting = {output: graph.constant(1.0)}, [-output]
    while waiting:
        node = -heappop(waiting)
        adjoint = adjoints.pop(node)
        if graph.is_number(adjoint, 0.0):
            continue
        if node < graph.size:
            found[node] = adjoint
            continue
        graph.left -= 1
        if graph.left < 0:
            raise TooLongError
        for argument, slope in _slopes(graph, node):
            part = graph.step("*", adjoint, slope)
            if argument in adjoints:
                adjoints[argument] = graph.step("+", adjoints[argument], part)
            else:
                adjoints[argument] = part
                heappush(waiting, -argument)
    return found


def _slopes(graph: Graph, node: int) -> Slopes:
    """Return the derivatives of one operation by those of its arguments that vary."""
    name, where = graph.nodes[node]
    made: Slopes = []
    for place, argument in enumerate(where):
        if graph.varies[argument]:
            slope = _RULES[name](graph, node, where, place)
            if slope is not None:
                made.append((argument, slope))
    return made


# -- what is simpler than it looks ----------------------------------------------------------------


def _as_it_is(_graph: Graph, *_where: int) -> int | None:
    return None


def _sum(g: Graph, a: int, b: int) -> int | None:
    if g.is_number(a, 0.0):
        return b
    if g.is_number(b, 0.0):
        return a
    name, where = g.nodes[b]
    return g.step("-", a, where[0]) if name == "negative" else None


def _difference(g: Graph, a: int, b: int) -> int | None:
    if a == b:
        return g.constant(0.0)
    if g.is_number(b, 0.0):
        return a
    return g.step("negative", b) if g.is_number(a, 0.0) else None


def _product(g: Graph, a: int, b: int) -> int | None:
    if g.is_number(a, 0.0) or g.is_number(b, 0.0):
        return g.constant(0.0)
    if g.is_number(a, 1.0):
        return b
    if g.is_number(b, 1.0):
        return a
    if g.is_number(a, -1.0):
        return g.step("negative", b)
    return g.step("negative", a) if g.is_number(b, -1.0) else None


def _quotient(g: Graph, a: int, b: int) -> int | None:
    return a if g.is_number(b, 1.0) else None


def _opposite(g: Graph, a: int) -> int | None:
    name, where = g.nodes[a]
    return where[0] if name == "negative" else None


def _power(g: Graph, a: int, b: int) -> int | None:
    exponent = g.numbers.get(b)
    if exponent == 0.0:
        return g.constant(1.0)
    if exponent == 1.0:
        return a
    if exponent == 2.0:
        return g.step("square", a)
    return g.step("/", g.constant(1.0), a) if exponent == -1.0 else None


_SIMPLE: dict[str, Callable[..., int | None]] = {
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
    "negative": _opposite,
    "power": _power,
}


# -- the derivatives of single operations ----------------------------------------------------------


def _slope(g: Graph, node: int) -> int:
    """Mark a slope that may be infinite."""
    return node if node in g.numbers else g.step("slope", node)


def _of_product(_g: Graph, _v: int, where: tuple[int, ...], place: int) -> int:
    return where[1 - place]


def _of_quotient(g: Graph, v: int, where: tuple[int, ...], place: int) -> int:
    if place == 0:
        return _slope(g, g.step("/", g.constant(1.0), where[1]))
    return _slope(g, g.step("negative", g.step("/", v, where[1])))


def _of_power(g: Graph, v: int, where: tuple[int, ...], place: int) -> int:
    base, exponent = where
    if place == 1:
        return g.step("*", _slope(g, g.step("log", base)), v)
    one_less = g.step("-", exponent, g.constant(1.0))
    return _slope(g, g.step("*", exponent, g.step("power", base, one_less)))


def _of_angle(g: Graph, _v: int, where: tuple[int, ...], place: int) -> int:
    y, x = where
    length = g.step("+", g.step("square", x), g.step("square", y))
    above = x if place == 0 else g.step("negative", y)
    return _slope(g, g.step("/", above, length))


def _of_smallest(g: Graph, _v: int, where: tuple[int, ...], place: int) -> int:
    left = g.step("not above", *where)
    return left if place == 0 else g.step("-", g.constant(1.0), left)


def _of_largest(g: Graph, _v: int, where: tuple[int, ...], place: int) -> int:
    left = g.step("not below", *where)
    return left if place == 0 else g.step("-", g.constant(1.0), left)


def _by(factor: float, made: Callable[[Graph, int, int], int]) -> Callable[..., int]:
    """Return the rule for a function of one argument: `factor` times ``made(graph, v, a)``."""

    def rule(g: Graph, v: int, where: tuple[int, ...], _place: int) -> int:
        return g.step("*", g.constant(factor), made(g, v, where[0]))

    return rule


def _one_over(made: Callable[[Graph, int, int], int]) -> Callable[[Graph, int, int], int]:
    return lambda g, v, a: _slope(g, g.step("/", g.constant(1.0), made(g, v, a)))


def _circle(g: Graph, _v: int, a: int) -> int:
    return g.step("sqrt", g.step("-", g.constant(1.0), g.step("square", a)))


def _bell(g: Graph, _v: int, a: int) -> int:
    return g.step("exp", g.step("negative", g.step("square", a)))


def _constant(value: float) -> Callable[..., int | None]:
    return lambda g, *_: g.constant(value)


_RULES: dict[str, Callable[..., int | None]] = {
    "+": _constant(1.0),
    "-": lambda g, _v, _where, place: g.constant(-1.0 if place else 1.0),
    "*": _of_product,
    "/": _of_quotient,
    "negative": _constant(-1.0),
    "square": _by(2.0, lambda _g, _v, a: a),
    "power": _of_power,
    "slope": _constant(1.0),
    "sqrt": _by(0.5, _one_over(lambda _g, v, _a: v)),
    "exp": _by(1.0, lambda _g, v, _a: v),
    "log": _by(1.0, _one_over(lambda _g, _v, a: a)),
    "log10": _by(1.0 / math.log(10.0), _one_over(lambda _g, _v, a: a)),
    "log2": _by(1.0 / math.log(2.0), _one_over(lambda _g, _v, a: a)),
    "sin": _by(1.0, lambda g, _v, a: g.step("cos", a)),
    "cos": _by(-1.0, lambda g, _v, a: g.step("sin", a)),
    "tan": _by(1.0, lambda g, v, _a: g.step("+", g.constant(1.0), g.step("square", v))),
    "asin": _by(1.0, _one_over(_circle)),
    "acos": _by(-1.0, _one_over(_circle)),
    "atan": _by(1.0, _one_over(lambda g, _v, a: g.step("+", g.constant(1.0), g.step("square", a)))),
    "sinh": _by(1.0, lambda g, _v, a: g.step("cosh", a)),
    "cosh": _by(1.0, lambda g, _v, a: g.step("sinh", a)),
    "tanh": _by(1.0, lambda g, v, _a: g.step("-", g.constant(1.0), g.step("square", v))),
    "erf": _by(2.0 / math.sqrt(math.pi), _bell),
    "abs": _by(1.0, lambda g, _v, a: g.step("side", a)),
    "atan2": _of_angle,
    "hypot": lambda g, v, where, place: _slope(g, g.step("/", where[place], v)),
    "min": _of_smallest,
    "max": _of_largest,
    **dict.fromkeys(
        ("sign", "round", "trunc", "floor", "ceil", "side", "not above", "not below"),
        lambda *_: None,
    ),
}


# -- for arrays -----------------------------------------------------------------------------------


class Rows:
    """A tape for arrays of inputs."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def __call__(self, *inputs: Array) -> Array:
        """Return one row for each output."""
        return self.tape.many(np.array(np.broadcast_arrays(*inputs)).T).T


class Derivatives:
    """Nodes of a graph for arrays of inputs: never NaN or infinite.

    A derivative that does not exist is 0, an infinite one `STEEP`.  Where infinite slopes of single
    operations meet zeros, as in ``x*log(x)`` at 0, they are replaced first.
    """

    def __init__(self, graph: Graph, outputs: Sequence[int]) -> None:
        self._plain = Rows(graph.tape(outputs))
        self._tamed = Rows(graph.tape(outputs, tamed=True))

    def __call__(self, *inputs: Array) -> Array:
        """Return one row for each output."""
        made = self._plain(*inputs)
        if np.isfinite(made).all():
            return made
        tamed = np.clip(np.nan_to_num(self._tamed(*inputs)), -STEEP, STEEP)
        return np.where(np.isnan(made), tamed, np.nan_to_num(made, posinf=STEEP, neginf=-STEEP))
