"""What is said where differences of values are below the noise that was told with them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart import steps
from optdriver.multistart.heard import DOUBT
from optdriver.multistart.steps import Learnt
from optdriver.numerics import quiet
from optdriver.study.ledger import KIND_CODE, TOLD
from optdriver.study.runs import run_of
from optdriver.study.state import State

Rows = NDArray[np.intp]

LOOKED: Final = 1000
"""Evaluations that are looked at, the last ones."""


RECENT: Final = 3
"""So many of the last gradients of a run are looked at together."""


@quiet
def below_noise(state: State) -> str:
    """Return that the last differences of a run show noise only, and what to do; "" if not so.

    Where no steps were given that is said of runs that have ended without success: the end of the
    others says it itself.
    """
    ledger = state.ledger
    if ledger.uncertainty is None or state.parameters["jac"]:
        return ""
    rows = np.arange(max(ledger.since, ledger.size - LOOKED), ledger.size)
    rows = rows[ledger.state[rows] == TOLD]
    given = state.parameters["step_size"] is not None
    for run in np.unique(ledger.run[rows])[::-1].tolist():
        if run < 0 or not (given or run_of(state.driver, run).state == "stopped"):
            continue
        if said := _said(state, run, rows[ledger.run[rows] == run]):
            return said
    return ""


def _said(state: State, run: int, rows: Rows) -> str:
    """Return the sentences about the last gradients of a run, whose evaluations are `rows`."""
    ledger = state.ledger
    is_base = ledger.kind[rows] == KIND_CODE["iterate"]
    is_beside = ledger.kind[rows] == KIND_CODE["difference"]
    bases, group = rows[is_base], np.cumsum(is_base)[is_beside] - 1
    beside = rows[is_beside][group >= 0]
    group = group[group >= 0]
    known = np.unique(group)[-RECENT:]
    recent = np.isin(group, known)
    beside, at = beside[recent], bases[group[recent]]
    spread = np.zeros(0) if ledger.uncertainty is None else ledger.uncertainty
    expected = np.hypot(np.nan_to_num(spread[beside]), np.nan_to_num(spread[at]))
    if not beside.size or not expected.all():
        return ""
    changes = np.abs(ledger.value[beside] - ledger.value[at])
    if math.sqrt(float(np.mean((changes / expected) ** 2))) > DOUBT:
        return ""
    most, noise = float(np.max(changes)), float(np.max(np.nan_to_num(spread[beside])))
    return (
        f"differences of values are below their noise: beside the last iterates of run {run} they "
        f"change by {most:.3g} at most, and their standard deviation is {noise:.3g}; "
        f"{_advice(state, int(at[-1]), noise)}"
    )


def _advice(state: State, base: int, noise: float) -> str:
    """Return which steps to take, if they were given; otherwise they follow the noise."""
    if state.parameters["step_size"] is None:
        return "their steps follow the noise, so that only more exact values lead further"
    space = state.spec.space
    lower, upper = np.transpose(space.driver_bounds)
    z = space.to_driver(state.ledger.x[base])
    size = abs(float(state.ledger.value[base]))
    known = Learnt(noise=noise, told=True, f=size, largest=max(size, noise), checked=True)
    wanted = steps.wanted(known, z, lower, upper, two_sided=False) * space.scale
    shown = ", ".join(
        f"{name!r}: {step:.2g}"
        for name, step in zip(space.free[:8], wanted.tolist(), strict=False)
        if math.isfinite(step) and step > 0.0
    )
    more = ", ..." if len(space.free) > 8 else ""
    return f"take step_size={{{shown}{more}}}, or leave it out: the steps follow the noise then"
