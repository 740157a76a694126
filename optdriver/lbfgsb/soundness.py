"""Whether the kernel can go on from a restored state: it trusts every number that it reads.

Nothing is refused that a run can come to.  What is refused could lead outside of the bounds, or
out of an array, or into a loop without an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optdriver.lbfgsb.codes import (
    BESIDE,
    DONE,
    FOLLOWING,
    MOST_BESIDE,
    MOST_FOLLOWED,
    MOST_LEFT,
    RUNNING,
    SEARCH,
    Phase,
    Stop,
)

FLAGS = ("constrained", "boxed", "bracketed", "hampered", "single")
NOT_NEGATIVE = ("ftol", "gtol", "initial_step", "noise")
FINITE = ("theta", "stp", "stpmax", "stx", "sty", "best_stp")


def check_sizes(fields: Mapping[str, Any], n: int, m: int) -> None:
    """Refuse numbers of variables and pairs that the arrays do not have, before any is made.

    Raises
    ------
    ValueError
    """
    sizes = {"x": n, "xt": n, "dd": m, "ss": m * m, "w": 2 * n * m}
    if n < 0 or m < 1 or any(np.size(fields[name]) != size for name, size in sizes.items()):
        raise ValueError(f"its arrays are not those of {n} variables and {m} pairs")


def check(state: Any) -> None:
    """Refuse a state whose numbers contradict each other.

    Raises
    ------
    ValueError
    """
    _check_counters(state)
    arrays = state.arrays
    lower, upper = arrays["l"], arrays["u"]
    if not (lower <= upper).all() or (lower == np.inf).any() or (upper == -np.inf).any():
        raise ValueError("a lower bound is above the upper one")
    sides = int(np.isfinite(lower).sum() + np.isfinite(upper).sum())
    if (state.constrained, state.boxed) != (int(sides > 0), int(sides == 2 * state.n)):
        raise ValueError(f"it says nothing of its {sides} finite bounds")
    if not all(np.isfinite(getattr(state, name)) for name in FINITE):
        raise ValueError(f"one of {', '.join(FINITE)} is not finite")
    if not (all(getattr(state, name) >= 0.0 for name in NOT_NEGATIVE) and state.theta > 0.0):
        raise ValueError(f"one of {', '.join(NOT_NEGATIVE)} or theta is negative")
    if state.k == 0 and state.theta != state.unit:
        raise ValueError(f"theta is {state.theta} without a pair, expected {state.unit}")
    if not 0.0 < state.unit <= 1.0:
        raise ValueError(f"the unit of f is {state.unit}, expected a number above 0 and at most 1")
    if not np.isfinite(arrays["xs"]).all():
        raise ValueError("where it began is not finite")
    if not (arrays["dd"][: state.k] > 0.0).all():
        raise ValueError("a pair has no positive curvature")
    if (
        not np.isin(arrays["where"], (0, 1, 2, 3)).all()
        or not np.isin(arrays["free"], (0, 1)).all()
    ):
        raise ValueError("'where' or 'free' hold numbers without a meaning")
    _check_points(state, lower, upper)


def _check_counters(state: Any) -> None:
    counters = ("nit", "nfev", "nfail", "failures", "nskip", "nreset", "trials", "doubts")
    limits = ("maxfun", "maxiter", "maxls")
    sound = (
        0 <= state.k <= state.m
        and 0 <= state.head < state.m
        and (state.head == 0 or state.k == state.m)
        and all(getattr(state, name) in (0, 1) for name in FLAGS)
        and all(getattr(state, name) >= 0 for name in (*counters, *limits))
        and state.stage in (0, 1, 2)
        and state.cautious in range(10)
        and 0 <= state.beside <= MOST_BESIDE + 2
        and 0 <= state.left <= MOST_LEFT
        and (state.phase != BESIDE or state.beside > 0)
        and state.doubts < FOLLOWING + 2 * MOST_FOLLOWED
        and state.failures <= state.nfail <= state.nfev
    )
    if not sound:
        raise ValueError("its counters contradict each other")
    Phase(state.phase), Stop(state.stop)  # ValueError where there is no such one
    if (state.phase == DONE) != (state.stop != RUNNING):
        raise ValueError("its phase and its reason to stop contradict each other")


def _check_points(state: Any, lower: Any, upper: Any) -> None:
    names = [] if state.phase == DONE else ["xt"]
    if state.phase == SEARCH:
        names += ["x", "xb"]
        z = state.vector("z")
        if not ((lower <= z) & (z <= upper)).all():
            raise ValueError("'z' is not inside the bounds")
        values = (state.f, state.f0, state.best_f, state.slope0)
        if not (np.isfinite(values).all() and state.slope0 < 0.0 < state.stp):
            raise ValueError("the search of a step has no values to go by")
    if state.phase == BESIDE:
        names += ["x", "xb", "z"]
        if not np.isfinite([state.f, state.f0, state.best_f]).all():
            raise ValueError("the end beside which a point is asked has no value")
    if np.isfinite(state.best_f) and "xb" not in names:
        names.append("xb")
    for name in names:
        x = state.vector(name)
        if not (np.isfinite(x) & (lower <= x) & (x <= upper)).all():
            raise ValueError(f"{name!r} is not inside the bounds")
