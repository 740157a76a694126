"""Convergence tests."""

from __future__ import annotations

try:
    import cython
except ImportError:  # pragma: no cover - only where Cython is not installed
    from optdriver.lbfgsb import _shim as cython

if cython.compiled:  # pragma: no cover - compiled code cannot be traced
    from cython.cimports.libc.math import fabs
    from cython.cimports.optdriver.lbfgsb.state import State
else:
    from math import fabs

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


def reduction_is_small(s: State, before: cython.double, after: cython.double) -> cython.bint:
    """Whether (f_k - f_{k+1}) <= ftol max(|f_k|, |f_{k+1}|, 1)."""
    return before - after <= s.ftol * max(max(fabs(before), fabs(after)), 1.0)
