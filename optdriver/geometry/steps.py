"""A straight list of float operations, carried out: numbers in, numbers out, no code is made.

A step is an operation and the registers of its arguments; its result goes to the next register.
Steps of one operation follow one another where they can, since to look what is to be done takes
longer than to do it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc import math as c
    from cython.cimports.optdriver.geometry.functions import value
    from cython.cimports.optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading
else:
    import math as c

    from optdriver.geometry.functions import value
    from optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading

from optdriver.geometry.functions import NAMES
from optdriver.geometry.products import flat, rows_of

CODES = {name: code for code, name in enumerate(NAMES)} | {
    "+": 20,
    "-": 21,
    "*": 22,
    "/": 23,
    "negative": 24,
    "square": 25,
    "power": 26,
    "sqrt": 27,
    "abs": 28,
    "sign": 29,
    "min": 30,
    "max": 31,
    "atan2": 32,
    "trunc": 33,
    "floor": 34,
    "ceil": 35,
    "round": 36,
    "side": 37,
    "not above": 38,
    "not below": 39,
    "hypot": 40,
    "slope": 41,
}
"""The number of each operation."""


COMPILED = bool(cython.compiled)
"""Whether this page is compiled; interpreted, it would be slower than Python's own lists."""


def one_step(code: cython.Py_ssize_t, a: cython.double, b: cython.double) -> cython.double:
    """Return the result of one operation."""
    if code < 20:
        return value(code, a)
    if code == 20:
        return a + b
    if code == 21:
        return a - b
    if code == 22:
        return a * b
    if code == 23:
        return a / b
    if code == 24:
        return -a
    if code == 25:
        return a * a
    if code == 26:
        return c.pow(a, b)
    if code == 27:
        return c.sqrt(a)
    if code == 28:
        return c.fabs(a)
    if code == 29:
        if a > 0.0:
            return 1.0
        if a < 0.0:
            return -1.0
        return a if a != a else 0.0
    if code == 30:
        return a if a <= b or a != a else b
    if code == 31:
        return a if a >= b or a != a else b
    if code == 32:
        return c.atan2(a, b)
    if code == 33:
        return c.trunc(a) + 0.0  # no negative zero
    if code == 34:
        return c.floor(a) + 0.0
    if code == 35:
        return c.ceil(a) + 0.0
    if code == 37:
        return 1.0 if a >= 0.0 else -1.0
    if code == 38:
        return 1.0 if a <= b else 0.0
    if code == 39:
        return 1.0 if a >= b else 0.0
    if code == 40:
        return distance(a, b)
    if code == 41:
        return tamed(a)
    return c.rint(a) + 0.0


def distance(a: cython.double, b: cython.double) -> cython.double:
    """Return the length of (a, b) as Python computes it: C's own has other last digits."""
    return math.hypot(a, b)


def tamed(a: cython.double) -> cython.double:
    """Return a slope, 0 where there is none, and one of size 1e12 where it is infinite."""
    if a != a:
        return 0.0
    if a - a != 0.0:
        return 1e12 if a > 0.0 else -1e12
    return a


def carry_out(p: Program, x: cython.p_double) -> cython.void:
    """Fill the registers x of the results."""
    k: cython.Py_ssize_t
    i: cython.Py_ssize_t
    code: cython.Py_ssize_t
    end: cython.Py_ssize_t
    at: cython.Py_ssize_t = 0
    first: cython.Py_ssize_t = p.first
    for k in range(p.groups):
        code = p.kinds[2 * k]
        end = p.kinds[2 * k + 1]
        if not cython.compiled:
            for i in range(at, end):
                x[first + i] = _checked(code, x[p.steps[2 * i]], x[p.steps[2 * i + 1]])
        elif code == 20:  # pragma: no cover - compiled code cannot be traced
            for i in range(at, end):
                x[first + i] = x[p.steps[2 * i]] + x[p.steps[2 * i + 1]]
        elif code == 21:  # pragma: no cover - as above
            for i in range(at, end):
                x[first + i] = x[p.steps[2 * i]] - x[p.steps[2 * i + 1]]
        elif code == 22:  # pragma: no cover - as above
            for i in range(at, end):
                x[first + i] = x[p.steps[2 * i]] * x[p.steps[2 * i + 1]]
        elif code == 25:  # pragma: no cover - as above
            for i in range(at, end):
                x[first + i] = x[p.steps[2 * i]] * x[p.steps[2 * i]]
        else:  # pragma: no cover - as above
            for i in range(at, end):
                x[first + i] = one_step(code, x[p.steps[2 * i]], x[p.steps[2 * i + 1]])
        at = end


_SPECIAL = {23: np.divide, 26: np.power, 27: np.sqrt}
_TO_WHOLE = {33: np.trunc, 34: np.floor, 35: np.ceil, 36: np.rint}


def _checked(code: Any, a: Any, b: Any) -> Any:
    """Return a step's result; NumPy knows what C has beyond the domain, and of whole numbers."""
    if code in _TO_WHOLE:
        return float(_TO_WHOLE[code](a)) + 0.0
    try:
        return one_step(code, a, b)
    except (ValueError, OverflowError, ZeroDivisionError):
        with np.errstate(all="ignore"):
            arguments = (np.float64(a), np.float64(b))
            return float(_SPECIAL[code](*arguments[: 1 if code == 27 else 2]))


