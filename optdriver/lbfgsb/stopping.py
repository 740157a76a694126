"""Convergence tests.

At a bound, and within `gtol` of one, a component of the gradient counts with the distance to the
bound; elsewhere with itself.  Both depend on the unit of the variables: in a narrow box every
point is near a bound, in a wide one every gradient is small.  So beside the norm of the projected
gradient it is asked what the gradient says that f could still fall by, which has the unit of f.
"""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs
    from cython.cimports.optdriver.lbfgsb.linalg import finite
    from cython.cimports.optdriver.lbfgsb.state import State
else:
    from math import fabs

    from optdriver.lbfgsb.linalg import finite
    from optdriver.lbfgsb.state import State


def projected_gradient_norm(s: State, x: cython.p_double, g: cython.p_double) -> cython.double:
    """Return |P(x - g) - x|_inf (Byrd et al. 1995, eq. 6.1)."""
    i: cython.Py_ssize_t
    a: cython.double
    norm: cython.double = 0.0
    for i in range(s.n):
        a = g[i]
        a = max(x[i] - s.u[i], a) if a < 0.0 else min(x[i] - s.l[i], a)
        norm = max(norm, fabs(a))
    return norm


def is_stationary(
    s: State, x: cython.p_double, g: cython.p_double, f: cython.double
) -> cython.bint:
    """Whether the projected gradient is at most gtol, and what it promises is negligible.

    A component above gtol is near its bound then: to go there must be a reduction that the test
    of the reduction calls small, measured by f, or by what the run has gained.  Of the components
    below gtol, the promise over all of the box (over |x| where that has no side) must be at most
    the part 100 gtol of the same.
    """
    i: cython.Py_ssize_t
    a: cython.double
    room: cython.double
    near: cython.double = 0.0
    far: cython.double = 0.0
    scale: cython.double = max(fabs(f), fabs(s.f_start - f))
    if projected_gradient_norm(s, x, g) > s.gtol:
        return False
    for i in range(s.n):
        a = fabs(g[i])
        room = s.u[i] - x[i] if g[i] < 0.0 else x[i] - s.l[i]
        if a == 0.0 or room == 0.0:
            continue
        if a > s.gtol:
            near += a * room
        else:
            far += a * (room if finite(room) else fabs(x[i]))
    return near <= max(s.ftol, 8.881784197001252e-16) * scale and far <= 100.0 * s.gtol * scale


def reduction_is_small(s: State, before: cython.double, after: cython.double) -> cython.bint:
    """Whether (f_k - f_{k+1}) <= ftol max(|f_k|, |f_{k+1}|, 1)."""
    return before - after <= s.ftol * max(max(fabs(before), fabs(after)), 1.0)
