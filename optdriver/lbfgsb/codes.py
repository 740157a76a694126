"""Names of the phases and of the reasons for stopping.

The kernel uses the numbers (`constants.pxd` repeats them for the compiler; a test compares the
two), everything else the names.
"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """What a state is waiting for."""

    START = 0
    """The value and gradient at the start."""
    SEARCH = 1
    """The value and gradient at a trial of the line search."""
    DONE = 2
    """Nothing: the run has ended."""
    BESIDE = 3
    """The value and gradient beside an end to which symmetry may have led."""


class Stop(IntEnum):
    """Why a run has ended."""

    RUNNING = 0
    PROJECTED_GRADIENT = 1
    REDUCTION = 2
    MAX_EVALUATIONS = 3
    MAX_ITERATIONS = 4
    ABNORMAL = 5
    FAILED = 6
    HALTED = 7
    UNBOUNDED = 9  # 8 is a reason that float32 alone has: `optdriver.batch.jax.step.ROUNDING`

    @property
    def success(self) -> bool:
        """Whether the run ended at a point that passes a convergence test."""
        return self in (Stop.PROJECTED_GRADIENT, Stop.REDUCTION)

    @property
    def status(self) -> int:
        """The status number that SciPy gives to this ending."""
        return _STATUS[self]

    @property
    def message(self) -> str:
        """One line for a person, in SciPy's words where SciPy has the case."""
        return _MESSAGES[self]


_STATUS = {
    Stop.RUNNING: -1,
    Stop.PROJECTED_GRADIENT: 0,
    Stop.REDUCTION: 0,
    Stop.MAX_EVALUATIONS: 1,
    Stop.MAX_ITERATIONS: 1,
    Stop.ABNORMAL: 2,
    Stop.FAILED: 3,
    Stop.HALTED: 99,
    Stop.UNBOUNDED: 4,
}

_MESSAGES = {
    Stop.RUNNING: "RUNNING",
    Stop.PROJECTED_GRADIENT: "CONVERGENCE: NORM OF PROJECTED GRADIENT <= PGTOL",
    Stop.REDUCTION: "CONVERGENCE: RELATIVE REDUCTION OF F <= FACTR*EPSMCH",
    Stop.MAX_EVALUATIONS: "STOP: TOTAL NO. OF F,G EVALUATIONS EXCEEDS LIMIT",
    Stop.MAX_ITERATIONS: "STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT",
    Stop.ABNORMAL: "ABNORMAL: NO FURTHER DECREASE ALONG THE STEEPEST DESCENT DIRECTION",
    Stop.FAILED: "STOP: EVALUATIONS FAILED TOO OFTEN IN A ROW",
    Stop.HALTED: "STOP: HALTED BY THE CALLER",
    Stop.UNBOUNDED: "UNBOUNDED: F FALLS WITHOUT END ALONG A FEASIBLE DIRECTION",
}

# The names that the interpreted kernel uses; the compiled one takes them from constants.pxd.
START, SEARCH, DONE, BESIDE = (int(phase) for phase in Phase)
(
    RUNNING,
    PROJECTED_GRADIENT,
    REDUCTION,
    MAX_EVALUATIONS,
    MAX_ITERATIONS,
    ABNORMAL,
    FAILED,
    HALTED,
    UNBOUNDED,
) = (int(stop) for stop in Stop)

# What the line search says of a trial.
GO_ON, ACCEPT, ACCEPT_BEST, GIVE_UP = range(4)

# From this number of doubts on, an end is looked at again with the memory kept.
LOOKING = 3

# From this number on, it is followed with the memory kept, since f falls faster and faster;
# so many iterates in a row at most.
FOLLOWING = 6
MOST_FOLLOWED = 30

# What `State.beside` is at most: two more with each further direction; beyond it the last is asked.
MOST_BESIDE = 12

# So many ends that were none are left by a point beside them.
MOST_LEFT = 10
