"""What one problem of the collection is made of, and how its texts become functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

Vector = NDArray[np.float64]
INF = float("inf")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem as the book states it.

    Attributes
    ----------
    name : str
    objective : str
        Over x1 to xn and the definitions.
    inequalities, equalities : tuple of str
        Constraints as their user would write them: ``... >= ...``, ``... <= ...``, ``... == ...``.
    lower, upper, start : tuple of float
    best : float
        Best value known.
    definitions : dict
        Names that objective and constraints share, each over x and the earlier ones.
    functions : callable, optional
        Makes compiled constraints for the few problems that no formula states.
    note : str
    """

    name: str
    objective: str
    start: tuple[float, ...]
    best: float
    inequalities: tuple[str, ...] = ()
    equalities: tuple[str, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    definitions: dict[str, str] = field(default_factory=dict)
    functions: Callable[[], Any] | None = None
    note: str = ""

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.start)

    @property
    def names(self) -> list[str]:
        """Return x1 to xn."""
        return [f"x{i + 1}" for i in range(self.n)]

    @property
    def box(self) -> tuple[Vector, Vector]:
        """Return both sides of the box, infinite where the book has none."""
        lower = self.lower or (-INF,) * self.n
        upper = self.upper or (INF,) * self.n
        return np.array(lower, dtype=float), np.array(upper, dtype=float)

    @property
    def texts(self) -> list[str]:
        """Return inequalities and equalities over x alone: the definitions are written out."""
        written: dict[str, str] = {}
        for name, text in self.definitions.items():
            written[name] = f"({_written_out(text, written)})"
        return [_written_out(row, written) for row in (*self.inequalities, *self.equalities)]


def _written_out(text: str, written: Mapping[str, str]) -> str:
    return re.sub(r"[a-z]\w*", lambda found: written.get(found[0], found[0]), text)


class _Chain:
    """Texts compiled one by one, derivatives carried along from definition to definition."""

    def __init__(self, problem: Problem, texts: Sequence[str]) -> None:
        self.n = problem.n
        self._known: dict[str, Any] = {name: sympy.Symbol(name) for name in problem.names}
        self._links: list[_Link] = []
        for name, text in problem.definitions.items():
            self._links.append(self._link(text))
            self._known[name] = sympy.Symbol(name)
        self._definitions = len(self._links)
        self._links += [self._link(text) for text in texts]

    def _link(self, text: str) -> _Link:
        names = {**self._known, "e": sympy.E}
        return _Link(sympy.sympify(text.replace("^", "**"), locals=names), list(self._known))

    def run(self, x: Vector, order: int) -> tuple[Vector, Vector, Vector]:
        """Return values, gradients and Hessians of the texts, as far as `order` asks for them."""
        values, gradients = list(x), list(np.eye(self.n))
        hessians = list(np.zeros((self.n, self.n, self.n)))
        out: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
        for k, link in enumerate(self._links):
            found = link.run(values, gradients, hessians, order)
            for kept, each in zip(out, found, strict=True):
                kept.append(each)
            if k < self._definitions:
                for kept, each in zip((values, gradients, hessians), found, strict=True):
                    kept.append(each)
        return (
            np.array(out[0][self._definitions :], dtype=float),
            np.array(out[1][self._definitions :], dtype=float),
            np.array(out[2][self._definitions :], dtype=float),
        )


class _Link:
    """One expression with its derivatives by the symbols that it names itself."""

    def __init__(self, expression: Any, known: list[str]) -> None:
        names = {str(symbol) for symbol in expression.free_symbols}
        self._used = [index for index, name in enumerate(known) if name in names]
        symbols = [sympy.Symbol(known[index]) for index in self._used]
        slopes = [sympy.diff(expression, symbol) for symbol in symbols]
        self._value = sympy.lambdify(symbols, [expression, *slopes], "scipy", cse=True)
        self._symbols, self._slopes, self._bends = symbols, slopes, None

    def run(
        self, values: list[Any], gradients: list[Any], hessians: list[Any], order: int
    ) -> tuple[float, Vector, Vector]:
        """Return value, gradient and Hessian by x."""
        n = len(gradients[0])
        arguments = [np.float64(values[index]) for index in self._used]
        first = [float(each) for each in self._value(*arguments)]
        inner = np.array([gradients[index] for index in self._used]).reshape(-1, n)
        gradient = np.array(first[1:]) @ inner
        if order < 2:
            return first[0], gradient, np.zeros((n, n))
        hessian = inner.T @ self._second(arguments) @ inner
        for slope, index in zip(first[1:], self._used, strict=True):
            hessian = hessian + slope * hessians[index]
        return first[0], gradient, hessian

    def _second(self, arguments: list[Any]) -> Vector:
        if self._bends is None:
            table = [[sympy.diff(slope, s) for s in self._symbols] for slope in self._slopes]
            self._bends = sympy.lambdify(self._symbols, table, "scipy", cse=True)
        size = len(arguments)
        return np.array(self._bends(*arguments), dtype=float).reshape(size, size)


class Objective:
    """f and its gradient, differentiated by SymPy."""

    def __init__(self, problem: Problem) -> None:
        self._chain = _Chain(problem, [problem.objective])

    def __call__(self, x: Vector) -> tuple[float, Vector]:
        """Return f(x) and grad f(x)."""
        with np.errstate(all="ignore"):
            values, gradients, _ = self._chain.run(x, 1)
        return float(values[0]), gradients[0]


class Formulas:
    """Constraints compiled by SymPy alone: c(x) <= 0, then e(x) = 0.

    An oracle for ours: it reads the texts with SymPy's parser, definition by definition.
    """

    def __init__(self, problem: Problem) -> None:
        rows = [_difference(text) for text in (*problem.inequalities, *problem.equalities)]
        self._chain = _Chain(problem, rows)
        self.m = len(rows)
        self.names = tuple(f"row{i + 1}" for i in range(self.m))
        self.n_inequalities = len(problem.inequalities)
        self.lower, self.upper = problem.box

    def values(self, x: Vector) -> Vector:
        """Return all rows."""
        with np.errstate(all="ignore"):
            return self._chain.run(x, 1)[0]

    def jacobian(self, x: Vector) -> Vector:
        """Return the gradients of all rows."""
        with np.errstate(all="ignore"):
            return self._chain.run(x, 1)[1].reshape(self.m, -1)

    def hessian(self, x: Vector, multipliers: Vector) -> Vector:
        """Return the Hessian of multipliers times rows."""
        with np.errstate(all="ignore"):
            return np.tensordot(multipliers, self._chain.run(x, 2)[2], axes=1)


def _difference(text: str) -> str:
    """Return the expression that must be <= 0 (or == 0)."""
    for sign, relation in (("", "<="), ("-", ">="), ("", "==")):
        if relation in text:
            left, right = text.split(relation)
            return f"{sign}(({left}) - ({right}))"
    raise ValueError(f"no relation in {text!r}")


def total(terms: Sequence[str]) -> str:
    """Return the sum of `terms` as one text."""
    return " + ".join(f"({term})" for term in terms)
