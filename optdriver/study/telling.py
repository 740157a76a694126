"""What `Told`, `Failed`, `Released` and `Added` do: ledger, driver and checks hear of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver.coroutine.constraints import is_admitted
from optdriver.drivers import driver_factory
from optdriver.errors import InputError, ProtocolError
from optdriver.geometry.products import dot, transposed_times
from optdriver.study import deviations, gradient_check, outputs
from optdriver.study.events import Added, Failed, Released, Told
from optdriver.study.ledger import KINDS
from optdriver.study.outputs import Put
from optdriver.study.profiling import PROFILE, Profiling
from optdriver.study.runs import run_of
from optdriver.study.state import FOREIGN, Entry, State, put_back, take

FloatArray = NDArray[np.float64]


def told(state: State, event: Told) -> None:
    """Take a value, with what was told beside it."""
    entry = take(state, event.id)
    if state.aside:
        put_back(state, event.id)
    if entry.kind == PROFILE:
        _told_profile(state, entry, event)
        return
    state.spent += not entry.spent
    put = None
    if state.spec.limits is not None:
        put = outputs.for_driver(
            state.spec, entry.x, event.value, event.gradient, event.outputs, event.slopes
        )
    if put is not None or state.leaves:
        look(state, event.id, entry, put)
    state.ledger.close(event.id, event.value, event.gradient, event.time, event.outputs)
    noise = 0.0 if event.uncertainty is None else hear(state, event.id, event.uncertainty)
    value, gradient = minimised(state, entry.x, event.value, event.gradient)
    if entry.point is None:
        _told_check(state, entry, *_checked(state, value, gradient, put))
        return
    if entry.point == FOREIGN:
        _show(state, entry, value, gradient, put)
        return
    before = state.driver.failed_in_row
    if noise:
        state.driver.expect_noise(entry.point, noise)
    if put is not None:
        turns = state.driver.turns
        state.driver.tell(entry.point, *put)
        if state.driver.turns != turns:
            admit_end(state, entry.run)
    elif event.residuals is None:
        state.driver.tell(entry.point, value, gradient)
    else:
        state.driver.tell(entry.point, *_fit_to_driver(state, entry, event))
    count_failed(state, before)
    if gradient is None or state.check.done or not np.isfinite(gradient).all():
        return  # what is too large in the driver's coordinates has failed there
    if gradient_check.wants_base(state.check):
        space = state.spec.space
        z = space.to_driver(entry.x)
        state.check.weights = None if put is None else outputs.weights(put)
        value, slope = _checked(state, value, gradient, put)
        points = gradient_check.begin(
            state.check,
            z,
            value,
            gradient if slope is None else slope,
            space.driver_bounds,
            _admitted(state),
        )
        _enqueue_check(state, points)


def _told_check(state: State, entry: Entry, value: float, gradient: FloatArray | None) -> None:
    if gradient is None:
        raise ProtocolError(f"the events give suggestion {entry.id} no gradient to check")
    if not np.isfinite(gradient).all():
        _failed_check(state, entry)
    elif entry.base == state.check.bases:  # not one of a base that was given up
        points = gradient_check.told(state.check, entry.index, value, gradient, _admitted(state))
        _enqueue_check(state, points)


def _told_profile(state: State, entry: Entry, event: Told) -> None:
    """Take a result that a profile wants; it counts for the best value, not for `max_iter`."""
    state.ledger.close(event.id, event.value, event.gradient, event.time)
    hear(state, event.id, event.uncertainty)
    profile, rows = state.profile, event.jacobian
    if profile is None or event.residuals is None:
        raise ProtocolError("the events do not fit this study: a profile is one of residuals")
    if rows is not None:
        rows = rows.reshape(-1, state.spec.space.size)
    told = deviations.weighted(event.residuals, rows, event.uncertainty)
    profile.tell(entry.index, entry.base, *told)
    end_profile(state, profile)


def end_profile(state: State, profile: Profiling) -> None:
    """Let the study stand where it stood before a profile that is complete."""
    if profile.done and state.stop is None:
        state.stop = profile.stop or (PROFILE, "the profile is complete")


def _fit_to_driver(state: State, entry: Entry, event: Told) -> tuple[FloatArray, FloatArray | None]:
    """Return residuals, weighted, and their derivatives by the driver's coordinates, (m, n)."""
    rows = event.jacobian
    if rows is not None:
        rows = rows.reshape(-1, state.spec.space.size)
        rows = state.spec.space.gradient_to_driver(rows, entry.x)
    residuals: Any = event.residuals
    return deviations.weighted(residuals, rows, event.uncertainty)


