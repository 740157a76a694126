"""The fold: what a study becomes by each of its events.

`begin` gives the state before the first event, `apply` takes one event into it, and nothing else
changes a state (except `draw`, the first half of a handing out, which `Asked`, `Held` and `Drained`
repeat on replay).  The state is data and a driver whose state is data (`state`).

What the events do stands on pages by what happens: a point is handed out (`drawing`,
`handing_out`), or known already (`memory`); a result is told (`telling`), or many are (`rounds`).
The rest is here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from optdriver.drivers import Driver, create_driver, driver_factory, without_undo
from optdriver.errors import ProtocolError
from optdriver.numerics import quiet
from optdriver.study import parameters, profiling
from optdriver.study.drawing import FILLS, draw, draw_round
from optdriver.study.events import (
    DRIVEN,
    Added,
    Asked,
    Configured,
    Drained,
    Event,
    Failed,
    Held,
    Late,
    Parted,
    Postponed,
    Profiled,
    Recalled,
    Released,
    Renewed,
    Resumed,
    RoundAsked,
    RoundTold,
    Stopped,
    Suspended,
    Told,
)
from optdriver.study.gradient_check import GradientCheck
from optdriver.study.handing_out import (
    asked,
    asked_ones,
    check_same,
    check_same_round,
    hand_out,
    round_asked,
)
from optdriver.study.ledger import Ledger
from optdriver.study.memory import let_twins_come_last, pardon, postponed, recalled
from optdriver.study.profiling import PROFILE
from optdriver.study.rounds import round_told
from optdriver.study.spec import Spec
from optdriver.study.state import (
    FOREIGN,
    Entry,
    State,
    fits_of,
    is_profiling,
    put_into_queue,
    user_box,
)
from optdriver.study.telling import added, end_profile, failed, released, told


def begin(spec: Spec) -> State:
    """Return the state of a study to which nothing has happened yet."""
    return State(
        spec=spec,
        parameters=dict(spec.parameters),
        driver=_driver(spec, spec.parameters),
        ledger=Ledger(spec.space.size, sign=spec.sign),
        check=GradientCheck(done=not spec.parameters["check_grad"]),
    )


def _driver(spec: Spec, given: Mapping[str, Any]) -> Driver:
    """Return a new driver; `given` are all parameters, as they are now."""
    options = parameters.owned_by("driver", given)
    samples = [spec.space.to_driver(np.array(sample)) for sample in options["initial_samples"]]
    options["initial_samples"] = samples
    if options["difference_rule"] > 1:  # before, a step was one of the driver's coordinates
        options["step_size"] = _driver_steps(spec, options["step_size"])
    if spec.compiled is not None:
        options["constraints"] = spec.inner_constraints().rescaled(spec.space.scale)
    if spec.limits is not None:
        options["inequalities"] = spec.limits.inequalities
        options["equalities"] = spec.limits.equalities
    return without_undo(create_driver(spec.driver, spec.space.driver_bounds, **options))


def _driver_steps(spec: Spec, given: Any) -> list[float | None] | None:
    """Return the given steps in the driver's coordinates, None where there is none.

    A parameter of a narrow type is never moved by less than it can be moved exactly enough.
    """
    space = spec.space
    if given is None and not space.narrow.any():
        return None
    steps = given if isinstance(given, Mapping) else dict.fromkeys(space.free, given)
    named = [steps.get(name) for name in space.free]
    least = np.sqrt(space.spacing).tolist()
    return [
        (small if narrow else None) if step is None else float(step / scale)
        for step, scale, narrow, small in zip(named, space.scale, space.narrow, least, strict=True)
    ]


def apply(state: State, event: Event) -> None:
    """Take one event into the state."""
    _APPLY[type(event)](state, event)
    state.elapsed = event.time


def fold(spec: Spec, events: Any) -> State:
    """Return the state that `events` lead to."""
    return replay(begin(spec), events)


@quiet
def replay(state: State, events: Any, *, part: bool = False) -> State:
    """Take recorded events into `state`, and return it.

    Parameters
    ----------
    part : bool
        Where the driver leads to another point than the recorded one (a later version stops, or
        steps, otherwise), keep the recorded evaluations as facts, up to the next `Parted`.
        Otherwise that is a `ProtocolError`.
    """
    for event in events:
        if state.parted and type(event) in DRIVEN:
            _keep_fact(state, event)
            continue
        try:
            _take_recorded(state, event)
        except ProtocolError:
            if not part or type(event) not in DRIVEN:
                raise
            state.parted = True
            _keep_fact(state, event)
    return state


def _take_recorded(state: State, event: Event) -> None:
    if type(event) is Held:
        check_same(state, draw(state, FILLS), event)
        state.elapsed = event.time
    elif type(event) is Drained:
        if draw(state, FILLS[: event.fills]) is not None:
            raise ProtocolError(
                "the events do not fit this study: the driver has a point where it had none"
            )
        state.elapsed = event.time
    else:
        if type(event) is RoundAsked:
            fresh = draw_round(state, event.wanted, FILLS[: event.fills])
            if fresh is not None and len(event.ids) < len(fresh.ids):
                put_into_queue(state, fresh)
                fresh = None
            check_same_round(state, event, fresh)
        apply(state, event)


def _keep_fact(
    state: State, event: Asked | RoundAsked | Held | Recalled | Postponed | Drained
) -> None:
    """Take an event of a driver that went another way: a point that was asked was asked."""
    state.elapsed = event.time
    if type(event) is RoundAsked:
        for single in asked_ones(event):
            _keep_fact(state, single)
    if type(event) is not Asked:
        return
    entry = next((waiting for waiting in state.line[0] if waiting.id == event.id), None)
    if entry is None:
        x = event.x.copy()
        x.setflags(write=False)
        entry = Entry(-1, FOREIGN, -1, event.kind, x)
    else:
        state.queue.remove(entry)
    hand_out(state, entry, event)


LIFTED: Final = {
    "failures": ("stop_after_failures",),
    "flat": ("stop_after_flat",),
    "max_time": ("max_time", "max_time_from"),
}
"""Kinds of stopping that have not the name of their limit alone, and what lifts them."""


def _configured(state: State, event: Configured) -> None:
    given = for_driver(state, event.parameters)
    if given:
        state.driver.configure(**given)
    state.parameters.update(event.parameters)
    if "initial_samples" in event.parameters:
        samples = event.parameters["initial_samples"]
        state.parameters["initial_samples"] = tuple(map(tuple, samples))
        pardon(state)
    if state.profile is not None and _is_lifted(state, state.profile.stop, event, given):
        state.profile.stop = None
    if _is_lifted(state, state.stop, event, given):
        state.stop = None  # this was the limit that stopped it


def _is_lifted(
    state: State, stop: tuple[str, str] | None, event: Configured, given: Mapping[str, Any]
) -> bool:
    """Return whether changed parameters take back what had stopped the study."""
    if stop is None:
        return False
    kind = stop[0]
    goes_on = kind == "driver" and bool(given) and not state.driver.done
    return goes_on or any(name in event.parameters for name in LIFTED.get(kind, (kind,)))


def for_driver(state: State, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the driver is to be told of changed parameters; of starts the new ones."""
    options = {name: given[name] for name in parameters.LATER if name in given}
    if "initial_samples" in options:
        new = options["initial_samples"][len(state.parameters["initial_samples"]) :]
        options["initial_samples"] = [state.spec.space.to_driver(np.array(each)) for each in new]
    return options


