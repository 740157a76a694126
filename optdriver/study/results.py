"""What is reported: values, failures, what is given back, and what was never asked for.

A repeated report is accepted, and a different one refused, whichever way it comes;
`optdriver.study.desk` records what is new.
"""

from __future__ import annotations

import math
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver.errors import InputError, ProtocolError, UnknownIdError
from optdriver.multistart import admission
from optdriver.reading import real_number
from optdriver.space.description import describe_unit, rebuilt_unit
from optdriver.space.units import is_quantity, number_in, unit_of
from optdriver.study import inputs, outputs
from optdriver.study.events import Added, Failed, Late, Released, RoundTold, Told, writable
from optdriver.study.ledger import FAILED, TOLD
from optdriver.study.observation import Observation, Where
from optdriver.study.state import State, find

if TYPE_CHECKING:
    from optdriver.study.desk import Desk

FloatArray = NDArray[np.float64]
Point = tuple[
    FloatArray, float, FloatArray | None, FloatArray | None, FloatArray | None, FloatArray | None
]
"""Place, value, gradient, outputs, their derivatives, uncertainty where nothing was asked for."""

Observed = tuple[float | None, FloatArray | None, FloatArray | None, FloatArray | None]
"""Value, gradient, outputs and uncertainty of an evaluation that failed."""

NOTHING: Final[Observed] = (None, None, None, None)


def check_id(state: State, id: Any) -> None:
    """Refuse an id that was never handed out."""
    size = state.ledger.size
    known = type(id) is int or (isinstance(id, Integral) and not isinstance(id, bool))
    if not known or not 0 <= id < size:
        raise UnknownIdError(
            f"unknown suggestion id {id!r}: {size} have been handed out, counted from 0"
        )


def check_ids(desk: Desk, ids: list[int]) -> None:
    """Refuse ids of which one was never handed out."""
    state = desk.state
    if ids and not 0 <= min(ids) <= max(ids) < state.ledger.size:
        for id in ids:
            check_id(state, id)


def check_point(desk: Desk, id: int, given: Any) -> None:
    """Refuse a point that is not the one of suggestion `id`."""
    state = desk.state
    check_id(state, id)
    x = state.ledger.x[id]
    if not np.array_equal(desk.spec.space.vector(given), x):
        raise InputError(f"suggestion {id} is at {x.tolist()}, but the point given is {given!r}")


def where(desk: Desk, id: int) -> Where:
    """Return where derivatives of suggestion `id` belong."""
    space = desk.spec.space
    if space.structure is None:
        return Where(space)
    return Where(space, desk.state.ledger.x[id], desk.unit)


def residuals(desk: Desk) -> int:
    """How many residuals are told at each point; 0 before the first, or where values are told."""
    return int(getattr(desk.state.driver, "residuals", 0)) if desk.fits else 0


def value_in_unit(desk: Desk, value: Any) -> Any:
    """Return the number of a quantity, in the unit of the first one; what is none as it is.

    Raises
    ------
    InputError
        There are values without a unit, or the unit is one of another kind.
    """
    if not is_quantity(value):
        return value
    given, known = unit_of(value), desk.parameters["value_unit"]
    if given is not None and known is None:
        if desk.state.ledger.best >= 0:
            raise InputError(f"the value is {value!r}, and those told before have no unit")
        desk.configure({"value_unit": describe_unit(given)})
        desk.unit = given
    elif given is not None and desk.unit is None:
        same = known == describe_unit(given)
        desk.unit = given if same else rebuilt_unit(known["library"], known["unit"])
    return real_number("the value", number_in(value, desk.unit, "the value"))