def failed(state: State, event: Failed) -> None:
    """Take a failure; the point comes again, or the driver hears of it."""
    entry = take(state, event.id)
    counts = entry.kind != PROFILE
    state.spent += counts and not entry.spent
    state.failures += counts
    entry.failures += 1
    if event.expired:
        state.expired.add(event.id)
    if event.value is not None:
        put = outputs.for_driver(state.spec, entry.x, event.value, None, event.outputs, None)
        look(state, event.id, entry, put)
        state.ledger.note(event.id, event.value, event.gradient, event.time, event.outputs)
        hear(state, event.id, event.uncertainty)
    if event.retry:
        entry.spent = True
        state.queue.append(entry)
        state.ledger.wait(event.id, event.reason)
        return
    state.ledger.fail(event.id, event.reason, event.time)
    put_back(state, event.id)
    if not counts:
        if state.profile is not None:
            state.profile.fail(entry.index, entry.base, event.reason)
            end_profile(state, state.profile)
        return
    if entry.point is None:
        _failed_check(state, entry)
        return
    if entry.point == FOREIGN:
        return
    before = state.driver.failed_in_row
    fits = driver_factory(state.spec.driver).fits
    if event.value is None or fits or state.spec.limits is not None:
        state.driver.tell_failure(entry.point, event.reason)
    else:
        state.driver.tell(entry.point, *minimised(state, entry.x, event.value, event.gradient))
    count_failed(state, before, event.counted)


def _failed_check(state: State, failed: Entry) -> None:
    if failed.base != state.check.bases:
        return
    gradient_check.failed(state.check)
    for entry in [waiting for waiting in state.queue if waiting.point is None and waiting.id < 0]:
        state.queue.remove(entry)


def released(state: State, event: Released) -> None:
    """Let a suggestion that was given back wait again."""
    entry = take(state, event.id)
    state.spent += event.spent and entry.kind != PROFILE
    entry.spent = event.spent
    state.queue.append(entry)
    state.ledger.wait(event.id)


def added(state: State, event: Added) -> None:
    """Take an evaluation that was not asked for."""
    row = state.ledger.open_row(event.x, "added", -1, event.time)
    if row != event.id:
        raise ProtocolError(f"the events add a point as {event.id}, expected {row}")
    put = outputs.for_driver(
        state.spec, event.x, event.value, event.gradient, event.outputs, event.slopes
    )
    look(state, row, None, put)
    state.ledger.close(row, event.value, event.gradient, event.time, event.outputs)
    hear(state, row, event.uncertainty)
    known = minimised(state, event.x, event.value, event.gradient) if put is None else put
    state.driver.add_point(state.spec.space.to_driver(event.x), *known)


def _show(
    state: State, entry: Entry, value: float, gradient: FloatArray | None, put: Put | None
) -> None:
    """Show the driver a point that it did not ask for, if it can use it."""
    z = state.spec.space.to_driver(entry.x)
    with suppress(InputError):  # feasible by the rounding of another version, say
        state.driver.add_point(z, *((value, gradient) if put is None else put))


def minimised(
    state: State, x: FloatArray, value: float, gradient: FloatArray | None
) -> tuple[float, FloatArray | None]:
    """Return a value at `x` and its gradient as the driver, which minimises, has them."""
    if gradient is not None:
        gradient = state.spec.space.coordinates.gradient_to_driver(gradient, x)
    if state.ledger.sign > 0.0:
        return value, gradient
    return -value, None if gradient is None else -gradient


