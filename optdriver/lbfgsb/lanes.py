"""Many states advanced by one call: each a lane of its own, none of which knows of the others."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.optdriver.lbfgsb.constants import DONE
    from cython.cimports.optdriver.lbfgsb.lanes import step_t
    from cython.cimports.optdriver.lbfgsb.linalg import copy
    from cython.cimports.optdriver.lbfgsb.machine import take
    from cython.cimports.optdriver.lbfgsb.state import Scratch, State, integers, numbers
else:
    from optdriver.lbfgsb.codes import DONE
    from optdriver.lbfgsb.linalg import copy
    from optdriver.lbfgsb.machine import take
    from optdriver.lbfgsb.state import Scratch, State, cut, numbers

from optdriver.lbfgsb.machine import scratch


def readable(block: Any) -> cython.p_double:
    """Return what the kernel reads a contiguous array of float64 by, a read-only one too."""
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        view: cython.const[cython.double][::1] = block  # type: ignore[valid-type]
        return cython.cast(cython.p_double, cython.address(view[0]))
    else:  # noqa: RET505 - one of the two branches is not compiled
        return memoryview(block)


def advance_lane(
    s: State,
    q: Scratch,
    f: cython.double,
    g: cython.p_double,
    x: cython.p_double,
) -> cython.void:
    """Take the value f and the gradient g at the pending point of s; leave the next one in x."""
    copy(g, s.gt, s.n)
    take(s, q, f)
    copy(s.xt, x, s.n)


def advance_lanes(states: tuple[State, ...], f: Any, g: Any, x: Any) -> list[int]:
    """Advance every state by the evaluation of its pending point.

    Parameters
    ----------
    states : tuple of State
        k states with the same n and m, none of them DONE and no one twice.
    f : (k,) array
        Values; not finite where the evaluation failed.
    g : (k, n) array
        Gradients.
    x : (k, n) array
        The next pending points are left here.

    Returns
    -------
    list of int
        The places of the states that are DONE now.

    Notes
    -----
    The arrays are contiguous and of float64.  Nothing is checked.
    """
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t
    count: cython.Py_ssize_t = len(states)
    s: State
    if count == 0:
        return []
    s = states[0]
    n = s.n
    q: Scratch = scratch(n, s.m)
    values: cython.p_double = readable(f)
    gradients: cython.p_double = readable(g.reshape(-1))
    points: cython.p_double = numbers(x.reshape(-1))
    if cython.compiled:  # pragma: no cover - compiled code cannot be traced
        places: Any = np.empty(count, dtype=np.intp)
        lane: cython.p_Py_ssize_t = integers(places)
        work: cython.p_void = cython.cast(cython.p_void, q)
        step: step_t = cython.cast(step_t, cython.cast(cython.p_void, advance_lane))
        for i in range(count):
            s = states[i]
            lane[i] = cython.cast(cython.Py_ssize_t, cython.cast(cython.p_void, s))
        with cython.nogil:
            for i in range(count):
                step(
                    cython.cast(cython.p_void, lane[i]),
                    work,
                    values[i],
                    gradients + i * n,
                    points + i * n,
                )
    else:
        for i in range(count):
            advance_lane(states[i], q, values[i], cut(gradients, i * n, n), cut(points, i * n, n))
    ended: list[int] = []
    for i in range(count):
        s = states[i]
        if s.phase == DONE:
            ended.append(i)
    return ended
