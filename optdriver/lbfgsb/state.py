"""The whole state of a run: arrays and numbers, and the scratch that no run owns.

The letters are those of Byrd, Lu, Nocedal and Zhu (1995).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from optdriver.lbfgsb.soundness import check, check_sizes

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import INFINITY
    from cython.cimports.optdriver.lbfgsb.buffers import contiguous, floats, indices
else:
    from math import inf as INFINITY

VERSION = 5
"""Version 1 did not know `f_start`, 1 and 2 not what `cautious` needs, 1 to 3 not `xs`, and 1 to 4
not `beside` and `left`."""

INTEGERS = (
    "phase", "stop", "k", "head", "nit", "nfev", "nfail", "failures", "nskip", "nreset",
    "constrained", "boxed", "maxfun", "maxiter", "maxls",
    "trials", "bracketed", "stage", "hampered", "single", "cautious", "doubts",
    "beside", "left",
)  # fmt: skip

REALS = (
    "ftol", "gtol", "initial_step", "noise", "f", "theta", "pgnorm",
    "f0", "slope0", "stp", "stpmax", "stx", "fx", "gx", "sty", "fy", "gy",
    "stmin", "stmax", "width", "width1", "best_f", "best_stp", "f_start",
    "unit",
)  # fmt: skip

COUNTED = INTEGERS + REALS

NEW = {"cautious": 0, "doubts": 0, "unit": 1.0}
"""What states of versions 1 and 2 did not have, and how it begins."""

VECTORS = ("l", "u", "x", "g", "d", "z", "xt", "gt", "xb", "gb", "xs")
INDICES = ("where", "free")
MATRICES = ("ss", "lt", "zyy", "zc", "ass")


def numbers(block: Any) -> cython.p_double:
    """Return what the kernel reads and writes a contiguous array of float64 by."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        return floats(block, True)
    else:  # noqa: RET505 - one of the two branches is not compiled
        return memoryview(block)


def reading(block: Any) -> cython.p_double:
    """Return what the kernel reads a contiguous array of float64, of any shape, by."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        return floats(block, False)
    else:  # noqa: RET505 - one of the two branches is not compiled
        return memoryview(block.reshape(-1))


def is_contiguous(array: Any) -> cython.bint:
    """Say whether an array, of any shape, is contiguous and of float64."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        return contiguous(array)
    else:  # noqa: RET505 - one of the two branches is not compiled
        return array.dtype == np.float64 and array.flags.c_contiguous


def integers(block: Any) -> cython.p_Py_ssize_t:
    """Return what the kernel reads and writes a contiguous array of intp by."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        return indices(block)
    else:  # noqa: RET505 - one of the two branches is not compiled
        return memoryview(block)


def finite_sides(lower: Any, upper: Any) -> int:
    """Return how many bounds are finite, or -1 where a lower and an upper one leave no number.

    Parameters
    ----------
    lower, upper : (n,) array
        Contiguous, of float64.
    """
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(lower)
    count: cython.Py_ssize_t = 0
    below: cython.p_double = reading(lower)
    above: cython.p_double = reading(upper)
    for i in range(n):
        if not (below[i] <= above[i] and below[i] < INFINITY and above[i] > -INFINITY):
            return -1
        count += (below[i] > -INFINITY) + (above[i] < INFINITY)
    return int(count)


def cut(
    block: cython.p_double, first: cython.Py_ssize_t, size: cython.Py_ssize_t
) -> cython.p_double:
    """Return the part of a block that begins at `first`."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        return block + first
    else:  # noqa: RET505 - one of the two branches is not compiled
        return block[first : first + size]