def hear(state: State, row: int, uncertainty: FloatArray | None) -> float:
    """Note the standard deviations that were told; return that of the value, 0 without one."""
    if uncertainty is None:
        return 0.0
    if driver_factory(state.spec.driver).fits:
        state.sigma = uncertainty
        return 0.0
    deviation = deviations.single(uncertainty)
    state.ledger.enter_uncertainty(row, deviation)
    return deviation


def look(state: State, row: int, entry: Entry | None, put: Put | None) -> None:
    """Note whether a point violates limits on outputs, or constraints that the driver may leave."""
    state.ledger.outside.discard(row)  # what was tried again may be known better
    if put is not None:
        driver: Any = state.driver
        point = None if entry is None else entry.point
        x = state.spec.space.to_driver(state.ledger.x[row])
        if not driver.satisfies(point, *put, x):
            state.ledger.outside.add(row)
    if not state.leaves:
        return
    constraints: Any = getattr(state.driver, "constraints")  # noqa: B009  # not every driver's
    x = state.spec.space.to_driver(state.ledger.x[row])
    if not is_admitted(constraints, x, KINDS[state.ledger.kind[row]]):
        state.ledger.outside.add(row)


def _prefer_end(state: State) -> None:
    """Let the end of the run that asked for the best point be the best, where it has converged.

    A point on its way may be lower for the part of the tolerance by which it violates constraints;
    which of the two it is, the run has decided (see `CallbackMinimizer`).
    """
    ledger = state.ledger
    asked_by = int(ledger.run[ledger.best]) if ledger.best >= 0 else -1
    if asked_by < 0:
        return
    run = run_of(state.driver, asked_by)
    if run.state == "converged" and run.x is not None:
        row = ledger.find(state.spec.space.to_user(run.x))
        if row is not None and row not in ledger.outside:
            ledger.best, ledger.best_value = row, float(ledger.value[row])


def admit_end(state: State, run: int) -> None:
    """Let the end of a run that has converged count, and be the best of what the run has asked.

    Before the derivatives at a point are complete it is not known how far a limit is violated
    there, and a point on the way may be lower by what is allowed.
    """
    end, ledger = run_of(state.driver, run), state.ledger
    if end.state != "converged" or end.x is None:
        return
    lowest = state.driver.minima[0]  # its own, or that of another run
    found = [ledger.find(state.spec.space.to_user(x)) for x in (end.x, lowest.x)]
    rows = [row for row in found if row is not None and row >= ledger.since]
    ledger.outside.difference_update(rows)
    if rows and (ledger.best < 0 or int(ledger.run[ledger.best]) == run):
        ledger.best_value = ledger.sign * math.inf
    for row in rows:
        ledger.compare(row)


def count_failed(state: State, before: int, counted: bool = True) -> None:
    """Count the iterates that the driver has found to fail in a row, where there were `before`."""
    if state.leaves:
        _prefer_end(state)
    after = state.driver.failed_in_row
    if after == 0:
        state.failed_in_row = 0
    elif counted:
        state.failed_in_row += max(0, after - before)


def _checked(
    state: State, value: float, gradient: FloatArray | None, put: Put | None
) -> tuple[float, FloatArray | None]:
    """Return what is compared with differences: the value, and with weights the limits' rows."""
    weights = state.check.weights
    if weights is None or put is None or put.slopes is None or weights.size != put.values.size:
        return value, gradient
    return dot(weights, put.values), np.asarray(transposed_times(put.slopes, weights))


def _admitted(state: State) -> Callable[[FloatArray], bool]:
    """Return what tells whether a point of the driver satisfies the constraints."""
    space, compiled = state.spec.space, state.spec.compiled
    if compiled is None or state.leaves:
        return gradient_check.anywhere
    return lambda z: compiled.is_feasible(space.to_user(z))


def _enqueue_check(state: State, points: list[tuple[int, FloatArray]]) -> None:
    for index, z in points:
        x = state.spec.space.to_user(z)
        x.setflags(write=False)
        state.queue.append(Entry(-1, None, -1, "check", x, state.check.bases, index))
