"""Intervals by profile likelihood: many fits, each from its neighbour, evaluated side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from optdriver.errors import InputError, unknown_option
from optdriver.execution.calling import Outcome, evaluate_all, prepare
from optdriver.leastsquares.profile import ProfileEnd
from optdriver.multistart import stencil, steps
from optdriver.multistart.steps import Learnt
from optdriver.study.observation import split_fit
from optdriver.study.tables import Rows
from optdriver.study.uncertainty import Uncertainty, checked_level

if TYPE_CHECKING:
    from optdriver.study import Study

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ProfileRow:
    """The interval of one parameter.

    Attributes
    ----------
    name : str
    value, low, high : float
        The parameter at the minimum, and the ends; NaN where there is none.
    note : str
        What is to be known of an end: that the bound comes first, say.
    theta, values : ndarray, shape (k,)
        The profile: values of the parameter in order, and what the fits cost there.
    """

    shown: ClassVar = ("name", "value", "low", "high", "note")

    name: str
    value: float
    low: float
    high: float
    note: str
    theta: FloatArray
    values: FloatArray


def intervals(
    study: Study,
    found: Uncertainty,
    objective: Callable[..., Any] | None,
    *,
    names: Sequence[str] | None,
    level: float,
    executor: Executor | None,
) -> Rows[ProfileRow]:
    """Return the intervals of parameters; see `optdriver.Study.profile`."""
    chance = 0.5 + 0.5 * checked_level(level)
    quantile = stats.t.ppf(chance, found.degrees) if found.degrees else stats.norm.ppf(chance)
    wanted = found.names if names is None else tuple(names)
    for name in wanted:
        if name not in found.names:
            raise unknown_option("parameter", name, found.names)
    bounds = study.space.lower.copy(), study.space.upper.copy()
    rise = 0.5 * (found.sigma * float(quantile)) ** 2
    if not rise > 0.0:
        raise InputError("the residuals are zero at the minimum: there is nothing to vary by")
    ends = {
        (name, side): _end(found, found.names.index(name), side, rise, bounds)
        for name in wanted
        for side in (-1, 1)
    }
    _run(study, [end for end in ends.values() if not end.done], objective, executor)
    return Rows(_row(found, name, ends[name, -1], ends[name, 1]) for name in wanted)


def _end(
    found: Uncertainty,
    index: int,
    side: int,
    rise: float,
    bounds: tuple[FloatArray, FloatArray],
) -> ProfileEnd:
    step = float(found.standard_errors[index])
    if not 0.0 < step < math.inf:  # held, or not determined
        step = 1e-2 * (abs(float(found.x[index])) or 1.0)
    return ProfileEnd(
        found.x, found.value, index=index, step=step, side=side, rise=rise, bounds=bounds
    )


def _row(found: Uncertainty, name: str, low: ProfileEnd, high: ProfileEnd) -> ProfileRow:
    theta = np.array(low.theta + high.theta[1:])
    order = np.argsort(theta)
    notes = [f"{what}: {end.note}" for what, end in (("low", low), ("high", high)) if end.note]
    return ProfileRow(
        name=name,
        value=float(found.x[found.names.index(name)]),
        low=low.end,
        high=high.end,
        note="; ".join(notes),
        theta=theta[order],
        values=np.array(low.values + high.values[1:])[order],
    )


def _run(
    study: Study,
    ends: Sequence[ProfileEnd],
    objective: Callable[..., Any] | None,
    executor: Executor | None,
) -> None:
    """Drive all ends, a round of evaluations at a time."""
    prepared, space, jac = prepare(study, objective, executor), study.space, study.parameters["jac"]
    live = list(ends)
    while live:
        asked = [end.ask() for end in live]
        plans = [None if jac else _differences(x, space.lower, space.upper) for x in asked]
        slots = [[-1] if made is None else range(-1, len(made.values)) for made in plans]
        points = [
            x if made is None else stencil.point(made, slot)
            for x, made, wanted in zip(asked, plans, slots, strict=True)
            for slot in wanted
        ]
        told = evaluate_all(prepared, space, points, executor)
        for end, made, wanted in zip(live, plans, slots, strict=True):
            _tell(end, made, {slot: next(told) for slot in wanted})
        live = [end for end in live if not end.done]


def _differences(x: FloatArray, lower: FloatArray, upper: FloatArray) -> stencil.Stencil:
    return stencil.plan(x, lower, upper, steps.wanted(Learnt(), x, lower, upper, True), True)


def _tell(end: ProfileEnd, made: stencil.Stencil | None, found: dict[int, Outcome]) -> None:
    """Tell an end what was evaluated for it."""
    for outcome in found.values():
        if outcome.mistake is not None:
            raise outcome.mistake
        if outcome.failure is not None:
            end.tell_failure(outcome.failure)
            return
    fits = {slot: split_fit(outcome.result) for slot, outcome in found.items()}
    if made is None:
        end.tell(*fits[-1])
        return
    for slot, (residuals, _) in fits.items():
        stencil.record(made, slot, 0.0)  # that it is there
        made.vectors[slot] = np.asarray(residuals, dtype=np.float64).ravel()
    end.tell(*stencil.jacobian(made))
