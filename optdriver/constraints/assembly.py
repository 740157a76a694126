"""Rows as systems of small terms: exact sparse derivatives at a cost linear in the text.

Each row is an affine part plus a sum of terms, each term an instance of a template.  Where a
term would be large, a part of it becomes an intermediate u with an equation of the same kind,
so that with y = (x, u) all equations have the form ::

    value_e(y) = constant_e + sum_i A_ei y_i + sum_t coefficient_t template_t(y[slots_t])

With E = d value / d y, split by the columns of x and u and the rows of intermediates (u) and
results (r), the chain rule reads ::

    U = du/dx = E_ux + E_uu U                  (E_uu is nilpotent: no intermediate needs itself)
    J = E_rx + E_ru U
    w = E_ru' lambda + E_uu' w                 (what each intermediate contributes)
    H = [I; U]' (sum_e (w, lambda)_e Hess_e) [I; U]
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.formulas.printing import formula
from optdriver.formulas.syntax import (
    KINKS,
    STEPS,
    Call,
    Name,
    Negative,
    Node,
    Number,
    Power,
    Product,
    Slot,
    Sum,
    children,
    rebuilt,
    walk,
)
from optdriver.formulas.tape import STEEP
from optdriver.formulas.templates import Key, Template, signature, template
from optdriver.geometry import sparse
from optdriver.geometry.matrices import product, times, transposed_times

Array = NDArray[np.float64]
Indices = NDArray[np.intp]

MAX_NODES = 30
MAX_SLOTS = 6
MAX_DEPTH = 15
MAX_DEPTHS = 600
"""A term with more nodes, slots or levels than these is cut by intermediates; so is one where the
squares of the depths of all slots add up to more: the size of its derivatives grows with them."""
MAX_WORK = 3000
"""Texts whose different templates need more work than this, a text, are cut into single steps."""
_DENSE = 40_000
"""Matrices with fewer entries than this are kept dense: it is faster."""
_LOGARITHMS = {"log10": 1.0 / math.log(10.0), "log2": 1.0 / math.log(2.0)}


@dataclass(slots=True)
class Equation:
    """One equation while it is collected."""

    constant: float = 0.0
    affine: dict[int, float] = field(default_factory=dict)
    terms: list[tuple[float, Node]] = field(default_factory=list)
    _signed: list[tuple[Key, list[int], list[float]]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    def signed(self) -> list[tuple[Key, list[int], list[float]]]:
        """Return the signatures of the terms, of which there are no more to come."""
        if self._signed is None:
            self._signed = [signature(node) for _, node in self.terms]
        return self._signed


Cut = dict[int, tuple[Node, Equation]]
"""Equations of formulas, by their identity."""


class Cutter:
    """Cuts formulas into equations; `intermediates` are numbered after the parameters.

    With `steps`, every operation but sums is an intermediate of its own: a few templates, all of
    them tiny, then do for formulas of any size and variety.
    """

    def __init__(self, names: Sequence[str], steps: bool = False) -> None:
        self.steps = steps
        self.most = 2 if steps else MAX_SLOTS
        self.places = {name: i for i, name in enumerate(names)}
        self.intermediates: list[Equation] = []
        self.known: dict[Node, int] = {}

    def equation(self, node: Node) -> Equation:
        """Return the equation of a formula."""
        made = Equation()
        self.split(node, 1.0, made)
        return made

    def split(self, node: Node, factor: float, into: Equation) -> None:
        """Add ``factor * node`` to the equation, as affine parts and terms."""
        match node:
            case Number(value):
                into.constant += factor * value
            case Name(name):
                _add(into, self.places[name], factor)
            case Slot(index):
                _add(into, index, factor)
            case Sum(terms):
                for sign, term in terms:
                    self.split(term, factor if sign == "+" else -factor, into)
            case Negative(operand):
                self.split(operand, -factor, into)
            case Product(factors):
                self.split_product(factors, factor, into)
            case Power(base, Number(1.0)):
                self.split(base, factor, into)
            case Power(_, Number(0.0)):
                into.constant += factor
            case Call(("log10" | "log2") as function, arguments):
                self.term(Call("log", arguments), factor * _LOGARITHMS[function], into)
            case _:
                self.term(node, factor, into)

    def split_product(
        self, factors: tuple[tuple[str, Node], ...], factor: float, into: Equation
    ) -> None:
        """Take the numbers out of a product and add what is left."""
        above: list[Node] = []
        below: list[Node] = []
        for operator, part in factors:
            if not isinstance(part, Number):
                (above if operator == "*" else below).append(part)
            elif operator == "*":
                factor *= part.value
            else:
                factor = factor / part.value if part.value else np.nan
        above.sort(key=formula)  # x*y and y*x are one term
        below.sort(key=formula)
        if not above and not below:
            into.constant += factor
        elif len(above) == 1 and not below:
            self.split(above[0], factor, into)
        elif not above:
            self.term(Power(_product(below, []), Number(-1.0)), factor, into)
        else:
            self.term(_product(above, below), factor, into)

    def term(self, node: Node, factor: float, into: Equation) -> None:
        """Add a nonlinear formula, cut to size."""
        reduced = self.reduced(node)
        if isinstance(reduced, Slot):
            _add(into, reduced.index, factor)
        else:
            into.terms.append((factor, reduced))

    def reduced(self, node: Node) -> Node:
        """Return `node` over slots, cut until it is small enough for a template."""
        if isinstance(node, Name):
            return Slot(self.places[node.name])
        if isinstance(node, Slot | Number):
            return node
        if isinstance(node, Call) and node.function in KINKS | STEPS:
            return self.built_in(node)
        if isinstance(node, Call) and node.function in _LOGARITHMS:
            scale = Number(_LOGARITHMS[node.function])
            return self.reduced(Product((("*", scale), ("*", Call("log", node.arguments)))))
        if isinstance(node, Sum) and (self.steps or len(node.terms) > MAX_SLOTS):
            return self.intermediate(node)
        if isinstance(node, Product) and len(node.factors) > self.most:
            return self.reduced(self.chunked(node))
        made = rebuilt(node, tuple(self.reduced(child) for child in children(node)))
        if self.steps:
            return _step(rebuilt(made, tuple(self.leaf(child) for child in children(made))))
        if not _is_large(made):
            return made
        if isinstance(made, Sum):
            return self.intermediate(made)
        return rebuilt(made, tuple(self.leaf(child) for child in children(made)))

    def chunked(self, node: Product) -> Node:
        """Return a long product as a product of intermediate ones."""
        size = max(self.most, -(-len(node.factors) // self.most))
        parts = [node.factors[i : i + size] for i in range(0, len(node.factors), size)]
        made = []
        for part in parts:
            operator = part[0][0]
            if operator == "/":  # a / b / c is a / (b * c)
                turned = tuple(("*" if o == "/" else "/", f) for o, f in part)
                made.append(("/", self.intermediate(Product(turned))))
            else:
                made.append(("*", self.intermediate(Product(part))))
        return Product(tuple(made), node.start)

    def built_in(self, node: Call) -> Node:
        """Return a function with kinks or steps as an intermediate, two slots at a time."""
        slots = [self.intermediate(self.reduced(a)) for a in node.arguments]
        if len(slots) == 1:
            return self.defined(Call(node.function, (slots[0],)))
        slots = list(dict.fromkeys(slots))
        while len(slots) > 1:
            pairs = zip(slots[::2], slots[1::2], strict=False)
            left = slots[len(slots) // 2 * 2 :]
            slots = [self.defined(Call(node.function, pair)) for pair in pairs] + left
        return slots[0]

    def leaf(self, node: Node) -> Node:
        """Return a slot or number for the formula."""
        return node if isinstance(node, Slot | Number) else self.intermediate(node)

    def intermediate(self, node: Node) -> Slot:
        """Return the intermediate that has the value of the formula."""
        if isinstance(node, Slot):
            return node
        if node not in self.known:
            self.number(node, self.equation(node))
        return Slot(self.known[node])

    def defined(self, node: Node) -> Slot:
        """Return the intermediate that is this one term, which is not cut any more."""
        if node not in self.known:
            self.number(node, Equation(terms=[(1.0, node)]))
        return Slot(self.known[node])

    def number(self, node: Node, equation: Equation) -> None:
        """Give the equation of a formula the next number."""
        self.known[node] = len(self.places) + len(self.intermediates)
        self.intermediates.append(equation)


def _add(into: Equation, index: int, factor: float) -> None:
    into.affine[index] = into.affine.get(index, 0.0) + factor


def _product(above: list[Node], below: list[Node]) -> Node:
    if len(above) == 1 and not below:
        return above[0]
    return Product(tuple(("*", f) for f in above) + tuple(("/", f) for f in below))


def _step(node: Node) -> Node:
    """Make the exponent a number of the instance, so that all exponents have one template."""
    if isinstance(node, Power) and isinstance(node.exponent, Number):
        return Call("power", (node.base, node.exponent)) if isinstance(node.base, Slot) else node
    return node


def _is_large(node: Node) -> bool:
    below = children(node)
    if len(below) < 3 and all(isinstance(child, Slot | Number) for child in below):
        return False  # as most are
    nodes = list(walk(node))
    if len(nodes) > MAX_NODES or len({n for n in nodes if isinstance(n, Slot)}) > MAX_SLOTS:
        return True
    return _depths(node) > MAX_DEPTHS


def _depths(node: Node, depth: int = 0) -> int:
    """Return the sum of the squared depths of the slots in a (small) formula."""
    if isinstance(node, Slot):
        return depth * depth if depth <= MAX_DEPTH else MAX_DEPTHS + 1
    general = isinstance(node, Power) and not isinstance(node.exponent, Number)
    step = 2 if general else 1  # the derivatives of x^y are twice as long
    return sum(_depths(child, depth + step) for child in children(node))


def _work(equations: Sequence[Equation]) -> int:
    """Return about how much differentiating all different templates takes.

    Measured: 50 units, what the smallest template takes, are about a tenth of a millisecond.
    """
    works: dict[Key, int] = {}
    for made in equations:
        for (_, node), (key, _, _) in zip(made.terms, made.signed(), strict=True):
            if key not in works:
                works[key] = 50 + _depths(node)
    return sum(works.values())


@dataclass(frozen=True, slots=True)
class _Group:
    """All instances of one template: where they stand and with which numbers."""

    template: Template
    equations: Indices
    coefficients: Array
    slots: Indices
    numbers: Array

    def evaluated(self, function: Any, count: int, y: Array) -> Array:
        """Return the `count` results of `function` for all instances, as rows."""
        made = np.empty((count, self.equations.size))
        if count:
            for i, values in enumerate(function(*y[self.slots], *self.numbers)):
                made[i] = values
        return made


def _groups(equations: Sequence[tuple[int, Equation]]) -> list[_Group]:
    found: dict[Key, list[tuple[int, float, list[int], list[float]]]] = {}
    for place, equation in equations:
        signed = zip(equation.terms, equation.signed(), strict=True)
        for (coefficient, _), (key, slots, numbers) in signed:
            found.setdefault(key, []).append((place, coefficient, slots, numbers))
    return [_group(template(key), instances) for key, instances in found.items()]


def _group(made: Template, instances: list[tuple[int, float, list[int], list[float]]]) -> _Group:
    places, coefficients, slots, numbers = zip(*instances, strict=True)
    return _Group(
        made,
        np.array(places, dtype=np.intp),
        np.array(coefficients, dtype=np.float64),
        np.array(slots, dtype=np.intp).reshape(len(places), -1).T,
        np.array(numbers, dtype=np.float64).reshape(len(places), -1).T,
    )


class _Pattern:
    """Where the entries of a matrix go; entries at one place are added."""

    def __init__(self, rows: Indices, columns: Indices, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.dense = shape[0] * shape[1] <= _DENSE
        flat = rows * shape[1] + columns
        if self.dense:
            self.places = flat
            return
        unique, self.places = np.unique(flat, return_inverse=True)
        counts = np.bincount(unique // shape[1], minlength=shape[0])
        self.pointers = np.concatenate([[0], np.cumsum(counts)])
        self.indices = unique % shape[1]

    def matrix(self, entries: Array) -> Any:
        """Return the matrix with these entries, a dense or a CSR one."""
        if self.dense:
            size = self.shape[0] * self.shape[1]
            return np.bincount(self.places, entries, minlength=size).reshape(self.shape)
        data = np.bincount(self.places, entries, minlength=self.indices.size)
        return sparse.csr_array((data, self.indices, self.pointers), shape=self.shape)


class Assembly:
    """Derivatives of formulas over named parameters.

    Parameters
    ----------
    formulas : sequence of Node
        The rows.
    names : sequence of str
        The parameters in the order of x.
    texts : int
        From how many texts the rows come: each may take its share of work.
    cut : Cut, optional
        Equations without intermediates that are known of some of the formulas.
    """

    def __init__(
        self,
        formulas: Sequence[Node],
        names: Sequence[str],
        texts: int = 1,
        cut: Cut | None = None,
    ) -> None:
        cutter, known = Cutter(names), cut or {}
        rows = [
            known[id(node)][1] if id(node) in known else cutter.equation(node) for node in formulas
        ]
        if _work([*cutter.intermediates, *rows]) > MAX_WORK * texts:
            cutter = Cutter(names, steps=True)
            rows = [cutter.equation(node) for node in formulas]
        self.n, self.m, self.k = len(names), len(rows), len(cutter.intermediates)
        equations = list(enumerate([*cutter.intermediates, *rows]))
        self._affine_entries(equations)
        self._groups = _groups(equations)
        self._levels = _levels(equations[: self.k], self.n)
        self._first_pattern()

    def _affine_entries(self, equations: list[tuple[int, Equation]]) -> None:
        entries = [(e, i, a) for e, made in equations for i, a in made.affine.items()]
        rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
        self._rows = np.array(rows, dtype=np.intp)
        self._columns = np.array(columns, dtype=np.intp)
        self._coefficients = np.array(values, dtype=np.float64)

    def _first_pattern(self) -> None:
        rows, columns = [self._rows], [self._columns]
        for group in self._groups:
            for i in group.template.firsts:
                rows.append(group.equations)
                columns.append(group.slots[i])
        shape = (self.k + self.m, self.n + self.k)
        self._extended = _Pattern(np.concatenate(rows), np.concatenate(columns), shape)

    @cached_property
    def _second_pattern(self) -> _Pattern:
        rows, columns = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
        for group in self._groups:
            for i, j in group.template.seconds:
                rows.append(group.slots[i])
                columns.append(group.slots[j])
                if i != j:
                    rows.append(group.slots[j])
                    columns.append(group.slots[i])
        size = self.n + self.k
        return _Pattern(np.concatenate(rows), np.concatenate(columns), (size, size))

    def _completed(self, x: Array) -> Array:
        """Return y = (x, u)."""
        y = np.concatenate([x, np.zeros(self.k)])
        for level in self._levels:
            level.fill(y, self.n)
        return y

    def _first(self, y: Array) -> Any:
        parts = [self._coefficients]
        for group in self._groups:
            made = group.template
            slopes = group.evaluated(made.gradient, len(made.firsts), y)
            parts.append((_tamed(slopes) * group.coefficients).ravel())
        return self._extended.matrix(np.concatenate(parts))

    def _inner(self, extended: Any) -> Any:
        """Return U = du/dx."""
        direct, nested = extended[: self.k, : self.n], extended[: self.k, self.n :]
        inner = direct
        for _ in self._levels[1:]:
            inner = direct + product(nested, inner)
        return inner

    def jacobian(self, x: Array) -> Any:
        """Return the (m, n) matrix of first derivatives, a dense or a CSR one."""
        with np.errstate(all="ignore"):
            extended = self._first(self._completed(x))
            if not self.k:
                return extended
            rows = extended[self.k :]
            return rows[:, : self.n] + product(rows[:, self.n :], self._inner(extended))

    def hessian(self, x: Array, multipliers: Array) -> Any:
        """Return sum_j multipliers_j Hess c_j, (n, n), a dense or a CSR one."""
        second, inner = self.extended_hessian(x, multipliers)
        if inner is None:
            return second
        n = self.n
        mixed = product(inner.T, second[n:, :n])
        corner = product(inner.T, product(second[n:, n:], inner))
        return second[:n, :n] + mixed + mixed.T + corner

    def hessian_product(self, x: Array, multipliers: Array, v: Array) -> Array:
        """Return the same times v, without making a matrix that is denser than the terms."""
        second, inner = self.extended_hessian(x, multipliers)
        if inner is None:
            return times(second, v)
        whole = times(second, np.concatenate([v, times(inner, v)]))
        return np.asarray(whole[: self.n] + transposed_times(inner, whole[self.n :]))

    def extended_hessian(self, x: Array, multipliers: Array) -> tuple[Any, Any]:
        """Return S, (n + k, n + k), and U, (k, n), of H = [I; U]' S [I; U]; U None if k = 0."""
        with np.errstate(all="ignore"):
            y = self._completed(x)
            if not self.k:
                return self._second(y, multipliers), None
            extended = self._first(y)
            below = transposed_times(extended[self.k :, self.n :], multipliers)
            weights = below
            for _ in self._levels[1:]:
                weights = below + transposed_times(extended[: self.k, self.n :], weights)
            second = self._second(y, np.concatenate([weights, multipliers]))
            return second, self._inner(extended)

    def _second(self, y: Array, weights: Array) -> Any:
        """Return sum_e weights_e Hess_e over the extended vector."""
        parts = [np.empty(0)]
        for group in self._groups:
            made = group.template
            bends = group.evaluated(made.hessian, len(made.seconds), y)
            scaled = _tamed(bends) * (group.coefficients * weights[group.equations])
            for (i, j), entries in zip(made.seconds, scaled, strict=True):
                parts += [entries] if i == j else [entries, entries]
        return self._second_pattern.matrix(np.concatenate(parts))

    def constant_curvature(self) -> NDArray[np.bool_]:
        """Tell of each row whether its second derivatives are known to be constant."""
        known = np.ones(self.k + self.m, dtype=bool)
        for group in self._groups:
            known[group.equations] &= group.template.constant_curvature
        known[self._rows[self._columns >= self.n]] = False
        for group in self._groups:
            known[group.equations[(group.slots >= self.n).any(axis=0)]] = False
        return known[self.k :]