def read(
    desk: Desk,
    state: State,
    id: int,
    value: Any,
    gradient: Any,
    given: Any = None,
    uncertainty: Any = None,
) -> inputs.Told:
    """Return what was told of a suggestion as it is recorded; `given` are outputs."""
    limits, jac, at = desk.spec.limits, state.parameters["jac"], where(desk, id)
    if limits is not None:
        x = state.ledger.x[id]
        return inputs.output_told(
            value, gradient, given, at, limits, x, jac=jac, uncertainty=uncertainty
        )
    if given is not None or (isinstance(value, Observation) and value.outputs):
        raise outputs.no_outputs()
    if desk.fits:
        return inputs.fit_told(value, gradient, at, fitted(desk, state), uncertainty)
    return inputs.plain_told(value, gradient, at, jac, uncertainty)


def fitted(desk: Desk, state: State) -> inputs.Fit:
    """Return what is to be known of residuals to read them."""
    return inputs.Fit(parameters=state.parameters, before=residuals(desk), sigma=state.sigma)


def told(desk: Desk, state: State, id: int, read: inputs.Told) -> None:
    """Book what was told; accept a repeated result, refuse a different one."""
    if read.reason is not None or read.value is None:
        observed = read.value, read.gradient, read.outputs, read.uncertainty
        failed(desk, id, str(read.reason), state.parameters["retries"], observed=observed)
        return
    if id not in state.out.by_id and find(state, id) is None:
        _check_same(desk, id, read.value, read.gradient, read.outputs, read.uncertainty)
        return
    desk.record(
        Told(
            id=id,
            value=read.value,
            gradient=read.gradient,
            time=desk.time(state),
            residuals=read.residuals,
            jacobian=read.jacobian,
            outputs=read.outputs,
            slopes=read.slopes,
            uncertainty=read.uncertainty,
        )
    )
    desk.decide()


def _check_same(
    desk: Desk,
    id: int,
    value: float,
    gradient: FloatArray | None,
    outputs: FloatArray | None = None,
    uncertainty: FloatArray | None = None,
) -> None:
    ledger = desk.state.ledger
    if id in desk.state.expired:
        desk.record(Late(id=id, value=value, gradient=gradient, time=desk.now()))
        return
    if ledger.state[id] == FAILED:
        raise ProtocolError(
            f"suggestion {id} was reported as failed ({ledger.reasons[id]}); "
            f"the value {value!r} cannot be taken any more"
        )
    if ledger.value[id] != value or not _equal(ledger.gradient_of(id), gradient):
        raise ProtocolError(
            f"suggestion {id} has been told already, with another result "
            f"(the value {float(ledger.value[id])!r}, now {value!r})"
        )
    told = None if uncertainty is None or desk.fits else float(uncertainty[0])
    if told != ledger.uncertainty_of(id):
        raise ProtocolError(
            f"suggestion {id} has been told already, with another uncertainty (the standard "
            f"deviation {ledger.uncertainty_of(id)!r}, now {told!r})"
        )
    if outputs is None or ledger.outputs is None:
        return
    known = ledger.outputs[id]
    if not np.array_equal(known, outputs, equal_nan=True):
        raise ProtocolError(
            f"suggestion {id} has been told already, with other outputs ({known.tolist()}, now "
            f"{outputs.tolist()})"
        )


def failed(
    desk: Desk,
    id: int,
    reason: str,
    retries: int,
    *,
    observed: Observed = NOTHING,
    expired: bool = False,
) -> None:
    """Book a failed evaluation; the point is tried again while it has failed `retries` times.

    A suggestion that waits for its next try is known to have failed.  A finite value that was
    `observed` with a gradient that cannot be used is kept.  A value that comes after all is
    recorded where the failure was only `expired`: that nothing was heard.
    """
    state = desk.state
    entry = find(state, id)
    if entry is None:
        _check_failed(desk, id, reason)
        return
    waits_for_next_try = id not in state.open and entry.failures > 0
    if retries == 0 or not waits_for_next_try:
        value, gradient, outputs, uncertainty = observed
        if value is None or not math.isfinite(value):
            value, gradient, outputs, uncertainty = NOTHING
        desk.record(
            Failed(
                id=id,
                reason=writable(reason),
                retry=entry.failures < retries,
                counted=True,
                time=desk.now(),
                value=value,
                gradient=gradient,
                outputs=outputs,
                uncertainty=uncertainty,
                expired=expired,
            )
        )
        desk.decide()