def _stopped(state: State, event: Stopped) -> None:
    state.stop = (event.kind, event.reason)


def _resumed(state: State, _event: Resumed) -> None:
    if state.stop is not None and state.stop[0] == "failures":
        pardon(state)
    state.stop = None
    state.failed_in_row = 0


def _suspended(_state: State, _event: Suspended) -> None:
    """Only the time is taken, by `apply`."""


def _renewed(state: State, event: Renewed) -> None:
    """Begin anew, but for what was observed, the run time and the parameters."""
    entries = [*state.open.values(), *state.queue]
    _give_up(state, entries, "given up when the objective was changed", event.time)
    state.aside.clear()
    state.pardoned.clear()
    state.ledger.renew()
    before = state.parameters["initial_samples"]
    starts = [tuple(row) for row in event.starts.reshape(-1, state.spec.space.size).tolist()]
    fresh = tuple(row for row in dict.fromkeys(starts) if row not in before)
    state.parameters["initial_samples"] = fresh + before
    state.parameters["value_unit"] = None
    state.driver = _driver(state.spec, state.parameters)
    state.check = GradientCheck(done=not state.parameters["check_grad"])
    state.spent = state.failures = state.failed_in_row = 0
    state.stop, state.parted, state.sigma, state.profile = None, False, None, None


def _give_up(state: State, entries: list[Entry], why: str, time: float) -> None:
    """Give up points that are open or wait; a result that comes later has no effect."""
    for entry in entries:
        if entry.id >= 0:
            state.ledger.fail(entry.id, why, time)
            state.expired.add(entry.id)
        if state.open.pop(entry.id, None) is None:
            state.queue.remove(entry)


def _profiled(state: State, event: Profiled) -> None:
    """Begin a profile; one that is under way is given up."""
    entries = [*state.open.values(), *state.queue]
    former = [entry for entry in entries if entry.kind == PROFILE]
    _give_up(state, former, "given up when another profile began", event.time)
    stop = state.stop
    if is_profiling(state) and state.profile is not None:
        stop = state.profile.stop
    if not driver_factory(state.spec.driver).fits:
        raise ProtocolError("the events do not fit this study: a profile of what is no fit")
    jac = bool(state.parameters["jac"])
    fits = fits_of(state.spec)
    state.profile = profiling.begin(event, user_box(state), jac=jac, stop=stop, fits=fits)
    state.stop = None
    end_profile(state, state.profile)


def _round_asked(state: State, event: RoundAsked) -> None:
    round_asked(state, event)
    if not len(event.ids):  # points were drawn, of which something is known
        let_twins_come_last(state)


def _parted(state: State, _event: Parted) -> None:
    state.parted = False


def _late(_state: State, _event: Late) -> None:
    """Nothing: the suggestion was settled without it."""


_APPLY: Final[dict[type[Any], Callable[[State, Any], None]]] = {
    Asked: asked,
    Recalled: recalled,
    Postponed: postponed,
    Told: told,
    Failed: failed,
    RoundAsked: _round_asked,
    RoundTold: round_told,
    Released: released,
    Added: added,
    Configured: _configured,
    Stopped: _stopped,
    Resumed: _resumed,
    Suspended: _suspended,
    Late: _late,
    Renewed: _renewed,
    Profiled: _profiled,
    Parted: _parted,
}