def _tamed(derivatives: Array) -> Array:
    """Replace derivatives that do not exist by 0, and infinite ones by very steep ones."""
    if np.isfinite(derivatives).all():
        return derivatives
    return np.nan_to_num(derivatives, nan=0.0, posinf=STEEP, neginf=-STEEP)


@dataclass(frozen=True, slots=True)
class _Level:
    """Intermediates that need only those of the levels before."""

    members: Indices
    constants: Array
    rows: Indices
    columns: Indices
    coefficients: Array
    groups: list[_Group]

    def fill(self, y: Array, first: int) -> None:
        """Put the values of the members into y."""
        size = self.members.size
        total = self.constants + np.bincount(
            self.rows, self.coefficients * y[self.columns], minlength=size
        )
        for group in self.groups:
            values = group.evaluated(group.template.value, 1, y)[0]
            total += np.bincount(group.equations, group.coefficients * values, minlength=size)
        y[first + self.members] = total


def _levels(intermediates: list[tuple[int, Equation]], first: int) -> list[_Level]:
    level_of: list[int] = []
    for _, equation in intermediates:
        needed = [i - first for i in equation.affine if i >= first]
        for _, node in equation.terms:
            needed += [s.index - first for s in walk(node) if isinstance(s, Slot)]
        level_of.append(1 + max((level_of[i] for i in needed if i >= 0), default=-1))
    return [
        _level([pair for pair, at in zip(intermediates, level_of, strict=True) if at == depth])
        for depth in range(max(level_of, default=-1) + 1)
    ]


def _level(members: list[tuple[int, Equation]]) -> _Level:
    local = [(i, equation) for i, (_, equation) in enumerate(members)]
    entries = [(e, i, a) for e, made in local for i, a in made.affine.items()]
    rows, columns, values = zip(*entries, strict=True) if entries else ((), (), ())
    return _Level(
        np.array([place for place, _ in members], dtype=np.intp),
        np.array([equation.constant for _, equation in members], dtype=np.float64),
        np.array(rows, dtype=np.intp),
        np.array(columns, dtype=np.intp),
        np.array(values, dtype=np.float64),
        _groups(local),
    )
