"""Formulas evaluated exactly as they are written: a straight list of float operations.

What is feasible is decided here and nowhere else.  No simplification comes between the text
and the numbers: ``sqrt(x)^2`` has no value at -1, and ``(a + b) - c`` is added in that order.
A subexpression that occurs several times is computed once, which changes no bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optdriver.formulas.syntax import (
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Sum,
    walk,
)
from optdriver.geometry import functions
from optdriver.geometry.steps import CODES, COMPILED, Program

Array = NDArray[np.float64]


def _minimum(a: float, b: float) -> float:
    return a if a <= b or a != a else b


def _maximum(a: float, b: float) -> float:
    return a if a >= b or a != a else b


def _sign(a: float) -> float:
    return a if a != a else float((a > 0.0) - (a < 0.0))


STEEP = 1e12
"""What an infinite slope of an operation is replaced by."""


def _tamed(a: float) -> float:
    if a != a:
        return 0.0
    return min(max(a, -STEEP), STEEP) if math.isinf(a) else a


class _Operation(NamedTuple):
    """One operation twice: on Python floats (may raise), and on NumPy arrays (never does)."""

    scalar: Callable[..., Any]
    array: Callable[..., Any]


_OPERATIONS: dict[str, _Operation] = {
    "+": _Operation(lambda a, b: a + b, np.add),
    "-": _Operation(lambda a, b: a - b, np.subtract),
    "*": _Operation(lambda a, b: a * b, np.multiply),
    "/": _Operation(lambda a, b: a / b, np.divide),
    "negative": _Operation(lambda a: -a, np.negative),
    "square": _Operation(lambda a: a * a, np.square),
    "power": _Operation(math.pow, functions.powers),
    "sqrt": _Operation(math.sqrt, np.sqrt),
    "exp": _Operation(math.exp, partial(functions.applied, "exp")),
    "log": _Operation(math.log, partial(functions.applied, "log")),
    "log10": _Operation(math.log10, partial(functions.applied, "log10")),
    "log2": _Operation(math.log2, partial(functions.applied, "log2")),
    "sin": _Operation(math.sin, partial(functions.applied, "sin")),
    "cos": _Operation(math.cos, partial(functions.applied, "cos")),
    "tan": _Operation(math.tan, partial(functions.applied, "tan")),
    "asin": _Operation(math.asin, partial(functions.applied, "asin")),
    "acos": _Operation(math.acos, partial(functions.applied, "acos")),
    "atan": _Operation(math.atan, partial(functions.applied, "atan")),
    "sinh": _Operation(math.sinh, partial(functions.applied, "sinh")),
    "cosh": _Operation(math.cosh, partial(functions.applied, "cosh")),
    "tanh": _Operation(math.tanh, partial(functions.applied, "tanh")),
    "erf": _Operation(math.erf, partial(functions.applied, "erf")),
    "abs": _Operation(abs, np.abs),
    "sign": _Operation(_sign, np.sign),
    "round": _Operation(lambda a: float(round(a)), lambda a: np.rint(a) + 0.0),
    "trunc": _Operation(lambda a: float(math.trunc(a)), lambda a: np.trunc(a) + 0.0),
    "floor": _Operation(lambda a: float(math.floor(a)), lambda a: np.floor(a) + 0.0),
    "ceil": _Operation(lambda a: float(math.ceil(a)), lambda a: np.ceil(a) + 0.0),
    "atan2": _Operation(math.atan2, functions.arctan2),
    "hypot": _Operation(math.hypot, functions.hypot),
    "min": _Operation(_minimum, np.minimum),
    "max": _Operation(_maximum, np.maximum),
    # those below occur in derivatives only
    "side": _Operation(
        lambda a: 1.0 if a >= 0.0 else -1.0, lambda a: np.where(a >= 0.0, 1.0, -1.0)
    ),
    "not above": _Operation(
        lambda a, b: 1.0 if a <= b else 0.0, lambda a, b: np.where(a <= b, 1.0, 0.0)
    ),
    "not below": _Operation(
        lambda a, b: 1.0 if a >= b else 0.0, lambda a, b: np.where(a >= b, 1.0, 0.0)
    ),
    "slope": _Operation(_tamed, lambda a: np.nan_to_num(a, posinf=STEEP, neginf=-STEEP)),
}


Step = tuple[str, tuple[int, ...]]
"""An operation and the registers of its arguments."""


def folded(name: str, arguments: Sequence[float]) -> float:
    """Return the result of one operation on numbers; NaN or infinite where C has that."""
    with np.errstate(all="ignore"):
        return float(_OPERATIONS[name].array(*(np.float64(a) for a in arguments)))


class Tape:
    """Formulas over named parameters, compiled to one list of operations.

    Parameters
    ----------
    formulas : sequence of Node
        What is evaluated.
    names : sequence of str
        The parameters in the order of x.
    """

    def __init__(self, formulas: Sequence[Node], names: Sequence[str]) -> None:
        writer = _Writer(list(names), formulas)
        outputs = [writer.register(node) for node in formulas]
        self.assemble(len(names), writer.constants, writer.steps, outputs)

    @classmethod
    def of(cls, size: int, constants: list[float], steps: list[Step], outputs: list[int]) -> Tape:
        """Return the tape of these steps: registers are inputs, constants, results in turn."""
        made = cls.__new__(cls)
        made.assemble(size, constants, steps, outputs)
        return made

    def assemble(
        self, size: int, constants: list[float], steps: list[Step], outputs: list[int]
    ) -> None:
        """Set the steps and how they are carried out."""
        self.size, self.constants, self.steps, self.outputs = size, constants, steps, outputs
        self._scalar = [(_OPERATIONS[name].scalar, where) for name, where in steps]
        self._program = self.program() if COMPILED and self.plain else None

    @property
    def plain(self) -> bool:
        """Whether the kernel knows all operations."""
        return all(name in CODES for name, _ in self.steps)

    @property
    def compiled(self) -> bool:
        """Whether the compiled page carries out the steps."""
        return self._program is not None

    def program(self) -> Program:
        """Return the steps as the kernel takes them."""
        return Program(self.size, self.constants, self.steps, self.outputs)

    def __call__(self, x: Iterable[float]) -> list[float]:
        """Evaluate at one point, in Python floats; NaN where a formula has no real value."""
        if self._program is not None:
            made: list[float] = self._program(list(x)).tolist()
            return made
        registers = [float(v) for v in x]
        registers += self.constants
        for step, (operation, where) in enumerate(self._scalar):
            try:
                if len(where) == 2:
                    value = operation(registers[where[0]], registers[where[1]])
                else:
                    value = operation(registers[where[0]])
            except (ValueError, OverflowError, ZeroDivisionError):
                value = folded(self.steps[step][0], [registers[i] for i in where])
            registers.append(value)
        return [registers[i] for i in self.outputs]

    def at(self, x: Array) -> Array | list[float]:
        """Evaluate at one point, an array."""
        if self._program is None:
            return self(x.tolist())
        made: Array = self._program(x)
        return made

    def many(self, points: Array) -> Array:
        """Evaluate at the rows of `points`, all at once."""
        if self._program is not None:
            made: Array = self._program.many(np.asarray(points, dtype=np.float64))
            return made
        columns = np.ascontiguousarray(np.asarray(points, dtype=np.float64).T)
        registers: list[Any] = [*columns, *self.constants]
        with np.errstate(all="ignore"):
            for name, where in self.steps:
                arguments = (np.asarray(registers[i], dtype=np.float64) for i in where)
                registers.append(_OPERATIONS[name].array(*arguments))
        values = np.empty((columns.shape[1], len(self.outputs)))
        for j, i in enumerate(self.outputs):
            values[:, j] = registers[i]
        return values


class _Writer:
    """Numbers the registers: parameters, then constants, then one for each operation."""

    def __init__(self, names: list[str], formulas: Sequence[Node]) -> None:
        self.places = {name: i for i, name in enumerate(names)}
        numbers = (n.value for node in formulas for n in walk(node) if isinstance(n, Number))
        self.constants = list({(v, math.copysign(1.0, v)): v for v in numbers}.values())
        first = len(names)
        self.numbers = {(v, math.copysign(1.0, v)): first + i for i, v in enumerate(self.constants)}
        self.next = first + len(self.constants)
        self.steps: list[tuple[str, tuple[int, ...]]] = []
        self.known: dict[tuple[str, tuple[int, ...]], int] = {}

    def step(self, operation: str, *where: int) -> int:
        key = (operation, where)
        if key not in self.known:
            self.known[key] = self.next
            self.steps.append(key)
            self.next += 1
        return self.known[key]

    def chain(self, parts: tuple[tuple[str, Node], ...], lone: str) -> int:
        (sign, first), rest = parts[0], parts[1:]
        value = self.register(first)
        if sign == lone:
            value = self.step("negative", value)
        for operator, node in rest:
            value = self.step(operator, value, self.register(node))
        return value

    def register(self, node: Node) -> int:
        match node:
            case Number(value):
                return self.numbers[value, math.copysign(1.0, value)]
            case Name(name):
                return self.places[name]
            case Sum(terms):
                return self.chain(terms, "-")
            case Product(factors):
                return self.chain(factors, "none")
            case Negative(operand):
                return self.step("negative", self.register(operand))
            case Power(base, Number(2.0)):
                return self.step("square", self.register(base))
            case Power(base, exponent):
                return self.step("power", self.register(base), self.register(exponent))
            case Call(function, arguments):
                return self.call(function, [self.register(a) for a in arguments])
            case _:
                raise TypeError(f"a tape holds no {node!r}")

    def call(self, function: str, where: list[int]) -> int:
        if function not in ("min", "max"):
            return self.step(function, *where)
        value = where[0]
        for other in where[1:]:
            value = self.step(function, value, other)
        return value


def constant_value(node: Node) -> float:
    """Evaluate a formula without parameters; NaN where it has no real value."""
    if isinstance(node, Negative) and isinstance(node.operand, Number):  # as in -0.5
        return -node.operand.value
    return Tape([node], [])([])[0]
