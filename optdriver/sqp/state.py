"""The state of an SQP run as data: arrays and numbers, nothing that runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.aside import Aside
from optdriver.sqp.options import SQPOptions
from optdriver.stepping import Ending

Vector = NDArray[np.float64]

VERSION: Final = 1
METHOD: Final = "SQP"


class Stop(Ending):
    """Why a run has ended; `CONVERGED` and `ROUNDING` are successes."""

    CONVERGED = (
        "converged", 0, "CONVERGENCE: FIRST-ORDER CONDITIONS <= GTOL, ALL CONSTRAINTS SATISFIED"
    )  # fmt: skip
    ROUNDING = "rounding", 0, "CONVERGENCE: NO FURTHER DECREASE BEYOND ROUNDING"
    INFEASIBLE = (
        "infeasible", 4, "STOP: NO STEP BRINGS THE CONSTRAINTS NEARER TO BEING SATISFIED"
    )  # fmt: skip
    MAX_EVALUATIONS = "max_evaluations", 1, "STOP: TOTAL NO. OF EVALUATIONS EXCEEDS LIMIT"
    MAX_ITERATIONS = "max_iterations", 1, "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
    STALLED = "stalled", 2, "ABNORMAL: THE MODEL PROMISES A DECREASE THAT NO STEP SHOWS"
    FAILED = "failed", 3, "STOP: EVALUATIONS FAILED TOO OFTEN IN A ROW"
    HALTED = "halted", 99, "STOP: HALTED BY THE CALLER"


SUCCESSES: Final = tuple(str(stop) for stop in Stop if stop.success)


@dataclass(slots=True)
class State:
    """Everything that the next point depends on.  Arrays are replaced, never changed.

    The rows are those that are told (inequalities first, then equalities), and behind them those of
    the constraints that are known as formulas, in their order.

    Attributes
    ----------
    options : SQPOptions
    lower, upper : ndarray, shape (n,)
        The box.
    inequalities, equalities : int
        Rows that are told: p of ``c <= 0``, q of ``e = 0``.
    pending : ndarray or None
        The point that is asked; None at the end.
    x : ndarray or None
        The iterate; None before the first evaluation.
    values, jacobian : ndarray or None, shapes (1 + p + q,) and (1 + p + q, n)
        The objective and the rows there, and their derivatives, as they were told.
    scale : ndarray, shape (n,)
        D, the sizes of the variables.
    row_scale : ndarray or None, shape (p + q,)
        What the told rows are multiplied by.
    unit : float
        The length of the scaled gradient of the objective at the start.
    small : float
        The unit of f that the start tells, of at most 1 (`optdriver.feasible.convergence`).
    x0 : ndarray or None
        The start; None before it was evaluated.
    multipliers : ndarray or None, shape (p + q + formulas,)
        Of all rows, scaled.
    penalty : ndarray or None, shape (p + q,)
        What a violation of each told row counts in the merit function.
    radius : float
        The trust region ``|d| <= radius`` in every scaled variable.
    d, promised : ndarray or None, float
        Of the pending trial: the step in scaled variables, and by how much the merit function falls
        over it in the model.
    bend : ndarray or None, shape (p + q,)
        What the told rows differed by from their linear model at a trial that was refused for it.
    steps, slopes, bends : ndarray, shapes (k, n), (k, n) and (k, rows, n)
        Steps between evaluated points, the newest last, with the changes of the gradient of the
        objective and of the rows along them.
    best_x, best_values, best_jacobian : ndarray or None
        The best point so far: the feasible one of the least value, or else the one that violates
        least.
    noise : float
        By how much two values of f that are equal may differ, see `SQP.allow_for`.
    aside : Aside
        What is known of points beside ends, where symmetry may have hidden that f falls.
    nit, nfev, nfail, failures : int
        Iterations; evaluations, failures included; these; those in a row.
    stop : Stop or None
    reason : str
        What was said of the last failure, or of a halt.
    """

    options: SQPOptions
    lower: Vector
    upper: Vector
    inequalities: int
    equalities: int
    scale: Vector
    steps: Vector
    slopes: Vector
    bends: Vector
    pending: Vector | None
    x: Vector | None = None
    values: Vector | None = None
    jacobian: Vector | None = None
    row_scale: Vector | None = None
    unit: float = 0.0
    small: float = 0.0
    x0: Vector | None = None
    multipliers: Vector | None = None
    penalty: Vector | None = None
    radius: float = 0.0
    d: Vector | None = None
    promised: float = 0.0
    bend: Vector | None = None
    best_x: Vector | None = None
    best_values: Vector | None = None
    best_jacobian: Vector | None = None
    noise: float = 0.0
    aside: Aside = field(default_factory=Aside)
    nit: int = 0
    nfev: int = 0
    nfail: int = 0
    failures: int = 0
    stop: Stop | None = None
    reason: str = ""

    @property
    def m(self) -> int:
        """How many rows are told."""
        return self.inequalities + self.equalities

    def copy(self) -> State:
        """Return another state with the same arrays."""
        return replace(self)


_POINTS: Final = ("pending", "x0", "x", "best_x")
_REALS: Final = ("unit", "small", "radius", "promised", "noise")
_COUNTS: Final = ("nit", "nfev", "nfail", "failures", "inequalities", "equalities")
_OPTIONAL: Final = (
    *_POINTS, "values", "jacobian", "row_scale", "multipliers", "penalty", "d", "bend",
    "best_values", "best_jacobian",
)  # fmt: skip


def to_dict(state: State) -> dict[str, Any]:
    """Return the state as numbers, strings and arrays; nothing is shared with it."""
    data: dict[str, Any] = {
        "version": VERSION,
        "method": METHOD,
        "options": state.options.to_dict(),
        "stop": None if state.stop is None else str(state.stop),
        "reason": state.reason,
        "aside": state.aside.to_dict(),
    }
    for name in ("lower", "upper", "scale", "steps", "slopes", "bends"):
        data[name] = getattr(state, name).copy()
    for name in _OPTIONAL:
        array = getattr(state, name)
        data[name] = None if array is None else array.copy()
    for name in (*_REALS, *_COUNTS):
        data[name] = getattr(state, name)
    return data


def from_dict(data: Mapping[str, Any], formulas: int) -> State:
    """Return the state of which `to_dict` made `data`; arrays may have become lists.

    Parameters
    ----------
    formulas : int
        Rows that are not told.

    Raises
    ------
    InputError
        This is no such dict, or one of another version.
    """
    stored.check_version(data, VERSION)
    with stored.restoring("SQP"):
        state = _read(data, formulas)
        _check(state)
        return state


def _read(data: Mapping[str, Any], formulas: int) -> State:
    data = {"noise": 0.0, **data}  # 0.6.0 had none
    low, high = stored.box(data["lower"], data["upper"])
    n, k = len(low), len(data["steps"])
    fields: dict[str, Any] = {name: stored.real(name, data[name], 0.0) for name in _REALS}
    fields |= {name: stored.whole(name, data[name]) for name in _COUNTS}
    m = fields["inequalities"] + fields["equalities"]
    told, every = 1 + m, m + formulas
    shapes: dict[str, tuple[int, ...]] = {
        "values": (told,), "jacobian": (told, n), "best_values": (told,),
        "best_jacobian": (told, n), "row_scale": (m,), "penalty": (m,), "bend": (m,),
        "multipliers": (every,), "d": (n,),
    }  # fmt: skip
    for name, shape in shapes.items():
        given = data[name]
        fields[name] = None if given is None else stored.array(name, given, shape, finite=True)
    for name, shape in (("steps", (k, n)), ("slopes", (k, n)), ("bends", (k, every, n))):
        fields[name] = _stacked(name, data[name], shape)
    for name in _POINTS:
        given = data[name]
        fields[name] = None if given is None else stored.inside(name, given, low, high)
    options = {"rule": 1, **stored.mapping("options", data["options"])}  # 0.7.0 had no other
    options |= {name: math.inf for name in ("maxfun", "maxiter") if options[name] is None}
    return State(
        options=SQPOptions(**options),
        lower=low,
        upper=high,
        scale=stored.array("scale", data["scale"], (n,), finite=True),
        **fields,
        aside=Aside.from_dict(data.get("aside"), low, high, SUCCESSES),
        stop=None if data["stop"] is None else Stop(data["stop"]),
        reason=stored.text("reason", data["reason"]),
    )


def _stacked(name: str, given: Any, shape: tuple[int, ...]) -> Vector:
    flat = np.asarray(given, dtype=np.float64)
    if flat.size != math.prod(shape):
        raise ValueError(f"{name!r} is of another shape")
    return stored.array(name, flat.reshape(shape), shape, finite=True)


def _check(state: State) -> None:
    """Refuse a state whose parts contradict each other.

    Raises
    ------
    ValueError
    """
    if (state.pending is None) != (state.stop is not None):
        raise ValueError("a pending point, or a reason to stop")
    if not state.failures <= state.nfail <= state.nfev:
        raise ValueError("its counters contradict each other")
    begun = (
        state.x0, state.values, state.jacobian, state.row_scale, state.multipliers, state.penalty,
        state.best_x, state.best_values, state.best_jacobian,
    )  # fmt: skip
    if any((each is None) != (state.x is None) for each in begun):
        raise ValueError("an iterate without what was observed there")
    if not (state.scale > 0.0).all():
        raise ValueError("a size that is not above zero")
    if state.row_scale is not None and not (state.row_scale > 0.0).all():
        raise ValueError("a row that is multiplied by nothing")
    if state.penalty is not None and not (state.penalty >= 0.0).all():
        raise ValueError("a penalty below zero")
    asks_beside = state.aside.end is not None
    if asks_beside and state.pending is None:
        raise ValueError("a point beside an end that is not asked")
    trial = state.x is not None and state.pending is not None and not asks_beside
    if trial and (state.d is None or not state.radius > 0.0):
        raise ValueError("a trial without a step")