class Program:
    """Steps with their constants.

    Parameters
    ----------
    size : int
        How many numbers go in.
    constants : sequence of float
        The registers after them.
    steps : sequence of (str, tuple of int)
        Names of operations, see `CODES`, and the registers of one or two arguments.
    outputs : sequence of int
        The registers that are returned.

    Attributes
    ----------
    size, first, count, width : int
        Inputs; the register of the first result; steps; outputs.
    groups : int
        How many groups of steps of one operation there are.
    kinds : (groups, 2)
        Of each its operation, and which step is the first one behind it.
    steps : (count, 2)
        The registers of the arguments.
    registers : ndarray
        The constants in their places; a run writes all others before it reads them.
    """

    def __init__(self, size: int, constants: Any, steps: Any, outputs: Any) -> None:
        first = size + len(constants)
        order = in_groups(steps, first)
        codes = [CODES[steps[i][0]] for i in order] + [-1]
        ends = [i + 1 for i in range(len(order)) if codes[i] != codes[i + 1]]
        arguments = [steps[i][1] for i in order]
        given = [k for where in arguments for k in (where[0], where[len(where) - 1])]
        places = np.arange(first + len(order))
        places[[first + i for i in order]] = places[first:].copy()
        kinds = [k for end in ends for k in (codes[end - 1], end)]
        whole = [*kinds, *places[[*given, *outputs]].tolist(), 0]
        self.size = size
        self.first = first
        self.count = len(order)
        self.groups = len(ends)
        self.width = len(outputs)
        self.registers = np.zeros(first + self.count)
        self.registers[size:first] = constants
        self.cells = numbers(self.registers)
        self.whole = np.array(whole, dtype=np.intp)
        self.kinds = integers(self.whole)
        self.steps = cut_integers(self.kinds, 2 * self.groups, 2 * self.count)
        self.outputs = cut_integers(self.kinds, 2 * (self.groups + self.count), self.width)

    def __call__(self, x: Any) -> Any:
        """Return the outputs for these numbers."""
        given: Any = flat(x)
        if len(given) != self.size:
            raise ValueError(f"a program of {self.size} numbers and {len(given)} given")
        out = np.empty(self.width)
        if self.width:
            run(self, reading(given), room(self), numbers(out))
        return out

    def many(self, points: Any) -> Any:
        """Return the outputs, (k, width), at the rows of `points`, (k, size)."""
        k: cython.Py_ssize_t
        n: cython.Py_ssize_t
        i: cython.Py_ssize_t
        k, n = points.shape
        if n != self.size:
            raise ValueError(f"a program of {self.size} numbers and {n} given")
        made: Any = np.empty((k, self.width))
        rows: Any = rows_of(points)
        x: cython.p_double = reading(rows)
        out: cython.p_double = reading(made)
        registers: cython.p_double = room(self)
        for i in range(k):
            run(self, cut(x, i * n, n), registers, cut(out, i * self.width, self.width))
        return made

    def scratch(self) -> Any:
        """Return the registers to run in: a compiled run, which nothing interrupts, needs no copy.

        Interpreted, threads may run the same program by turns.
        """
        return self.registers if cython.compiled else self.registers.copy()


def room(p: Program) -> cython.p_double:
    """Return the registers to run in, as `Program.scratch` does."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        return p.cells
    else:  # noqa: RET505 - one of the two branches is not compiled
        return numbers(p.scratch())


def in_groups(steps: Any, first: int) -> list[int]:
    """Return the numbers of the steps in an order in which those of one operation are together.

    Results go to registers from `first` on; each step comes behind those that make its arguments.
    """
    users: list[list[int]] = [[] for _ in steps]
    missing = []
    ready: dict[str, list[int]] = {}
    for i, (name, where) in enumerate(steps):
        made = {register - first for register in where if register >= first}
        for j in made:
            users[j].append(i)
        missing.append(len(made))
        if not made:
            ready.setdefault(name, []).append(i)
    order: list[int] = []
    while ready:
        name = max(ready, key=lambda each: len(ready[each]))
        group = ready.pop(name)
        for i in group:  # it grows on the way
            for j in users[i]:
                missing[j] -= 1
                if not missing[j]:
                    same = steps[j][0] == name
                    (group if same else ready.setdefault(steps[j][0], [])).append(j)
        order += group
    return order


def run(
    p: Program, x: cython.p_double, registers: cython.p_double, out: cython.p_double
) -> cython.void:
    """Out <- the outputs for x, in the registers that are given."""
    i: cython.Py_ssize_t
    for i in range(p.size):
        registers[i] = x[i]
    run_entered(p, registers, out)


def run_entered(p: Program, registers: cython.p_double, out: cython.p_double) -> cython.void:
    """Out <- the outputs for what the first registers hold."""
    i: cython.Py_ssize_t
    carry_out(p, registers)
    for i in range(p.width):
        out[i] = registers[p.outputs[i]]
