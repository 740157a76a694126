"""The state of a least-squares run as data: arrays and numbers, nothing that runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from optdriver import stored
from optdriver.geometry.aside import Aside
from optdriver.leastsquares.options import LeastSquaresOptions
from optdriver.stepping import Ending

Vector = NDArray[np.float64]

VERSION: Final = 1


class Stop(Ending):
    """Why a run has ended; `CONVERGED` and `ROUNDING` are successes."""

    CONVERGED = "converged", 0, "CONVERGENCE: RELATIVE OFFSET OF THE GAUSS-NEWTON STEP <= XTOL"
    ROUNDING = "rounding", 0, "CONVERGENCE: NO FURTHER DECREASE BEYOND ROUNDING"
    MAX_EVALUATIONS = "max_evaluations", 1, "STOP: TOTAL NO. OF EVALUATIONS EXCEEDS LIMIT"
    MAX_ITERATIONS = "max_iterations", 1, "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT"
    STALLED = "stalled", 2, "ABNORMAL: THE JACOBIAN PROMISES A DECREASE THAT NO STEP SHOWS"
    FAILED = "failed", 3, "STOP: EVALUATIONS FAILED TOO OFTEN IN A ROW"
    HALTED = "halted", 99, "STOP: HALTED BY THE CALLER"


SUCCESSES: Final = tuple(str(stop) for stop in Stop if stop.success)


@dataclass(slots=True)
class State:
    """Everything that the next point depends on.  Arrays are replaced, never changed.

    Attributes
    ----------
    options : LeastSquaresOptions
    lower, upper : ndarray, shape (n,)
        The box.
    pending : ndarray or None
        The point that is asked; None at the end.
    x : ndarray or None
        The iterate; None before the first evaluation.
    r, jacobian : ndarray or None, shapes (m,) and (m, n)
        Residuals and their derivatives at the iterate.
    f : float
        The value there.
    scale : ndarray or None
        The diagonal D of the trust region ``|D p| <= radius``: lengths of the columns of the
        Jacobian, the largest ones met, slowly forgotten (More 1978, with a memory that fades).
    radius : float
        The radius.
    p, promised, damping : ndarray or None, float, float
        Of the pending trial: the step without its correction, by how much the model falls over it,
        and its Levenberg-Marquardt parameter.
    bend, along : ndarray or None
        What the residuals differ by from their linear model, over the step `along`: half of their
        second derivative in that direction.
    steps, changes : ndarray, shape (k, n)
        The last trials, the newest last, and what J'J leaves of the change of the gradient along
        them; none where nothing is learnt of it.
    scores : ndarray, shape (2,)
        How badly the models without and with it have foreseen these changes.
    mark, marked : float, int
        The value at the iteration `marked`, since which it is watched how far it falls.
    noise : float
        The standard deviation of the rounding errors of a residual; 0 where none have shown.
    rounds : bool
        Whether the last trial has shown them, or what it left unexplained is not more.
    aside : Aside
        What is known of points beside ends, where symmetry may have hidden that the value falls.
    best_x, best_f, best_g : ndarray or None, float, ndarray or None
        The best point, its value and gradient.
    nit, nfev, nfail, failures : int
        Iterations; evaluations, failures included; these; those in a row.
    stop : Stop or None
    reason : str
        What was said of the last failure, or of a halt.
    """

    options: LeastSquaresOptions
    lower: Vector
    upper: Vector
    pending: Vector | None
    steps: Vector
    changes: Vector
    x: Vector | None = None
    r: Vector | None = None
    jacobian: Vector | None = None
    f: float = math.inf
    scale: Vector | None = None
    radius: float = 0.0
    p: Vector | None = None
    promised: float = 0.0
    damping: float = 0.0
    bend: Vector | None = None
    along: Vector | None = None
    scores: Vector = field(default_factory=lambda: np.zeros(2))
    mark: float = math.inf
    marked: int = 0
    noise: float = 0.0
    rounds: bool = False
    aside: Aside = field(default_factory=Aside)
    best_x: Vector | None = None
    best_f: float = math.inf
    best_g: Vector | None = None
    nit: int = 0
    nfev: int = 0
    nfail: int = 0
    failures: int = 0
    stop: Stop | None = None
    reason: str = ""

    def copy(self) -> State:
        """Return another state with the same arrays."""
        return replace(self)


_POINTS: Final = ("pending", "x", "best_x")
_VECTORS: Final = ("scale", "p", "along", "best_g")
_ROWS: Final = ("r", "bend")
_REALS: Final = ("radius", "promised", "damping", "noise")
_VALUES: Final = ("f", "best_f", "mark")
_COUNTS: Final = ("nit", "marked", "nfev", "nfail", "failures")


def to_dict(state: State) -> dict[str, Any]:
    """Return the state as numbers, strings and arrays; nothing is shared with it."""
    data: dict[str, Any] = {
        "version": VERSION,
        "method": "least-squares",
        "options": state.options.to_dict(),
        "lower": state.lower.copy(),
        "upper": state.upper.copy(),
        "stop": None if state.stop is None else str(state.stop),
        "reason": state.reason,
        "aside": state.aside.to_dict(),
        "rounds": state.rounds,
    }
    for name in ("steps", "changes", "scores"):
        data[name] = getattr(state, name).copy()
    for name in (*_POINTS, *_VECTORS, *_ROWS, "jacobian"):
        array = getattr(state, name)
        data[name] = None if array is None else array.copy()
    for name in (*_REALS, *_VALUES, *_COUNTS):
        data[name] = getattr(state, name)
    return data


def from_dict(data: Mapping[str, Any]) -> State:
    """Return the state of which `to_dict` made `data`; arrays may have become lists.

    Raises
    ------
    InputError
        This is no such dict, or one of another version.
    """
    stored.check_version(data, VERSION)
    with stored.restoring("LeastSquares"):
        state = _read(data)
        _check(state)
        return state


def _read(data: Mapping[str, Any]) -> State:
    low, high = stored.box(data["lower"], data["upper"])
    n, m = len(low), 0 if data["r"] is None else len(data["r"])
    nothing = np.zeros((0, n))
    missing = {"steps": nothing, "changes": nothing, "scores": np.zeros(2)}  # in 0.7.0
    data = {**missing, "noise": 0.0, "rounds": False, **data}  # in 0.12.0
    k = len(data["steps"])
    shapes = {"jacobian": (m, n), **dict.fromkeys(_VECTORS, (n,)), **dict.fromkeys(_ROWS, (m,))}
    fields: dict[str, Any] = {
        name: None if data[name] is None else stored.array(name, data[name], shape, finite=True)
        for name, shape in shapes.items()
    }
    for name in ("steps", "changes"):
        fields[name] = stored.array(name, data[name], (k, n), finite=True)
    fields["scores"] = stored.array("scores", data["scores"], (2,), finite=True)
    fields |= {name: stored.real(name, data[name], 0.0, stored.FINITE) for name in _REALS}
    fields |= {name: stored.real(name, data[name], 0.0) for name in _VALUES}
    fields |= {name: stored.whole(name, data[name]) for name in _COUNTS}
    for name in _POINTS:
        given = data[name]
        fields[name] = None if given is None else stored.inside(name, given, low, high)
    options = {
        "secant": False,
        "beside": False,
        "rounded": 0,
        **stored.mapping("options", data["options"]),
    }
    options |= {name: math.inf for name in ("maxfun", "maxiter") if options[name] is None}
    for name in ("secant", "beside"):
        if isinstance(options[name], bool):  # as 0.9.0 has written it
            options[name] = int(options[name])
    return State(
        options=LeastSquaresOptions(**options),
        lower=low,
        upper=high,
        **fields,
        aside=Aside.from_dict(data.get("aside"), low, high, SUCCESSES),
        rounds=stored.flag("rounds", data["rounds"]),
        stop=None if data["stop"] is None else Stop(data["stop"]),
        reason=stored.text("reason", data["reason"]),
    )


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
    begun = [state.r, state.jacobian, state.scale, state.best_x, state.best_g]
    if any((each is None) != (state.x is None) for each in begun):
        raise ValueError("an iterate without what was observed there")
    if (state.bend is None) != (state.along is None):
        raise ValueError("a curvature without its direction")
    if state.x is None:
        return
    if not (math.isfinite(state.f) and math.isfinite(state.best_f)):
        raise ValueError("an iterate without a value")
    if not (state.scale is None or (state.scale > 0.0).all()):
        raise ValueError("a scale that is not above zero")
    asks_beside = state.aside.end is not None
    if asks_beside and state.pending is None:
        raise ValueError("a point beside an end that is not asked")
    tries = state.pending is not None and not asks_beside
    if tries and (state.p is None or not state.radius > 0.0):
        raise ValueError("a trial without a step")
