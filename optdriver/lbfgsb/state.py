"""The whole state of a run: arrays and numbers, and the scratch that no run owns.

The letters are those of Byrd, Lu, Nocedal and Zhu (1995).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

VERSION = 1

INTEGERS = (
    "phase", "stop", "k", "head", "nit", "nfev", "nfail", "failures", "nskip", "nreset",
    "constrained", "boxed", "maxfun", "maxiter", "maxls",
    "trials", "bracketed", "stage", "hampered", "single",
)  # fmt: skip

REALS = (
    "ftol", "gtol", "initial_step", "noise", "f", "theta", "pgnorm",
    "f0", "slope0", "stp", "stpmax", "stx", "fx", "gx", "sty", "fy", "gy",
    "stmin", "stmax", "width", "width1", "best_f", "best_stp",
)  # fmt: skip

VECTORS = ("l", "u", "x", "g", "d", "z", "xt", "gt", "xb", "gb")
INDICES = ("where", "free")
MATRICES = ("ss", "sy", "zyy", "ass", "msy")


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
    w : (n, 2m)
        The correction pairs, one row a variable: ``y_0[i], s_0[i], y_1[i], s_1[i], ...``, so that
        one sweep over the rows meets every number once.  The slots are a ring: the `k` pairs
        stored begin at slot `head`, the oldest.
    theta
        B_0 = theta I.
    ss, sy : (m, m)
        S'S and S'Y, indexed by slot.  L is the part of S'Y with the row newer than the column,
        D its diagonal.
    zyy, ass, msy : (m, m)
        Y'ZZ'Y over the free variables, S'AA'S over the active ones, and S'Y over the active ones
        where the row is newer than the column (L_A of the paper), else over the free (R_Z).
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
    """

    def __init__(self, n: int, m: int) -> None:
        self.n = n
        self.m = m
        self.phase = self.stop = self.k = self.head = 0
        self.nit = self.nfev = self.nfail = self.failures = self.nskip = self.nreset = 0
        self.constrained = self.boxed = 0
        self.maxfun = self.maxiter = self.maxls = 0
        self.trials = self.bracketed = self.stage = self.hampered = 0
        self.single = 1
        self.ftol = self.gtol = self.initial_step = self.noise = 0.0
        self.f = self.pgnorm = self.best_f = float("inf")
        self.theta = 1.0
        self.best_stp = -1.0
        self.f0 = self.slope0 = self.stp = self.stpmax = 0.0
        self.stx = self.fx = self.gx = self.sty = self.fy = self.gy = 0.0
        self.stmin = self.stmax = self.width = self.width1 = 0.0
        self._bind(_allocate(n, m))

    def _bind(self, arrays: dict[str, Any]) -> None:
        """Point the kernel's views at `arrays`."""
        self.arrays = arrays
        self.l = arrays["l"].data
        self.u = arrays["u"].data
        self.x = arrays["x"].data
        self.g = arrays["g"].data
        self.d = arrays["d"].data
        self.z = arrays["z"].data
        self.xt = arrays["xt"].data
        self.gt = arrays["gt"].data
        self.xb = arrays["xb"].data
        self.gb = arrays["gb"].data
        self.where = arrays["where"].data
        self.free = arrays["free"].data
        self.w = arrays["w"].data
        self.ss = arrays["ss"].data
        self.sy = arrays["sy"].data
        self.zyy = arrays["zyy"].data
        self.ass = arrays["ass"].data
        self.msy = arrays["msy"].data

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
        return from_dict(self.to_dict())

    def __reduce__(self) -> tuple[Any, ...]:
        return from_dict, (self.to_dict(),)


def _allocate(n: int, m: int) -> dict[str, Any]:
    """Make the arrays of a state, cut from one block of numbers and one of integers."""
    sizes = [n] * len(VECTORS) + [m * m] * len(MATRICES) + [2 * n * m]
    parts = np.split(np.zeros(sum(sizes)), np.cumsum(sizes[: len(sizes) - 1]))
    arrays: dict[str, Any] = dict(zip(VECTORS, parts, strict=False))
    for name, part in zip(MATRICES, parts[len(VECTORS) :], strict=False):
        arrays[name] = part.reshape(m, m)
    arrays["w"] = parts[len(sizes) - 1].reshape(n, 2 * m)
    arrays["where"], arrays["free"] = np.zeros((2, n), dtype=np.intp)
    arrays["free"][:] = 1
    return arrays


def from_dict(fields: Mapping[str, Any]) -> State:
    """Rebuild a state from `State.to_dict`; arrays may have become lists on the way."""
    version = fields.get("version")
    if version != VERSION:
        raise ValueError(f"state has version {version!r}, this optdriver reads {VERSION}")
    state = State(int(fields["n"]), int(fields["m"]))
    for name in INTEGERS:
        setattr(state, name, int(fields[name]))
    for name in REALS:
        setattr(state, name, float(fields[name]))
    for name, array in state.arrays.items():
        given = np.asarray(fields[name], dtype=array.dtype)
        if given.size != array.size:
            raise ValueError(f"{name!r} has shape {given.shape}, expected {array.shape}")
        array[...] = given.reshape(array.shape)
    return state


class Scratch:
    """Work space of one call of the kernel; holds nothing between calls.

    It serves every state with `m` pairs and at most `n` variables.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n = n
        self.m = m
        self.moving = self.nfree = 0
        self.t = np.zeros(n).data
        self.r = np.zeros(n).data
        self.s = np.zeros(n).data
        self.y = np.zeros(n).data
        self.order = np.zeros(n, dtype=np.intp).data
        self.index = np.zeros(n, dtype=np.intp).data
        self.p = np.zeros(2 * m).data
        self.c = np.zeros(2 * m).data
        self.v = np.zeros(2 * m).data
        self.mv = np.zeros(2 * m).data
        self.row = np.zeros(2 * m).data
        self.sums = np.zeros((4, 2 * m)).data
        self.jt = np.zeros((m, m)).data
        self.ld = np.zeros((m, m)).data
        self.k11 = np.zeros((m, m)).data
        self.k12 = np.zeros((m, m)).data
        self.k22 = np.zeros((m, m)).data
