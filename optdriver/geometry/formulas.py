"""Formulas in the variables of a subproblem: their values, gradients and second derivatives.

A subproblem is posed in t, with x = x0 + step * t for the variables that move.  Its rows c and e
are formulas times a weight each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY, fabs
    from cython.cimports.optdriver.geometry.steps import Program, carry_out, room, run, run_entered
    from cython.cimports.optdriver.lbfgsb.linalg import all_finite, finite
    from cython.cimports.optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading
else:
    from math import fabs
    from math import inf as INFINITY

    from optdriver.geometry.steps import Program, carry_out, room, run, run_entered
    from optdriver.lbfgsb.linalg import all_finite, finite
    from optdriver.lbfgsb.state import cut, cut_integers, integers, numbers, reading


class System:
    """Programs for all rows; nothing here changes.

    Attributes
    ----------
    values : Program
        From x to the rows.
    slopes, bends : Program
        From x to the entries of the Jacobian, and from x and one multiplier a row to those of the
        lower triangle of the Hessian of multipliers times rows; both but for zeros.
    slope_rows, slope_columns, bend_rows, bend_columns : ndarray of intp
        Where the entries belong.
    """

    def __init__(
        self,
        values: Program,
        slopes: Program,
        bends: Program,
        slope_places: Any,
        bend_places: Any,
    ) -> None:
        self.values = values
        self.slopes = slopes
        self.bends = bends
        self.n = values.size
        self.k = values.width
        self.whole = np.concatenate([*slope_places, *bend_places, [0]]).astype(np.intp)
        p: cython.p_Py_ssize_t = integers(self.whole)
        i: cython.Py_ssize_t = slopes.width
        j: cython.Py_ssize_t = bends.width
        self.slope_rows = cut_integers(p, 0, i)
        self.slope_columns = cut_integers(p, i, i)
        self.bend_rows = cut_integers(p, 2 * i, j)
        self.bend_columns = cut_integers(p, 2 * i + j, j)

    def rows(self, x: Any, unit: Any = None, weights: Any = None) -> Any:
        """Return the k rows at x, or at x * unit, each times its weight."""
        i: cython.Py_ssize_t
        made = np.empty(self.k)
        if not self.k:
            return made
        registers: cython.p_double = room(self.values)
        out: cython.p_double = numbers(made)
        enter(registers, x, unit, self.n)
        run_entered(self.values, registers, out)
        if weights is not None:
            w: cython.p_double = reading(weights)
            for i in range(self.k):
                out[i] *= w[i]
        return made

    def hold(self, x: Any, unit: Any, box: Any, limits: Any) -> bool:
        """Say whether x is in the box and no row above its limit; the last ones in size.

        Parameters
        ----------
        x : ndarray, shape (n,)
        unit : ndarray, shape (n,), or None
        box : (lower, upper)
        limits : ndarray, shape (k,)
            That of a row that should be zero is negative: its size is at most minus that.
        """
        i: cython.Py_ssize_t
        given: cython.p_double = reading(x)
        low: cython.p_double = reading(box[0])
        high: cython.p_double = reading(box[1])
        for i in range(self.n):
            if not low[i] <= given[i] <= high[i]:
                return False
        rows: Any = self.rows(x, unit)
        c: cython.p_double = reading(rows)
        limit: cython.p_double = reading(limits)
        for i in range(self.k):
            if not (c[i] if limit[i] >= 0.0 else fabs(c[i])) <= fabs(limit[i]):
                return False
        return True

    def jacobian(self, x: Any, unit: Any = None, weights: Any = None) -> Any:
        """Return the (k, n) matrix of first derivatives, or None if one is not finite.

        With a unit it is that of the rows at x * unit, by x; each row is times its weight.
        """
        i: cython.Py_ssize_t
        w: cython.Py_ssize_t = self.slopes.width
        n: cython.Py_ssize_t = self.n
        made: Any = np.zeros((self.k, n))
        if not w:
            return made
        p: Program = self.slopes
        registers: cython.p_double = room(p)
        enter(registers, x, unit, n)
        carry_out(p, registers)
        out: cython.p_double = reading(made)
        for i in range(w):
            if not finite(registers[p.outputs[i]]):
                return None
            out[self.slope_rows[i] * n + self.slope_columns[i]] = registers[p.outputs[i]]
        if unit is not None:
            scale_columns(out, reading(unit), self.k, n)
        if weights is not None:
            scale_rows(out, reading(weights), self.k, n)
        return made

    def hessian(self, x: Any, multipliers: Any, unit: Any = None) -> Any:
        """Return the (n, n) Hessian of multipliers times rows, or None if it is not finite.

        With a unit it is that of the rows at x * unit, by x.
        """
        i: cython.Py_ssize_t
        j: cython.Py_ssize_t
        w: cython.Py_ssize_t = self.bends.width
        n: cython.Py_ssize_t = self.n
        made: Any = np.zeros((n, n))
        if not w:
            return made
        p: Program = self.bends
        registers: cython.p_double = room(p)
        y: cython.p_double = reading(multipliers)
        enter(registers, x, unit, n)
        for i in range(self.k):
            registers[n + i] = y[i]
        carry_out(p, registers)
        out: cython.p_double = reading(made)
        for i in range(w):
            if not finite(registers[p.outputs[i]]):
                return None
            out[self.bend_rows[i] * n + self.bend_columns[i]] = registers[p.outputs[i]]
        mirror_lower(out, n)
        if unit is not None:
            u: cython.p_double = reading(unit)
            for i in range(n):
                for j in range(n):
                    out[i * n + j] = u[i] * out[i * n + j] * u[j]
        return made


def enter(registers: cython.p_double, x: Any, unit: Any, n: cython.Py_ssize_t) -> None:
    """Write the n numbers x, or x * unit, into the registers of what goes in."""
    i: cython.Py_ssize_t
    given: cython.p_double = reading(x)
    if unit is None:
        for i in range(n):
            registers[i] = given[i]
    else:
        u: cython.p_double = reading(unit)
        for i in range(n):
            registers[i] = given[i] * u[i]


def scale_columns(
    a: cython.p_double, unit: cython.p_double, k: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.void:
    """Multiply the columns of a (k, n) matrix."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    for i in range(k):
        for j in range(n):
            a[i * n + j] *= unit[j]


