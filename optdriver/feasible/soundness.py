"""A stored state of the feasible minimizer, checked before the machine goes on from it."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from typing import Any

import numpy as np

from optdriver import stored
from optdriver.constraints.restoration import TOLERANCE
from optdriver.feasible.options import Fit, Options, checked, pairs_kept
from optdriver.feasible.region import Region
from optdriver.feasible.state import RULE, SUCCESSES, Phase, State, Stop
from optdriver.feasible.types import Data
from optdriver.geometry.aside import FOLLOWED, MOST_LEFT, MOST_LOOKED, read_turns

COUNTS = ("nfev", "nfail", "failures", "nit")
EVALUATED = ("x", "g", "best_x", "best_g")  # empty until the start is evaluated
LISTS = ("steps", "changes", "failed", "avoided")
NUMBERS = ("f", "best_f", "predicted", "residual")


def read_state(data: Data) -> State:
    """Return the state that is described by its fields.

    Raises
    ------
    TypeError, ValueError, LookupError
        Something does not fit.
    """
    values = stored.mapping("state", data)
    old = "rule" not in values  # 0.1.0 had none, and no ftol
    options = values["options"]
    given = asdict(options) if isinstance(options, Options) else stored.mapping("options", options)
    given = given | {"ftol": 0.0} if old else given
    own = {"maxcor": 0}  # what stands there if nobody said how many pairs are kept
    values["options"] = checked({k: v for k, v in given.items() if own.get(k) != v})
    values["phase"] = Phase(stored.whole("phase", values["phase"]))
    values["stop"] = None if values["stop"] is None else Stop(values["stop"])
    values["lower"], values["upper"] = low, high = stored.box(values["lower"], values["upper"])
    evaluated = values["phase"] is not Phase.START and len(values["x"]) > 0
    n = len(low)
    for name in ("x0", "pending"):
        values[name] = stored.inside(name, values[name], low, high)
    for name in EVALUATED:
        shape = (n,) if evaluated else (0,)
        values[name] = stored.array(name, values[name], shape, finite=True)
    for name in LISTS:
        values[name] = stored.array(name, values[name], (len(values[name]), n))
    values["scores"] = stored.array("scores", values["scores"], (2,), nan=True)
    values["used"] = stored.whole("used", values["used"], most=1)
    values["delta"] = stored.real("delta", values["delta"], 0.0, 1e300)
    values["tolerance"] = stored.real("tolerance", values["tolerance"], 0.0, TOLERANCE)
    values["first_theta"] = stored.real("first_theta", values["first_theta"], 0.0)
    values["reason"] = stored.text("reason", values["reason"])
    values |= {name: stored.whole(name, values[name]) for name in COUNTS}
    values |= {name: stored.real(name, values[name]) for name in NUMBERS}
    if not old:
        values["rule"] = stored.whole("rule", values["rule"], least=1, most=RULE)
        values["unit"] = stored.real("unit", values["unit"], 0.0, 1.0)
        for name in ("settled", "falls", "cusp"):
            values[name] = stored.flag(name, values.get(name, False))
    values |= _read_fit(values, n, evaluated)
    values |= _read_beside(values, n)
    _check_the_rest(values)
    state = State(**values)
    _check(state, evaluated)
    return state


def _read_fit(values: Data, n: int, evaluated: bool) -> Data:
    """Return what belongs to residuals: nothing where a value is told, as before 0.6.0."""
    fit = values.get("fit")
    if fit is None:
        return {"fit": None, "r": None, "jacobian": None}
    known = fit if isinstance(fit, Fit) else Fit(**stored.mapping("fit", fit))
    if not evaluated:
        return {"fit": known, "r": None, "jacobian": None}
    m = len(values["r"])
    if not m:
        raise ValueError("there are no residuals")
    return {
        "fit": known,
        "r": stored.array("r", values["r"], (m,), finite=True),
        "jacobian": stored.array("jacobian", values["jacobian"], (m, n), finite=True),
    }


def _read_beside(values: Data, n: int) -> Data:
    """Return what belongs to points beside an end: nothing was asked there before 0.7.0."""
    made: Data = {}
    for name in ("began", "end"):
        given = values.get(name, ())
        made[name] = stored.array(name, given, (n if len(given) else 0,), finite=True)
    made["ending"] = stored.text("ending", values.get("ending", ""))
    for name, most in (("looked", MOST_LOOKED + 1), ("left", MOST_LEFT)):
        made[name] = stored.whole(name, values.get(name, 0), most=most)
    made["turns"] = read_turns(values.get("turns"), n)
    beside = values["phase"] is Phase.BESIDE
    if made["ending"] not in ("", *SUCCESSES) or (
        beside and not made["ending"] and made["looked"] < FOLLOWED
    ):
        raise ValueError("it says nothing of the end beside which a point is asked")
    if beside and not len(made["end"]):
        raise ValueError("a point is asked beside no end")
    return made


def _check_the_rest(values: Data) -> None:
    """Refuse a field of another kind than its default; older states lack some."""
    for field in fields(State):
        if field.name not in values:
            continue
        value: Any = values[field.name]
        if field.default is not MISSING and isinstance(field.default, float):
            values[field.name] = stored.real(field.name, value)
        elif field.default is not MISSING and type(field.default) is int:
            values[field.name] = stored.whole(field.name, value, -stored.LARGEST)


def _check(state: State, evaluated: bool) -> None:
    if (state.phase is Phase.DONE) != (state.stop is not None):
        raise ValueError("its phase and its reason to stop contradict each other")
    if evaluated and not np.isfinite([state.f, state.best_f]).all():
        raise ValueError("the value of its iterate is not finite")
    if state.phase in (Phase.TRIAL, Phase.BESIDE) and not evaluated:
        raise ValueError("it has no iterate")
    most = state.options.maxcor or pairs_kept(state.n)
    if len(state.steps) != len(state.changes) or len(state.steps) > most:
        raise ValueError("its pairs do not belong together")
    if not state.failures <= state.nfail <= state.nfev:
        raise ValueError("its counters contradict each other")


def check_pending(state: State, region: Region) -> None:
    """Refuse a state that would ask a point that violates a constraint."""
    if state.phase is not Phase.DONE and not region.is_feasible(state.pending, TOLERANCE):
        raise ValueError("the pending point violates a constraint")