def cut_integers(
    block: cython.p_Py_ssize_t, first: cython.Py_ssize_t, size: cython.Py_ssize_t
) -> cython.p_Py_ssize_t:
    """Return the part of a block of integers that begins at `first`."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        return block + first
    else:  # noqa: RET505 - one of the two branches is not compiled
        return block[first : first + size]


class State:
    """State of one run of L-BFGS-B; plain data, the same whether compiled or interpreted.

    Parameters
    ----------
    n : int
        Number of variables.
    m : int
        Number of correction pairs kept (SciPy's ``maxcor``).

    Attributes
    ----------
    phase, stop : int
        `Phase` and `Stop` as numbers; only ``machine.py`` assigns them.
    l, u, x, g, f, pgnorm
        Bounds; the iterate, its gradient and value, the norm of its projected gradient.
    xt, gt
        The pending point, and the gradient told there.
    xb, gb, best_f, best_stp
        The best point evaluated; the step it had, if the present search found it, else -1.
    f_start, xs
        The first value: what has been gained since is a measure of f.  Where that was: how far
        each variable has come since is a measure of it (0 unless `cautious` is 2 or more).
    w : (n, 2m)
        The correction pairs, one row a variable: ``y_0[i], s_0[i], y_1[i], s_1[i], ...``, so that
        one sweep over the rows meets every number once.  The slots are a ring: the `k` pairs
        stored begin at slot `head`, the oldest.
    theta
        B_0 = theta I.
    ss, lt : (m, m), dd : (m,)
        S'S, L' and the diagonal of D, indexed by slot: ``lt[j, i]`` is s_i'y_j where pair i is
        newer than pair j, else 0.
    zyy, zc, ass : (m, m)
        The blocks of the paper's K: Y'ZZ'Y over the free variables, R_Z' - L_A', and S'AA'S over
        the active variables.
    where, free : (n,)
        Where the Cauchy point left each variable (0 free, 1 at its lower bound, 2 at its upper,
        3 fixed); the free variables that the Gram blocks stand for.
    d, z
        Search direction; the point at step 1, minimiser of the model.
    f0, slope0, stp, stx, fx, gx, sty, fy, gy, stmin, stmax, width, width1, bracketed, stage
        The record of the line search, in the names of More and Thuente (1994).
    hampered : int
        1 if a failed evaluation cut this search short, or it ended without sufficient decrease:
        then a small reduction of f says nothing.
    single : int
        1 while every value told is a float32 number.
    cautious : int
        0, or by which rule the unit of f is learnt and a passed test doubted (see `Options`): 9,
        or 1 to 8 for what earlier versions recorded (docs/reference/rules.md).
    unit : float
        What f is measured by where it is smaller: 1, or, if cautious, a power of two near the size
        of the first value and gradient if these are smaller.
    doubts : int
        Iterates in a row that have passed a test and were doubted; from `LOOKING` on, 3, those that
        passed and were looked at again with the memory kept; from `FOLLOWING` on, 6, those that
        were followed since steps grow; from there and `MOST_FOLLOWED`, 30, on, after the memory was
        dropped.
    beside, left : int
        How the run is to end (`Stop`) where a point beside its end is looked at, or was, plus 2
        for further such points; 0 before.  So many ends were none and were left; the last one
        that was looked at is in `z`.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n = n
        self.m = m
        self.phase = self.stop = self.k = self.head = 0
        self.nit = self.nfev = self.nfail = self.failures = self.nskip = self.nreset = 0
        self.constrained = self.boxed = 0
        self.maxfun = self.maxiter = self.maxls = 0
        self.trials = self.bracketed = self.stage = self.hampered = 0
        self.cautious = self.doubts = self.beside = self.left = 0
        self.single = 1
        self.ftol = self.gtol = self.initial_step = self.noise = 0.0
        self.f = self.pgnorm = self.best_f = self.f_start = float("inf")
        self.theta = self.unit = 1.0
        self.best_stp = -1.0
        self.f0 = self.slope0 = self.stp = self.stpmax = 0.0
        self.stx = self.fx = self.gx = self.sty = self.fy = self.gy = 0.0
        self.stmin = self.stmax = self.width = self.width1 = 0.0
        self.reals = np.zeros(len(VECTORS) * n + len(MATRICES) * m * m + m + 2 * n * m)
        self.integers = np.zeros(2 * n + 1, dtype=np.intp)
        self.integers[n:] = 1
        self._arrays: dict[str, Any] = {}
        self._bind()

    def _bind(self) -> None:
        """Point the kernel's view of each array at its numbers."""
        n: cython.Py_ssize_t = self.n
        m: cython.Py_ssize_t = self.m
        mm: cython.Py_ssize_t = m * m
        e: cython.Py_ssize_t
        p: cython.p_double = numbers(self.reals)
        i: cython.p_Py_ssize_t = integers(self.integers)
        self.l = cut(p, 0, n)
        self.u = cut(p, n, n)
        self.x = cut(p, 2 * n, n)
        self.g = cut(p, 3 * n, n)
        self.d = cut(p, 4 * n, n)
        self.z = cut(p, 5 * n, n)
        self.xt = cut(p, 6 * n, n)
        self.gt = cut(p, 7 * n, n)
        self.xb = cut(p, 8 * n, n)
        self.gb = cut(p, 9 * n, n)
        self.xs = cut(p, 10 * n, n)
        e = 11 * n
        self.ss = cut(p, e, mm)
        self.lt = cut(p, e + mm, mm)
        self.zyy = cut(p, e + 2 * mm, mm)
        self.zc = cut(p, e + 3 * mm, mm)
        self.ass = cut(p, e + 4 * mm, mm)
        self.dd = cut(p, e + 5 * mm, m)
        self.w = cut(p, e + 5 * mm + m, 2 * n * m)
        self.where = cut_integers(i, 0, n)
        self.free = cut_integers(i, n, n)

    @property
    def arrays(self) -> dict[str, Any]:
        """The arrays by name, as views."""
        if not self._arrays:
            self._arrays = _names(self.reals, self.integers, self.n, self.m)
        return self._arrays

    def vector(self, name: str) -> Any:
        """Return the view of one of `VECTORS`, without making all the others."""
        first: cython.Py_ssize_t = self.n * VECTORS.index(name)
        return self.reals[first : first + self.n]

    def to_dict(self) -> dict[str, Any]:
        """Return the state as numbers and copies of arrays, ready to be stored."""
        fields: dict[str, Any] = {"version": VERSION, "n": self.n, "m": self.m}
        for name in INTEGERS:
            fields[name] = int(getattr(self, name))
        for name in REALS:
            fields[name] = float(getattr(self, name))
        for name, array in self.arrays.items():
            fields[name] = array.copy()
        return fields

    def copy(self) -> State:
        """Return an independent copy."""
        made = State(self.n, self.m)
        made.reals[:] = self.reals
        made.integers[:] = self.integers
        for name in COUNTED:
            setattr(made, name, getattr(self, name))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return from_dict, (self.to_dict(),)


def _names(reals: Any, integers: Any, n: int, m: int) -> dict[str, Any]:
    """Name the arrays that lie one after the other in the two blocks."""
    arrays: dict[str, Any] = {}
    end = 0
    for name in VECTORS:
        arrays[name] = reals[end : end + n]
        end += n
    for name in MATRICES:
        arrays[name] = reals[end : end + m * m].reshape(m, m)
        end += m * m
    arrays["dd"] = reals[end : end + m]
    arrays["w"] = reals[end + m :].reshape(n, 2 * m)
    arrays["where"] = integers[:n]
    arrays["free"] = integers[n : 2 * n]
    return arrays


def from_dict(fields: Mapping[str, Any]) -> State:
    """Rebuild a state from `State.to_dict`; arrays may have become lists on the way."""
    version = fields.get("version")
    if version in (1, 2, 3, 4):
        old = {"f_start": fields["f"], **NEW} if version < 3 else {}
        fields = {**old, "xs": np.zeros(np.size(fields["x"])), "beside": 0, "left": 0, **fields}
    elif version != VERSION:
        raise ValueError(f"state has version {version!r}, this optdriver reads 1 to {VERSION}")
    n, m = operator.index(fields["n"]), operator.index(fields["m"])
    check_sizes(fields, n, m)
    state = State(n, m)
    for name in INTEGERS:
        setattr(state, name, operator.index(fields[name]))
    for name in REALS:
        setattr(state, name, float(fields[name]))
    for name, array in state.arrays.items():
        given = np.asarray(fields[name], dtype=array.dtype)
        if given.size != array.size:
            raise ValueError(f"{name!r} has shape {given.shape}, expected {array.shape}")
        array[...] = given.reshape(array.shape)
    check(state)
    return state


class Scratch:
    """Work space of one call of the kernel; holds nothing between calls.

    It serves every state with `m` pairs and at most `n` variables.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n = n
        self.m = m
        self.moving = self.nfree = 0
        self.time = 0.0
        self.reals = np.zeros(4 * n + 19 * m + 4 * m * m)
        self.integers = np.zeros(2 * n + 1, dtype=np.intp)
        self._bind()

    def _bind(self) -> None:
        """Point the kernel's view of each array at its numbers."""
        n: cython.Py_ssize_t = self.n
        m: cython.Py_ssize_t = self.m
        mm: cython.Py_ssize_t = m * m
        e: cython.Py_ssize_t
        p: cython.p_double = numbers(self.reals)
        i: cython.p_Py_ssize_t = integers(self.integers)
        self.t = cut(p, 0, n)
        self.r = cut(p, n, n)
        self.s = cut(p, 2 * n, n)
        self.y = cut(p, 3 * n, n)
        e = 4 * n
        self.p = cut(p, e, 2 * m)
        self.c = cut(p, e + 2 * m, 2 * m)
        self.v = cut(p, e + 4 * m, 2 * m)
        self.mv = cut(p, e + 6 * m, 2 * m)
        self.row = cut(p, e + 8 * m, 2 * m)
        self.sums = cut(p, e + 10 * m, 6 * m)
        self.a = cut(p, e + 16 * m, m)
        self.b = cut(p, e + 17 * m, m)
        self.di = cut(p, e + 18 * m, m)
        e += 19 * m
        self.jt = cut(p, e, mm)
        self.k11 = cut(p, e + mm, mm)
        self.k12 = cut(p, e + 2 * mm, mm)
        self.k22 = cut(p, e + 3 * mm, mm)
        self.order = cut_integers(i, 0, n)
        self.index = cut_integers(i, n, n)
