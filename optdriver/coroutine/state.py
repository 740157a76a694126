"""The state of a suspended run: what it was told, as arrays and numbers, and nothing that runs.

The method itself is not stored: it is run again through the evaluations of its last *leg*, and
stands where it stood, since it is deterministic.  A leg is one run of the method from one start;
there is a further one after failed evaluations (see `CallbackMinimizer`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.coroutine.options import checked_hessian, checked_limit, checked_options
from optdriver.coroutine.scipy_methods import named
from optdriver.geometry.aside import Aside

Vector = NDArray[np.float64]
Data = dict[str, Any]

VERSION = 6
"""1 did not know `cautious`, 2 constraints, 3 `unit_rule`, 4 `aside`, and 5 not `doubt_rule`."""


UNIT_RULES = OLDEST_UNIT, NEWEST_UNIT = (3, 4)
"""How a unit is learnt, as up to optdriver 0.5.0 and as now."""

DOUBT_RULES = OLDEST_DOUBT, _, _, NEWEST_DOUBT = (1, 2, 3, 4)
"""How success is doubted by values alone, or by a barrier: up to 0.10.0, in 0.11.0, 0.12.0, now."""


class Stop(StrEnum):
    """Why a run has ended; only `CONVERGED` is a success."""

    CONVERGED = "converged"
    MAX_EVALUATIONS = "max_evaluations"
    MAX_ITERATIONS = "max_iterations"
    ABNORMAL = "abnormal"
    FAILED = "failed"
    HALTED = "halted"


class ReplayWarning(UserWarning):
    """A method that was run again wanted another point than the one that was recorded."""


@dataclass(slots=True)
class Record:
    """One answer: value, gradient and Hessian at x, or the product of the Hessian at x with p.

    `f` is NaN where the evaluation failed; `violation` is that of the constraints of a method that
    leaves them, scaled, and 0 for all others.
    """

    x: Vector
    f: float
    g: Vector | None = None
    h: Vector | None = None
    p: Vector | None = None
    violation: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether there is no answer."""
        return math.isnan(self.f)

    @property
    def wanted(self) -> str:
        """What was asked: ``'value'``, ``'hessian'`` or ``'product'``."""
        if self.p is not None:
            return "product"
        return "value" if self.h is None else "hessian"


@dataclass(slots=True)
class State:
    """Everything that the next point depends on.

    Attributes
    ----------
    method : str
    options : dict
        SciPy's options, as plain values.
    hessian : str
        ``''``, ``'matrix'`` or ``'product'``: the second derivatives that are told.
    maxfun : float or None
        The hard limit of evaluations; None leaves it to the method.
    x0, lower, upper : ndarray, shape (n,)
    records : list of Record
        All answers, in their order.
    start : ndarray, shape (n,)
        Where the present leg began.
    cautious : bool
        Whether the method is given a small objective in a unit learnt from its first value, and a
        success that the gradient contradicts is none.
    unit_rule : int
        How that unit is learnt: see `optdriver.lbfgsb.unit.unit_of`.
    doubt_rule : int
        How a success by values alone is confirmed: 1 by the method itself, 2 by a leg of COBYQA;
        3 also measures one of trust-constr by a part of what was gained, and sees rows; 4 is 3 with
        variables in units of their size in boxes that are far wider (`wide`).
    leg, legs : int
        The first record of the present leg, and how many legs there were before it.
    pending : ndarray or None
        The point that is asked; None at the end.
    wanted : str
        What is asked: ``"value"``, ``"hessian"`` or ``"product"``.
    direction : ndarray or None
        Where a product is asked, the vector.
    best : int
        The record with the lowest value, -1 without one; where constraints may be left the lowest
        that is feasible to the tolerance, or else the least infeasible one.
    nit, nit_before : int
        Iterations, and those of the legs before the present one.
    nfev, nfail, failures : int
        Values told, failures included; the failures among them; those in a row, now.
    aside : Aside
        What is known of points beside ends, where symmetry may have hidden that f falls.
    said, said_status : str, int
        Of the end beside which a point is asked, the message and SciPy's status.
    stop : Stop or None
    status : int
        SciPy's, at the end.
    message : str
    """

    method: str
    options: Data
    hessian: str
    maxfun: float | None
    x0: Vector
    lower: Vector
    upper: Vector
    start: Vector
    pending: Vector | None
    direction: Vector | None = None
    wanted: str = "value"
    records: list[Record] = field(default_factory=list)
    cautious: bool = False
    unit_rule: int = NEWEST_UNIT
    doubt_rule: int = NEWEST_DOUBT
    leg: int = 0
    legs: int = 0
    best: int = -1
    nit: int = 0
    nit_before: int = 0
    nfev: int = 0
    nfail: int = 0
    failures: int = 0
    aside: Aside = field(default_factory=Aside)
    said: str = ""
    said_status: int = 0
    stop: Stop | None = None
    status: int = -1
    message: str = "running"


