"""When a study stops asking.  Each rule gives ``(kind, reason)``, or None to go on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from optdriver.multistart.completeness import ALL_LIKELY
from optdriver.study import flatness, gradient_check
from optdriver.study.state import State, is_profiling

FloatArray = NDArray[np.float64]
Reason = tuple[str, str]


def capped(state: State) -> bool:
    """Return whether the ended and the open evaluations make up the cap."""
    if is_profiling(state):
        return False  # it was wanted all the same
    cap: float = state.parameters["max_iter"]
    return state.spent + len(state.out) >= cap


def after_result(state: State) -> Reason | None:
    """Decide when a result has been taken in."""
    parameters = state.parameters
    if is_profiling(state):
        return None
    target = _target(state)
    if target is not None:
        return target
    if state.failed_in_row >= parameters["stop_after_failures"]:
        return "failures", _failures(state)
    if state.check.done and state.check.misfit is not None:
        reason = _gradient(state)
        if reason is not None:
            return reason
    flat = flatness.why(state, at_the_end=False)
    if flat is not None:
        return "flat", flat
    if state.spent >= parameters["max_iter"]:
        return "max_iter", f"max_iter = {parameters['max_iter']} evaluations are used up"
    return None


def _target(state: State) -> Reason | None:
    """Decide whether the value at which to stop has been reached."""
    value, parameters = state.ledger.best_value, state.parameters
    if state.ledger.best < 0:
        return None
    if value <= parameters["min_val"] and state.spec.sign > 0.0:
        return "min_val", (
            f"the objective reached {value:.6g}, at or below min_val = {parameters['min_val']:g}"
        )
    if value >= parameters["max_val"] and state.spec.sign < 0.0:
        return "max_val", (
            f"the objective reached {value:.6g}, at or above max_val = {parameters['max_val']:g}"
        )
    return None


def before_asking(state: State, elapsed: float) -> Reason | None:
    """Decide when a point is wanted."""
    max_time = state.parameters["max_time"]
    if is_profiling(state):
        return None
    if elapsed - state.parameters["max_time_from"] >= max_time:
        return "max_time", f"max_time = {max_time:g} s of run time are used up"
    return None


def is_over(state: State, elapsed: float) -> bool:
    """Return whether no more points will be handed out, as far as that is known without asking."""
    over = state.stop is not None or capped(state) or before_asking(state, elapsed) is not None
    return over or driver_ended(state) is not None


def too_close(state: State, x: FloatArray, kind: str) -> Reason | None:
    """Decide whether the next suggestion `x` lies too close to the best point known."""
    eps = state.parameters["eps"]
    if kind != "iterate" or state.ledger.best < 0:
        return None
    space = state.spec.space
    distance = math.dist(space.inner(x), space.inner(state.ledger.x[state.ledger.best]))
    if distance >= eps:
        return None
    return "eps", (
        f"the next suggestion would lie {distance:.3g} from the best point known, "
        f"closer than eps = {eps:g}"
    )


def driver_ended(state: State) -> Reason | None:
    """Decide whether the driver wants nothing more."""
    if state.queued or not state.driver.done or is_profiling(state):
        return None
    flat = flatness.why(state, at_the_end=True)
    if flat is not None:
        return "flat", flat
    return "driver", state.driver.stop_reason or "the driver has finished"


_GO_ON = {
    "max_iter": "a larger max_iter",
    "max_time": "a larger max_time; study.start_clock() counts it anew",
    "eps": "a smaller eps",
    "min_val": "a lower min_val",
    "max_val": "a higher max_val",
    "flat": "a larger number of starts or math.inf, if there is something to be found",
}


def how_to_go_on(kind: str, why: str) -> str:
    """Say what would let a study go on that was stopped by `kind`, for the reason `why`."""
    if kind == "check_grad":
        return "correct the gradient, and create a new study"
    if kind == "driver" and why.startswith(ALL_LIKELY):
        return "to go on: study.set_parameters(stop_when=None)"
    if kind == "driver":
        return (
            "to go on: study.set_parameters(max_num_minimizers=...) with a larger number; "
            "initial_samples=[[...], ...] adds starts of your own"
        )
    if kind in _GO_ON:
        name = "stop_after_flat" if kind == "flat" else kind
        return f"to go on: study.set_parameters({name}=...) with {_GO_ON[kind]}"
    return "run() or resume() goes on"


def _failures(state: State) -> str:
    """Say what failed, and what to do about it."""
    last = next(reversed(state.ledger.reasons.values()), "") or "no reason given"
    count = state.failed_in_row
    told = int(np.count_nonzero(state.ledger.observed()))
    if state.ledger.best < 0 and told:
        met = f"{told} value{'s were' if told > 1 else ' was'} told, at points that violate limits"
        what = f"{met} on outputs, and {count} iterate{'s in a row' * (count > 1)} failed"
    elif state.ledger.best < 0:
        what = f"no evaluation has succeeded, and {count} start{'s' * (count > 1)} failed"
    else:
        what = f"{count} iterate{'s in a row' * (count > 1)} failed"
    return (
        f"{what}; the last: {last}. Is the set-up broken? Evaluate one of the points of "
        "study.history by hand, then go on with run() or resume(); where so much of the box "
        "fails, raise stop_after_failures"
    )


def _gradient(state: State) -> Reason | None:
    worst = gradient_check.suspicious(state.check)
    if worst is None:
        return None
    space = state.spec.space
    base = state.check.z
    slope = space.scale if base is None else space.slope(space.to_user(base))
    scale = state.spec.sign * float(slope[worst])
    given, observed = gradient_check.report(state.check, worst, scale)
    if state.check.weights is not None:
        return "check_grad", (
            f"a derivative by {space.free[worst]!r} looks wrong, of the objective or of an output "
            "that has a limit: it does not fit finite differences"
        )
    return "check_grad", (
        f"the derivative by {space.free[worst]!r} looks wrong: the objective supplies {given:.6g}, "
        f"finite differences give {observed:.6g}"
    )
