"""A state as a dictionary, and back: a cache of the fold."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.drivers import restore_driver, without_undo
from optdriver.outstanding import Outstanding
from optdriver.study import gradient_check, parameters, soundness
from optdriver.study.ledger import KINDS, Ledger
from optdriver.study.profiling import Profiling
from optdriver.study.spec import VERSION, Spec, check_version
from optdriver.study.state import FOREIGN, Entry, State, earliest_due, fits_of

FloatArray = NDArray[np.float64]


_ENTRY_FIELDS: Final = ("id", "point", "run", "kind", "base", "index", "failures", "spent", "due")


_COUNTERS: Final = ("spent", "failures", "failed_in_row", "elapsed")


def to_dict(state: State) -> dict[str, Any]:
    """Return a state as strings, numbers and arrays."""
    return {
        "version": VERSION,
        "spec": state.spec.to_dict(),
        "parameters": _present(state),
        "driver": state.driver.to_dict(),
        "ledger": state.ledger.to_dict(),
        "check": gradient_check.to_dict(state.check),
        "open": [_entry_to_dict(entry) for entry in state.open.values()],
        "queue": [_entry_to_dict(entry) for entry in state.queue],
        **_set_aside(state),
        "stop": None if state.stop is None else list(state.stop),
        "expired": sorted(state.expired),
        **({} if state.sigma is None else {"sigma": state.sigma.copy()}),
        **({} if state.profile is None else {"profile": state.profile.to_dict()}),
        **{name: getattr(state, name) for name in _COUNTERS},
    }


def from_dict(data: Mapping[str, Any]) -> State:
    """Return the state of which `to_dict` made `data`."""
    check_version(data, "snapshot of a study")
    with stored.restoring("study"):
        state = _restored(data)
        soundness.check(state, data["driver"])
    return state


def copied(state: State) -> State:
    """Return an independent copy, without the way over data that is also text."""
    return replace(
        state,
        parameters=dict(state.parameters),
        driver=without_undo(copy.copy(state.driver)),
        ledger=Ledger.from_dict(
            state.ledger.to_dict(), state.spec.space.size, sign=state.spec.sign
        ),
        check=gradient_check.from_dict(gradient_check.to_dict(state.check)),
        out=Outstanding({id: copy.copy(entry) for id, entry in state.open.items()}),
        line=(deque(copy.copy(entry) for entry in state.queue), None),
        aside={id: list(map(copy.copy, entries)) for id, entries in state.aside.items()},
        pardoned=set(state.pardoned),
        expired=set(state.expired),
        profile=None if state.profile is None else _profile(state.profile.to_dict(), state.spec),
    )


def _present(state: State) -> dict[str, Any]:
    """Return the parameters that can have changed."""
    present = {name: state.parameters[name] for name in parameters.LATER}
    present["initial_samples"] = [list(each) for each in present["initial_samples"]]
    return parameters.owned_by("study", state.parameters) | present


def _restored(data: Mapping[str, Any]) -> State:
    spec = Spec.from_dict(data["spec"])
    entries = [_entry_from_dict(entry) for entry in data["open"]]
    return State(
        spec=spec,
        parameters=dict(spec.with_parameters(data["parameters"]).parameters),
        driver=without_undo(restore_driver(spec.driver, data["driver"])),
        ledger=Ledger.from_dict(data["ledger"], spec.space.size, sign=spec.sign),
        check=gradient_check.from_dict(data["check"]),
        out=Outstanding({entry.id: entry for entry in entries}),
        line=(deque(_entry_from_dict(entry) for entry in data["queue"]), None),
        aside={
            stored.whole("aside", id, 0): [_entry_from_dict(entry) for entry in entries]
            for id, entries in data.get("aside", ())
        },
        pardoned={stored.whole("pardoned", id, 0) for id in data.get("pardoned", ())},
        stop=None if data["stop"] is None else _stop(data["stop"]),
        expired={stored.whole("expired", id) for id in data["expired"]},
        elapsed=stored.real("elapsed", data["elapsed"], 0.0, 1e300),
        spent=stored.whole("spent", data["spent"]),
        failures=stored.whole("failures", data["failures"]),
        failed_in_row=stored.whole("failed_in_row", data["failed_in_row"]),
        sigma=_sigma(data.get("sigma")),
        profile=_profile(data.get("profile"), spec),
        next_due=earliest_due(entries),
    )


def _set_aside(state: State) -> dict[str, Any]:
    """Return what is set aside, and what is pardoned, if there is anything."""
    aside = [
        [id, [_entry_to_dict(entry) for entry in entries]] for id, entries in state.aside.items()
    ]
    pardoned = sorted(state.pardoned)
    return ({"aside": aside} if aside else {}) | ({"pardoned": pardoned} if pardoned else {})


def _profile(data: Any, spec: Spec) -> Profiling | None:
    if data is None:
        return None
    made = stored.mapping("profile", data)
    return Profiling.from_dict(made, spec.space.size, fits_of(spec))


def _sigma(data: Any) -> FloatArray | None:
    if data is None:
        return None
    made = stored.array("sigma", data, (len(data),), finite=True)
    if not made.size or not (made > 0.0).all():
        raise ValueError("a standard deviation of residuals is not above 0")
    return made


def _stop(data: Any) -> tuple[str, str]:
    kind, reason = stored.rows("stop", data)
    return stored.text("stop", kind), stored.text("stop", reason)


def _entry_to_dict(entry: Entry) -> dict[str, Any]:
    return {"x": entry.x.copy(), **{name: getattr(entry, name) for name in _ENTRY_FIELDS}}


def _entry_from_dict(data: Mapping[str, Any]) -> Entry:
    x = stored.array("x", data["x"], (len(data["x"]),), finite=True)
    x.setflags(write=False)
    point = data["point"]
    return Entry(
        x=x,
        id=stored.whole("id", data["id"], -1),
        point=None if point is None else stored.whole("point", point, FOREIGN),
        run=stored.whole("run", data["run"], -1),
        kind=stored.one_of("kind", data["kind"], KINDS),
        spent=stored.flag("spent", data["spent"]),
        due=stored.real("due", data["due"]),
        base=stored.whole("base", data["base"]),
        index=stored.whole("index", data["index"], -1),
        failures=stored.whole("failures", data["failures"]),
    )
