"""What holds at the iterate of a run, and with what force: rows, formulas and bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.geometry.products import transposed_times
from optdriver.sqp import machine
from optdriver.sqp.state import State

if TYPE_CHECKING:
    from optdriver.constraints import ConstraintSet

Vector = NDArray[np.float64]

NEAR: Final = 100.0
"""Times `feasibility`: a row that is no farther from its limit is active."""


def of(state: State, formulas: ConstraintSet | None, names: Sequence[str]) -> dict[str, Any] | None:
    """Return what is active at the iterate, and the multipliers; None before there is one.

    ``active``, ``multipliers``: names, and by name; by how much f falls for each unit that a row
    gives way.  ``bounds``, (n,): those of the box, below zero at a lower side.  ``residual``: what
    is left of the gradient of the Lagrangian.
    """
    x, values, jacobian, multipliers = state.x, state.values, state.jacobian, state.multipliers
    if x is None or values is None or jacobian is None or multipliers is None:
        return None
    sizes = np.ones(state.m) if state.row_scale is None else 1.0 / state.row_scale
    rows, slopes, known = values[1:], jacobian[1:], list(names)
    inequality = np.arange(state.m) < state.inequalities
    if formulas is not None and len(formulas):
        sizes = np.concatenate([sizes, formulas.scales])
        rows = np.concatenate([rows, formulas.values(x)])
        slopes = np.vstack([slopes, formulas.jacobian(x)])
        known += formulas.names
        below = np.arange(len(formulas)) < formulas.n_inequalities
        inequality = np.concatenate([inequality, below])
    forces = multipliers / sizes
    left = jacobian[0] + transposed_times(slopes, forces)
    near = rows / sizes >= -NEAR * state.options.feasibility
    active = np.flatnonzero(~inequality | near | (multipliers > 0.0))
    low = (x - state.lower <= machine.AT * state.scale) & (left >= 0.0)
    high = (state.upper - x <= machine.AT * state.scale) & (left <= 0.0)
    held = low | high
    return {
        "active": [known[k] for k in active],
        "multipliers": {known[k]: float(forces[k]) for k in active},
        "bounds": np.where(held, -left, 0.0).tolist(),
        "residual": float(np.max(np.abs(left[~held]), initial=0.0)),
    }