_PLAIN: tuple[str, ...] = ("method", "hessian", "maxfun", "leg", "legs", "best", "nit")
_PLAIN += ("nit_before", "wanted", "nfev", "nfail", "failures", "status", "message")
_COUNTS = ("leg", "legs", "nit", "nit_before", "nfev", "nfail", "failures")
_POINTS = ("x0", "lower", "upper", "start")


def to_dict(state: State) -> Data:
    """Return the state as numbers, strings and arrays; nothing is shared with it."""
    n, records = len(state.x0), state.records
    gradients = [record.g for record in records]
    return {
        "version": VERSION,
        **{name: getattr(state, name) for name in _PLAIN},
        "cautious": state.cautious,
        "unit_rule": state.unit_rule,
        "doubt_rule": state.doubt_rule,
        "aside": state.aside.to_dict(),
        "said": state.said,
        "said_status": state.said_status,
        "options": dict(state.options),
        "stop": None if state.stop is None else str(state.stop),
        **{name: getattr(state, name).copy() for name in _POINTS},
        "pending": None if state.pending is None else state.pending.copy(),
        "direction": None if state.direction is None else state.direction.copy(),
        "points": _stacked([record.x for record in records], n),
        "values": np.array([record.f for record in records], dtype=np.float64),
        "gradients": _stacked([np.full(n, np.nan) if g is None else g for g in gradients], n),
        "with_gradient": np.array([g is not None for g in gradients], dtype=np.bool_),
        "violations": np.array([record.violation for record in records], dtype=np.float64),
        "hessians": [None if record.h is None else record.h.copy() for record in records]
        if state.hessian == "matrix"
        else None,
        "directions": [None if record.p is None else record.p.copy() for record in records]
        if state.hessian == "product"
        else None,
    }


def from_dict(data: Mapping[str, Any]) -> State:
    """Return the state of which `to_dict` made `data`; arrays may have become lists.

    Constraints are not in it: see `CallbackMinimizer.to_dict`.

    Raises
    ------
    InputError
        This is no such dict, or one of another version.
    """
    stored.check_version(data, VERSION, 5, 4, 3, 2, 1)
    with stored.restoring("CallbackMinimizer"):
        return _read(data)


