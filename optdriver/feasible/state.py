"""The state of the feasible minimizer: arrays and numbers, nothing that computes.

Letters: x the iterate, f and g its value and gradient, D the size of each variable (``max(1,
|x0|)``, or the width of a box that is far narrower), Delta the trust region in u = x / D, S and Y
the pairs in u (rows ``s / D`` and ``D y``, oldest first), A and B the two models, whose scores say
which foresaw the gradients better; `rule` is that of the test of convergence, 1 as in optdriver
0.1.0, 2 as in 0.2.0, 3 as in 0.4.0, 5 as in 0.7.0, 6 as in 0.8.0, 7 as in 0.9.0, 8 as in 0.10.0;
`cusp` whether the run ended at one; `unit` the one of f that the start told, `settled` whether the
last trial changed f by no more than ftol, `falls` whether the gradient says that f plainly falls
on, and `promise` the decrease that the model last had at a minimum within the region of this
iterate (see `convergence`); `failed` the last points that could not be evaluated, `avoided` those
where that happened twice. Where residuals are told, `fit` says what they cost, `r` and `jacobian`
are those of the iterate, Y holds what J'J leaves of the changes of the gradient, and `offset` is
the relative offset of the iterate (see `fits`). `began` is where the run began, empty where nothing
is asked beside an end; there `end` is that end, `ending` how the run stops if nothing lower is
found, `looked` how many points were asked, `turns` what further ones are made of, and `left` how
many ends were none (see `beside`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np

from optdriver.feasible.options import Fit, Options
from optdriver.feasible.types import Vector
from optdriver.geometry.aside import Turns

VERSION = 2
RULE = 10
"""What a new run is tested by."""


class Phase(IntEnum):
    """Where the machine stands: what the pending point is, or that there is none."""

    START = 0
    TRIAL = 1
    DONE = 2
    BESIDE = 3


class Stop(StrEnum):
    """Why the machine stopped; only `OPTIMAL` and `REDUCTION` are successes."""

    OPTIMAL = "optimal"
    REDUCTION = "reduction"
    STALLED = "stalled"
    MAX_EVALUATIONS = "max_evaluations"
    MAX_ITERATIONS = "max_iterations"
    FAILED = "failed"
    HALTED = "halted"
    UNBOUNDED = "unbounded"


SUCCESSES = (Stop.OPTIMAL, Stop.REDUCTION)


@dataclass(kw_only=True)
class State:
    """Everything that the next step depends on, besides the constraints themselves."""

    x0: Vector
    lower: Vector
    upper: Vector
    options: Options
    pending: Vector
    phase: Phase = Phase.START
    x: Vector = field(default_factory=lambda: np.zeros(0))
    f: float = np.inf
    g: Vector = field(default_factory=lambda: np.zeros(0))
    best_x: Vector = field(default_factory=lambda: np.zeros(0))
    best_f: float = np.inf
    best_g: Vector = field(default_factory=lambda: np.zeros(0))
    delta: float = 1.0
    tolerance: float = 0.0
    rule: int = 1
    unit: float = 1.0
    settled: bool = False
    cusp: bool = False
    falls: bool = False
    promise: float = np.inf
    first_f: float = 0.0
    first_change: float = 0.0
    first_theta: float = 1.0
    steps: Vector = field(default_factory=lambda: np.zeros((0, 0)))
    changes: Vector = field(default_factory=lambda: np.zeros((0, 0)))
    scores: Vector = field(default_factory=lambda: np.zeros(2))
    failed: Vector = field(default_factory=lambda: np.zeros((0, 0)))
    avoided: Vector = field(default_factory=lambda: np.zeros((0, 0)))
    used: int = 0
    predicted: float = 0.0
    residual: float = np.inf
    nfev: int = 0
    nfail: int = 0
    failures: int = 0
    nit: int = 0
    stop: Stop | None = None
    reason: str = ""
    fit: Fit | None = None
    r: Vector | None = None
    jacobian: Vector | None = None
    offset: float = np.inf
    noise: float = 0.0
    spacing: float = 0.0
    began: Vector = field(default_factory=lambda: np.zeros(0))
    end: Vector = field(default_factory=lambda: np.zeros(0))
    ending: str = ""
    looked: int = 0
    left: int = 0
    turns: Turns | None = None

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.x0)

    def __copy__(self) -> State:
        """Return a state with the same arrays."""
        made = object.__new__(State)
        made.__dict__.update(self.__dict__)
        return made
