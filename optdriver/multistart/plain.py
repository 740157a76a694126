"""Minimizers within bounds, whose ends are believed by a rule of convergence."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.lbfgsb import LBFGSB, Options
from optdriver.lbfgsb.codes import DONE
from optdriver.lbfgsb.machine import seed

Vector = NDArray[np.float64]

RULES_OF_OTHERS = (9, 11, 13)
"""The rules of convergence that have changed nothing here."""


def create(x0: Vector, bounds: Vector, rule: int, options: Mapping[str, Any]) -> LBFGSB:
    """Return a new minimizer; with `rule` 1 it has SciPy's tests, with more it is cautious.

    `x0` and `bounds`, (n, 2), were checked before.
    """
    try:
        read = _read(cautious=rule > 1, **options)
    except TypeError:  # a list, say: the error tells what was expected
        read = Options(cautious=rule > 1, **options)
    made = LBFGSB.within(x0, bounds, read)
    kernel = rule - 1 - sum(rule >= each for each in RULES_OF_OTHERS)
    made.state.cautious = min(kernel, made.state.cautious)
    return made


@lru_cache(maxsize=64, typed=True)
def _read(**options: Any) -> Options:
    """Return options, checked once for the many starts that have the same."""
    return Options(**options)


def keep_model(minimizer: LBFGSB, before: LBFGSB) -> None:
    """Let a new minimizer begin with the pairs of the one `before` it in its run."""
    for step, change in zip(*before.pairs, strict=True):
        seed(minimizer.state, change, step)


def go_on_from(minimizer: LBFGSB, before: LBFGSB) -> None:
    """Let a new minimizer measure f and the variables as the one `before` it did."""
    state, known = minimizer.state, before.state
    state.f_start = known.f_start
    state.unit = state.theta = known.unit
    state.vector("xs")[:] = known.vector("xs")
    state.left = known.left
    state.beside = known.beside if known.phase == DONE else 0  # what was looked at is known