def _check_failed(desk: Desk, id: int, reason: str) -> None:
    ledger = desk.state.ledger
    if ledger.state[id] == TOLD:
        raise ProtocolError(
            f"suggestion {id} has been told already (the value {float(ledger.value[id])!r}); "
            f"it cannot fail any more ({reason})"
        )


def told_round(
    desk: Desk,
    ids: list[int],
    values: FloatArray,
    gradients: FloatArray | None,
    reason: str = "",
    uncertainties: FloatArray | None = None,
    put: tuple[FloatArray | None, FloatArray | None] = (None, None),
) -> None:
    """Book results, a row each, as one event; accept repeated ones, refuse different ones."""
    state, (outputs, slopes) = desk.state, put
    if not state.out.whole(ids) and not all(map(state.open.__contains__, ids)):
        rows = [k for k, id in enumerate(ids) if find(state, id) is not None]
        for k in sorted(set(range(len(ids))).difference(rows)):
            gradient = None if gradients is None else gradients[k]
            known = None if uncertainties is None else uncertainties[k : k + 1]
            shown = None if outputs is None else outputs[k]
            _check_repeated(desk, ids[k], float(values[k]), gradient, known, shown)
        ids, values = [ids[k] for k in rows], values[rows]
        gradients = None if gradients is None else gradients[rows]
        uncertainties = None if uncertainties is None else uncertainties[rows]
        outputs = None if outputs is None else outputs[rows]
        slopes = None if slopes is None else slopes[rows]
    if ids:
        numbers = np.array(ids, dtype=np.int64)
        desk.record(
            RoundTold(
                ids=numbers,
                values=values,
                gradients=gradients,
                reason=writable(reason),
                time=desk.now(),
                uncertainties=uncertainties,
                output_rows=outputs,
                slope_rows=slopes,
            )
        )
        desk.decide()


def _check_repeated(
    desk: Desk,
    id: int,
    value: float,
    gradient: FloatArray | None,
    uncertainty: FloatArray | None,
    outputs: FloatArray | None,
) -> None:
    """Refuse another result than the one that is known of a suggestion."""
    reason = inputs.describe_failure(value, gradient, desk.spec.space.free)
    if reason is None:
        told = None if uncertainty is None or np.isnan(uncertainty[0]) else uncertainty
        _check_same(desk, id, value, gradient, outputs, told)
    else:
        _check_failed(desk, id, reason)


def clear(desk: Desk, ids: list[int], reason: str) -> None:
    """Give open suggestions up, all or none; together they count as one failure in a row."""
    now, reason = desk.now(), writable(reason)
    desk.record_round(
        [
            Failed(id=id, reason=reason, retry=False, counted=number == 0, time=now)
            for number, id in enumerate(ids)
        ]
    )


def release(desk: Desk, ids: list[int], *, spent: bool) -> None:
    """Take open suggestions back, all or none, to hand them out again."""
    for id in ids:
        if id not in desk.state.open:
            raise ProtocolError(f"suggestion {id} is not open, so it cannot be released")
    now = desk.now()
    desk.record_round([Released(id=id, spent=bool(spent), time=now) for id in ids])


def add(desk: Desk, points: list[Point]) -> list[int]:
    """Book evaluations that were not asked for, all or none; return their ids."""
    for x, *_ in points:
        admission.check_added(desk.spec.compiled, x)
    first, now = desk.state.ledger.size, desk.now()
    desk.record_round(
        [
            Added(
                id=first + k,
                x=x,
                value=value,
                gradient=gradient,
                outputs=outputs,
                slopes=slopes,
                time=now,
                uncertainty=uncertainty,
            )
            for k, (x, value, gradient, outputs, slopes, uncertainty) in enumerate(points)
        ]
    )
    return list(range(first, first + len(points)))


def _equal(known: FloatArray | None, new: FloatArray | None) -> bool:
    if known is None or new is None:
        return known is new
    return np.array_equal(known, new)
