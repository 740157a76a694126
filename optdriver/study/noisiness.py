"""What is said where differences of values are below the noise that was told with them."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from optdriver.multistart import steps
from optdriver.multistart.heard import DOUBT
from optdriver.multistart.steps import Learnt
from optdriver.numerics import quiet
from optdriver.study.fold import State
from optdriver.study.ledger import KIND_CODE, TOLD

LOOKED: Final = 1000
"""Evaluations that are looked at, the last ones."""


@quiet
def below_noise(state: State) -> str:
    """Return that the last differences of a run show noise only, and what to do; "" if not so."""
    ledger = state.ledger
    if ledger.uncertainty is None or state.parameters["jac"]:
        return ""
    rows = np.arange(max(ledger.since, ledger.size - LOOKED), ledger.size)
    rows = rows[ledger.state[rows] == TOLD]
    for run in np.unique(ledger.run[rows])[::-1].tolist():
        if run < 0:
            continue
        own = rows[ledger.run[rows] == run]
        bases = own[ledger.kind[own] == KIND_CODE["iterate"]]
        if not bases.size:
            continue
        base = int(bases[-1])
        beside = own[(own > base) & (ledger.kind[own] == KIND_CODE["difference"])]
        if said := _said(state, run, base, beside):
            return said
    return ""


def _said(state: State, run: int, base: int, beside: np.ndarray) -> str:
    """Return the sentences about one iterate and the points of its differences."""
    ledger = state.ledger
    spread = None if ledger.uncertainty is None else ledger.uncertainty[beside]
    own = ledger.uncertainty_of(base) or 0.0
    if spread is None or not beside.size or not np.nanmax(spread, initial=0.0) > 0.0:
        return ""
    changes = np.abs(ledger.value[beside] - ledger.value[base])
    if np.any(changes > DOUBT * np.hypot(np.nan_to_num(spread), own)):
        return ""
    most, noise = float(np.max(changes)), float(np.nanmax(spread))
    return (
        f"differences of values are below their noise: beside the last iterate of run {run} they "
        f"change by {most:.3g} at most, and their standard deviation is {noise:.3g}; "
        f"{_advice(state, base, noise)}"
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
