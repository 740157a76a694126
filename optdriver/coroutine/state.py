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

from optdriver.errors import InputError

Vector = NDArray[np.float64]
Data = dict[str, Any]

VERSION = 1


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

    `f` is NaN where the evaluation failed.
    """

    x: Vector
    f: float
    g: Vector | None = None
    h: Vector | None = None
    p: Vector | None = None

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
    leg, legs : int
        The first record of the present leg, and how many legs there were before it.
    pending : ndarray or None
        The point that is asked; None at the end.
    wanted : str
        What is asked: ``"value"``, ``"hessian"`` or ``"product"``.
    direction : ndarray or None
        Where a product is asked, the vector.
    best : int
        The record with the lowest value, -1 without one.
    nit, nit_before : int
        Iterations, and those of the legs before the present one.
    nfev, nfail, failures : int
        Values told, failures included; the failures among them; those in a row, now.
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
    leg: int = 0
    legs: int = 0
    best: int = -1
    nit: int = 0
    nit_before: int = 0
    nfev: int = 0
    nfail: int = 0
    failures: int = 0
    stop: Stop | None = None
    status: int = -1
    message: str = "running"


_PLAIN: tuple[str, ...] = ("method", "hessian", "maxfun", "leg", "legs", "best", "nit")
_PLAIN += ("nit_before", "wanted", "nfev", "nfail", "failures", "status", "message")
_POINTS = ("x0", "lower", "upper", "start")


def to_dict(state: State) -> Data:
    """Return the state as numbers, strings and arrays; nothing is shared with it."""
    n, records = len(state.x0), state.records
    gradients = [record.g for record in records]
    return {
        "version": VERSION,
        **{name: getattr(state, name) for name in _PLAIN},
        "options": dict(state.options),
        "stop": None if state.stop is None else str(state.stop),
        **{name: getattr(state, name).copy() for name in _POINTS},
        "pending": None if state.pending is None else state.pending.copy(),
        "direction": None if state.direction is None else state.direction.copy(),
        "points": _stacked([record.x for record in records], n),
        "values": np.array([record.f for record in records], dtype=np.float64),
        "gradients": _stacked([np.full(n, np.nan) if g is None else g for g in gradients], n),
        "with_gradient": np.array([g is not None for g in gradients], dtype=np.bool_),
        "hessians": [None if record.h is None else record.h.copy() for record in records]
        if state.hessian == "matrix"
        else None,
        "directions": [None if record.p is None else record.p.copy() for record in records]
        if state.hessian == "product"
        else None,
    }


def from_dict(data: Mapping[str, Any]) -> State:
    """Return the state of which `to_dict` made `data`; arrays may have become lists.

    Raises
    ------
    InputError
        This is no such dict, or one of another version.
    """
    version = data.get("version") if isinstance(data, Mapping) else None
    if version != VERSION:
        raise InputError(f"a state of version {VERSION} is expected, got {version!r}")
    try:
        return _read(data)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"the state is not complete: {error!r}") from error


def _read(data: Mapping[str, Any]) -> State:
    n = len(data["x0"])
    values: Data = {name: data[name] for name in _PLAIN}
    values |= {name: _floats(data[name]) for name in _POINTS}
    state = State(
        **values,
        options=dict(data["options"]),
        stop=None if data["stop"] is None else Stop(data["stop"]),
        pending=_optional(data["pending"]),
        direction=_optional(data["direction"]),
    )
    points = _floats(data["points"]).reshape(-1, n)
    gradients = _floats(data["gradients"]).reshape(-1, n)
    fs, given = data["values"], data["with_gradient"]
    if not len(points) == len(gradients) == len(fs) == len(given):
        raise ValueError("as many points, values and gradients")
    for k, x in enumerate(points):
        state.records.append(
            Record(
                x=x,
                f=float(fs[k]),
                g=gradients[k] if given[k] else None,
                h=None if data["hessians"] is None else _optional(data["hessians"][k]),
                p=None if data["directions"] is None else _optional(data["directions"][k]),
            )
        )
    return state


def _stacked(rows: list[Vector], n: int) -> Vector:
    return np.array(rows, dtype=np.float64).reshape(-1, n)


def _floats(values: Any) -> Vector:
    return np.array(values, dtype=np.float64)


def _optional(values: Any) -> Vector | None:
    return None if values is None else _floats(values)