def scale_rows(
    a: cython.p_double, weight: cython.p_double, k: cython.Py_ssize_t, n: cython.Py_ssize_t
) -> cython.void:
    """Multiply the rows of a (k, n) matrix."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    for i in range(k):
        for j in range(n):
            a[i * n + j] *= weight[i]


def mirror_lower(a: cython.p_double, n: cython.Py_ssize_t) -> cython.void:
    """Copy the lower triangle of an (n, n) matrix into the upper one."""
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    for i in range(n):
        for j in range(i):
            a[j * n + i] = a[i * n + j]


class Formulas:
    """A system at one iterate: in t, the rows chosen and weighted.

    Attributes
    ----------
    base, step, low, high : (n,)
        x0; what one unit of t is (0 for a variable that does not move); the box of x.
    left, right : (n,)
        The sides of t that are sides of the box; infinite where they are not.
    place : (n,)
        Which t each variable is, or -1.
    row : (k,)
        Which of the rows (c, e) each formula is, or -1 if it is none.
    weight : (k,)
    x, raw, slopes, bends, given : scratch
    """

    def __init__(
        self,
        system: System,
        x: Any,
        step: Any,
        box: Any,
        sides: Any,
        unit: Any,
        places: Any,
        weight: Any,
        others: Any,
    ) -> None:
        """Take x and one unit of t, as the rows' variables are before their `unit`.

        `places` is `place`, `row` and one number more; `sides` are those of t, from -1 to 1 where
        the box is farther away; the weight of a row is that of all times that in (c, e).
        """
        n: cython.Py_ssize_t = system.n
        k: cython.Py_ssize_t = system.k
        a: cython.Py_ssize_t
        i: cython.Py_ssize_t = system.slopes.width
        j: cython.Py_ssize_t = system.bends.width
        self.system = system
        self.n = n
        self.k = k
        self.reals = np.zeros(7 * n + 3 * k + i + j + 1)
        self.whole = places
        self.registers = [each.scratch() for each in (system.values, system.slopes, system.bends)]
        p: cython.p_double = numbers(self.reals)
        self.base = cut(p, 0, n)
        self.step = cut(p, n, n)
        self.low = cut(p, 2 * n, n)
        self.high = cut(p, 3 * n, n)
        self.left = cut(p, 4 * n, n)
        self.right = cut(p, 5 * n, n)
        self.weight = cut(p, 6 * n, k)
        self.x = cut(p, 6 * n + k, n + k)  # x, and then one multiplier a row
        self.raw = cut(p, 7 * n + 2 * k, k)
        self.slopes = cut(p, 7 * n + 3 * k, i)
        self.bends = cut(p, 7 * n + 3 * k + i, j)
        w: cython.p_Py_ssize_t = integers(self.whole)
        self.place = cut_integers(w, 0, n)
        self.row = cut_integers(w, n, k)
        self.for_values = numbers(self.registers[0])
        self.for_slopes = numbers(self.registers[1])
        self.for_bends = numbers(self.registers[2])
        here: cython.p_double = reading(x)
        length: cython.p_double = reading(step)
        low: cython.p_double = reading(box[0])
        high: cython.p_double = reading(box[1])
        left: cython.p_double = reading(sides[0])
        right: cython.p_double = reading(sides[1])
        own: cython.p_double = reading(weight)
        other: cython.p_double = reading(others)
        for a in range(n):
            self.base[a] = here[a]
            self.low[a] = low[a]
            self.high[a] = high[a]
            self.left[a] = -INFINITY
            self.right[a] = INFINITY
            i = self.place[a]
            if i >= 0:
                self.step[a] = length[a]
                self.left[a] = left[i] if left[i] > -1.0 else -INFINITY
                self.right[a] = right[i] if right[i] < 1.0 else INFINITY
        if unit is not None:
            size: cython.p_double = reading(unit)
            for a in range(n):
                self.base[a] *= size[a]
                self.step[a] *= size[a]
                self.low[a] *= size[a]
                self.high[a] *= size[a]
        for a in range(k):
            if self.row[a] >= 0:
                self.weight[a] = own[a] * other[self.row[a]]


def locate(s: Formulas, t: cython.p_double) -> cython.void:
    """Set x to x0 + step * t, in the box; at a side of it where t is."""
    i: cython.Py_ssize_t
    x: cython.double
    u: cython.double
    for i in range(s.n):
        x = s.base[i]
        if s.place[i] >= 0:
            u = t[s.place[i]]
            x += s.step[i] * u
            if u <= s.left[i]:
                x = s.low[i]
            elif u >= s.right[i]:
                x = s.high[i]
            if x < s.low[i]:
                x = s.low[i]
            if x > s.high[i]:
                x = s.high[i]
        s.x[i] = x


def fill_values(s: Formulas, t: cython.p_double, out: cython.p_double) -> cython.void:
    """Out <- the rows (c, e) at t."""
    i: cython.Py_ssize_t
    locate(s, t)
    run(s.system.values, s.x, s.for_values, s.raw)
    for i in range(s.k):
        if s.row[i] >= 0:
            out[s.row[i]] = s.raw[i] * s.weight[i]


def fill_slopes(
    s: Formulas, t: cython.p_double, out: cython.p_double, n: cython.Py_ssize_t
) -> cython.bint:
    """Out <- the gradients of the rows by t, n numbers each; False if one is not finite."""
    system: System = s.system
    i: cython.Py_ssize_t
    row: cython.Py_ssize_t
    column: cython.Py_ssize_t
    locate(s, t)
    run(system.slopes, s.x, s.for_slopes, s.slopes)
    if not all_finite(s.slopes, system.slopes.width):
        return False
    for i in range(system.slopes.width):
        row = s.row[system.slope_rows[i]]
        column = s.place[system.slope_columns[i]]
        if row >= 0 and column >= 0:
            out[row * n + column] = (
                s.slopes[i] * s.weight[system.slope_rows[i]] * s.step[system.slope_columns[i]]
            )
    return True


def add_bends(
    s: Formulas,
    t: cython.p_double,
    multipliers: cython.p_double,
    out: cython.p_double,
    n: cython.Py_ssize_t,
) -> cython.bint:
    """Add the Hessian of multipliers times rows by t; False, adding nothing, if not finite."""
    system: System = s.system
    i: cython.Py_ssize_t
    a: cython.Py_ssize_t
    b: cython.Py_ssize_t
    y: cython.double
    if system.bends.width == 0:
        return True
    locate(s, t)
    for i in range(s.k):
        s.x[s.n + i] = multipliers[s.row[i]] * s.weight[i] if s.row[i] >= 0 else 0.0
    run(system.bends, s.x, s.for_bends, s.bends)
    if not all_finite(s.bends, system.bends.width):
        return False
    for i in range(system.bends.width):
        a = s.place[system.bend_rows[i]]
        b = s.place[system.bend_columns[i]]
        if a >= 0 and b >= 0:
            y = s.bends[i] * s.step[system.bend_rows[i]] * s.step[system.bend_columns[i]]
            out[a * n + b] += y
            if a != b:
                out[b * n + a] += y
    return True
