"""One start: its minimizer, and what became of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from optdriver.minimization.problem import Problem
from optdriver.multistart.precision import Precision

Vector = NDArray[np.float64]

FEASIBLE = 1e-6
"""Scaled violation up to which a result counts as feasible."""


class LocalMinimizer(Protocol):
    """What is driven here: a minimizer that is asked for points and told what was found."""

    @property
    def done(self) -> bool:
        """Whether it has ended."""

    @property
    def nit(self) -> int:
        """Its iterations."""

    @property
    def best(self) -> tuple[Vector, float, Vector | None] | None:
        """Its best evaluated point."""

    @property
    def result(self) -> OptimizeResult:
        """Its result so far."""

    def ask(self) -> Vector:
        """Return the point to evaluate."""

    def tell(self, f: float, g: Any) -> None:
        """Take value and gradient."""

    def tell_failure(self, reason: str = "") -> None:
        """Take the news that the evaluation failed."""

    def halt(self, reason: str = "") -> None:
        """Stop from outside."""


@dataclass(slots=True, eq=False)
class Lane:
    """A start on its way.

    Attributes
    ----------
    index : int
    start : ndarray, shape (n,)
        In z.
    minimizer : LocalMinimizer
    precision : Precision or None
        Where values are too coarse for the tolerances, what is told of each beforehand.
    nfev, njev, nhev : int
        Calls of the loss, of its gradient and of its Hessian or the product with it.
    reasons : list of str
        Why evaluations failed: the first and the last.
    nit : int
        Iterations that were reported to the callback.
    """

    index: int
    start: Vector
    minimizer: LocalMinimizer
    precision: Precision | None = None
    nfev: int = 0
    njev: int = 0
    nhev: int = 0
    reasons: list[str] = field(default_factory=list)
    nit: int = 0

    def failed(self, reason: str) -> None:
        """Tell the minimizer that the evaluation failed, and keep why."""
        self.reasons[1:] = [reason]
        self.minimizer.tell_failure(reason)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Start:
    """What became of one start.

    Attributes
    ----------
    index : int
        Its number.
    x0 : pytree
        Where it began.
    x : pytree or None
        The best point found from there; None if no evaluation succeeded.
    fun : float or quantity
        The loss there; NaN if there is none.
    success : bool
        Whether its minimizer converged, at a feasible point.
    feasible : bool
        Whether `x` satisfies bounds and constraints.
    status, message : int, str
        Why it ended.
    nfev, njev, nit : int
        Calls of the loss and of its gradient, and iterations.
    """

    shown: ClassVar = ("index", "success", "fun", "nfev", "nit", "message")

    index: int
    x0: Any
    x: Any
    fun: Any
    success: bool
    feasible: bool
    status: int
    message: str
    nfev: int
    njev: int
    nit: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ended:
    """The end of a lane in numbers, before they are parameters again."""

    lane: Lane
    z: Vector
    f: float
    g: Vector | None
    violation: float
    success: bool
    raw: OptimizeResult

    @property
    def finite(self) -> bool:
        """Whether there is a value at all."""
        return math.isfinite(self.f)

    @property
    def feasible(self) -> bool:
        """Whether bounds and constraints are satisfied."""
        return self.finite and self.violation <= FEASIBLE

    @property
    def message(self) -> str:
        """Why it ended, with the reason of the last failure if there is nothing else."""
        text = str(self.raw.message)
        why = [] if self.finite or not self.lane.reasons else [self.lane.reasons[-1]]
        return ": ".join([text, *(reason for reason in why if reason not in text)])


def ended(lane: Lane, problem: Problem) -> Ended:
    """Return where a lane stands."""
    raw = lane.minimizer.result
    best = lane.minimizer.best
    z, f, g = (lane.start, math.nan, None) if best is None else best
    violation = problem.violation(z)
    return Ended(
        lane=lane,
        z=z,
        f=f,
        g=g,
        violation=violation,
        success=bool(raw.success) and violation <= FEASIBLE,
        raw=raw,
    )


def order(end: Ended, interrupted: bool) -> tuple[bool, bool, bool, float]:
    """Return by what ends are compared: finite, feasible and successful ones come first.

    Of an interrupted run none has succeeded more than another: its best point counts.
    """
    rank = not end.success and not interrupted
    return not end.finite, not end.feasible, rank, end.f if end.finite else 0.0
