"""Whether a study can go on from a restored state: what refers to something must find it.

The states are those of `optdriver.study.state`, which imports this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from optdriver import stored
from optdriver.study.ledger import OPEN, WAITING

FOREIGN = -1
"""The driver's id of a point that it did not ask for."""

SAME = ("texts", "names", "fixed", "units")
"""What the driver's constraints and those of the specification have in common."""


def check(state: Any, driver: Mapping[str, Any]) -> None:
    """Refuse a state whose parts contradict each other; `driver` is the driver as data.

    Raises
    ------
    ValueError
    """
    space, ledger = state.spec.space, state.ledger
    for x in ledger.x[: ledger.size]:
        stored.inside("x", x, space.lower, space.upper)
    _check_driver(state, driver)
    pending = {point.id for point in state.driver.pending}
    seen: set[int] = set()
    for entry in state.open.values():
        _check_entry(state, entry, pending, OPEN)
    for entry in state.queue:
        _check_entry(state, entry, pending, WAITING)
        if entry.id >= 0 and entry.id in seen | state.open.keys():
            raise ValueError(f"suggestion {entry.id} is there twice")
        seen.add(entry.id)
    states = ledger.state[: ledger.size].tolist()
    waiting = sum(id >= 0 for id in seen)
    if len(state.open) != states.count(OPEN) or waiting != states.count(WAITING):
        raise ValueError("suggestions that nobody has")
    for id, entries in state.aside.items():
        _check_aside(state, id, entries, pending)
    if any(id >= ledger.size for id in (*state.expired, *state.pardoned, *ledger.reasons)):
        raise ValueError("ids that were not handed out")
    if state.check.misfit is not None and state.check.misfit.size == 0:
        raise ValueError("its check of the gradient is one of no parameter")
    base = (state.check.z, state.check.g, state.check.step)
    if any(array is not None and array.size != space.size for array in base):
        raise ValueError("its check of the gradient is that of other parameters")


def _check_aside(state: Any, id: int, entries: list[Any], pending: set[int]) -> None:
    ledger = state.ledger
    if id >= ledger.size or ledger.state[id] not in (OPEN, WAITING) or not entries:
        raise ValueError(f"nothing can wait for suggestion {id}")
    for entry in entries:
        _check_entry(state, entry, pending, WAITING)
        if entry.id >= 0 or entry.point not in pending:
            raise ValueError("a point is set aside that the driver does not wait for")
        if entry.x.tobytes() != ledger.x[id].tobytes():
            raise ValueError(f"what waits for suggestion {id} is at another point")


def _check_entry(state: Any, entry: Any, pending: set[int], wanted: int) -> None:
    space, ledger = state.spec.space, state.ledger
    stored.inside("x", entry.x, space.lower, space.upper)
    if entry.id >= ledger.size or (entry.id < 0 and wanted == OPEN):
        raise ValueError(f"suggestion {entry.id} was not handed out")
    if entry.id >= 0 and (
        ledger.state[entry.id] != wanted or not np.array_equal(ledger.x[entry.id], entry.x)
    ):
        raise ValueError(f"suggestion {entry.id} is not as it was handed out")
    if entry.kind == "profile":
        profile = state.profile
        if entry.point is not None or profile is None or entry.index < 0:
            raise ValueError(f"suggestion {entry.id} belongs to no profile")
    elif entry.point is None:
        if entry.kind != "check" or entry.index > space.size or entry.base > state.check.bases:
            raise ValueError(f"suggestion {entry.id} belongs to nothing")
    elif entry.point not in pending and entry.point != FOREIGN:
        raise ValueError(f"the driver does not wait for point {entry.point}")


def _check_outputs(state: Any, options: Mapping[str, Any]) -> None:
    limits, put = state.spec.limits, state.ledger.outputs
    names = () if limits is None else limits.names
    if put is not None and put.shape[1] != len(names):
        raise ValueError("its outputs are those of another study")
    for kind in ("inequalities", "equalities"):
        wanted = () if limits is None else getattr(limits, kind)
        if tuple(options.get(kind, ())) != wanted:
            raise ValueError("the driver's rows are not the limits of the study")


def _check_driver(state: Any, driver: Mapping[str, Any]) -> None:
    space = state.spec.space
    low, high = np.transpose(space.driver_bounds)
    inner, outer = stored.box(driver["lower"], driver["upper"])
    if inner.shape != low.shape or not ((low <= inner) & (outer <= high)).all():
        raise ValueError("the driver's box is not that of the parameters")
    options = driver.get("options")
    _check_outputs(state, options if isinstance(options, Mapping) else {})
    if state.spec.compiled is None:
        if driver.get("constraints") is not None:
            raise ValueError("the driver has constraints, and the study none")
        return
    wanted = state.spec.inner_constraints().rescaled(space.scale).to_dict()
    given = stored.mapping("constraints", driver["constraints"])
    if any(given[name] != wanted[name] for name in SAME):
        raise ValueError("the driver's constraints are not those of the study")