def _read(data: Mapping[str, Any]) -> State:
    low, high = stored.box(data["lower"], data["upper"])
    n, method = len(low), named(data["method"])
    records = _read_records(data, low, high)
    values: Data = {name: stored.whole(name, data[name]) for name in _COUNTS}
    values |= {name: stored.inside(name, data[name], low, high) for name in ("x0", "start")}
    cautious = stored.flag("cautious", data.get("cautious", False))
    unit_rule = stored.whole("unit_rule", data.get("unit_rule", OLDEST_UNIT))
    if unit_rule not in UNIT_RULES:
        raise ValueError(f"unit_rule is {unit_rule}")
    doubt_rule = stored.whole("doubt_rule", data.get("doubt_rule", OLDEST_DOUBT))
    if doubt_rule not in DOUBT_RULES:
        raise ValueError(f"doubt_rule is {doubt_rule}")
    wanted = stored.one_of("wanted", data["wanted"], ("value", "hessian", "product"))
    maxfun, pending, direction = data["maxfun"], data["pending"], data["direction"]
    state = State(
        **values,
        lower=low,
        upper=high,
        method=method.name,
        hessian=checked_hessian(method, data["hessian"] or None),
        maxfun=None if maxfun is None else checked_limit(maxfun),
        options=checked_options(method, stored.mapping("options", data["options"]), low < high),
        best=stored.whole("best", data["best"], -1, len(records) - 1),
        status=stored.whole("status", data["status"], -1000, 1000),
        message=stored.text("message", data["message"]),
        cautious=cautious,
        unit_rule=unit_rule,
        doubt_rule=doubt_rule,
        wanted=wanted,
        stop=None if data["stop"] is None else Stop(data["stop"]),
        pending=None if pending is None else stored.inside("pending", pending, low, high),
        direction=None if direction is None else stored.array("direction", direction, (n,)),
        records=records,
        aside=Aside.from_dict(data.get("aside"), low, high, (str(Stop.CONVERGED),)),
        said=stored.text("said", data.get("said", "")),
        said_status=stored.whole("said_status", data.get("said_status", 0), -1000, 1000),
    )
    _check(state)
    return state


def _check(state: State) -> None:
    count, n = len(state.records), len(state.lower)
    values = [record for record in state.records if record.wanted == "value"]
    if (state.pending is None) != (state.stop is not None):
        raise ValueError("a pending point, or a reason to stop")
    if state.aside.end is not None and (state.pending is None or state.best < 0):
        raise ValueError("a point beside an end that is not asked, or no end")
    if (state.direction is not None) != (state.wanted == "product"):
        raise ValueError("a direction where a product is asked, and only there")
    if state.wanted != "value" and state.hessian != {"hessian": "matrix"}.get(
        state.wanted, state.wanted
    ):
        raise ValueError("another kind of second derivatives is told")
    if state.best >= 0 and state.records[state.best].failed:
        raise ValueError("its best evaluation has failed")
    if state.best < 0 and any(not record.failed for record in values):
        raise ValueError("it has no best evaluation")
    if state.aside.left and state.stop is None and not _knows_start(state):
        raise ValueError("a leg from beside an end, but not from a point that was evaluated")
    if not (state.leg <= count and (state.legs == 0) == (state.leg == 0) and n):
        raise ValueError("its legs do not belong together")
    if not state.failures <= state.nfail <= state.nfev == len(values):
        raise ValueError("its counters contradict each other")


def _knows_start(state: State) -> bool:
    before = (r for r in state.records[: state.leg] if r.wanted == "value")
    return any(np.array_equal(r.x, state.start) for r in before)


def _read_records(data: Mapping[str, Any], low: Vector, high: Vector) -> list[Record]:
    n, fs = len(low), stored.array("values", data["values"], (len(data["values"]),), nan=True)
    count = len(fs)
    points = stored.array("points", data["points"], (count, n), finite=True)
    gradients = stored.array("gradients", data["gradients"], (count, n), nan=True)
    given = [bool(g) for g in stored.rows("with_gradient", data["with_gradient"])]
    none: list[None] = [None] * count
    left = data.get("violations", np.zeros(count))  # version 2 had none
    left = stored.array("violations", left, (count,))
    hessians = none if data["hessians"] is None else stored.rows("hessians", data["hessians"])
    lines = none if data["directions"] is None else stored.rows("directions", data["directions"])
    if not count == len(given) == len(hessians) == len(lines) or np.isinf(fs).any():
        raise ValueError("as many points, values and gradients are expected, none infinite")
    records = []
    for k, x in enumerate(points):
        stored.inside("points", x, low, high)
        h, p = hessians[k], lines[k]
        h = None if h is None else stored.array("hessians", h, (n, n), nan=True)
        p = None if p is None else stored.array("directions", p, (n,))
        g = gradients[k] if given[k] else None
        records.append(Record(x=x, f=float(fs[k]), g=g, h=h, p=p, violation=float(left[k])))
    return records


def _stacked(rows: list[Vector], n: int) -> Vector:
    return np.array(rows, dtype=np.float64).reshape(-1, n)
